"""Convolutions as shifted slices and one product, for populations on a CPU: `workloads.layers.conv` says why.

A Flax layer takes it in the place of XLA's: `nn.Conv(..., conv_general_dilated=conv_general_dilated)`. Parameters are
the same, and the numbers to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads.layers import shifted, windows
from workloads.products import product


def conv_general_dilated(
    lhs: Float[Array, "batch *pixels channels"],
    rhs: Float[Array, "*window inputs outputs"],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
) -> Float[Array, "batch *places outputs"]:
    """`jax.lax.conv_general_dilated` with channels last, over any number of dimensions.

    Args:
      lhs: images, or sequences.
      rhs: the kernel. inputs: all channels; or one where every channel is a group of its own (depthwise), whose
        outputs stand side by side.
      window_strides: per dimension.
      padding: "SAME", "VALID", or zeros before and after per dimension.
      lhs_dilation, rhs_dilation: 1 or None.
      dimension_numbers: None, or those of channels last.
      feature_group_count: 1, or the number of channels.
      precision: of the products; only None, the default.

    Raises:
      NotImplementedError: something else is asked of it.
    """
    dimensions = lhs.ndim - 2
    last = jax.lax.ConvDimensionNumbers(
        (0, dimensions + 1, *range(1, dimensions + 1)),
        (dimensions + 1, dimensions, *range(dimensions)),
        (0, dimensions + 1, *range(1, dimensions + 1)),
    )
    if dimension_numbers not in (None, last):
        raise NotImplementedError(f"slices need channels last, {last}; got {dimension_numbers}")
    if precision is not None or any(d != 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ()))):
        raise NotImplementedError("slices have no dilation and the default precision")
    if feature_group_count not in (1, lhs.shape[-1]):
        raise NotImplementedError(
            f"slices have 1 group of channels or as many as channels, {lhs.shape[-1]}; got {feature_group_count}"
        )
    size, strides = rhs.shape[:dimensions], tuple(window_strides)
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(lhs.shape[1:-1], size, strides, padding)
    if any(pad != (0, 0) for pad in map(tuple, padding)):
        lhs = jnp.pad(lhs, ((0, 0), *padding, (0, 0)))
    if feature_group_count > 1:
        return _depthwise(lhs, rhs, size, strides)
    return product(_windows(lhs, size, strides), rhs.reshape(-1, rhs.shape[-1]))


def _windows(x: jax.Array, size: tuple[int, ...], strides: tuple[int, ...]) -> jax.Array:
    if size != strides or any(n % k for n, k in zip(x.shape[1:-1], size, strict=True)):
        return windows(x, size, strides)
    # Windows that tile the image, such as the patches of a vision transformer, need no slices.
    dimensions = len(size)
    places = [n // k for n, k in zip(x.shape[1:-1], size, strict=True)]
    split = x.reshape(x.shape[0], *(n for pair in zip(places, size, strict=True) for n in pair), x.shape[-1])
    order = (0, *range(1, 2 * dimensions, 2), *range(2, 2 * dimensions + 1, 2), 2 * dimensions + 1)
    return split.transpose(order).reshape(x.shape[0], *places, -1)


def _depthwise(x: jax.Array, kernel: jax.Array, size: tuple[int, ...], strides: tuple[int, ...]) -> jax.Array:
    each = kernel.shape[-1] // x.shape[-1]  # outputs of a channel
    taps = kernel.reshape(-1, x.shape[-1], each)
    parts = [part[..., None] * tap for part, tap in zip(shifted(x, size, strides), taps, strict=True)]
    y = functools.reduce(jnp.add, parts)  # [batch, *places, channels, each]
    return y.reshape(*y.shape[:-2], -1)


def max_pool(
    x: Float[Array, "batch *pixels channels"],
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
) -> Float[Array, "batch *places channels"]:
    """Largest entry of every window. Where two are equal, each has half of the gradient; XLA gives it to the first."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
    return functools.reduce(jnp.maximum, shifted(x, size, strides))
