"""Greedy lists: always add the point that helps the list most."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, TIE, capped_logs, check_size


@dataclasses.dataclass(frozen=True)
class ChosenList:
    """Points in the order in which to try them.

    Attributes:
      points: row numbers, first to try first.
      costs: C_tau of the first 1, 2, ... points; never rises.
    """

    points: tuple[int, ...]
    costs: tuple[float, ...]

    def first(self, count: int) -> ChosenList:
        """The list of its first points; of a greedy list, the greedy list of that length."""
        return ChosenList(self.points[:count], self.costs[:count])

    def best(self, values: Float[np.ndarray, "point workload"]) -> Float[np.ndarray, " workload"]:
        """The lowest value of the list's points on each workload; inf where all miss."""
        return values[list(self.points)].min(axis=0)


def greedy(values: Float[np.ndarray, "point workload"], size: int, penalty: float = PENALTY) -> ChosenList:
    """List built one point at a time, each the one that makes the list cheapest.

    L_0 = (); L_k = L_(k-1) + argmin_p C_tau(L_(k-1) + p) over the points not yet chosen. Costs within a
    relative 1e-12 of the lowest tie, and the lowest row number wins. So a shorter list is always the
    beginning of a longer one.

    Args:
      values: step or time fractions, positive, inf where the target was missed.
      size: points in the list, from 1 to the number of rows.
      penalty: tau, at least 1; see `cost`.

    Returns:
      The list with the cost after each point.

    Raises:
      ValueError: a size or penalty out of range; NaN, or values that are not positive.

    Example:
      >>> greedy(np.array([[0.5, np.inf], [0.5, np.inf], [np.inf, 0.5]]), size=2).points
      (0, 2)

    Reference: Medapati et al. 2025, arXiv:2503.03986, Algorithm 1 (which states no tie rule).
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    points, mean_logs = grow(logs, size)
    return ChosenList(points, tuple(map(math.exp, mean_logs)))


def grow(values: Float[np.ndarray, "point workload"], size: int) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The rows that lower the mean over columns of the lowest value most, one by one; `values` is used up.

    Returns:
      The rows, and the mean after each. Means within 1e-12 of the lowest tie, and the lowest row number wins.
    """
    points: list[int] = []
    means: list[float] = []
    for _ in range(size):
        with_each = values.mean(axis=1)
        with_each[points] = math.inf
        best = int(np.flatnonzero(with_each <= with_each.min() + TIE)[0])
        points.append(best)
        means.append(float(with_each[best]))
        # From here on row p is the list so far with p added, so that the next mean is the next cost.
        np.minimum(values, values[best].copy(), out=values)
    return tuple(points), tuple(means)
