"""Shrunk lists: what a point did on one workload is believed in part, the rest is what it does on average."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, capped_logs, check_size
from lists._exact import fewest_rows
from lists._greedy import ChosenList, grow, how_many_add
from lists._listed import listed, tie_order
from lists._ties import MERIT

SHRINKAGE = 0.5


def shrunk(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    shrinkage: float = SHRINKAGE,
) -> ChosenList:
    """Greedy's list on costs that are drawn towards the mean of their point.

    c[p, w] = (1 - shrinkage) log min(f[p, w], tau) + shrinkage mean_v log min(f[p, v], tau)

    Args:
      values, size, penalty, ties, places: see `greedy`.
      shrinkage: from 0, greedy, to 1, where points are taken by what each costs alone.

    Raises:
      ValueError: what `greedy` refuses; a shrinkage out of range.

    Example:
      Row 1 is good on both workloads, row 2 covers the second alone, but sooner.

      >>> values = np.array([[0.2, np.inf], [0.3, 0.6], [np.inf, 0.5]])
      >>> shrunk(values, 2, shrinkage=0.0).points, shrunk(values, 1, shrinkage=1.0).points
      ((1, 0), (1,))
    """
    costs, order = _towards_the_mean(values, size, penalty, ties, places, shrinkage)
    rows, means = grow(costs[order], size)
    return listed(values, order[list(rows)], penalty, how_many_add(means, math.log(penalty)))


def shrunk_exact(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    shrinkage: float = SHRINKAGE,
) -> ChosenList:
    """The best set of points on the costs of `shrunk`: exact search that is kept from fitting single workloads.

    Points stand in greedy's order on these costs. Where fewer points reach the optimum, the tie rule fills up.

    Args:
      values, size, penalty, ties, places, shrinkage: see `shrunk`.

    Raises:
      ValueError: what `exact` refuses; a shrinkage out of range.

    Example:
      >>> values = np.array([[0.3, 0.3], [0.1, 2.0], [2.0, 0.1]])
      >>> shrunk_exact(values, 2, shrinkage=0.0).points, shrunk_exact(values, 2, shrinkage=0.9).points
      ((1, 2), (0, 1))
    """
    costs, order = _towards_the_mean(values, size, penalty, ties, places, shrinkage)
    worst = math.log(penalty)
    needed = fewest_rows(worst - costs[order], size)
    within, _ = grow(costs[order][needed], len(needed)) if needed else ((), ())
    first = [needed[place] for place in within]
    rows = (first + [row for row in range(len(order)) if row not in set(first)])[:size]
    return listed(values, order[rows], penalty, len(first))


def _towards_the_mean(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float,
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
    shrinkage: float,
) -> tuple[Float[np.ndarray, "point workload"], np.ndarray]:
    """The shrunk logarithms, and the order in which rows win ties."""
    if not 0.0 <= shrinkage <= 1.0:
        raise ValueError(f"shrinkage is {shrinkage:g}; must be from 0 to 1")
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    order = tie_order(values, penalty, ties, places)
    return (1 - shrinkage) * logs + shrinkage * logs.mean(axis=1, keepdims=True), order
