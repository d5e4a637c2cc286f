"""Stochastic gradient descent with heavy-ball or Nesterov's momentum.

Notation: g the gradient, x the parameter, lr the scheduled rate.

Reference: Sutskever et al. 2013, ICML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    BETA1,
    COSINE,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import SWITCH, Hyperparameter, Optimizer
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def sgd_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.sgd`, with linear warm-up and cosine decay to zero. The decay passes through the momentum.

        g = g + weight_decay * x
        m = b1 * m + g
        u = b1 * m + g  if use_nesterov, else  u = m
        x = x - lr * u

    Args:
      hp: learning_rate, beta1 (the momentum), use_nesterov (0 or 1), weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.chain(
        optax.add_decayed_weights(hp["weight_decay"]),
        trace(hp["beta1"], hp["use_nesterov"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def trace(decay: Any, use_nesterov: Any) -> optax.GradientTransformation:
    """`optax.trace` with a switch that may be traced: m <- decay m + g gives m, or with Nesterov decay m + g."""

    def update(updates, state, params=None):
        del params
        m = jax.tree.map(lambda m, g: decay * m + g, state.trace, updates)
        ahead = jax.tree.map(lambda m, g: jnp.where(use_nesterov, decay * m + g, m), m, updates)
        return ahead, optax.TraceState(m)

    return optax.GradientTransformation(
        lambda params: optax.TraceState(jax.tree.map(jnp.zeros_like, params)), update
    )


ROWS = (
    Optimizer(
        "sgd_optax",
        sgd_optax,
        (RATE, BETA1, Hyperparameter("use_nesterov", SWITCH, 0.0), NO_DECAY, WARMUP),
        "optax.sgd; Sutskever et al. 2013, ICML",
        source="This is optax.sgd, with the switch of Nesterov's momentum as a hyperparameter (Sutskever et al., ICML "
        "2013). The decay passes through the momentum.",
        schedule=COSINE,
        # AlgoPerf's Nesterov baseline (Dahl et al. 2023, arXiv:2306.07179) for rate, momentum and decay; the switch:
        # ours.
        search_space={
            "learning_rate": log(2e-2, 5.0),
            **WARMUPS,
            "one_minus_beta1": log(5e-3, 0.3),
            "use_nesterov": one_of(0.0, 1.0),
            "weight_decay": log(1e-7, 5e-5),
            **REGULARIZATIONS,
        },
    ),
)
