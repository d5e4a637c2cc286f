"""Fractions: when each point first reaches each workload's target, as a share of the budget."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
from jaxtyping import Float


def check_values(values: Float[np.ndarray, "point workload"], what: str = "values") -> None:
    """Raises ValueError unless values is point x workload, every entry positive, inf where missed."""
    if values.ndim != 2:
        raise ValueError(f"{what} must have two axes, point x workload, not shape {values.shape}")
    if values.shape[1] == 0:
        raise ValueError(f"{what} has no workloads; at least one column is needed")
    if np.isnan(values).any():
        p, w = np.argwhere(np.isnan(values))[0]
        raise ValueError(
            f"{what} has {np.isnan(values).sum()} NaN entries, the first at point {p}, workload {w}; "
            "use inf for a target that was not reached"
        )
    if (values <= 0).any():
        p, w = np.argwhere(values <= 0)[0]
        raise ValueError(
            f"{what}[{p}, {w}] is {values[p, w]:g}; must be positive, or inf where the target was not reached"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Fractions:
    """Step or time fractions with the names of their rows and columns.

    Attributes:
      points: one name per row, unique.
      workloads: one name per column, unique.
      values: share of the budget spent when the target was first reached; positive, inf where it was
        missed. May exceed 1 where a trial was allowed more than its budget. Kept as a read-only copy.

    Raises:
      ValueError: names that repeat or do not fit the array, NaN, or a value that is not positive.

    Example:
      >>> Fractions(("a",), ("mnist", "wmt"), np.array([[0.5, np.inf]])).values.shape
      (1, 2)
    """

    points: tuple[str, ...]
    workloads: tuple[str, ...]
    values: Float[np.ndarray, "point workload"]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        check_values(values)
        for axis, word in enumerate(("points", "workloads")):
            names = tuple(getattr(self, word))
            if len(names) != values.shape[axis]:
                raise ValueError(f"values has {values.shape[axis]} {word} but {len(names)} names were given")
            repeated = sorted(name for name, count in collections.Counter(names).items() if count > 1)
            if repeated:
                raise ValueError(f"{word} holds {', '.join(repeated)} more than once; names must be unique")
            object.__setattr__(self, word, names)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)


def step_fractions(
    first_hit: Float[np.ndarray, "point workload"],
    budget: Float[np.ndarray, " workload"],
) -> Float[np.ndarray, "point workload"]:
    """Share of the budget at which each point first reaches each target.

    f[p, w] = first_hit[p, w] / budget[w]; a target never reached stays inf. Seconds work as well as steps.

    Args:
      first_hit: first evaluated step at or past the target, positive, inf if never. Steps.
      budget: steps allowed per workload, positive and finite. Steps.

    Returns:
      Fractions, positive; inf where missed. Above 1 where a trial went past its budget.

    Raises:
      ValueError: NaN, a hit at step 0 or before, a budget that is not a positive finite number, or
        as many budgets as there are not workloads.

    Example:
      >>> step_fractions(np.array([[50.0, np.inf]]), np.array([100.0, 100.0]))
      array([[0.5, inf]])

    Reference: Medapati et al. 2025, arXiv:2503.03986, section 2.5.
    """
    first_hit, budget = np.asarray(first_hit, dtype=np.float64), np.asarray(budget, dtype=np.float64)
    check_values(first_hit, "first_hit")
    if budget.shape != first_hit.shape[1:]:
        raise ValueError(f"first_hit has {first_hit.shape[1]} workloads but budget has shape {budget.shape}")
    wrong = ~(np.isfinite(budget) & (budget > 0))
    if wrong.any():
        w = np.flatnonzero(wrong)[0]
        raise ValueError(f"budget[{w}] is {budget[w]:g}; must be positive and finite")
    return first_hit / budget
