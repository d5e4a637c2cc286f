"""The stack of 3x3 convolutions below TaskSet's classifiers of images: its draws, its shapes, its layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads.initializers import Initializer
from workloads.layers import conv
from workloads.taskset import _draws

WINDOW = 3
STRIDES = {"all_two": (2,), "one_two": (1, 2), "two_one": (2, 1)}  # pattern, repeated over the layers

# How a map becomes a vector: [example, row, column, channel] -> [example, channel].
POOLS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "mean": lambda x: jnp.mean(x, axis=(1, 2)),
    "max": lambda x: jnp.max(x, axis=(1, 2)),
    "squared_mean": lambda x: jnp.mean(jnp.square(x), axis=(1, 2)),
}


class Convolution(NamedTuple):
    """A layer of the stack."""

    units: int
    stride: int
    padding: Literal["SAME", "VALID"] = "SAME"


def draw(rng: _draws.Rng) -> dict[str, Any]:
    """The entries that the configs of both sampled families begin with."""
    layers = _draws.choice(rng, (1, 2, 3, 4, 5))
    pattern = STRIDES[_draws.choice(rng, tuple(STRIDES))]
    strides = [pattern[i % len(pattern)] for i in range(layers)]
    return {
        "strides": [[stride, stride] for stride in strides],
        "hidden_units": [_draws.log_int(rng, 8, 64) for _ in range(layers)],
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "padding": [_draws.choice(rng, ("SAME", "VALID")) for _ in range(layers)],
    }


def of_config(config: Mapping[str, Any]) -> tuple[Convolution, ...]:
    """The stack of a sampled config."""
    layers = zip(config["hidden_units"], config["strides"], config["padding"], strict=True)
    return tuple(Convolution(units, stride[0], padding) for units, stride, padding in layers)


def map_shape(image: tuple[int, int, int], stack: Sequence[Convolution]) -> tuple[int, int, int]:
    """Rows, columns and channels of the last map.

    SAME leaves ceil(size / stride), VALID floor((size - 3) / stride) + 1.

    Raises:
      ValueError: a VALID convolution finds fewer than 3 rows or columns.

    Example:
      >>> map_shape((32, 32, 3), [Convolution(8, 2, "SAME"), Convolution(16, 2, "VALID")])
      (7, 7, 16)
    """
    rows, columns, channels = image
    for i, layer in enumerate(stack):
        if layer.padding == "VALID" and min(rows, columns) < WINDOW:
            raise ValueError(
                f"convolution {i} of {len(stack)} is VALID and needs at least {WINDOW}x{WINDOW} pixels, but the layers "
                f"before it shrink images of {image[0]}x{image[1]} to {rows}x{columns}; the config is invalid"
            )
        rows, columns = (_size(size, layer) for size in (rows, columns))
        channels = layer.units
    return rows, columns, channels


def _size(size: int, layer: Convolution) -> int:
    return -(-(size if layer.padding == "SAME" else size - WINDOW + 1) // layer.stride)


def kernels(
    channels: int, stack: Sequence[Convolution], w_init: Initializer
) -> dict[str, tuple[tuple[int, ...], Initializer]]:
    """Layers Conv_0, Conv_1, ... for `init_layers`.

    Args:
      channels: of the images.
      stack: the layers.
      w_init: of all of them.
    """
    inputs = (channels, *(layer.units for layer in stack))
    return {f"Conv_{i}": ((WINDOW, WINDOW, inputs[i], layer.units), w_init) for i, layer in enumerate(stack)}


def apply(
    params: Mapping[str, Any],
    x: Float[Array, "example height width channel"],
    stack: Sequence[Convolution],
    activation: Callable[[jax.Array], jax.Array],
) -> Float[Array, "example row column unit"]:
    """The last map; the activation follows every convolution, the last one too."""
    for i, layer in enumerate(stack):
        x = activation(conv(params[f"Conv_{i}"], x, layer.stride, layer.padding))
    return x
