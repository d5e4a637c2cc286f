"""What may be put around a learned optimizer: weight decay, averaged gradients on long horizons, a guard.

The first two are those of VeLO's release (`prefab.LearnedOptimizer` of learned_optimization). None of them knows what
it is put around: any `Rule` will do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

LONGEST_HORIZON = 150_000  # steps, of VeLO's release


def wrapped(
    rule: Rule, *, weight_decay: float = 0.0, longest_horizon: int | None = None, skip_nonfinite: bool = False
) -> Rule:
    """The rule with what is asked for around it; itself where that is nothing.

    Args:
      rule: any.
      weight_decay: see `decayed`; a hyperparameter "weight_decay" goes before it.
      longest_horizon: see `averaged`; None: none.
      skip_nonfinite: see `guarded_from_nonfinite`.
    """
    if longest_horizon is not None:
        rule = averaged(rule, longest_horizon)
    rule = decayed(rule, weight_decay)
    return guarded_from_nonfinite(rule) if skip_nonfinite else rule


def decayed(rule: Rule, weight_decay: float = 0.0) -> Rule:
    """Weight decay w: w p is added to the gradient, and w sum(p^2), not half of it, to the loss that is passed on.

    VeLO's authors advise 1e-6. w is the hyperparameter "weight_decay" where there is one, else the number given.
    """

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        w = hyperparameters.get("weight_decay", weight_decay)
        if isinstance(w, jax.Array) or w != 0:
            squares = sum(jnp.sum(jnp.square(p.astype(jnp.float32))) for p in jax.tree.leaves(params))
            grads = jax.tree.map(lambda g, p: g + (w * p).astype(g.dtype), grads, params)
            seen = seen._replace(loss=seen.loss + w * squares)
        return rule.update(weights, hyperparameters, grads, state, params, seen)

    return dataclasses.replace(rule, update=update)


def around(rule: Rule, init: Callable[..., Any], update: Callable[..., Any]) -> Rule:
    """A rule with another init and update, whose state is a named tuple that has the state of `rule` as `inner`.

    What `rule` does with validation losses, and what it has evaluated, stays.
    """

    def observe(state: Any, metrics):
        assert rule.observe is not None
        return state._replace(inner=rule.observe(state.inner, metrics))

    def evaluated(state: Any, params):
        assert rule.evaluated is not None
        return rule.evaluated(state.inner, params)

    return dataclasses.replace(
        rule,
        init=init,
        update=update,
        observe=rule.observe and observe,
        evaluated=rule.evaluated and evaluated,
    )


class AveragedState(NamedTuple):
    """Gradients that wait for their update.

    Attributes:
      inner: state of the rule.
      grads: sum of the gradients that wait; a tree like params.
      loss: sum of their losses.
      waiting: how many wait, int32.
      factor: gradients per update, int32.
    """

    inner: Any
    grads: Any
    loss: jax.Array
    waiting: jax.Array
    factor: jax.Array


def gradients_per_update(horizon: Any, longest_horizon: int) -> Any:
    """ceil(horizon / longest)."""
    return -(-horizon // longest_horizon)


def averaged(rule: Rule, longest_horizon: int = LONGEST_HORIZON) -> Rule:
    """A horizon of more than so many steps averages k = ceil(horizon / longest) gradients and losses per update.

    The rule is told a horizon of horizon // k; the parameters stand still between updates. Gradients left at the end,
    where k does not divide the horizon, are not used. Costs the memory of one gradient.
    """

    def init(weights, hyperparameters, params, key, horizon):
        factor = gradients_per_update(jnp.asarray(horizon, jnp.int32), longest_horizon)
        inner_horizon = horizon // (
            gradients_per_update(horizon, longest_horizon) if rule.static_horizon else factor
        )
        inner = rule.init(weights, hyperparameters, params, key, inner_horizon)
        nothing = jax.tree.map(jnp.zeros_like, params)
        return AveragedState(inner, nothing, jnp.zeros(()), jnp.zeros((), jnp.int32), factor)

    def update(weights, hyperparameters, grads, state: AveragedState, params, seen: Seen):
        summed = jax.tree.map(jnp.add, state.grads, grads)
        loss, waiting = state.loss + seen.loss, state.waiting + 1

        def step():
            mean = jax.tree.map(lambda g: (g / state.factor).astype(g.dtype), summed)
            told = Seen(loss / state.factor, seen.step // state.factor, seen.key)
            updates, inner = rule.update(weights, hyperparameters, mean, state.inner, params, told)
            nothing = jax.tree.map(jnp.zeros_like, summed)
            return updates, AveragedState(
                inner, nothing, jnp.zeros_like(loss), jnp.zeros_like(waiting), state.factor
            )

        def wait():
            still = jax.tree.map(jnp.zeros_like, params)
            return still, AveragedState(state.inner, summed, loss, waiting, state.factor)

        return jax.lax.cond(waiting == state.factor, step, wait)

    return around(rule, init, update)


def guarded_from_nonfinite(rule: Rule) -> Rule:
    """A step whose loss or gradient is not finite changes nothing.

    The originals have no such guard: one NaN ends a training.
    """

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        finite = jnp.isfinite(seen.loss)
        for g in jax.tree.leaves(grads):
            finite &= jnp.all(jnp.isfinite(g))
        updates, after = rule.update(weights, hyperparameters, grads, state, params, seen)
        updates = jax.tree.map(lambda u: jnp.where(finite, u, jnp.zeros_like(u)), updates)
        return updates, jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, state)

    return dataclasses.replace(rule, update=update)
