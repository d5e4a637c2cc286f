"""How a training that has reached its horizon goes on: three ways.

| way | state | horizon |
|---|---|---|
| `naive` | kept | kept: the optimizer is past its end |
| `more_steps` | kept | the new one |
| `reset` | fresh, on the trained parameters | of the steps to come |

`continued` has a rule do so by itself, once it has done the steps that it was told.

Reference: Metz et al. 2022, arXiv:2211.09760, on continuing a training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from submissions.learned.wrapped import AveragedState, around
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

WAYS = ("naive", "more_steps", "reset")


class Continued(NamedTuple):
    """What a rule that goes on carries.

    Attributes:
      inner: state of the rule.
      told: steps that it was told, int32.
      horizon: steps that there are, int32.
    """

    inner: Any
    told: jax.Array
    horizon: jax.Array


def continued(rule: Rule, way: str, told: Callable[[Any, Any], Any]) -> Rule:
    """The rule, which goes on in a way once it has done the steps that it was told, if there are more.

    Args:
      rule: any; `more_steps` takes one that keeps a horizon.
      way: of `WAYS`.
      told: (hyperparameters, horizon) -> steps that it is told.

    Raises:
      ValueError: no such way.
    """
    if way not in WAYS:
        raise ValueError(f"continuation is {way!r}; must be one of {', '.join(WAYS)}")

    def begin(weights, hyperparameters, params, key, horizon):
        state = rule.init(weights, hyperparameters, params, key, horizon)
        # With the types that an update keeps: one that a number of Python's brought compiles the second step again.
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), state)

    def told_init(weights, hyperparameters, params, key, horizon):
        return begin(weights, hyperparameters, params, key, told(hyperparameters, horizon))

    if way == "naive":
        return dataclasses.replace(rule, init=told_init)

    def init(weights, hyperparameters, params, key, horizon):
        steps = jnp.asarray(told(hyperparameters, horizon), jnp.int32)
        inner = begin(weights, hyperparameters, params, key, steps)
        return Continued(inner, steps, jnp.asarray(horizon, jnp.int32))

    def update(weights, hyperparameters, grads, state: Continued, params, seen: Seen):
        def go_on():
            if way == "more_steps":
                return more_steps(state.inner, state.horizon)
            return begin(weights, hyperparameters, params, seen.key, state.horizon - state.told)

        now = (seen.step == state.told) & (state.told < state.horizon)
        inner = jax.lax.cond(now, go_on, lambda: state.inner)
        # The steps of a fresh state are its own.
        first = state.told if way == "reset" else 0
        number = jnp.where(seen.step >= state.told, seen.step - first, seen.step)
        updates, inner = rule.update(
            weights, hyperparameters, grads, inner, params, seen._replace(step=number)
        )
        return updates, state._replace(inner=inner)

    return around(rule, init, update)


def keeps_horizon(rule: Rule) -> bool:
    """Whether a rule's state has a horizon, which could be another."""
    state = jax.eval_shape(
        lambda key: rule.init(rule.weights, {}, {"w": jnp.zeros((2, 2))}, key, jnp.int32(8)),
        jax.random.key(0),
    )
    while isinstance(state, AveragedState | Continued):
        state = state.inner
    return hasattr(state, "horizon")


def naive(state: Any) -> Any:
    """The state as it is: training goes on past the horizon. VeLO's time features end at 1.1 horizons."""
    return state


def more_steps(state: Any, horizon: Any) -> Any:
    """The state with another horizon, counted from the start of training.

    Only the time that is left changes: the decays of the losses' means stay those of the first horizon, and so does the
    number of gradients per update of `submissions.learned.wrapped.averaged`.

    Raises:
      ValueError: the state has no horizon.
    """
    if isinstance(state, AveragedState):
        return state._replace(inner=more_steps(state.inner, jnp.asarray(horizon, jnp.int32) // state.factor))
    if not hasattr(state, "horizon"):
        raise ValueError(f"{type(state).__name__} keeps no horizon, so it cannot be given another; use reset")
    return state._replace(horizon=jnp.broadcast_to(jnp.asarray(horizon, jnp.int32), jnp.shape(state.horizon)))


def reset(
    rule: Rule, params: Any, horizon: int, key: Any, *, weights: Any = None, hyperparameters: Any = None
) -> Any:
    """A fresh state on trained parameters.

    Args:
      rule: of the optimizer.
      params: where training ended.
      horizon: steps to come.
      key: random.
      weights: None: the rule's own.
      hyperparameters: as of the training.
    """
    own = rule.weights if weights is None else weights
    return rule.init(own, hyperparameters or {}, params, key, horizon)
