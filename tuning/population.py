"""The population engine: many trials of one workload as ONE compiled program.

`vmap` over trials, `scan` over the steps between two evaluations and over the evaluations, data resident on the
device. Hyperparameters, seeds and batches are arrays, so a new point never compiles anything; only another number of
trials does. A trial whose loss stops being finite is frozen where it is, and costs the others nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from workloads import Batch, GeneratedData, Regularization, ResidentData, Workload

# The largest number of examples that one evaluation call sees; larger splits are evaluated in chunks.
EVAL_CHUNK = 2048
EVAL_SEED = 0x5EED  # of what is random in an evaluation, the same for every trial and study

# On a CPU, LLVM's full optimisation of these long programs takes minutes and gains nothing: the time goes into
# matrix products, which are library calls. Level 1 compiled a convolutional population 10 times faster than the
# default, to a program that was no slower (benchmarks/population.py).
CPU_COMPILER_OPTIONS: dict[str, str | bool] = {"xla_backend_optimization_level": "1"}

REGULARIZATION = Regularization._fields

OptimizerRule = Callable[[Mapping[str, Any], int], optax.GradientTransformation]


def trial_seed(*parts: object) -> int:
    """A 32-bit seed from what a random stream belongs to, such as (study seed, workload, point, repeat, "init").

    Hashing makes the numbers of a trial independent of which other trials run, and in which order.
    """
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


@dataclasses.dataclass(frozen=True)
class Curves:
    """What a population recorded.

    Attributes:
      global_step: [evaluation], steps taken at each evaluation.
      metrics: "<role>/<metric>" -> [trial, evaluation]; NaN from the evaluation at which a trial had diverged.
      diverged_step: [trial], the step whose loss was not finite; -1 for trials that stayed finite.
    """

    global_step: np.ndarray
    metrics: Mapping[str, np.ndarray]
    diverged_step: np.ndarray


@dataclasses.dataclass(frozen=True)
class Population:
    """A compiled training of one workload by one optimizer, for any points and seeds.

    Attributes:
      workload: what is trained; its data move to the device once.
      rule: (hyperparameters, total steps) -> gradient transformation; must accept traced hyperparameters.
      total_steps: where schedules end; training stops at the last evaluation that fits.
      eval_period: steps between evaluations.
      shared_batches: all trials of a population see the same batches (one large product of the first layer);
        otherwise every trial has an order of its own.
    """

    workload: Workload
    rule: OptimizerRule
    total_steps: int
    eval_period: int
    shared_batches: bool = True
    _programs: dict[Any, Any] = dataclasses.field(init=False, repr=False, compare=False, default_factory=dict)
    _compiling: threading.Lock = dataclasses.field(
        init=False, repr=False, compare=False, default_factory=threading.Lock
    )
    _data: Any = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.eval_period <= self.total_steps:
            raise ValueError(
                f"{self.workload.name}: eval_period {self.eval_period} must lie in 1..{self.total_steps} (total_steps)"
            )
        object.__setattr__(self, "_data", _device_data(self.workload))

    @property
    def compilations(self) -> int:
        """How many programs were compiled so far: one per number of trials and set of hyperparameter names."""
        return len(self._programs)

    def run(
        self, hyperparameters: Mapping[str, np.ndarray], init_seeds: np.ndarray, batch_seeds: np.ndarray
    ) -> Curves:
        """Trains all trials from start to end.

        Args:
          hyperparameters: name -> [trial]; the optimizer's, and those of `Regularization`.
          init_seeds: [trial] uint32, for initialisation and dropout.
          batch_seeds: uint32, for the order of examples: [1] with shared batches, else [trial].

        Returns:
          Curves on the host, as float32.
        """
        expected = (1,) if self.shared_batches else init_seeds.shape
        if batch_seeds.shape != expected:
            raise ValueError(f"batch_seeds has shape {batch_seeds.shape}; expected {expected}")
        arrays = {name: jnp.asarray(values, jnp.float32) for name, values in hyperparameters.items()}
        inputs = (
            arrays,
            jnp.asarray(init_seeds, jnp.uint32),
            jnp.asarray(batch_seeds, jnp.uint32),
            self._data,
        )
        steps, metrics, diverged_step = self._compiled(inputs)(*inputs)
        return Curves(
            global_step=np.asarray(steps),
            metrics={name: np.asarray(values) for name, values in metrics.items()},
            diverged_step=np.asarray(diverged_step),
        )

    def _compiled(self, inputs: tuple[Any, ...]) -> Any:
        """The program for inputs of these names and shapes; threads that want the same one wait for one compilation."""
        key = tuple(
            (jax.tree_util.keystr(path), x.shape)
            for path, x in jax.tree_util.tree_leaves_with_path(inputs[:3])
        )
        with self._compiling:
            if key not in self._programs:
                options = CPU_COMPILER_OPTIONS if jax.default_backend() == "cpu" else None
                self._programs[key] = jax.jit(self._train).lower(*inputs).compile(compiler_options=options)
            return self._programs[key]

    def _train(self, hyperparameters, init_seeds, batch_seeds, data):
        workload, period = self.workload, self.eval_period
        evaluations = self.total_steps // period
        optimizer = {k: v for k, v in hyperparameters.items() if k not in REGULARIZATION}
        trials = init_seeds.shape[0]
        regularization = Regularization(
            *(hyperparameters.get(name, jnp.zeros(trials)) for name in REGULARIZATION)
        )
        keys = jax.vmap(jax.random.key)(init_seeds)
        init_keys, dropout_keys = jax.vmap(lambda k: tuple(jax.random.split(k)))(keys)
        batch_keys = jax.vmap(jax.random.key)(batch_seeds)
        order = jax.vmap(lambda seed: self._batch_order(seed, evaluations * period))(batch_seeds)
        order = order[0] if self.shared_batches else jnp.swapaxes(order, 0, 1)  # step leads

        def start(hp, key):
            params, model_state = workload.init(key)
            return params, model_state, self.rule(hp, self.total_steps).init(params)

        def step_of_trial(hp, params, model_state, opt_state, diverged_step, batch, key, reg, step):
            (loss, new_model_state), grads = jax.value_and_grad(workload.loss, has_aux=True)(
                params, model_state, batch, jax.random.fold_in(key, step), True, reg
            )
            updates, new_opt_state = self.rule(hp, self.total_steps).update(grads, opt_state, params)
            new = (optax.apply_updates(params, updates), new_model_state, new_opt_state)
            healthy = (diverged_step < 0) & jnp.isfinite(loss)
            # Selecting inside the step keeps a NaN from reaching even the frozen trial's own parameters.
            kept = jax.tree.map(lambda a, b: jnp.where(healthy, a, b), new, (params, model_state, opt_state))
            return *kept, jnp.where((diverged_step < 0) & ~healthy, step, diverged_step)

        batch_axis = None if self.shared_batches else 0
        step_all = jax.vmap(step_of_trial, in_axes=(0, 0, 0, 0, 0, batch_axis, 0, 0, None))

        def step(state, step_and_rows):
            number, rows = step_and_rows
            if self.shared_batches:
                batch = self._batch(data["train"], rows, jax.random.fold_in(batch_keys[0], number))
            else:
                keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(batch_keys)
                batch = jax.vmap(self._batch, in_axes=(None, 0, 0))(data["train"], rows, keys)
            params, model_state, opt_state, diverged_step = state
            new = step_all(
                optimizer,
                params,
                model_state,
                opt_state,
                diverged_step,
                batch,
                dropout_keys,
                regularization,
                number,
            )
            return new, None

        def interval(state, steps_and_rows):
            state, _ = jax.lax.scan(step, state, steps_and_rows)
            params, model_state, _, diverged_step = state
            return state, self._evaluate(params, model_state, diverged_step, data)

        state = (*jax.vmap(start)(optimizer, init_keys), jnp.full(trials, -1, jnp.int32))
        numbers = jnp.arange(evaluations * period, dtype=jnp.int32).reshape(evaluations, period)
        rows = order.reshape(evaluations, period, *order.shape[1:])
        (_, _, _, diverged_step), metrics = jax.lax.scan(interval, state, (numbers, rows))
        metrics = {name: values.T for name, values in metrics.items()}
        return (jnp.arange(evaluations) + 1) * period, metrics, diverged_step

    def _batch(self, train: Mapping[str, jax.Array], rows: jax.Array, key: jax.Array) -> Batch:
        """What the model sees in one step."""
        data = self.workload.data
        if isinstance(data, GeneratedData):
            return data.draw(key, self.workload.batch_size)
        batch = {field: values[rows] for field, values in train.items()}
        return data.transform(key, batch, self.workload.eval_splits["train"]) if data.transform else batch

    def _batch_order(self, seed: jax.Array, steps: int) -> jax.Array:
        """Rows of the training split for every step, [step, batch]: shuffled epochs, laid end to end."""
        if isinstance(self.workload.data, GeneratedData):
            return jnp.zeros((steps, 0), jnp.int32)
        examples, batch = (
            self.workload.data.size(self.workload.eval_splits["train"]),
            self.workload.batch_size,
        )
        epochs = -(-steps * batch // examples)
        keys = jax.random.split(jax.random.key(seed), epochs)
        order = jax.vmap(lambda key: jax.random.permutation(key, examples))(keys)
        return order.reshape(-1)[: steps * batch].reshape(steps, batch)

    def _evaluate(self, params, model_state, diverged_step, data):
        recorded = {}
        workload = self.workload
        sums = jax.vmap(workload.metrics, in_axes=(0, 0, None, None))
        for i, (role, split) in enumerate(workload.eval_splits.items()):
            # The same key at every evaluation: a curve moves with the model, not with the draw.
            key = jax.random.fold_in(jax.random.key(EVAL_SEED), i)
            examples = data["eval"][role]
            if isinstance(workload.data, GeneratedData):
                examples = workload.data.draw(key, workload.eval_examples)

            def of_chunk(batch, key=key, split=split):
                if isinstance(workload.data, ResidentData) and workload.data.transform:
                    batch = workload.data.transform(key, batch, split)
                return sums(params, model_state, batch, key)

            totals = _sum_over_chunks(of_chunk, examples)
            for name, total in totals.items():
                if name != "examples":
                    recorded[f"{role}/{name}"] = jnp.where(
                        diverged_step < 0, total / totals["examples"], jnp.nan
                    )
        return recorded


def _device_data(workload: Workload) -> dict[str, Any]:
    """The training split, and per role the examples that are evaluated, as device arrays."""
    if isinstance(workload.data, GeneratedData):
        return {"train": {}, "eval": {role: {} for role in workload.eval_splits}}

    def put(split: str, limit: int | None = None) -> dict[str, jax.Array]:
        return {field: jnp.asarray(values[:limit]) for field, values in workload.data.splits[split].items()}

    limits = {"train": workload.eval_examples}
    return {
        "train": put(workload.eval_splits["train"]),
        "eval": {role: put(split, limits.get(role)) for role, split in workload.eval_splits.items()},
    }


def _sum_over_chunks(sums_of: Callable[[Any], Any], split: Mapping[str, jax.Array]) -> Any:
    """Adds a batch's sums over a split in chunks of `EVAL_CHUNK`, so that its activations need not fit at once."""
    if not split:
        return sums_of({})
    examples = len(next(iter(split.values())))
    whole, rest = divmod(examples, EVAL_CHUNK)
    parts = []
    if whole:
        chunks = {
            k: v[: whole * EVAL_CHUNK].reshape(whole, EVAL_CHUNK, *v.shape[1:]) for k, v in split.items()
        }
        parts.append(jax.tree.map(lambda s: s.sum(0), jax.lax.map(sums_of, chunks)))
    if rest:
        parts.append(sums_of({k: v[whole * EVAL_CHUNK :] for k, v in split.items()}))
    return jax.tree.map(lambda *s: sum(s), *parts)


def stack(points: Sequence[Mapping[str, float]]) -> dict[str, np.ndarray]:
    """Turns points with equal names into arrays [trial], in the order given.

    Raises:
      ValueError: the points do not have the same hyperparameters.
    """
    names = set(points[0])
    for i, point in enumerate(points):
        if set(point) != names:
            raise ValueError(
                f"points 0 and {i} have different hyperparameters: {sorted(names ^ set(point))} are not in both"
            )
    return {name: np.array([point[name] for point in points], np.float64) for name in sorted(names)}
