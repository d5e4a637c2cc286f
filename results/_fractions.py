"""Fractions: when each point first reaches each workload's target, as a share of the budget."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float


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
        missed. May exceed 1 where a trial was allowed more than its budget: see `late`. Kept as a read-only copy.
      places: place of each point on each workload by best validation metric among all points, 1 for the best;
        the last resort of the tie rule of lists. None where metrics are not known.
      by_repeat: what `values` are the medians of; NaN for repeats that a point was not given, inf where a target
        was missed. None where nothing was repeated.

    Raises:
      ValueError: names that repeat or do not fit the array, NaN, or a value that is not positive.

    Example:
      >>> Fractions(("a",), ("mnist", "wmt"), np.array([[0.5, np.inf]])).values.shape
      (1, 2)
    """

    points: tuple[str, ...]
    workloads: tuple[str, ...]
    values: Float[np.ndarray, "point workload"]
    places: Float[np.ndarray, "point workload"] | None = None
    by_repeat: Float[np.ndarray, "point workload repeat"] | None = None

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
        object.__setattr__(self, "values", _frozen(values))
        for name in ("places", "by_repeat"):
            if (beside := getattr(self, name)) is None:
                continue
            beside = np.array(beside, dtype=np.float64)
            if beside.shape[:2] != values.shape:
                raise ValueError(
                    f"{name} has shape {beside.shape} but values {values.shape}; rows and columns agree"
                )
            object.__setattr__(self, name, _frozen(beside))

    @property
    def late(self) -> Bool[np.ndarray, "point workload"]:
        """Where a target was reached, but only after the whole budget: the fraction is above 1."""
        return late(self.values)

    def of_workloads(self, names: Sequence[str]) -> Fractions:
        """The same points on these workloads, in this order.

        Raises:
          ValueError: a workload that is not there.

        Example:
          >>> Fractions(("a",), ("mnist", "wmt"), np.array([[0.5, 0.9]])).of_workloads(["wmt"]).values
          array([[0.9]])
        """
        if absent := [name for name in names if name not in self.workloads]:
            raise ValueError(f"no workload {', '.join(absent)}; there are: {', '.join(self.workloads)}")
        columns = [self.workloads.index(name) for name in names]
        return Fractions(
            self.points,
            tuple(names),
            self.values[:, columns],
            places=None if self.places is None else self.places[:, columns],
            by_repeat=None if self.by_repeat is None else self.by_repeat[:, columns],
        )


def late(values: Float[np.ndarray, "*any"]) -> Bool[np.ndarray, "*any"]:
    """Where a target was reached only after the whole budget: finite, and above 1.

    Such a target counts as trained, and costs min(f, tau).

    Example:
      >>> late(np.array([0.5, 1.0, 1.2, np.inf])).tolist()
      [False, False, True, False]
    """
    return np.isfinite(values) & (values > 1.0)


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def step_fractions(
    first_hit: Float[np.ndarray, "point workload"],
    budget: Float[np.ndarray, " workload"],
) -> Float[np.ndarray, "point workload"]:
    """Share of the budget at which each point first reaches each target.

    f[p, w] = first_hit[p, w] / budget[w]; a target never reached stays inf. Seconds work as well as steps.

    Args:
      first_hit: first evaluated step at or past the target, positive, inf if never. Steps. A target that held
        before training, at step 0, counts as reached with step 1, as in `hits`.
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
