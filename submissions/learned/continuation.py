"""How a training that has reached its horizon goes on: three ways.

| way | state | horizon |
|---|---|---|
| `naive` | kept | kept: the optimizer is past its end |
| `more_steps` | kept | the new one |
| `reset` | fresh, on the trained parameters | of the steps to come |

Reference: Metz et al. 2022, arXiv:2211.09760, on continuing a training.
"""

from __future__ import annotations

from typing import Any

from submissions.learned.wrapped import AveragedState
from submissions.optimizers._late import jnp
from submissions.optimizers._rule import Rule


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
