"""Adafactor: the second moment of a matrix from the means of its rows and columns.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; lr the scheduled rate; rms of a whole tensor.

Reference: Shazeer & Stern 2018, arXiv:1804.04235.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    COSINE,
    NO_DECAY,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import (
    ABOVE_ZERO_BELOW_ONE,
    BELOW_ONE,
    POSITIVE,
    SWITCH,
    Hyperparameter,
    Optimizer,
)
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def adafactor_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.adafactor` put together from its parts, with linear warm-up and cosine decay to zero.

        b2 = 1 - t^-decay_rate
        v = b2 * v + (1 - b2) * g^2; of a matrix only row and column means
        u = g / sqrt(v)
        u = u / max(1, rms(u) / clipping_threshold) * lr
        u = u * max(1e-3, rms(x))  if multiply_by_parameter_scale
        m = b1 * m + (1 - b1) * u
        x = x - m - lr * weight_decay * x

    Matrices are factored where both sides have at least 128 entries. The decay, which Optax would add to every update
    as it is, is multiplied by lr.

    Args:
      hp: learning_rate, beta1 (of the updates, Optax's momentum), decay_rate, clipping_threshold, weight_decay,
        multiply_by_parameter_scale (0 or 1: whether steps are relative to a tensor's root mean square), warmup_steps.
      horizon: end of the schedule. Steps.
    """
    schedule = warmup_then_cosine_of(hp, horizon)
    return optax.chain(
        optax.scale_by_factored_rms(decay_rate=hp["decay_rate"]),
        optax.clip_by_block_rms(hp["clipping_threshold"]),
        optax.scale_by_schedule(schedule),
        scale_by_parameter_if(hp["multiply_by_parameter_scale"]),
        optax.ema(hp["beta1"], debias=False),
        add_scheduled_decay(lambda step: hp["weight_decay"] * schedule(step)),
        optax.scale(-1.0),
    )


def scale_by_parameter_if(switch: Any) -> optax.GradientTransformation:
    """`optax.scale_by_param_block_rms` where the switch is on, nothing where it is off."""
    scaled = optax.scale_by_param_block_rms()

    def update(updates, state, params=None):
        relative, state = scaled.update(updates, state, params)
        return jax.tree.map(lambda r, u: jnp.where(switch, r, u), relative, updates), state

    return optax.GradientTransformation(scaled.init, update)


def add_scheduled_decay(rate: optax.Schedule) -> optax.GradientTransformation:
    """Adds rate(step) * x. Optax 0.2.2 takes no schedule here."""

    def init(params):
        del params
        return optax.ScaleByScheduleState(count=jnp.zeros((), jnp.int32))

    def update(updates, state, params=None):
        decay = rate(state.count)
        updates = jax.tree.map(lambda u, x: u + decay * x, updates, params)
        return updates, optax.ScaleByScheduleState(count=state.count + 1)

    return optax.GradientTransformation(init, update)


ROWS = (
    Optimizer(
        "adafactor_optax",
        adafactor_optax,
        # Defaults: Optax's.
        (
            RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.0),
            Hyperparameter("decay_rate", ABOVE_ZERO_BELOW_ONE, 0.8),
            Hyperparameter("clipping_threshold", POSITIVE, 1.0),
            Hyperparameter("multiply_by_parameter_scale", SWITCH, 1.0),
            NO_DECAY,
            WARMUP,
        ),
        "optax.adafactor; Shazeer & Stern 2018, arXiv:1804.04235",
        source="This is optax.adafactor (Shazeer & Stern, arXiv:1804.04235), put together from its parts, since a "
        "point decides whether steps are relative to the parameters, and since the decay is multiplied by lr. Matrices "
        "are factored where both sides have at least 128 entries.",
        schedule=COSINE,
        # AlgoPerf's Adafactor baseline for rate, beta1 and weight decay; decay_rate of the paper; steps relative to the
        # parameters or not: ours.
        search_space={
            "learning_rate": log(1e-4, 1e-2),
            **WARMUPS,
            "one_minus_beta1": log(1e-2, 0.45),
            "decay_rate": one_of(0.8),
            "multiply_by_parameter_scale": one_of(0.0, 1.0),
            "weight_decay": log(1e-3, 1.0),
            **REGULARIZATIONS,
        },
    ),
)
