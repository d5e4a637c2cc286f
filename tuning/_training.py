"""What one compiled program computes: the training of many trials of one workload, from start to end.

Everything here is traced. `vmap` over trials, `scan` over the steps between two evaluations and over the
evaluations; per step one pass for the gradients and one for the update of all trials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from tuning import _evaluation, _programs
from tuning._evaluation import Evaluation
from tuning._layout import trial_axes
from workloads import Batch, GeneratedData, Regularization, Workload
from workloads._products import for_populations
from workloads._workload import Functions

REGULARIZATION = Regularization._fields

OptimizerRule = Callable[[Mapping[str, Any], int], optax.GradientTransformation]


@dataclasses.dataclass(frozen=True, eq=False)  # what makes two of them equal is `key`
class Training:
    """A training but for its arrays; see `tuning.population.Population` for the attributes."""

    workload: Workload
    rule: OptimizerRule
    total_steps: int
    eval_period: int
    shared_batches: bool
    evaluation: Evaluation
    constrained: bool
    evaluated_params: Callable[[Any, Any], Any] | None

    def key(self) -> Hashable:
        """Everything that determines the program. Trainings of equal keys differ in their arrays alone."""
        workload = self.workload
        return (
            workload.shared.key if workload.shared else _Itself(workload),
            workload.batch_size,
            tuple(workload.eval_splits.items()),
            workload.eval_examples,
            _programs.identity(self.rule),
            self.total_steps,
            self.eval_period,
            self.shared_batches,
            self.evaluation,
            self.constrained and workload.constraint is not None,
            self.evaluated_params and _programs.identity(self.evaluated_params),
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
        functions, shared = self._functions(constants), self.shared_batches
        period, evaluations = self.eval_period, self.total_steps // self.eval_period
        optimizer = {k: v for k, v in hyperparameters.items() if k not in REGULARIZATION}
        trials = init_seeds.shape[0]
        regularization = Regularization(
            *(hyperparameters.get(name, jnp.zeros(trials)) for name in REGULARIZATION)
        )
        keys = jax.vmap(jax.random.key)(init_seeds)
        init_keys, dropout_keys = jax.vmap(lambda k: tuple(jax.random.split(k)))(keys)
        batch_keys = jax.vmap(jax.random.key)(batch_seeds)
        order = jax.vmap(lambda seed: self._batch_order(seed, evaluations * period))(batch_seeds)
        order = order[0] if shared else jnp.swapaxes(order, 0, 1)  # step leads

        def start(hp, key):
            params, model_state = functions.init(key)
            return params, model_state, self.rule(hp, self.total_steps).init(params)

        one = jax.eval_shape(start, {name: values[0] for name, values in optimizer.items()}, init_keys[0])
        axes = trial_axes(one, shared)
        of_params, of_model, of_optimizer = axes

        def gradient(params, model_state, batch, key, reg, number):
            key = jax.random.fold_in(key, number)
            with for_populations():
                return jax.value_and_grad(functions.loss, has_aux=True)(
                    params, model_state, batch, key, True, reg
                )

        def update(hp, grads, params, opt_state):
            updates, opt_state = self.rule(hp, self.total_steps).update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            if self.constrained and self.workload.constraint:
                params = self.workload.constraint(params)
            return params, opt_state

        # Gradients are mapped apart from the update, so that they come in the layout of the parameters.
        gradients = jax.vmap(
            gradient,
            in_axes=(of_params, of_model, None if shared else 0, 0, 0, None),
            out_axes=((0, of_model), of_params),
        )
        update_all = jax.vmap(update, (0, of_params, of_params, of_optimizer), (of_params, of_optimizer))

        def step(state, number_and_rows):
            number, rows = number_and_rows
            params, model_state, opt_state, diverged_step = state
            batch = self._batches(data, rows, batch_keys, number)
            (loss, model_state), grads = gradients(
                params, model_state, batch, dropout_keys, regularization, number
            )
            params, opt_state = update_all(optimizer, grads, params, opt_state)
            # A trial that has diverged goes on, on numbers that nobody reads: trials do not touch each other, and
            # holding it still would cost all of them a selection per parameter and step.
            now = (diverged_step < 0) & ~jnp.isfinite(loss)
            return (params, model_state, opt_state, jnp.where(now, number, diverged_step)), None

        def evaluate(state, number):
            params, model_state, opt_state, diverged_step = state
            if self.evaluated_params:
                recommend = jax.vmap(self.evaluated_params, (of_optimizer, of_params), of_params)
                params = recommend(opt_state, params)
            metrics = _evaluation.metrics_of(
                self.evaluation, self.workload, functions.metrics, (of_params, of_model), shared
            )(params, model_state, data, batch_keys, number)
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
        state = (*jax.vmap(start, out_axes=axes)(optimizer, init_keys), jnp.full(trials, -1, jnp.int32))
        numbers = jnp.arange(first, evaluations + 1, dtype=jnp.int32)
        (*_, diverged_step), metrics = jax.lax.scan(interval, state, numbers)
        return numbers * period, {name: values.T for name, values in metrics.items()}, diverged_step

    def _functions(self, constants: Mapping[str, jax.Array]) -> Functions:
        workload = self.workload
        if workload.shared is not None:
            return workload.shared.bind(constants)
        return Functions(workload.init, workload.loss, workload.metrics)

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


class _Itself:
    """Equal to another of the same object, and to nothing else."""

    def __init__(self, what: object) -> None:
        self.what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.what is self.what

    def __hash__(self) -> int:
        return id(self.what)
