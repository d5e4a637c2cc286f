"""TaskSet's activations and initialisers, by the names in its configs."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from workloads._layers import Initializer
from workloads.taskset._quirks import RELEASED, Quirks

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


def initializer(name: str, scale: float | None, quirks: Quirks = RELEASED) -> Initializer:
    """Function (key, shape) -> weights.

    glorot: variance 1 / mean of fan in and fan out; he: 2 / fan in; variance_scaling: scale / fan in; each a
    normal cut at two standard deviations, with the variance corrected for it, or uniform. orthogonal: gain =
    scale. random_normal, truncated_normal: standard deviation = scale. random_uniform: U(-scale, scale).
    """
    s = 1.0 if scale is None else scale
    initializers = jax.nn.initializers
    table: dict[str, Initializer] = {
        "glorot_normal": initializers.glorot_normal(),
        "glorot_uniform": initializers.glorot_uniform(),
        "he_normal": initializers.he_normal(),
        "he_uniform": initializers.he_uniform(),
        "orthogonal": initializers.orthogonal(s),
        "random_normal": initializers.normal(s),
        "random_uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-s, maxval=s),
        # In the released code this is a normal without truncation, despite its name.
        "truncated_normal": initializers.normal(s)
        if quirks.truncated_normal == "untruncated"
        else lambda key, shape: s * jax.random.truncated_normal(key, -2.0, 2.0, shape),
        "variance_scaling": initializers.variance_scaling(s, "fan_in", "truncated_normal"),
    }
    return table[name]
