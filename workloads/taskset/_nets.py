"""TaskSet's activations and initialisers, by the names in its configs."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from workloads.initializers import (
    Initializer,
    normal,
    orthogonal,
    truncated_normal,
    uniform,
    variance_scaling,
)
from workloads.taskset.quirks import RELEASED, Quirks

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "cos": jnp.cos,
    "elu": jax.nn.elu,
    "leaky_relu1": lambda x: jax.nn.leaky_relu(x, 0.1),
    "leaky_relu2": lambda x: jax.nn.leaky_relu(x, 0.2),
    "leaky_relu4": lambda x: jax.nn.leaky_relu(x, 0.4),
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "swish": jax.nn.silu,  # x * sigmoid(x)
    "tanh": jnp.tanh,
}


def _over_root_of_fan_in(factor: float) -> Initializer:
    """Variance factor / fan in before the cut at two standard deviations, not corrected for it."""
    return Initializer("truncated", lambda draws: draws * math.sqrt(factor / math.prod(draws.shape[:-1])))


SONNET = _over_root_of_fan_in(1.0)  # Sonnet's default for weights


def pixels(images: jax.Array) -> jax.Array:
    """Images as floats in [0, 1]; augmented ones are already."""
    return images.astype(jnp.float32) / 255.0 if jnp.issubdtype(images.dtype, jnp.integer) else images


def initializer(name: str, scale: float | None, quirks: Quirks = RELEASED) -> Initializer:
    """How a config's `w_init` makes its kernels.

    glorot: variance 1 / mean of fan in and fan out; he: 2 / fan in; variance_scaling: scale / fan in; each a
    normal cut at two standard deviations, with the variance corrected for it, or uniform. orthogonal: gain =
    scale. random_normal, truncated_normal: standard deviation = scale. random_uniform: U(-scale, scale).
    variance_scaling_contrib, of two fixed tasks: variance 1.3 scale / fan in before the cut at two deviations, as
    tf.contrib.layers.variance_scaling_initializer corrects for it, which leaves 1.006 scale / fan in.
    """
    s = 1.0 if scale is None else scale
    # In the released code truncated_normal is a normal without truncation, despite its name.
    cut = quirks.truncated_normal == "truncated"
    table = {
        "glorot_normal": variance_scaling(1.0, "fan_avg"),
        "glorot_uniform": variance_scaling(1.0, "fan_avg", "uniform"),
        "he_normal": variance_scaling(2.0, "fan_in"),
        "he_uniform": variance_scaling(2.0, "fan_in", "uniform"),
        "orthogonal": orthogonal(s),
        "random_normal": normal(s),
        "random_uniform": uniform(s),
        "truncated_normal": truncated_normal(s) if cut else normal(s),
        "variance_scaling": variance_scaling(s, "fan_in"),
        "variance_scaling_contrib": _over_root_of_fan_in(1.3 * s),
    }
    return table[name]
