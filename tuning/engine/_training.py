"""A training but for its arrays, and the program that runs it from start to end.

Everything here is traced. `scan` over the steps between two evaluations and over the evaluations, on data that live on
the device; `tuning.engine._trials` says what a step is, and `tuning.engine._stepwise` takes the same steps call by
call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp

from submissions import Rule
from tuning.engine import _evaluation
from tuning.engine._evaluation import Evaluation
from tuning.engine._trials import Inputs, State, Trials
from workloads import Batch, Workload


@dataclasses.dataclass(frozen=True, eq=False)  # what makes two of them equal is `key`
class Training:
    """A training but for its arrays; see `tuning.engine.population.Population` for the attributes.

    Attributes:
      horizon: of a rule that decides on it in Python, else None: then it is an array.
      weights_per_trial: the optimizer's weights have a leading axis [trial].
    """

    workload: Workload
    rule: Rule
    total_steps: int
    eval_period: int
    shared_batches: bool
    evaluation: Evaluation
    constrained: bool
    horizon: int | None = None
    weights_per_trial: bool = False

    def key(self) -> Hashable:
        """Everything that determines the program. Trainings of equal keys differ in their arrays alone."""
        workload = self.workload
        return (
            workload.shared.key if workload.shared else _Itself(workload),
            workload.batch_size,
            tuple(workload.eval_splits.items()),
            workload.eval_examples,
            _Itself(self.rule),
            self.total_steps,
            self.eval_period,
            self.shared_batches,
            self.evaluation,
            self.constrained and workload.constraint is not None,
            self.horizon,
            self.weights_per_trial,
        )

    def __call__(self, inputs: Inputs) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
        """Trains all trials.

        Returns:
          Steps [evaluation], "<role>/<metric>" -> [trial, evaluation], and the step [trial] whose loss was not
          finite, -1 where all were.
        """
        period, evaluations = self.eval_period, self.total_steps // self.eval_period
        trials = Trials(self, inputs)
        order = self.order(trials.batch_keys, evaluations * period)

        def step(state, number_and_rows):
            number, rows = number_and_rows
            return self.step(trials, state, inputs.data, rows, number), None

        def interval(state, number):
            def train(state):
                steps = (number - 1) * period + jnp.arange(period, dtype=jnp.int32)
                return jax.lax.scan(step, state, (steps, order[steps]))[0]

            # The evaluation at the start is an interval without steps, so that the model is compiled into it once.
            state = (
                jax.lax.cond(number > 0, train, lambda state: state, state) if first == 0 else train(state)
            )
            found = _evaluation.metrics(self, trials, state, inputs.data, number)
            return trials.observed(state, found), found

        first = 0 if self.evaluation.at_start else 1
        numbers = jnp.arange(first, evaluations + 1, dtype=jnp.int32)
        state, metrics = jax.lax.scan(interval, trials.start(), numbers)
        return numbers * period, {name: values.T for name, values in metrics.items()}, state.diverged_step

    # Data on the device.

    def order(self, batch_keys: jax.Array, steps: int) -> jax.Array:
        """Rows of the training split for every step: [step, row] if trials share batches, else [step, trial, row]."""
        source, split = self.workload.data, self.workload.eval_splits["train"]
        order = jax.vmap(lambda key: source.order(key, split, self.workload.batch_size, steps))(batch_keys)
        return order[0] if self.shared_batches else jnp.swapaxes(order, 0, 1)

    def step(
        self, trials: Trials, state: State, data: _evaluation.Data, rows: jax.Array, number: jax.Array
    ) -> State:
        """One update of all trials on the rows of a step."""
        batch = self._drawn(trials, number, lambda key, rows: self._batch(data, rows, key), rows)
        return trials.step(state, batch, number, lambda number: self._asked(trials, data, number))

    def _batch(self, data: _evaluation.Data, rows: jax.Array, key: jax.Array) -> Batch:
        split = self.workload.eval_splits["train"]
        return self.workload.data.batch(data[split], rows, key, split, self.workload.batch_size)

    def _asked(self, trials: Trials, data: _evaluation.Data, number: jax.Array) -> Batch:
        """A fresh batch of the validation split."""
        split = self.workload.eval_splits["validation"]

        def draw(key):
            key = jax.random.fold_in(key, _evaluation.EVAL_STREAM - 1)
            return self.workload.data.fresh(data[split], key, split, self.workload.batch_size)

        return self._drawn(trials, number, draw)

    def _drawn(self, trials: Trials, number: jax.Array, draw: Any, *rows: jax.Array) -> Batch:
        """What the models see in one step: [example, ...] where they share it, else [trial, example, ...]."""
        if self.shared_batches:
            return draw(jax.random.fold_in(trials.batch_keys[0], number), *rows)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(trials.batch_keys)
        return jax.vmap(draw)(keys, *rows)


class _Itself:
    """Equal to another of the same object, and to nothing else."""

    def __init__(self, what: object) -> None:
        self.what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.what is self.what

    def __hash__(self) -> int:
        return id(self.what)
