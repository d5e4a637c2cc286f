"""Which of several points that serve a list equally well comes first.

Evaluation grids make ties common, and where a list is asked for more points than lower its cost, every point that is
left ties. Algorithm 1 of Medapati et al. states no rule. Taking the lowest row, as the first readings of it do, fills
lists up with whatever was trained first, be it a point that trains nothing. So ties are broken by what the points do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from lists._cost import TIE, capped_logs

MERIT, LOWEST_ID = "merit", "lowest-id"

TIES = {
    MERIT: "the point that reaches more workloads, then costs less alone, then has the better best metrics, then "
    "stands first",
    LOWEST_ID: "the point that stands first",  # as Algorithm 1 was read when its goldens were made
}


def by_merit(
    values: Float[np.ndarray, "point workload"],
    penalty: float,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> Int[np.ndarray, " point"]:
    """Rows of a table of fractions in the order in which they win ties; see `TIES`.

    Each key is of a point alone, so that one order serves every step of every construction. Costs within a relative
    1e-12 of their neighbours are the same.

    Args:
      values: step or time fractions, positive, inf where the target was missed.
      penalty: tau, at least 1.
      places: place of each point on each workload by best metric, 1 for the best; None where it is not known.

    Example:
      >>> by_merit(np.array([[np.inf, np.inf], [0.9, 0.9], [0.8, np.inf], [0.8, 0.9]]), 2.0).tolist()
      [3, 1, 2, 0]
    """
    reach = np.isfinite(values).sum(axis=1)
    alone = grades(capped_logs(values, penalty).mean(axis=1))
    return by_keys(-reach, alone, *([] if places is None else [grades(places.mean(axis=1))]))


def by_mean(costs: Float[np.ndarray, "point task"]) -> Int[np.ndarray, " point"]:
    """Rows of a table of normalised losses in the order in which they win ties: lower mean, then the first.

    Example:
      >>> by_mean(np.array([[0.9, 0.9], [0.2, 0.4], [0.4, 0.2]])).tolist()
      [1, 2, 0]
    """
    return by_keys(grades(np.ascontiguousarray(costs).mean(axis=1)))


def check_ties(ties: str) -> None:
    """Raises ValueError unless ties is a key of `TIES`."""
    if ties not in TIES:
        raise ValueError(f"ties is {ties!r}; must be one of {', '.join(TIES)}")


def by_keys(*keys: np.ndarray) -> Int[np.ndarray, " point"]:
    """Row numbers by the first key, then the second, ..., then as they stand."""
    return np.lexsort(keys[::-1])


def grades(values: Float[np.ndarray, " point"]) -> Int[np.ndarray, " point"]:
    """The same number for values that differ by rounding alone, so that the next key decides between them."""
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order], prepend=values[order[:1]]) > TIE
    grades = np.empty(len(values), dtype=np.int64)
    grades[order] = np.cumsum(steps)
    return grades


def rows_of(order: Sequence[int] | np.ndarray, chosen: Sequence[int]) -> tuple[int, ...]:
    """Row numbers of what was chosen from a table whose rows stood in another order."""
    return tuple(int(order[place]) for place in chosen)
