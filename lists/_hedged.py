"""Hedged lists: a point that reached a target once might miss it on the next workload like this one, so insure it."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, TIE, capped_logs, check_size
from lists._greedy import ChosenList, how_many_add
from lists._listed import listed, tie_order
from lists._ties import MERIT

# Of 12 pairs tried on all the problems of docs/lists.md the one that cost least on average, by less than chance.
RELIABILITY = 0.7
SHARPNESS = 2.0


def hedged(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    reliability: float = RELIABILITY,
    sharpness: float = SHARPNESS,
) -> ChosenList:
    """List grown by the expected cost, where each point reaches each target only with some probability.

    L_k = L_(k-1) + argmin_p mean_w E[min over points of the list that succeed of log min(f, tau)], points
    succeeding independently with `success_chances`; log tau where none does. So a second point that covers the
    same workloads is worth something, and one that misses a target by a hair counts more than one that diverged.

    Args:
      values, size, penalty, ties: see `greedy`; the tie rule decides between equal expected costs.
      places, reliability, sharpness: see `success_chances`. With reliability 1 and without places it is `greedy`.

    Returns:
      The list; `costs` are C_tau as ever, while `adds` counts the points that lower the expected cost.

    Raises:
      ValueError: what `greedy` refuses; a reliability outside (0, 1].

    Example:
      Rows 0 and 1 both cover two workloads, row 2 the third. Greedy never wants row 1; a hedge does before row 2.

      >>> values = np.array([[0.2, 0.2, np.inf], [0.2, 0.2, np.inf], [np.inf, np.inf, 0.9]])
      >>> hedged(values, 2, reliability=0.5).points, hedged(values, 2, reliability=1.0).points
      ((0, 1), (0, 2))
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    order = tie_order(values, penalty, ties, places)
    chance = success_chances(values, penalty, places=places, reliability=reliability, sharpness=sharpness)
    sooner = _if_reached(logs, math.log(penalty))
    rows, means = grow_expected(sooner[order], chance[order], size, worst=math.log(penalty))
    return listed(values, order[rows], penalty, how_many_add(means, math.log(penalty)))


def success_chances(
    values: Float[np.ndarray, "point workload"],
    penalty: float = PENALTY,
    *,
    places: Float[np.ndarray, "point workload"] | None = None,
    reliability: float = RELIABILITY,
    sharpness: float = SHARPNESS,
) -> Float[np.ndarray, "point workload"]:
    """How likely each point is to reach the target of another workload like each of these.

    s = reliability / (1 + (r / n)^sharpness), r the point's place by best metric, n how many points reach the
    target: a half of the reliability at the target itself, no less for points that reach it, no more for others.
    Without places 1 or 0 times the reliability.

    Args:
      values, penalty: see `greedy`. A target reached later than tau counts as missed.
      places: place of each point on each workload by best metric; only their order in a column counts.
      reliability: chance that what holds on one workload holds on the next, in (0, 1].
      sharpness: how fast the chance falls with the place.

    Example:
      >>> success_chances(
      ...     np.array([[0.5], [np.inf], [np.inf]]), places=np.array([[1.0], [2.0], [3.0]]), reliability=1.0
      ... ).tolist()
      [[0.5], [0.2], [0.1]]
    """
    if not 0.0 < reliability <= 1.0:
        raise ValueError(f"reliability is {reliability:g}; must be above 0 and at most 1")
    reached = np.asarray(values) < penalty
    chance = reached.astype(np.float64)
    if places is not None:
        count = np.maximum(reached.sum(axis=0), 0.5)
        ratio = _ranks(places) / count
        odds = 1.0 / (1.0 + ratio**sharpness)
        chance = np.where(reached, np.maximum(odds, 0.5), np.minimum(odds, 0.5))
    return reliability * chance


def grow_expected(
    sooner: Float[np.ndarray, "point workload"],
    chance: Float[np.ndarray, "point workload"],
    size: int,
    worst: float,
) -> tuple[list[int], list[float]]:
    """The rows that lower the mean over columns of the expected lowest value most, one by one.

    Args:
      sooner: the value of a row on a column where it succeeds, at most `worst`.
      chance: with which probability it does, each row and column on its own.
      size: rows to choose.
      worst: the value where no row of the list succeeds.

    Returns:
      The rows, and the mean after each. Means within 1e-12 of the lowest tie, and the lowest row number wins.
    """
    # The lowest value so far is one of those chosen, or the worst: so many atoms with their probabilities.
    atoms = np.full((1, sooner.shape[1]), worst)
    weights = np.ones_like(atoms)
    rows: list[int] = []
    means: list[float] = []
    for _ in range(size):
        now = (weights * atoms).sum(axis=0)
        with_each = np.zeros_like(sooner)
        for atom, weight in zip(atoms, weights, strict=True):
            with_each += weight * np.minimum(atom, sooner)
        expected = (now + chance * (with_each - now)).mean(axis=1)
        expected[rows] = math.inf
        best = int(np.flatnonzero(expected <= expected.min() + TIE)[0])
        rows.append(best)
        means.append(float(expected[best]))
        beaten = np.where(atoms > sooner[best], chance[best] * weights, 0.0)
        atoms = np.concatenate([atoms, sooner[best : best + 1]])
        weights = np.concatenate([weights - beaten, beaten.sum(axis=0, keepdims=True)])
    return rows, means


def _if_reached(
    logs: Float[np.ndarray, "point workload"], worst: float
) -> Float[np.ndarray, "point workload"]:
    """What each point costs where it succeeds: its own logarithm; where it missed, the median of those that reached."""
    reached = logs < worst
    count = reached.sum(axis=0)
    middle = np.sort(np.where(reached, logs, math.inf), axis=0)
    each = np.arange(logs.shape[1])
    last = len(logs) - 1
    fallback = (middle[np.maximum(count - 1, 0) // 2, each] + middle[np.minimum(count // 2, last), each]) / 2
    return np.where(reached, logs, np.where(count > 0, fallback, min(0.0, worst)))


def _ranks(places: Float[np.ndarray, "point workload"]) -> Float[np.ndarray, "point workload"]:
    """Ranks within each column from 1; equals share their mean."""
    from scipy.stats import rankdata

    return rankdata(places, axis=0)
