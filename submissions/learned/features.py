"""What learned optimizers see of one tensor.

Every function here is of one tensor of any shape S, and may be mapped over a stack of tensors of one shape
(`submissions.learned.by_shape`) and over trials. Features are arrays [channel, *B]: B is S, or S with ones in place of
axes along which the feature does not vary, such as the rows of a factored moment. Two things follow, and most of the
speed with them:

- the mean over the tensor of a feature's square is that over B, as every element is repeated equally often;
- a network's first layer multiplies what is small before it is spread over the tensor, see
  `submissions.learned.network`.

Scalars need no axis of their own here; a scalar and a vector of one element have the same features.

Notation: g the gradient, p the parameter, m its decayed mean, v the decayed mean of its square, t the update, from 0.

References: Metz et al. 2019, arXiv:1810.10180; Metz et al. 2022, arXiv:2203.11860, appendix; Shazeer and Stern 2018,
arXiv:1804.04235, section 3, for factored moments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from submissions.optimizers._late import jax, jnp

TIMES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)  # steps
TINY = 1e-9  # below the roots of factored moments
SHORTEST_STRETCH, LONGEST_STRETCH = 8, 128  # elements that `sums` adds one after another


def time_features(step: Any) -> jax.Array:
    """[11]: tanh(t / tau - 1) for tau of `TIMES`."""
    return jnp.tanh(step / jnp.asarray(TIMES, float) - 1.0)


def clipped_log(x: Any) -> jax.Array:
    """ln(1e-8 + abs(x)), between -5 and 5."""
    return jnp.clip(jnp.log(1e-8 + jnp.abs(x)), -5.0, 5.0)


def zero_moments(p: jax.Array, count: int) -> jax.Array:
    """[count, *S]: decayed means before the first gradient, one per decay, in the parameter's precision."""
    return jnp.zeros((count, *p.shape), p.dtype)


def added(moments: jax.Array, x: jax.Array, decays: jax.Array) -> jax.Array:
    """d * moment + (1 - d) * x for every decay d, [count, *S]; float32 also where the moments are kept in less."""
    d = over_tensor(decays, x.ndim)
    return d * moments + (1 - d) * x


def over_tensor(x: Any, axes: int) -> jax.Array:
    """[count] -> [count, 1, ..., 1], to meet [count, *S] of a tensor with so many axes."""
    return jnp.reshape(x, (-1, *[1] * axes))


class Factored(NamedTuple):
    """Decayed means of g^2, one per decay: over rows and over columns, or in full.

    Attributes:
      row: [count, *S], where the largest axis is 1; of a tensor with fewer than two axes all of it.
      col: [count, *S], where the second largest axis is 1; None where there are no two axes.
    """

    row: jax.Array
    col: jax.Array | None


def factored_axes(shape: Sequence[int]) -> tuple[int, int] | None:
    """(second largest axis, largest axis) of a shape; of equal sizes the later axis is the larger. None below two axes.

    The originals ask NumPy for its default order, which is not stable where the processor has AVX-512: there the two
    change places for some shapes with equal sizes, such as (64, 64, 3, 3), and the optimizer's updates with them. No
    switch here gives that order, as it cannot be told from the shape alone. Shapes of two and three axes, and
    convolutions with their channels last, agree everywhere.
    """
    if len(shape) < 2:
        return None
    second, first = np.argsort(shape, kind="stable")[-2:]
    return int(second), int(first)


def zero_factored(p: jax.Array, count: int) -> Factored:
    """Factored moments before the first gradient, in at least float32."""
    dtype = jnp.promote_types(p.dtype, jnp.float32)
    axes = factored_axes(p.shape)

    def zeros(without: int | None) -> jax.Array:
        return jnp.zeros((count, *(1 if axis == without else n for axis, n in enumerate(p.shape))), dtype)

    return Factored(zeros(None), None) if axes is None else Factored(zeros(axes[1]), zeros(axes[0]))


def added_to_factored(moments: Factored, g: jax.Array, decays: jax.Array) -> Factored:
    """One gradient later; decays are taken between 0 and 1."""
    d = jnp.clip(decays, 0.0, 1.0)
    squares = jnp.square(g) + 1e-30
    axes = factored_axes(g.shape)
    if axes is None:
        return Factored(added(moments.row, squares, d), None)
    second, first = axes
    assert moments.col is not None
    return Factored(
        added(moments.row, jnp.mean(squares, first, keepdims=True), d),
        added(moments.col, jnp.mean(squares, second, keepdims=True), d),
    )


def safe_rsqrt(x: jax.Array) -> jax.Array:
    """1 / sqrt(max(x, 1e-9))."""
    return jax.lax.rsqrt(jnp.maximum(x, TINY))


