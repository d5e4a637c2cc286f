"""Trainings as one program from start to end: the fastest way, for data on the device."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tuning.engine import _draws, _evaluation, _programs, _sharding
from tuning.engine._programs import Compile
from tuning.engine._training import Training
from tuning.engine._trials import Inputs, Trials

Recorded = tuple[Any, Mapping[str, Any], Any]  # as `train` returns them, on the host


@dataclasses.dataclass(frozen=True)
class Whole:
    """One program trains and evaluates all trials.

    Attributes:
      training: what is trained.
      compile: makes programs, or finds those that were made.
    """

    training: Training
    compile: Compile

    def program(self, inputs: Inputs) -> _programs.Program:
        """The program for these inputs."""
        function = _sharding.whole(self.training, functools.partial(train, self.training))
        return self.compile(("whole", self.training.key()), function, (inputs,))

    def run(self, inputs: Inputs) -> Recorded:
        """Trains and evaluates all trials."""
        return jax.device_get(self.program(inputs).call(inputs))


def train(training: Training, inputs: Inputs) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
    """Trains all trials. Traced: `scan` over the steps between two evaluations and over the evaluations.

    Returns:
      Steps [evaluation], "<role>/<metric>" -> [trial, evaluation], and the step [trial] whose loss was not
      finite, -1 where all were.
    """
    period, evaluations = training.eval_period, training.total_steps // training.eval_period
    trials = Trials(training, inputs)
    order = _draws.order(training, trials.batch_keys, evaluations * period)

    def step(state, number_and_rows):
        number, rows = number_and_rows
        return _draws.step(training, trials, state, inputs.data, rows, number), None

    def interval(state, number):
        def some_steps(state):
            steps = (number - 1) * period + jnp.arange(period, dtype=jnp.int32)
            return jax.lax.scan(step, state, (steps, order[steps]))[0]

        # The evaluation at the start is an interval without steps, so that the model is compiled into it once.
        state = (
            jax.lax.cond(number > 0, some_steps, lambda state: state, state)
            if first == 0
            else some_steps(state)
        )
        found = _evaluation.metrics(training, trials, state, inputs.data, number)
        return trials.observed(state, found), found

    first = 0 if training.evaluation.at_start else 1
    numbers = jnp.arange(first, evaluations + 1, dtype=jnp.int32)
    state, metrics = jax.lax.scan(interval, trials.start(), numbers)
    return numbers * period, {name: values.T for name, values in metrics.items()}, state.diverged_step
