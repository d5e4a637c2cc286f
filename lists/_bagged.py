"""Bagged lists: each point is the one that most resamplings of the evidence would have chosen."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, TIE, capped_logs, check_size
from lists._greedy import ChosenList, how_many_add
from lists._listed import listed, tie_order
from lists._ties import MERIT

RESAMPLINGS = 100


def bagged(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    by_repeat: Float[np.ndarray, "point workload repeat"] | None = None,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
) -> ChosenList:
    """List of the points that win most votes, each vote greedy's choice on resampled workloads and repeats.

    A vote draws as many workloads as there are, with replacement, and for each point and workload one of its
    repeats; given the points chosen so far, it goes to the one that makes the list cheapest there. Equal ones share
    it. Averaging the cost over resamplings instead would give greedy's list back: a cost is a mean over workloads.

    Args:
      values, size, penalty, ties, places: see `greedy`. Ties of votes go to the point that is cheapest on all
        workloads, then to the tie rule.
      by_repeat: fractions in the single repeats, NaN for repeats that a point was not given; None votes by `values`.
      resamplings: number of votes.
      seed: of the draws.

    Raises:
      ValueError: what `greedy` refuses; no resamplings.

    Example:
      >>> values = np.array([[0.4, 0.4, np.inf], [0.5, 0.5, 0.5]])
      >>> bagged(values, 1).points
      (1,)
    """
    if resamplings < 1:
        raise ValueError(f"resamplings is {resamplings}; must be at least 1")
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    order = tie_order(values, penalty, ties, places)
    generator = np.random.default_rng(seed)
    workloads = logs.shape[1]
    drawn = [_of_repeats(logs, by_repeat, penalty, generator)[order] for _ in range(resamplings)]
    weights = generator.multinomial(workloads, np.full(workloads, 1 / workloads), resamplings) / workloads

    on_all, so_far = logs[order], np.full(workloads, math.log(penalty))
    lowest = [so_far] * resamplings
    rows: list[int] = []
    means: list[float] = []
    for _ in range(size):
        votes = np.zeros(len(logs))
        for table, weight, least in zip(drawn, weights, lowest, strict=True):
            with_each = np.minimum(table, least) @ weight
            with_each[rows] = math.inf
            winners = with_each <= with_each.min() + TIE
            votes += winners / winners.sum()
        with_each = np.minimum(on_all, so_far).mean(axis=1)
        with_each[rows] = math.inf
        votes[rows] = -math.inf
        leading = votes >= votes.max() - 1e-9
        with_each[~leading] = math.inf
        best = int(np.flatnonzero(with_each <= with_each.min() + TIE)[0])
        rows.append(best)
        so_far = np.minimum(so_far, on_all[best])
        lowest = [np.minimum(least, table[best]) for table, least in zip(drawn, lowest, strict=True)]
        means.append(float(np.mean([least @ weight for least, weight in zip(lowest, weights, strict=True)])))
    return listed(values, order[rows], penalty, how_many_add(means, math.log(penalty)))


def _of_repeats(
    logs: Float[np.ndarray, "point workload"],
    by_repeat: Float[np.ndarray, "point workload repeat"] | None,
    penalty: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, "point workload"]:
    """Logarithms of one repeat of each point and workload, drawn evenly of those that there are."""
    if by_repeat is None:
        return logs
    there = ~np.isnan(by_repeat)
    drawn = np.where(there, generator.random(by_repeat.shape), -1.0).argmax(axis=2)
    picked = np.take_along_axis(by_repeat, drawn[:, :, None], axis=2)[:, :, 0]
    return np.where(there.any(axis=2), np.log(np.minimum(picked, penalty)), logs)
