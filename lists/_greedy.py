"""Greedy lists: always add the point that helps the list most."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, TIE, capped_logs, check_size
from lists._ties import MERIT, by_merit, check_ties, rows_of


@dataclasses.dataclass(frozen=True)
class ChosenList:
    """Points in the order in which to try them.

    Attributes:
      points: row numbers, first to try first.
      costs: C_tau of the first 1, 2, ... points; never rises.
      adds: how many of the points lower the cost of those before them. They are the first ones: where no point helps
        any more the rest is chosen by the tie rule alone. None for a list that was put together by hand.
    """

    points: tuple[int, ...]
    costs: tuple[float, ...]
    adds: int | None = dataclasses.field(default=None, compare=False, repr=False)  # follows from the costs

    def first(self, count: int) -> ChosenList:
        """The list of its first points; of a greedy list, the greedy list of that length."""
        adds = None if self.adds is None else min(self.adds, count)
        return ChosenList(self.points[:count], self.costs[:count], adds)

    def covered(self) -> ChosenList:
        """The list without the points that add nothing, but at least one point."""
        return self if self.adds is None else self.first(max(self.adds, 1))

    def best(self, values: Float[np.ndarray, "point workload"]) -> Float[np.ndarray, " workload"]:
        """The lowest value of the list's points on each workload; inf where all miss."""
        return values[list(self.points)].min(axis=0)


def greedy(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> ChosenList:
    """List built one point at a time, each the one that makes the list cheapest.

    L_0 = (); L_k = L_(k-1) + argmin_p C_tau(L_(k-1) + p) over the points not yet chosen. Costs within a
    relative 1e-12 of the lowest tie, and the tie rule decides. So a shorter list is always the beginning of
    a longer one. Once no point lowers the cost the tie rule alone fills the list up; `adds` of the result
    says how many points came before.

    Args:
      values: step or time fractions, positive, inf where the target was missed.
      size: points in the list, from 1 to the number of rows.
      penalty: tau, at least 1; see `cost`.
      ties: a key of `TIES`. "merit": the point that reaches more workloads, then that which alone costs less, then
        that with the better mean of `places`, then the lowest row. "lowest-id": the lowest row.
      places: place of each point on each workload by best metric, 1 for the best, as `Fractions` keeps it.

    Returns:
      The list with the cost after each point.

    Raises:
      ValueError: a size, penalty or tie rule out of range; NaN, or values that are not positive.

    Example:
      >>> greedy(np.array([[0.5, np.inf], [0.5, np.inf], [np.inf, 0.5]]), size=2).points
      (0, 2)
      >>> values = np.array([[np.inf, 0.9], [0.2, 0.2], [0.3, 0.3]])
      >>> greedy(values, size=2).points, greedy(values, size=2, ties="lowest-id").points
      ((1, 2), (1, 0))

    Reference: Medapati et al. 2025, arXiv:2503.03986, Algorithm 1 (which states no tie rule).
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    check_ties(ties)
    order = by_merit(values, penalty, places) if ties == MERIT else np.arange(len(logs))
    chosen, mean_logs = grow(logs[order], size)
    adds = how_many_add(mean_logs, math.log(penalty))
    return ChosenList(rows_of(order, chosen), tuple(map(math.exp, mean_logs)), adds)


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


def how_many_add(means: Sequence[float], start: float) -> int:
    """How many of the first means lie below the one before by more than a tie; `start` is that of no point at all.

    Example:
      >>> how_many_add((0.5, 0.3, 0.3, 0.3), start=1.0)
      2
    """
    before = (start, *means)
    return next((k for k, mean in enumerate(means) if mean >= before[k] - TIE), len(means))
