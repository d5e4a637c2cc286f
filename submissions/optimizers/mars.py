"""MARS-AdamW: AdamW on a gradient that is corrected by its change since the last step, to lower its variance.

This is the approximate variant, which takes the last step's gradient, of the last batch, where the exact one would take
the gradient at the last parameters of this batch.

Notation: g the gradient, g_last that of the update before, x the parameter, t = 1, 2, ... the update; lr the scheduled
rate; |c| the norm over all parameters.

Reference: Yuan et al. 2024, arXiv:2411.10438, Algorithm 2 in its approximate form. As there, every parameter is treated
alike and c is clipped as a whole; the authors' program clips every tensor, and by default trains vectors with AdamW.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    COSINE,
    EPSILON,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    WEIGHT_DECAYS,
    log,
)
from submissions.optimizers._hyperparameters import BELOW_ONE, NOT_NEGATIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers._moments import add_to_moments, no_moments
from submissions.optimizers.schedules import warmup_then_cosine_of


class MarsState(NamedTuple):
    """What MARS carries from one update to the next."""

    moments: optax.ScaleByAdamState
    last: Any  # the gradient of the update before; a tree like params


def mars_adamw(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """MARS-AdamW with linear warm-up, cosine decay to zero and decoupled weight decay.

        c = g + gamma * b1 / (1 - b1) * (g - g_last), from c = g
        c = c / max(1, |c|)
        m = b1 * m + (1 - b1) * c
        v = b2 * v + (1 - b2) * c^2
        u = m / (1 - b1^t)
        x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2, gamma (how much of the correction), epsilon, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.chain(
        scale_by_mars(hp["beta1"], hp["beta2"], hp["gamma"], hp["epsilon"]),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def scale_by_mars(b1: Any, b2: Any, gamma: Any, epsilon: Any) -> optax.GradientTransformation:
    """Adam's direction from the corrected gradient."""

    def init(params):
        return MarsState(no_moments(params), jax.tree.map(jnp.zeros_like, params))

    def update(updates, state, params=None):
        del params
        # The first step has nothing to compare with: the paper starts from x_0 = x_1.
        amount = jnp.where(state.moments.count > 0, gamma * b1 / (1 - b1), 0)
        c = jax.tree.map(lambda g, last: g + amount * (g - last), updates, state.last)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(c)))
        c = jax.tree.map(lambda leaf: leaf / jnp.maximum(1, norm), c)
        moments = add_to_moments(c, state.moments, b1, b2)
        correct1, correct2 = 1 - b1**moments.count, 1 - b2**moments.count

        def direction(m, v):
            return m / correct1 / (jnp.sqrt(v / correct2) + epsilon)

        return jax.tree.map(direction, moments.mu, moments.nu), MarsState(moments, updates)

    return optax.GradientTransformation(init, update)


ROWS = (
    Optimizer(
        "mars_adamw",
        mars_adamw,
        # Defaults: the paper's, no decay.
        (
            RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.95),
            Hyperparameter("beta2", BELOW_ONE, 0.99),
            Hyperparameter("gamma", NOT_NEGATIVE, 0.025),
            EPSILON,
            NO_DECAY,
            WARMUP,
        ),
        "Yuan et al. 2024, arXiv:2411.10438: MARS-AdamW, approximate",
        source="This is MARS-AdamW (Yuan et al., arXiv:2411.10438) in its approximate variant, which compares with the "
        "gradient of the last batch. |c| is the norm over all parameters, all of which are trained alike.",
        schedule=COSINE,
        # Rate, decay and warm-up: Medapati et al., Table 1; betas and gamma around the paper's: ours.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "one_minus_beta1": log(1e-2, 0.2),
            "one_minus_beta2": log(1e-3, 0.1),
            "gamma": log(2.5e-3, 0.1),
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
    ),
)
