"""What a list would have cost in each repeat: how far its cost hangs on the seeds.

A list's fractions are medians over repeats, so its cost is one number. Each repeat by itself gives a cost too, and
their range stands beside it wherever a list is shown. It is a range of single measurements, not an interval: with five
repeats the least and the greatest are all that can be told, and quartiles would be two of the five.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, cost


def fractions_by_repeat(
    by_repeat: Float[np.ndarray, "point workload repeat"],
) -> Float[np.ndarray, "workload common"]:
    """The fraction of a list's best point on each workload, repeat by repeat.

    f[w, r] = min over points p of by_repeat[p, w, r]

    Args:
      by_repeat: the list's points, as rows of `Fractions.by_repeat`; NaN for repeats that a point was not given. Only
        repeats that all the points have are compared.

    Returns:
      Fractions, inf where all points missed; as many repeats as all the points have.

    Example:
      >>> fractions_by_repeat(np.array([[[0.5, np.inf, 0.7]], [[0.6, 0.8, np.nan]]])).tolist()
      [[0.5, 0.8]]
    """
    common = ~np.isnan(by_repeat).any(axis=(0, 1))
    return by_repeat[:, :, common].min(axis=0)


def normalised_by_repeat(by_repeat: Float[np.ndarray, "point task repeat"]) -> Float[np.ndarray, " repeat"]:
    """The normalised cost of a list in each repeat, where every task is served by the point that is best in it.

    Args:
      by_repeat: the list's points, as rows of `TaskCosts.by_repeat`.

    Example:
      >>> normalised_by_repeat(np.array([[[0.5, 0.25]], [[0.25, 0.75]]])).tolist()
      [0.25, 0.25]
    """
    return by_repeat.min(axis=0).mean(axis=0)


def costs_by_repeat(
    by_repeat: Float[np.ndarray, "point workload repeat"], penalty: float = PENALTY
) -> Float[np.ndarray, " common"]:
    """C_tau of a list in each repeat.

    Args:
      by_repeat: see `fractions_by_repeat`.
      penalty: tau, at least 1.

    Example:
      >>> costs_by_repeat(np.array([[[0.5, np.inf]]]), penalty=2.0).round(12).tolist()
      [0.5, 2.0]
    """
    return np.array([cost(column[np.newaxis], penalty) for column in fractions_by_repeat(by_repeat).T])
