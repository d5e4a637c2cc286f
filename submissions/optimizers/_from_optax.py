"""Optax transformations as rules. Importable without JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from submissions.optimizers._rule import Rule


def from_optax(
    make: Callable[[Any, Any], Any],
    evaluated: Callable[[Any, Any], Any] | None = None,
    *,
    names: Sequence[str] = (),
) -> Rule:
    """The rule that an Optax transformation is, with the training loss for those that ask for it. Imports JAX.

    Transformations with extra arguments get the loss as `value` and the gradients as `grad`, as
    `optax.contrib.reduce_on_plateau` wants them, and the number of the step as `step`. Nothing here can evaluate the
    loss elsewhere, so `value_fn` is not given: line searches do not work.

    A `make` that decides in Python on its horizon, as `optax.cosine_decay_schedule` does (it compares its number of
    steps with 0), is found out here by tracing it once, and becomes a rule with a static horizon.

    Args:
      make: (hyperparameters, horizon) -> `optax.GradientTransformation`. Both may be traced.
      evaluated: (state of the transformation, params) -> what is evaluated; None: params.
      names: of the hyperparameters that `make` is traced with. Any that it looks up are there, so only a `make` that
        lists them needs this.

    Example:
      >>> import optax
      >>> from_optax(lambda hp, horizon: optax.sgd(hp["learning_rate"])).static_horizon
      False
      >>> rate = optax.cosine_decay_schedule
      >>> from_optax(lambda hp, horizon: optax.sgd(rate(hp["learning_rate"], horizon))).static_horizon
      True
    """
    from submissions.optimizers import _lifted  # imports JAX

    return _lifted.lifted(make, evaluated, names)