def factors(moments: Factored, shape: Sequence[int]) -> tuple[jax.Array, jax.Array]:
    """(of rows, of columns): their product with a gradient is the gradient in units of its decayed size.

    Of a tensor that is not factored the second is 1.
    """
    axes = factored_axes(shape)
    if axes is None:
        return safe_rsqrt(moments.row + TINY), jnp.ones((), moments.row.dtype)
    assert moments.col is not None
    # Axis 0 counts decays.
    mean = jnp.mean(moments.row, 1 + axes[0], keepdims=True)
    return safe_rsqrt(moments.row / (mean + TINY)), safe_rsqrt(moments.col)


class Features(NamedTuple):
    """Features of accumulators, each [channel, *B], not yet divided by their size; in the originals' order."""

    g: jax.Array
    p: jax.Array
    m: jax.Array
    rms: jax.Array  # v, in spite of its name
    m_by_rms: jax.Array
    by_rms: jax.Array  # rsqrt(v + 1e-6)
    factored_g: jax.Array
    row: jax.Array
    col: jax.Array
    by_row: jax.Array
    by_col: jax.Array
    factored_m: jax.Array


def accumulator_features(
    g: jax.Array,
    p: jax.Array,
    m: jax.Array,
    rms: jax.Array,
    moments: Factored,
    *,
    unfactored_epsilon: float = 1e-6,
) -> Features:
    """The features that AdafacMLPLOpt, STAR and VeLO share, after their accumulators have seen g.

    Args:
      g, p: [*S].
      m: [count, *S].
      rms: [1, *S] or [count, *S], means of g^2.
      moments: their factored kin, of count decays.
      unfactored_epsilon: under the root in m * (v + epsilon)^-1/2 of tensors that are not factored: 1e-6 in the
        originals of AdafacMLPLOpt and STAR, 0 in VeLO's.
    """
    by_rms = jax.lax.rsqrt(rms + 1e-6)
    of_rows, of_cols = factors(moments, g.shape)
    row = moments.row
    col = row if moments.col is None else moments.col
    not_factored = moments.col is None
    factored_m = m * (jax.lax.rsqrt(row + unfactored_epsilon) if not_factored else of_rows * of_cols)
    return Features(
        g[None], p[None], m, rms, m * by_rms, by_rms, g * of_rows * of_cols, row, col,
        jax.lax.rsqrt(row + 1e-8), jax.lax.rsqrt(col + 1e-8), factored_m,
    )  # fmt: skip


def by_size(features: Sequence[jax.Array]) -> jax.Array:
    """[channel]: rsqrt(1e-5 + mean over the tensor of the square) of every channel of features [channel, *B]."""
    return jax.lax.rsqrt(1e-5 + mean_squares(features))


def mean_squares(features: Sequence[jax.Array]) -> jax.Array:
    """[channel]: means over the tensor of the squares of all channels of features, each [channel, *B]."""
    # Derived channel by channel there would be a slice for each.
    differentiable = jax.custom_jvp(_mean_squares)
    differentiable.defjvp(
        lambda x, dx: (
            _mean_squares(*x),
            jnp.concatenate(
                [2 * jnp.mean(f * df, tuple(range(1, f.ndim))) for f, df in zip(x, dx, strict=True)]
            ),
        )
    )
    return differentiable(*(x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in features))


def _mean_squares(*features: jax.Array) -> jax.Array:
    channels = [channel for x in features for channel in x]
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, channel in enumerate(channels):
        groups.setdefault(channel.shape, []).append(i)
    of_groups = jnp.concatenate(
        [_sums(*(jnp.square(channels[i]) for i in which)) for which in groups.values()]
    )
    order = [i for which in groups.values() for i in which]
    per_element = np.array([1 / math.prod(channels[i].shape) for i in order], np.float32)
    # Scaled together: a product of each alone would be a loop of its own, which costs time to compile.
    return (of_groups * per_element)[np.argsort(order)]


def sums(channels: Sequence[jax.Array]) -> jax.Array:
    """[channel]: sums over all elements of arrays of one shape, from one loop over what the arrays are made of.

    Without it XLA writes out every array that is summed, and makes a loop of each sum. One after another, as such a
    loop adds, many numbers lose digits: so it sums stretches of the last axis, and these are summed as usual.
    """
    differentiable = jax.custom_jvp(_sums)  # JAX derives sums of one array alone
    differentiable.defjvp(lambda x, dx: (_sums(*x), jnp.stack([jnp.sum(each) for each in dx])))
    return differentiable(*channels)


def _sums(*channels: jax.Array) -> jax.Array:
    *outer, last = channels[0].shape
    stretch = max((n for n in range(1, LONGEST_STRETCH + 1) if last % n == 0), default=1)
    if stretch < SHORTEST_STRETCH:
        parts = jnp.stack(channels)
    else:
        parted = tuple(jnp.reshape(x, (*outer, last // stretch, stretch)) for x in channels)
        zeros = tuple(jnp.zeros((), x.dtype) for x in channels)
        parts = jnp.stack(jax.lax.reduce(parted, zeros, _added_each, (len(outer) + 1,)))
    return jnp.sum(parts, tuple(range(1, parts.ndim)))


def _added_each(one: Any, other: Any) -> Any:
    return tuple(map(jax.lax.add, one, other))
