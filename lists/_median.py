"""The best points on more workloads than their sets can be counted for: the p-median problem, by branch and bound.

max sum_w sum_p g[p, w] x[p, w]   with x[p, w] <= y[p], sum_p x[p, w] <= 1, sum_p y[p] <= K, y whole

y[p] says whether point p is in the list, x[p, w] whether it serves workload w. Its linear relaxation is tight, so that
HiGHS proves the optimum in a few branches, most often in none; a Lagrangian bound leaves it few points to choose from.

Reference: ReVelle and Swain 1970, Geographical Analysis 2; Cornuejols, Fisher and Nemhauser 1977, Management
Science 23 (the bound).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from lists._cost import TIE

MAX_GAINS = 40_000  # seconds; TaskSet's 1,000 points on 1,000 tasks would be hours
SECONDS = 600.0
ROUNDS = 300  # of lowering the bound that rules points out
SLACK = 1e-9  # sums in another order
GAP = 1e-9  # between what is found and what is proven, as a share; HiGHS itself works to some 1e-7


def best_rows_of_many(gains: Float[np.ndarray, "point workload"], size: int) -> list[int]:
    """At most `size` rows with the greatest sum over columns of the greatest gain, none of them idle, ascending.

    Where several sets are as good any of them may be the one, the same on every machine with the same HiGHS.

    Raises:
      ValueError: too many gains, or an optimum that could not be proven in time.
    """
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    every = gains
    kept = _promising(every, min(size, len(every)))
    gains = every[kept]
    points, workloads = gains.shape
    point, workload = np.nonzero(gains > TIE)
    served = len(point)
    if served > MAX_GAINS:
        raise ValueError(
            f"{points} points gain on {workloads} workloads in {served} cases; exact lists take at most {MAX_GAINS}: "
            "choose some workloads, or use the greedy method"
        )
    if not served:
        return []
    each, x = np.arange(served), points + np.arange(served)
    ones = np.ones(served)
    in_list = sparse.coo_matrix((np.r_[ones, -ones], (np.r_[each, each], np.r_[x, point])))
    once = sparse.coo_matrix((ones, (workload, x)), shape=(workloads, points + served))
    few = sparse.coo_matrix(
        (np.ones(points), (np.zeros(points, int), np.arange(points))), (1, points + served)
    )
    found = milp(
        np.concatenate([np.zeros(points), -gains[point, workload]]),
        constraints=LinearConstraint(
            sparse.vstack([in_list, once, few]).tocsr(),
            -np.inf,
            np.concatenate([np.zeros(served), np.ones(workloads), [size]]),  # type: ignore[arg-type]
        ),
        integrality=np.concatenate([np.ones(points), np.zeros(served)]),
        bounds=Bounds(0, 1),
        options={"time_limit": SECONDS, "mip_rel_gap": GAP},
    )
    if found.status != 0:
        raise ValueError(
            f"the best {size} of {points} points on {workloads} workloads were not proven in {SECONDS:g} s "
            f"({found.message}); choose some workloads, or use the greedy method"
        )
    rows = [int(row) for row in kept[found.x[:points] > 0.5]]
    return _needed(every, rows)


def _promising(gains: Float[np.ndarray, "point workload"], size: int) -> Int[np.ndarray, " row"]:
    """The rows that a best set may hold, ascending; the others provably lead to sets that save less than one found.

    Lagrangian bound: for any u >= 0, with rho[p] = sum_w max(g[p, w] - u[w], 0), no set of K points saves more than
    sum_w u[w] + the K greatest rho, and none that holds p more than that with rho[p] in place of the K-th.
    """
    found = _saved_by(gains, _swapped(gains, size))
    left = np.ones(len(gains), dtype=bool)
    # The second greatest gain is a fair first price of being served.
    prices = np.sort(gains, axis=0)[-min(2, len(gains))]
    scale, least = 1.0, math.inf
    for _ in range(ROUNDS):
        beyond = gains - prices
        rho = np.maximum(beyond, 0.0).sum(axis=1)
        best = np.argsort(-rho, kind="stable")[:size]
        bound = prices.sum() + rho[best].sum()
        left &= bound - np.maximum(rho[best[-1]] - rho, 0.0) >= found - SLACK
        scale = scale if bound < least - SLACK else scale * 0.95
        least = min(least, bound)
        slope = 1.0 - (beyond[best] > 0).sum(axis=0)
        if not slope.any() or least - found <= SLACK:
            break
        prices = np.maximum(prices - scale * (bound - found) / (slope**2).sum() * slope, 0.0)
    return np.flatnonzero(left)


def _swapped(gains: Float[np.ndarray, "point workload"], size: int) -> list[int]:
    """Rows that save much: greedy's, then every exchange of one for another that saves more, until there is none."""
    rows: list[int] = []
    for _ in range(size):
        so_far = gains[rows].max(axis=0, initial=0.0)
        with_each = np.maximum(gains, so_far).sum(axis=1)
        with_each[rows] = -math.inf
        rows.append(int(with_each.argmax()))
    place = idle = 0
    while idle < size:
        rest = rows[:place] + rows[place + 1 :]
        with_each = np.maximum(gains, gains[rest].max(axis=0, initial=0.0)).sum(axis=1)
        better = int(with_each.argmax())
        idle = 0 if with_each[better] > with_each[rows[place]] + SLACK else idle + 1
        rows[place] = better if idle == 0 else rows[place]
        place = (place + 1) % size
    return rows


def _saved_by(gains: Float[np.ndarray, "point workload"], rows: list[int]) -> float:
    return float(gains[rows].max(axis=0, initial=0.0).sum())


def _needed(gains: Float[np.ndarray, "point workload"], rows: list[int]) -> list[int]:
    """The rows without those that could be left out at no loss, the last of them first."""
    kept = list(rows)
    for row in reversed(rows):
        rest = [other for other in kept if other != row]
        saved = gains[rest].max(axis=0, initial=0.0).sum()
        if saved >= gains[kept].max(axis=0).sum() - gains.shape[1] * TIE:
            kept = rest
    return kept
