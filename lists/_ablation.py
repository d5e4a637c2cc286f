"""How a result depends on the penalty, and how far single points carry over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lists._leave_one_out import leave_one_out
from lists._ties import MERIT
from results import check_values

PAPER_PENALTIES = (1.0, 1.11, 1.22, 1.33, 1.44, 1.55, 1.66, 1.77, 1.88, 2.0)  # Table 12


class AtPenalty(NamedTuple):
    """One row of the ablation: tau, and how many left-out workloads the lists train."""

    penalty: float
    trained: int


def penalty_ablation(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalties: Sequence[float] = PAPER_PENALTIES,
    method: str = "greedy",
    progress: Callable[[str, int, int], None] | None = None,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> tuple[AtPenalty, ...]:
    """Left-out workloads trained by lists of `size` points, for each penalty.

    Args:
      values: step or time fractions, positive, inf where the target was missed. At least 2 workloads.
      size: points in each list.
      penalties: values of tau, each at least 1. Default: the ten of the paper.
      method: "greedy" or "exact".
      progress: called as progress("penalty ablation", penalties done, penalties).
      ties, places: see `greedy`.

    Returns:
      One (penalty, trained) per penalty, in the order given.

    Raises:
      ValueError: no penalties, or what `leave_one_out` refuses.

    Example:
      >>> values = np.array([[0.9, np.inf, 0.9], [0.5, 0.5, np.inf]])
      >>> penalty_ablation(values, size=1, penalties=(1.5, 2.0))
      (AtPenalty(penalty=1.5, trained=2), AtPenalty(penalty=2.0, trained=1))

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 12.
    """
    if len(penalties) == 0:
        raise ValueError("penalties is empty; give at least one, such as 2.0")
    rows = []
    for penalty in penalties:
        result = leave_one_out(values, size, penalty, method, ties=ties, places=places)
        rows.append(AtPenalty(penalty, result.trained[-1]))
        if progress is not None:
            progress("penalty ablation", len(rows), len(penalties))
    return tuple(rows)


def trains_others(
    values: Float[np.ndarray, "point workload"], others: Sequence[int] = (0, 1, 2)
) -> Int[np.ndarray, "others workload"]:
    """How many points reach a workload's target and that of at least k other workloads.

    n[k, w] = #{p : f[p, w] finite and at least others[k] further entries of row p finite}.

    Args:
      values: step or time fractions, positive, inf where the target was missed.
      others: how many further workloads a point must train; 0 counts all points that reach the target.

    Returns:
      Counts, one row per entry of `others`.

    Raises:
      ValueError: a negative entry of `others`; NaN, or values that are not positive.

    Example:
      >>> trains_others(np.array([[0.5, 0.6], [0.7, np.inf]]), others=(0, 1))
      array([[2, 1],
             [1, 1]])

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 4.
    """
    values = np.asarray(values, dtype=np.float64)
    check_values(values)
    if any(k < 0 for k in others):
        raise ValueError(f"others is {tuple(others)}; must hold no negative number")
    reached = np.isfinite(values)
    total = reached.sum(axis=1, keepdims=True)
    return np.array([(reached & (total > k)).sum(axis=0) for k in others]).reshape(-1, values.shape[1])
