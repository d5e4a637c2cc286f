"""What differs between draws of one program: initialisers and activations that are chosen by a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads.initializers import Initializer
from workloads.initializers import orthogonal as orthonormal
from workloads.velo import _draws

Activation = Callable[[jax.Array], jax.Array]

_FUNCTIONS: dict[str, Activation] = {
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "selu": jax.nn.selu,
    "tanh": jnp.tanh,
    "cos": jnp.cos,
    "sin": jnp.sin,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, -0.5),
}


def constants(drawn: Mapping[str, float]) -> dict[str, np.ndarray]:
    """A draw as the arrays that a shared program is given."""
    return {
        name: np.asarray(value, np.int32 if isinstance(value, int) else np.float32)
        for name, value in drawn.items()
    }


def activation(numbers: Mapping[str, Any]) -> Activation:
    """The activation of a draw, whose number may be traced."""
    table = [_FUNCTIONS[name] for name in _draws.ACTIVATIONS]
    return lambda x: jax.lax.switch(numbers["activation"], table, x)


def initializer(numbers: Mapping[str, Any]) -> Initializer:
    """The initialiser of a draw, whose number and scale s may be traced; f is fan in.

    orthogonal times s; uniform up to s sqrt(3 / f); normal of variance s / f, twice; uniform of variance s / f.
    """
    scale = numbers["initial_scale"]

    def finish(normal):
        fan_in = math.prod(normal.shape[:-1])

        def uniform():  # between -1 and 1: the share of smaller normals
            return jax.lax.erf(normal * math.sqrt(0.5))

        made = {
            "orthogonal": lambda: scale * orthonormal().finish(normal),
            "uniform_scale": lambda: scale * math.sqrt(3.0 / fan_in) * uniform(),
            "variance_normal": lambda: jnp.sqrt(scale / fan_in) * normal,
            "variance_uniform": lambda: jnp.sqrt(3.0 * scale / fan_in) * uniform(),
        }
        return jax.lax.switch(numbers["initializer"], [made[name] for name in _draws.INITIALIZERS])

    return Initializer("normal", finish)


# Of Haiku's linear layers: a normal cut at two deviations, of variance 1 / fan in before the cut.
LINEAR = Initializer("truncated", lambda draws: draws / math.sqrt(math.prod(draws.shape[:-1])))
