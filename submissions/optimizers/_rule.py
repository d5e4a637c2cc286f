"""What an update rule is to those who train: pure functions of all that a training algorithm may see.

    init(weights, hyperparameters, params, key, horizon) -> state
    update(weights, hyperparameters, grads, state, params, seen) -> (updates, state)
    observe(state, metrics) -> state
    evaluated(state, params) -> params

Everything is of one trial; who trains many maps over them. Importable without JAX.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """What an update may see beside its gradients."""

    loss: Any  # training loss of this step, shape ()
    step: Any  # number of the step, from 0, shape ()
    key: Any  # a random key of this trial and step


@dataclasses.dataclass(frozen=True, eq=False)  # two rules are the same where they are one object
class Rule:
    """An update rule: functions that can be jitted, mapped over trials, and carried through a loop.

    Hyperparameters, weights and horizon are arrays and may be traced: another point, other weights or another horizon
    compile nothing, unless `static_horizon` is set.

    Attributes:
      init: (weights, hyperparameters, params, key, horizon) -> state. The horizon is where schedules end, in steps: an
        int32 scalar, or an int where `static_horizon` is set.
      update: (weights, hyperparameters, grads, state, params, seen) -> (updates, state); updates are added to params.
      observe: (state, metrics) -> state, after an evaluation, whose metrics are "<role>/<metric>" -> scalar; and after
        each validation loss that `validation_period` asks for, which is {"validation/loss": scalar}. None: unchanged.
      evaluated: (state, params) -> what is evaluated; None: params.
      weights: used where nobody gives others: a pytree, and an input of the program.
      validation_period: steps between the validation losses, each of one batch, that `observe` is given; None: none.
      static_horizon: decides in Python on the horizon, so that every horizon is a program of its own.
    """

    init: Callable[[Any, Any, Any, Any, Any], Any]
    update: Callable[[Any, Any, Any, Any, Any, Seen], tuple[Any, Any]]
    observe: Callable[[Any, Any], Any] | None = None
    evaluated: Callable[[Any, Any], Any] | None = None
    weights: Any = ()
    validation_period: int | None = None
    static_horizon: bool = False
