"""Random search over a table of points: what it finds, on average and how differently, and from a smaller space."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int


def expected_best(
    costs: Float[np.ndarray, "point task"], trials: Int[np.ndarray, " budget"]
) -> Float[np.ndarray, "budget task"]:
    """Mean of the lowest of n rows drawn without replacement, for each task; exact, nothing is drawn.

    With c_0 <= c_1 <= ... the sorted column and N rows, the i-th is the lowest of a draw if the other n - 1 are
    above it: E = sum_i c_i C(N - 1 - i, n - 1) / C(N, n).

    Args:
      costs: of all points there are to draw from; lower is better.
      trials: numbers n of rows drawn, each from 1 to the number of rows.

    Returns:
      One row per entry of `trials`; falls with n.

    Raises:
      ValueError: a number of trials out of range.

    Example:
      >>> expected_best(np.array([[0.0], [0.5], [1.0]]), np.array([1, 2, 3])).round(12).tolist()
      [[0.5], [0.166666666667], [0.0]]
    """
    points = len(costs)
    if trials.size == 0 or trials.min() < 1 or trials.max() > points:
        raise ValueError(
            f"trials is {trials.tolist()}; each must be from 1 to {points}, the number of points"
        )
    n, i = trials[:, None].astype(np.float64), np.arange(points - 1, dtype=np.float64)
    # w_0 = n / N and w_(i+1) = w_i (N - i - n) / (N - 1 - i); 0 from where too few rows are left above.
    steps = np.clip(points - i - n, 0.0, None) / (points - 1 - i)
    weights = np.cumprod(np.concatenate([n / points, steps], axis=1), axis=1)
    return weights @ np.sort(np.asarray(costs, dtype=np.float64), axis=0)


def quantile_of_best(values: Float[np.ndarray, " point"], trials: int, q: float) -> float:
    """A quantile of the lowest of n values drawn without replacement; exact, over all subsets of n.

    Of N values in ascending order the lowest of a draw is no higher than the i-th (from 1) with the probability
    1 - C(N - i, n) / C(N, n): the q-quantile is the first for which that is at least q.

    Args:
      values: of all points there are to draw from, lower is better; inf is a value like others. No NaN.
      trials: n, from 1 to the number of values.
      q: in (0, 1].

    Raises:
      ValueError: a number of trials or a quantile out of range, or NaN.

    Example:
      >>> values = np.array([0.1, 0.5, np.inf, np.inf])
      >>> quantile_of_best(values, 1, 0.5), quantile_of_best(values, 2, 0.5), quantile_of_best(values, 2, 0.9)
      (0.5, 0.1, inf)
    """
    values = np.asarray(values, dtype=np.float64)
    _check_trials(trials, len(values))
    if np.isnan(values).any():
        raise ValueError(f"values has {np.isnan(values).sum()} NaN entries; use inf for a miss")
    if not 0.0 < q <= 1.0:
        raise ValueError(f"q is {q:g}; must lie in (0, 1]")
    subsets, points = math.comb(len(values), trials), len(values)
    for i, value in enumerate(np.sort(values), 1):
        if 1 - Fraction(math.comb(points - i, trials), subsets) >= Fraction(q):
            return float(value)
    raise AssertionError("the highest value is the lowest of some draw")


def trained_by_random(
    values: Float[np.ndarray, "point workload"], trials: int
) -> Float[np.ndarray, " trained"]:
    """How likely n points drawn without replacement train 0, 1, ... of the workloads; exact, nothing is drawn.

    The same n points are tried on all workloads. The probability that they miss all workloads of a set S is
    C(m(S), n) / C(N, n), where m(S) counts the points that miss all of S; that they miss S and nothing else follows by
    inclusion and exclusion over the sets that contain S.

    Args:
      values: step or time fractions, positive, inf where the target was missed. At most 16 workloads.
      trials: n, from 1 to the number of points.

    Returns:
      The probabilities of 0, 1, ..., as many as there are workloads; they sum to 1.

    Raises:
      ValueError: a number of trials out of range, or more than 16 workloads.

    Example:
      >>> trained_by_random(np.array([[0.5, np.inf], [np.inf, 0.5], [np.inf, np.inf]]), 2).round(4).tolist()
      [0.0, 0.6667, 0.3333]
    """
    points, workloads = values.shape
    _check_trials(trials, points)
    if workloads > 16:
        raise ValueError(f"values has {workloads} workloads; sets of at most 16 are counted")
    reached = np.isfinite(values) @ (1 << np.arange(workloads))  # of each point, as a set of workloads
    missed = [math.comb(int((reached & s == 0).sum()), trials) for s in range(1 << workloads)]
    for bit in (1 << w for w in range(workloads)):
        for s in range(1 << workloads):
            if not s & bit:
                missed[s] -= missed[s | bit]
    counts = [0] * (workloads + 1)
    for s, subsets in enumerate(missed):
        counts[workloads - s.bit_count()] += subsets
    return np.array([count / math.comb(points, trials) for count in counts])


def _check_trials(trials: int, points: int) -> None:
    if not 1 <= trials <= points:
        raise ValueError(f"trials is {trials}; must be from 1 to {points}, the number of points")


def inside_box(
    hyperparameters: Float[np.ndarray, "point hyperparameter"],
    best: Int[np.ndarray, " task"],
    share: float = 1.0,
) -> Bool[np.ndarray, " point"]:
    """Which points lie in the box around the best points of some tasks.

    The box runs, for each hyperparameter, between the (1 - share) / 2 and (1 + share) / 2 quantiles of its values
    over `best`: share 1 is the bounding box, share .9 leaves the outer 5 % on both sides. Quantiles are values that
    occur, not interpolated, so a logarithm of the hyperparameters changes nothing.

    Args:
      hyperparameters: of all points, finite.
      best: row of the best point of each task; a row that is best on several tasks counts several times.
      share: of the best points' values that the box spans, in (0, 1].

    Returns:
      True where every hyperparameter lies within its bounds.

    Raises:
      ValueError: no best points, values that are not finite, or a share out of range.

    Example:
      >>> inside_box(np.array([[1.0], [2.0], [3.0], [9.0]]), np.array([0, 2])).tolist()
      [True, True, True, False]

    Reference: the search-space baselines of Metz et al. 2020, arXiv:2002.11887, after Perrone et al. 2019,
    arXiv:1909.12552.
    """
    if best.size == 0:
        raise ValueError("best is empty; the box needs the best point of at least one task")
    if not np.isfinite(hyperparameters).all():
        raise ValueError("hyperparameters must be finite; leave out those that some points do not have")
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share is {share:g}; must lie in (0, 1]")
    of_best = hyperparameters[best]
    low, high = np.quantile(of_best, [(1 - share) / 2, (1 + share) / 2], axis=0, method="inverted_cdf")
    return ((low <= hyperparameters) & (hyperparameters <= high)).all(axis=1)


def nearest_points(
    values: Float[np.ndarray, " point"], wanted: Float[np.ndarray, " value"]
) -> Int[np.ndarray, " value"]:
    """The row whose positive value is nearest to each wanted one, by ratio; the lowest row wins a tie.

    Example:
      >>> nearest_points(np.array([1e-4, 2e-3, 0.5]), np.array([1e-3, 1.0])).tolist()
      [1, 2]
    """
    if (values <= 0).any() or (wanted <= 0).any():
        raise ValueError("values and wanted must be positive: nearness is that of their logarithms")
    return np.abs(np.log(values)[None, :] - np.log(wanted)[:, None]).argmin(axis=1)
