"""Cautious lists: a point counts as what its repeats make likely at worst, not as their median."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, capped_logs, check_size
from lists._greedy import ChosenList, grow, how_many_add
from lists._listed import listed, tie_order
from lists._ties import MERIT

DEVIATIONS = 1.0


def cautious(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    by_repeat: Float[np.ndarray, "point workload repeat"] | None = None,
    deviations: float = DEVIATIONS,
) -> ChosenList:
    """Greedy's list on upper bounds of the costs, from repeats.

    c[p, w] = min(mean_r log min(f, tau) + deviations sd_r / sqrt(repeats), log tau)

    Args:
      values, size, penalty, ties, places: see `greedy`.
      by_repeat: fractions in the single repeats, NaN for repeats that a point was not given. A point with one
        repeat has no deviation; a point with none keeps its value.
      deviations: standard errors above the mean; 0 takes means of logarithms in place of medians.

    Raises:
      ValueError: nothing was repeated; what `greedy` refuses.

    Example:
      >>> by_repeat = np.array([[[0.1, 0.1, np.inf]], [[0.5, 0.5, 0.5]]])
      >>> cautious(np.median(by_repeat, axis=2), 1, by_repeat=by_repeat).points
      (1,)
    """
    if by_repeat is None or by_repeat.shape[2] < 2:
        raise ValueError(
            "the cautious construction needs repeats of every point, and nothing here was repeated"
        )
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    order = tie_order(values, penalty, ties, places)
    there = ~np.isnan(by_repeat)
    count = there.sum(axis=2)
    each = np.log(np.minimum(np.where(there, by_repeat, penalty), penalty))
    mean = np.where(there, each, 0.0).sum(axis=2) / np.maximum(count, 1)
    squares = np.where(there, (each - mean[:, :, None]) ** 2, 0.0).sum(axis=2)
    error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    bound = np.where(count > 0, np.minimum(mean + deviations * error, math.log(penalty)), logs)
    rows, means = grow(np.ascontiguousarray(bound[order]), size)
    return listed(values, order[list(rows)], penalty, how_many_add(means, math.log(penalty)))
