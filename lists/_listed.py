"""What constructions have in common: the order in which points win ties, and the finished list with its costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from lists._cost import capped_logs
from lists._greedy import ChosenList
from lists._ties import MERIT, by_merit, check_ties


def tie_order(
    values: Float[np.ndarray, "point workload"],
    penalty: float,
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
) -> Int[np.ndarray, " point"]:
    """Row numbers in the order in which they win ties; see `lists.TIES`.

    Raises:
      ValueError: an unknown rule.
    """
    check_ties(ties)
    return by_merit(values, penalty, places) if ties == MERIT else np.arange(len(values))


def listed(
    values: Float[np.ndarray, "point workload"],
    rows: Sequence[int] | Int[np.ndarray, " row"],
    penalty: float,
    adds: int,
) -> ChosenList:
    """These rows as a list: C_tau of the first 1, 2, ... of them, whatever they were chosen by."""
    rows = tuple(int(row) for row in rows)
    lowest = np.minimum.accumulate(capped_logs(values, penalty)[list(rows)], axis=0)
    return ChosenList(rows, tuple(math.exp(mean) for mean in lowest.mean(axis=1)), adds)
