"""Prodigy: Adam whose step is an estimate of the distance to the solution, times the scheduled rate lr.

Notation: g the gradient, x the parameter, x_0 its start, t = 1, 2, ... the update; d the estimate.

Reference: Mishchenko & Defazio 2023, arXiv:2306.06101.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    BETA1,
    BETA2,
    COSINE,
    EPSILON,
    NO_DECAY,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    WEIGHT_DECAYS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import POSITIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_cosine_of


class ProdigyState(NamedTuple):
    """What Prodigy carries from one update to the next."""

    count: jax.Array  # updates done
    m: Any  # running mean of d * gradient; a tree like params
    v: Any  # running mean of its square; a tree like params
    start: Any  # the parameters at the first update
    s: Any  # running sum of d^2 * gradient, over estim_lr0; a tree like params
    r: jax.Array  # running sum of how far the gradients point back to the start
    d: jax.Array  # estimate of the distance to the solution


def prodigy_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.contrib.prodigy` of Optax 0.2.8 written out, with linear warm-up and cosine decay to zero.

        rate = d * lr * sqrt(1 - b2^t) / (1 - b1^t), from d = estim_lr0
        r = sqrt(b2) * r + d * rate * <g, x_0 - x>; s = sqrt(b2) * s + d^2 * g
        m = b1 * m + (1 - b1) * d * g; v = b2 * v + (1 - b2) * (d * g)^2
        d = max(d, estim_lr_coef * r / |s|_1)
        x = x - rate * (m / (sqrt(v) + d * epsilon) + weight_decay * x)

    Optax's safeguard_warmup is on, since a schedule that starts at zero otherwise divides 0 by 0 at once. Until a
    gradient differs from zero nothing happens, where Optax divides 0 by 0.

    Args:
      hp: learning_rate (1 in the paper), beta1, beta2, epsilon, weight_decay, estim_lr0 (first estimate), estim_lr_coef
        (multiplies the estimates), warmup_steps.
      horizon: end of the schedule. Steps.
    """
    schedule = warmup_then_cosine_of(hp, horizon)
    b1, b2, d0 = hp["beta1"], hp["beta2"], hp["estim_lr0"]
    b3 = jnp.sqrt(b2)

    def init(params):
        m, v, s = (jax.tree.map(jnp.zeros_like, params) for _ in range(3))
        return ProdigyState(jnp.zeros((), jnp.int32), m, v, params, s, jnp.zeros_like(b3), jnp.asarray(d0))

    def update(updates, state, params=None):
        t, d = state.count + 1, state.d
        rate = d * schedule(state.count) * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        back = jax.tree.map(lambda g, x0, x: jnp.sum(g * (x0 - x)), updates, state.start, params)
        r = b3 * state.r + d / d0 * rate * sum(jax.tree.leaves(back))
        s = jax.tree.map(lambda s, g: b3 * s + d / d0 * d * g, state.s, updates)
        length = sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(s))
        new_d = jnp.maximum(d, hp["estim_lr_coef"] * r / jnp.where(length > 0, length, 1))
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * d * g, state.m, updates)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * (d * g) ** 2, state.v, updates)

        def moved(m, v, x):
            return -rate * (m / (jnp.sqrt(v) + new_d * hp["epsilon"]) + hp["weight_decay"] * x)

        step = jax.tree.map(moved, m, v, params)
        new_state = ProdigyState(t, m, v, state.start, s, r, new_d)
        # Nothing happens before the first gradient that is not zero everywhere.
        begun = length > 0
        step = jax.tree.map(lambda u: jnp.where(begun, u, jnp.zeros_like(u)), step)
        return step, jax.tree.map(lambda new, old: jnp.where(begun, new, old), new_state, state)

    return optax.GradientTransformation(init, update)


ROWS = (
    Optimizer(
        "prodigy_optax",
        prodigy_optax,
        # Defaults: Optax's.
        (
            Hyperparameter("learning_rate", POSITIVE, 1.0),
            BETA1,
            BETA2,
            EPSILON,
            NO_DECAY,
            Hyperparameter("estim_lr0", POSITIVE, 1e-6),
            Hyperparameter("estim_lr_coef", POSITIVE, 1.0),
            WARMUP,
        ),
        "optax.contrib.prodigy; Mishchenko & Defazio 2023, arXiv:2306.06101",
        source="This is optax.contrib.prodigy of Optax 0.2.8 with its safeguard for warm-up, written out (Mishchenko & "
        "Defazio, arXiv:2306.06101). It waits for the first gradient that is not zero.",
        schedule=COSINE,
        # The paper: rate 1, the coefficient to be tuned between 0.5 and 2, beta2 .999 or .99; decay as in Medapati et
        # al., Table 1.
        search_space={
            "learning_rate": one_of(1.0),
            **WARMUPS,
            "estim_lr_coef": log(0.5, 2.0),
            "beta1": one_of(0.9),
            "beta2": one_of(0.99, 0.999),
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
    ),
)
