"""What one compiled program computes: the training of many trials of one workload, from start to end.

Everything here is traced. `scan` over the steps between two evaluations and over the evaluations, on data that live on
the device; `tuning.engine._trials` says what a step is, and `tuning.engine._streaming` trains on data that do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from submissions import Rule
from tuning.engine import _evaluation, _programs, _sharding
from tuning.engine._evaluation import Evaluation
from tuning.engine._trials import Trials
from workloads import Batch, GeneratedData, ResidentData, Workload


@dataclasses.dataclass(frozen=True, eq=False)  # what makes two of them equal is `key`
class Training:
    """A training but for its arrays; see `tuning.engine.population.Population` for the attributes."""

    workload: Workload
    rule: Rule
    total_steps: int
    eval_period: int
    shared_batches: bool
    evaluation: Evaluation
    constrained: bool

    def key(self) -> Hashable:
        """Everything that determines the program. Trainings of equal keys differ in their arrays alone."""
        workload = self.workload
        return (
            workload.shared.key if workload.shared else _Itself(workload),
            workload.batch_size,
            tuple(workload.eval_splits.items()),
            workload.eval_examples,
            self.rule,
            self.total_steps,
            self.eval_period,
            self.shared_batches,
            self.evaluation,
            self.constrained and workload.constraint is not None,
        )

    def __call__(
        self,
        hyperparameters: Mapping[str, jax.Array],
        init_seeds: jax.Array,
        batch_seeds: jax.Array,
        constants: Mapping[str, jax.Array],
        data: _evaluation.Data,
    ) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
        """Trains all trials.

        Args:
          hyperparameters: name -> [trial].
          init_seeds: [trial].
          batch_seeds: [1] where trials share batches, else [trial].
          constants: of the workload.
          data: split -> field -> [example, ...].

        Returns:
          Steps [evaluation], "<role>/<metric>" -> [trial, evaluation], and the step [trial] whose loss was not
          finite, -1 where all were.
        """
        period, evaluations = self.eval_period, self.total_steps // self.eval_period
        trials = Trials(self, hyperparameters, init_seeds, constants)
        batch_keys = jax.vmap(jax.random.key)(batch_seeds)
        order = jax.vmap(lambda seed: self._batch_order(seed, evaluations * period))(batch_seeds)
        order = order[0] if self.shared_batches else jnp.swapaxes(order, 0, 1)  # step leads

        def step(state, number_and_rows):
            number, rows = number_and_rows
            return trials.step(state, self._batches(data, rows, batch_keys, number), number), None

        def evaluate(state, number):
            _, model_state, _, diverged_step = state
            metrics = _evaluation.metrics_of(
                self.evaluation,
                self.workload,
                trials.functions.metrics,
                trials.axes[:2],
                self.shared_batches,
            )(trials.recommended(state), model_state, data, batch_keys, number)
            return {name: jnp.where(diverged_step < 0, values, jnp.nan) for name, values in metrics.items()}

        def interval(state, number):
            def train(state):
                steps = (number - 1) * period + jnp.arange(period, dtype=jnp.int32)
                return jax.lax.scan(step, state, (steps, order[steps]))[0]

            # The evaluation at the start is an interval without steps, so that the model is compiled into it once.
            state = (
                jax.lax.cond(number > 0, train, lambda state: state, state) if first == 0 else train(state)
            )
            return state, evaluate(state, number)

        first = 0 if self.evaluation.at_start else 1
        state = trials.start()
        numbers = jnp.arange(first, evaluations + 1, dtype=jnp.int32)
        (*_, diverged_step), metrics = jax.lax.scan(interval, state, numbers)
        return numbers * period, {name: values.T for name, values in metrics.items()}, diverged_step

    def _batches(self, data: _evaluation.Data, rows: jax.Array, keys: jax.Array, number: jax.Array) -> Batch:
        """What the models see in one step: [example, ...] where they share it, else [trial, example, ...]."""
        if self.shared_batches:
            return self._batch(data, rows, jax.random.fold_in(keys[0], number))
        keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        return jax.vmap(self._batch, in_axes=(None, 0, 0))(data, rows, keys)

    def _batch(self, data: _evaluation.Data, rows: jax.Array, key: jax.Array) -> Batch:
        source, split = self.workload.data, self.workload.eval_splits["train"]
        if isinstance(source, GeneratedData):
            return source.draw(key, self.workload.batch_size)
        assert isinstance(source, ResidentData)  # streamed data have a lane of their own
        batch = {field: values[rows] for field, values in data[split].items()}
        return source.transform(key, batch, split) if source.transform else batch

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


Recorded = tuple[Any, Mapping[str, Any], Any]  # as `Training` returns them, on the host
Compile = Callable[..., _programs.Program]  # as `_programs.program`, but for whether it compiled


@dataclasses.dataclass(frozen=True)
class ResidentWay:
    """How trials are trained on data that live on the device, or are made there: by one program.

    Attributes:
      training: what is trained.
      compile: makes programs, or finds those that were made.
    """

    training: Training
    compile: Compile

    def program(self, inputs: tuple[Any, ...]) -> _programs.Program:
        """The program for the inputs of `Training`."""
        function = _sharding.over_devices(self.training, self.training.shared_batches)
        return self.compile(self.training.key(), function, inputs)

    def run(self, inputs: tuple[Any, ...]) -> Recorded:
        """Trains and evaluates all trials."""
        return jax.device_get(self.program(inputs).call(*inputs))


class _Itself:
    """Equal to another of the same object, and to nothing else."""

    def __init__(self, what: object) -> None:
        self.what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.what is self.what

    def __hash__(self) -> int:
        return id(self.what)
