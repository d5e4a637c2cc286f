"""Batch normalisation (Ioffe and Szegedy 2015, arXiv:1502.03167) as TaskSet's fixed tasks have it.

y = (x - mean) / sqrt(variance + 1e-3) + bias, without a scale; statistics of every channel over all other axes.
The variance is the biased one, sum / examples, with which Ioffe and Szegedy normalise; that the original took no other
for its moving averages is our reading.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads.layers import Layer

DECAY, EPSILON = 0.999, 1e-3

# Which statistics: those of the batch, in evaluation too; mean 0 and variance 1 for ever; or the usual rule, the
# batch's in training and in evaluation their moving averages, which keep DECAY of themselves at every step.
Rule = Literal["batch_statistics", "frozen", "moving_average"]


def init(units: int) -> Layer:
    """Parameters: a bias of zeros."""
    return {"bias": jnp.zeros(units)}


def init_state(units: int) -> Layer:
    """Moving averages before the first step."""
    return {"mean": jnp.zeros(units), "variance": jnp.ones(units)}


def apply(
    layer: Layer, x: Float[Array, "*example units"], rule: Rule, moving: Layer | None, train: bool
) -> tuple[Float[Array, "*example units"], Layer | None]:
    """Normalised x, and the moving averages after it.

    Args:
      layer: see `init`.
      x: activations.
      rule: which statistics.
      moving: see `init_state`; None unless the rule is `moving_average`.
      train: Python bool.
    """
    if rule == "frozen":
        return x / jnp.sqrt(1.0 + EPSILON) + layer["bias"], moving
    if moving is not None and not train:
        mean, variance = moving["mean"], moving["variance"]
    else:
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axis=axes)
        variance = jnp.mean(jnp.square(x - mean), axis=axes)
    y = (x - mean) * jax.lax.rsqrt(variance + EPSILON) + layer["bias"]
    if moving is None or not train:
        return y, moving
    batch = {"mean": mean, "variance": variance}
    return y, {name: DECAY * moving[name] + (1.0 - DECAY) * batch[name] for name in moving}
