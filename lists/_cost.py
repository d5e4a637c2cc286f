"""The cost of a list, C_tau, and the logarithms that every construction works on."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from results import check_values

PENALTY = 2.0  # the paper's choice of tau, section 2.5

# Two costs that agree to this share are the same: sums of logarithms taken in another order
# differ by a few units in the last place, some 1e-15, and evaluation grids make real ties common.
TIE = 1e-12


def cost(values: Float[np.ndarray, "point workload"], penalty: float = PENALTY) -> float:
    """Cost C_tau of the list formed by all rows: a geometric mean over the workloads.

    C = exp(mean_w log min(min_p f[p, w], tau)). The list is judged by its fastest point on each
    workload; a target missed, or reached later than tau, counts tau. Lower is better. The empty list
    costs tau.

    Args:
      values: step or time fractions, positive, inf where the target was missed.
      penalty: tau, at least 1. At exactly 1 a miss costs as much as a hit at the end of the budget;
        the paper asks for more than 1 in section 2.5 but its Table 12 begins at 1.0, so 1 is allowed.

    Returns:
      The cost, in (0, tau].

    Raises:
      ValueError: a penalty below 1 or not finite; NaN, or values that are not positive.

    Example:
      >>> round(cost(np.array([[0.5, np.inf], [1.0, np.inf]]), penalty=2.0), 12)
      1.0

    Reference: Medapati et al. 2025, arXiv:2503.03986, section 2.5.
    """
    logs = capped_logs(values, penalty)
    return math.exp(logs.min(axis=0, initial=math.log(penalty)).mean())


def check_penalty(penalty: float) -> None:
    """Raises ValueError unless 1 <= penalty < inf."""
    if not (math.isfinite(penalty) and penalty >= 1):
        raise ValueError(
            f"penalty is {penalty:g}; must be finite and at least 1, the whole budget (paper: 2.0)"
        )


def check_size(size: int, points: int) -> None:
    """Raises ValueError unless 1 <= size <= points."""
    if size < 1:
        raise ValueError(f"size is {size}; a list needs at least 1 point")
    if size > points:
        raise ValueError(f"size is {size} but there are only {points} points; ask for {points} or fewer")


def capped_logs(
    values: Float[np.ndarray, "point workload"], penalty: float
) -> Float[np.ndarray, "point workload"]:
    """log min(f, tau) of checked values, as a new C-ordered float64 array."""
    values = np.asarray(values, dtype=np.float64)
    check_penalty(penalty)
    check_values(values)
    # One memory layout for all, so that every row is summed in the same order and equal rows tie exactly.
    return np.ascontiguousarray(np.log(np.minimum(values, penalty)))
