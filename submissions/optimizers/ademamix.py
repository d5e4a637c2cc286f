"""AdEMAMix: Adam with a second, much slower mean of the gradient.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update, T the horizon; lr the scheduled rate.

Reference: Pagliardini et al. 2024, arXiv:2409.03137, Algorithm 1 and the warm-ups of its section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    BETA2,
    COSINE,
    EPSILON,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    WEIGHT_DECAYS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import (
    ABOVE_ZERO_BELOW_ONE,
    NOT_NEGATIVE,
    UP_TO_ONE,
    Hyperparameter,
    Optimizer,
)
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers._moments import add_to_moments, no_moments
from submissions.optimizers.schedules import warmup_then_cosine_of


class AdemamixState(NamedTuple):
    """What AdEMAMix carries from one update to the next."""

    moments: optax.ScaleByAdamState
    slow: Any  # the slow mean of the gradient; a tree like params


def ademamix(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """AdEMAMix with linear warm-up, cosine decay to zero and decoupled weight decay.

        s = min(t / (mix_warmup_fraction * T), 1)
        a = s * alpha
        b3 = exp(ln(beta1) * ln(beta3) / ((1 - s) * ln(beta3) + s * ln(beta1)))
        m = b1 * m + (1 - b1) * g
        n = b3 * n + (1 - b3) * g
        v = b2 * v + (1 - b2) * g^2
        u = (m / (1 - b1^t) + a * n) / (sqrt(v / (1 - b2^t)) + epsilon)
        x = x - lr * (u + weight_decay * x)

    b3 goes from beta1 to beta3 so that the half-life of n grows linearly. n has no bias correction.

    Args:
      hp: learning_rate, beta1 (above 0), beta2, beta3 (of the slow mean), alpha (its weight), mix_warmup_fraction
        (share of the horizon over which alpha and beta3 grow; 0: none), epsilon, weight_decay, warmup_steps.
      horizon: T, the end of the schedule. Steps.
    """
    return optax.chain(
        scale_by_ademamix(hp, hp["mix_warmup_fraction"] * horizon),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def scale_by_ademamix(hp: Mapping[str, Any], mix_steps: Any) -> optax.GradientTransformation:
    """The direction u, with alpha and beta3 grown after `mix_steps` updates."""
    b1, b2 = hp["beta1"], hp["beta2"]

    def init(params):
        return AdemamixState(no_moments(params), jax.tree.map(jnp.zeros_like, params))

    def update(updates, state, params=None):
        del params
        moments = add_to_moments(updates, state.moments, b1, b2)
        t = moments.count
        # Without a warm-up the quotient is only selected where it is 1, so its divisor may be anything but 0.
        share = jnp.where(t < mix_steps, t / jnp.maximum(mix_steps, 1), 1)
        log1, log3 = jnp.log(b1), jnp.log(hp["beta3"])
        b3 = jnp.exp(log1 * log3 / ((1 - share) * log3 + share * log1))
        slow = jax.tree.map(lambda n, g: b3 * n + (1 - b3) * g, state.slow, updates)

        def direction(m, n, v):
            mixed = m / (1 - b1**t) + share * hp["alpha"] * n
            return mixed / (jnp.sqrt(v / (1 - b2**t)) + hp["epsilon"])

        return jax.tree.map(direction, moments.mu, slow, moments.nu), AdemamixState(moments, slow)

    return optax.GradientTransformation(init, update)


ROWS = (
    Optimizer(
        "ademamix",
        ademamix,
        # Defaults: the paper's beta1 to beta3, with both warm-ups over the whole of training; alpha in its middle.
        (
            RATE,
            Hyperparameter("beta1", ABOVE_ZERO_BELOW_ONE, 0.9),
            BETA2,
            Hyperparameter("beta3", ABOVE_ZERO_BELOW_ONE, 0.9999),
            Hyperparameter("alpha", NOT_NEGATIVE, 5.0),
            Hyperparameter("mix_warmup_fraction", UP_TO_ONE, 1.0),
            EPSILON,
            NO_DECAY,
            WARMUP,
        ),
        "Pagliardini et al. 2024, arXiv:2409.03137",
        source="This is AdEMAMix (Pagliardini et al., arXiv:2409.03137), with the warm-ups of alpha and beta3, in "
        "which T is workload.step_hint.",
        schedule=COSINE,
        # Rate, decay and warm-up: Medapati et al., Table 1. The slow mean: ours, around the paper's defaults, with a
        # shorter memory for shorter trainings.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "beta1": one_of(0.9),
            "beta2": one_of(0.99, 0.999),
            "beta3": one_of(0.999, 0.9999),
            "alpha": log(2.0, 10.0),
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
    ),
)
