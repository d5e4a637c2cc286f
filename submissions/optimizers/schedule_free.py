"""Schedule-Free AdamW: Adam without momentum moves z; x is the mean of all z; gradients are taken between, at y.

What is trained are the points y. What is to be evaluated are the means x. Each can be had from the other and z.

Reference: Defazio et al. 2024, arXiv:2405.15682.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._declaration import (
    BETA2,
    BETA2S,
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
    Hyperparameter,
    Optimizer,
)
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers.schedules import warmup_then_constant


class ScheduleFreeState(NamedTuple):
    """What is carried beside the points y, which are the parameters."""

    count: jax.Array  # updates done
    b1: jax.Array  # share of x in y
    z: Any  # what the gradients move; a tree like params
    v: Any  # running mean of the squared gradient; a tree like params
    largest_rate: jax.Array  # so far
    weights: jax.Array  # the sum of all weights of the mean


def schedule_free_adamw(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.contrib.schedule_free_adamw` of Optax 0.2.8 written out: linear warm-up, and no end of the schedule.

        y = (1 - b1) * z + b1 * x, where the gradient g is taken
        v = b2 * v + (1 - b2) * g^2
        z = z - lr * (g / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * y)
        w = (largest lr so far, the next included)^weight_lr_power
        x = x + w / (sum of all w) * (z - x)

    Args:
      hp: learning_rate, beta1 (the share of x in y, above 0), beta2, epsilon, weight_decay, weight_lr_power (the mean's
        weights are the largest learning rate so far to this power), warmup_steps.
      horizon: not used.
    """
    del horizon
    b1, b2 = hp["beta1"], hp["beta2"]
    schedule = warmup_then_constant(hp["learning_rate"], hp["warmup_steps"])

    def init(params):
        zero = jnp.zeros_like(b1)
        v = jax.tree.map(jnp.zeros_like, params)
        return ScheduleFreeState(jnp.zeros((), jnp.int32), jnp.asarray(b1), params, v, zero, zero)

    def update(updates, state, params=None):
        t, rate = state.count + 1, schedule(state.count)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.v, updates)

        def moved(z, y, g, v):
            direction = g / (jnp.sqrt(v / (1 - b2**t)) + hp["epsilon"])
            return z - rate * (direction + hp["weight_decay"] * y)

        z = jax.tree.map(moved, state.z, params, updates, v)
        # The weights read the schedule one step further on than the update does, as Optax has it.
        largest_rate = jnp.maximum(state.largest_rate, schedule(t))
        weight = largest_rate ** hp["weight_lr_power"]
        weights = state.weights + weight
        new = ScheduleFreeState(t, state.b1, z, v, largest_rate, weights)
        x = jax.tree.map(lambda x, z: x + weight / weights * (z - x), mean_of(state, params), z)
        return jax.tree.map(lambda after, y: after - y, point_of(new, x), params), new

    return optax.GradientTransformation(init, update)


def mean_of(state: ScheduleFreeState, points: Any) -> Any:
    """The mean x, which is evaluated, from the points y where gradients are taken: (y - (1 - b1) z) / b1."""
    return jax.tree.map(lambda y, z: (y - (1 - state.b1) * z) / state.b1, points, state.z)


def point_of(state: ScheduleFreeState, means: Any) -> Any:
    """The points y, where gradients are taken, from the mean x: (1 - b1) z + b1 x."""
    return jax.tree.map(lambda x, z: (1 - state.b1) * z + state.b1 * x, means, state.z)


ROWS = (
    Optimizer(
        "schedule_free_adamw_optax",
        schedule_free_adamw,
        # Defaults: Optax's, no decay.
        (
            RATE,
            Hyperparameter("beta1", ABOVE_ZERO_BELOW_ONE, 0.9),
            BETA2,
            EPSILON,
            NO_DECAY,
            Hyperparameter("weight_lr_power", NOT_NEGATIVE, 2.0),
            WARMUP,
        ),
        "optax.contrib.schedule_free_adamw; Defazio et al. 2024, arXiv:2405.15682",
        source="This is optax.contrib.schedule_free_adamw of Optax 0.2.8, written out (Defazio et al., "
        "arXiv:2405.15682). AlgoPerf's parameters are the mean x, which is what is evaluated; y exists during a step "
        "only.",
        schedule="Learning rate lr: with w = int(warmup_factor * workload.step_hint), it rises linearly from 0 to "
        "learning_rate over the first w updates and stays there.",
        # The paper: beta1 of .9, .95 or .98; rates of up to ten times a schedule's, hence half a decade above those of
        # Medapati et al., Table 1, whose other intervals these are.
        search_space={
            "learning_rate": log(3e-4, 3e-2),
            **WARMUPS,
            "beta1": one_of(0.9, 0.95, 0.98),
            **BETA2S,
            **WEIGHT_DECAYS,
            **REGULARIZATIONS,
        },
        evaluated=mean_of,
        gradient_at=point_of,
    ),
)
