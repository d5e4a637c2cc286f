"""AlgoPerf's quasi-random points, bit for bit: a Halton set with large bases, shuffled digits and a shift.

The set depends only on the number of dimensions and of points: fewer points are a prefix of more. They are
reordered only where an explicit seed asks for it; AlgoPerf does it with NumPy's unseeded global generator.

With bases near 1000 and fewer than about 900 points every index is one digit: a coordinate is a permuted grid
plus a shift, so a draw without replacement, independent of the other coordinates. Methods that assume
independent draws are a closer approximation here than for the small bases of a textbook's Halton set.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from submissions.points import Point
from submissions.spaces import SearchSpace

SKIPPED = 100  # indices left out at the start, as they are the least random


def bases(dimensions: int) -> tuple[int, ...]:
    """The base of each dimension: the largest odd primes below 1000 but one, ascending.

    The last dimension always has base 991, so that one more in front leaves the others as they are. Beyond
    166 dimensions the limit grows by 1000 at a time.

    Example:
      >>> bases(2)
      (983, 991)
    """
    if dimensions < 1:
        raise ValueError(f"{dimensions} dimensions; must be at least 1")
    limit = 1000
    while len(primes := _odd_primes_below(limit)[:-1]) < dimensions:
        limit += 1000
    return primes[-dimensions:]


def coordinates(dimensions: int, rows: int, start: int = 0) -> Float[np.ndarray, "row dimension"]:
    """Rows start, ..., start + rows - 1 of the set, each coordinate in [0, 1).

    The value of index i = 101, 102, ... in base b is the fractional part of
    shift + sum_k permutation(d_k) / b^(k+1), with d_k the digits of i from the lowest. The permutation of the
    digits 1..b-1 and then the shift come from NumPy's legacy generator seeded with b; 0 stays 0.

    Args:
      dimensions: number of columns, at least 1.
      rows: number of points, at least 0.
      start: number of the first row, at least 0.

    Reference: Bousquet et al. 2017, arXiv:1706.03200; AlgoPerf's `halton` module, without its last shuffle.
    """
    if rows < 0 or start < 0:
        raise ValueError(f"rows {rows} and start {start} must not be negative")
    columns = [
        _column(base, range(start + SKIPPED + 1, start + SKIPPED + 1 + rows)) for base in bases(dimensions)
    ]
    return np.array(columns, np.float64).reshape(dimensions, rows).T


def points(
    space: SearchSpace, budget: int, order_seed: int | None = None, start: int = 0
) -> tuple[Point, ...]:
    """Quasi-random points of a search space. Their ids are their row numbers, whatever their order.

    Args:
      space: what to draw from; the order of its dimensions matters.
      budget: number of points, at least 1.
      order_seed: None leaves the rows in order, so that any prefix is what a smaller budget would have had. A
        number s gives the order that AlgoPerf has after `numpy.random.seed(s)`.
      start: number of the first row.

    Raises:
      ValueError: a budget below 1, a negative start, or a seed outside 0..2^32 - 1.
    """
    if budget < 1:
        raise ValueError(f"budget is {budget}; must be at least 1")
    if order_seed is not None and not 0 <= order_seed < 2**32:
        raise ValueError(f"order_seed is {order_seed}; must lie in 0..{2**32 - 1}, or be none")
    rows = coordinates(len(space.dimensions), budget, start).tolist()
    chosen = [Point(str(start + row), space.at(values)) for row, values in enumerate(rows)]
    order = list(range(budget))
    if order_seed is not None:
        # A shuffle depends on the length alone: that of the row numbers is AlgoPerf's of the points.
        np.random.RandomState(order_seed).shuffle(order)
    return tuple(chosen[row] for row in order)


def _column(base: int, indices: range) -> list[float]:
    # The order of the draws and of the additions below is part of the definition: it decides the last bit.
    generator = np.random.RandomState(base)
    digits = list(range(1, base))
    generator.shuffle(digits)
    permutation = [0, *digits]
    shift = generator.random_sample()
    values = []
    for index in indices:
        value, denominator = 0.0, float(base)
        while index > 0:
            index, digit = divmod(index, base)
            value += permutation[digit] / denominator
            denominator *= base
        values.append(math.fmod(value + shift, 1.0))
    return values


def _odd_primes_below(limit: int) -> tuple[int, ...]:
    return tuple(n for n in range(3, limit, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2)))
