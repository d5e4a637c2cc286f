"""Muon: matrices by orthogonalised momentum, everything else by NAdamW.

The kernels of convolutions are matrices too: all axes but the last together, and the last. Orthogonalising takes five
Newton-Schulz steps, which are products of matrices and nothing else. Every update of a matrix is scaled to the same
root mean square, so that both rules share one learning rate and one weight decay (Liu et al.).

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; lr the scheduled rate.

Reference: Jordan 2024, modded-nanogpt; Liu et al. 2025, arXiv:2502.16982.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from submissions.optimizers._hyperparameters import BELOW_ONE, POSITIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def muon_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.contrib.muon` of Optax 0.2.8 written out, with linear warm-up and cosine decay to zero.

        m = b1 * m + (1 - b1) * g
        u = b1 * m / (1 - b1^(t+1)) + (1 - b1) * g / (1 - b1^t)
        u = consistent_rms * sqrt(longer side) * orthogonalised(u)
        x = x - lr * (u + weight_decay * x)

    Args:
      hp: learning_rate, beta1 (of matrices), consistent_rms (root mean square of a matrix's update as a share of the
        learning rate), adam_beta1, adam_beta2, epsilon, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """

    def kinds(params):
        return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "other", params)

    direction = optax.multi_transform(
        {
            "matrix": scale_by_muon(hp["beta1"], hp["epsilon"], hp["consistent_rms"]),
            "other": optax.scale_by_adam(hp["adam_beta1"], hp["adam_beta2"], hp["epsilon"], nesterov=True),
        },
        kinds,
    )
    return optax.chain(
        direction,
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def scale_by_muon(b1: Any, epsilon: Any, consistent_rms: Any) -> optax.GradientTransformation:
    """Orthogonalised Nesterov momentum, at a root mean square of consistent_rms."""

    def init(params):
        return optax.EmaState(count=jnp.zeros((), jnp.int32), ema=jax.tree.map(jnp.zeros_like, params))

    def update(updates, state, params=None):
        del params
        t = state.count + 1
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.ema, updates)

        def direction(m, g):
            ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
            matrix = ahead.reshape(-1, ahead.shape[-1])
            scale = consistent_rms * max(matrix.shape) ** 0.5
            return scale * orthogonalised(matrix, epsilon).reshape(ahead.shape)

        return jax.tree.map(direction, m, updates), optax.EmaState(count=t, ema=m)

    return optax.GradientTransformation(init, update)


def orthogonalised(matrix: jax.Array, epsilon: Any) -> jax.Array:
    """Its singular values brought near 1, by five Newton-Schulz steps (Jordan 2024)."""
    tall = matrix.shape[0] > matrix.shape[1]
    y = matrix.T if tall else matrix  # the smaller product
    y = y / (jnp.linalg.norm(y) + epsilon)
    for _ in range(5):
        square = y @ y.T
        y = 3.4445 * y + (-4.7750 * square + 2.0315 * square @ square) @ y
    return y.T if tall else y


ROWS = (
    Optimizer(
        "muon_optax",
        muon_optax,
        # Defaults: Optax's, no decay.
        (
            RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.95),
            Hyperparameter("consistent_rms", POSITIVE, 0.2),
            Hyperparameter("adam_beta1", BELOW_ONE, 0.9),
            Hyperparameter("adam_beta2", BELOW_ONE, 0.999),
            EPSILON,
            NO_DECAY,
            WARMUP,
        ),
        "optax.contrib.muon; Jordan 2024; Liu et al. 2025, arXiv:2502.16982",
        source="This is optax.contrib.muon of Optax 0.2.8, written out (Jordan 2024; Liu et al., arXiv:2502.16982). A "
        "convolution's kernel is a matrix of all axes but the last, and the last. What has fewer than two axes is "
        "trained by optax.nadamw with adam_beta1, adam_beta2 and the same rate and decay.",
        schedule=COSINE,
        # Liu et al.: with updates scaled to a root mean square of 0.2, AdamW's rate and decay carry over; those of
        # Medapati et al., Table 1. Momentum around Jordan's .95: ours.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "one_minus_beta1": log(1e-2, 0.2),
            "one_minus_adam_beta1": log(1e-3, 0.2),
            "one_minus_adam_beta2": log(1e-3, 0.2),
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
    ),
)
