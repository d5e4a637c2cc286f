"""An Optax transformation as a `Rule`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from submissions.optimizers._rule import Rule, Seen

Make = Callable[[Mapping[str, Any], Any], optax.GradientTransformation]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Steps:
    """A horizon that belongs to the structure of a state, so that a program is compiled for it."""

    steps: int


class OptaxState(NamedTuple):
    """What a lifted transformation carries."""

    horizon: Any  # that it was made for: a scalar array, or `Steps`
    inner: Any  # its own state


def lifted(make: Make, evaluated: Callable[[Any, Any], Any] | None, names: Sequence[str]) -> Rule:
    """See `submissions.optimizers._rule.from_optax`."""

    def init(weights, hyperparameters, params, key, horizon):
        del weights, key
        kept = Steps(horizon) if isinstance(horizon, int) else horizon
        return OptaxState(kept, make(hyperparameters, horizon).init(params))

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del weights
        horizon = state.horizon.steps if isinstance(state.horizon, Steps) else state.horizon
        transformation = optax.with_extra_args_support(make(hyperparameters, horizon))
        updates, inner = transformation.update(
            grads, state.inner, params, value=seen.loss, grad=grads, step=seen.step
        )
        return updates, OptaxState(state.horizon, inner)

    return Rule(
        init,
        update,
        evaluated=evaluated and (lambda state, params: evaluated(state.inner, params)),
        static_horizon=_needs_an_int(make, names),
    )


def _needs_an_int(make: Make, names: Sequence[str]) -> bool:
    """Whether `make` fails on a traced horizon, and on a traced one alone."""

    def works(given: Callable[[jax.Array], Any]) -> bool:
        def made(number: jax.Array, horizon: jax.Array) -> None:
            make(_AnyName(number, names), given(horizon))

        try:
            jax.eval_shape(made, jnp.float32(0.5), jnp.int32(100))
        except (
            Exception,
            SystemExit,
        ):  # JAX says that a value must be known, Python that it cannot be a key, and so on
            return False
        return True

    return not works(lambda horizon: horizon) and works(lambda horizon: 100)


class _AnyName(dict):
    """Hyperparameters before anybody has given a point: every name has the same number."""

    def __init__(self, number: jax.Array, names: Sequence[str]) -> None:
        super().__init__(dict.fromkeys(names, number))
        self._number = number

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> jax.Array:
        return self._number
