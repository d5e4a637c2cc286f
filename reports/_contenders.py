"""Contenders: what each submission, given all its points, reaches on each workload.

One rule everywhere: on a workload, the median over repeats of each point, then the best over points
(Medapati et al. 2025, arXiv:2503.03986, section 2.5). A repeat that is missing or crashed counts as a miss.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

import lists
from results import Fractions

Spread = tuple[float, float]  # least and greatest, or two quartiles

OVER_SEARCHES = "quartiles over searches"


@dataclasses.dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Attributes:
      label: how tables and figures call it.
      fractions: workload -> fraction of the budget at which its best point reaches the target; inf = missed;
        a workload it was not run on is absent.
      best: workload -> best validation metric of its best point.
      trials: points per workload, and repeats, in words; empty if that says nothing.
      by_repeat: workload -> fraction of that best point in each repeat alone; empty where repeats are not known.
      best_by_repeat: the same of the best metric.
      searches: workload -> quartiles of `fractions` over random searches, for a contender that is their median.
      best_searches: the same of `best`.
    """

    label: str
    fractions: Mapping[str, float]
    best: Mapping[str, float]
    trials: str = ""
    by_repeat: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    best_by_repeat: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    searches: Mapping[str, Spread] = dataclasses.field(default_factory=dict)
    best_searches: Mapping[str, Spread] = dataclasses.field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """Repeats of every point; 0 where that is not known."""
        return max(map(len, self.by_repeat.values()), default=0)

    @property
    def spread_of(self) -> str:
        """What its spread is over, in words; empty if there is none."""
        if self.searches or self.best_searches:
            return OVER_SEARCHES
        repeats = max(map(len, [*self.by_repeat.values(), *self.best_by_repeat.values()]), default=0)
        return f"least to greatest of {repeats} repeats" if repeats > 1 else ""

    def spread(self, workload: str) -> Spread | None:
        """Of the fraction on a workload; None where it was measured once."""
        return self.searches.get(workload) or _ends(self.by_repeat.get(workload, ()))

    def best_spread(self, workload: str) -> Spread | None:
        """Of the best metric on a workload; None where it was measured once."""
        return self.best_searches.get(workload) or _ends(self.best_by_repeat.get(workload, ()))

    def trained(self, workloads: Sequence[str]) -> int:
        """How many of the workloads reach their target."""
        return sum(math.isfinite(self.fractions.get(w, math.inf)) for w in workloads)

    def cost(self, workloads: Sequence[str], penalty: float) -> float | None:
        """C_tau on the workloads; None if it was not run on all of them."""
        if not workloads or any(w not in self.fractions for w in workloads):
            return None
        return lists.cost(np.array([[self.fractions[w] for w in workloads]]), penalty)

    def costs(self, workloads: Sequence[str], penalty: float) -> tuple[float, ...]:
        """C_tau of the same points in each repeat alone; empty if repeats are not known on all workloads."""
        values = [self.by_repeat.get(w, ()) for w in workloads]
        if len({len(one) for one in values}) != 1:
            return ()
        return tuple(lists.cost(np.array([row]), penalty) for row in zip(*values, strict=True))

    def cost_spread(self, workloads: Sequence[str], penalty: float) -> Spread | None:
        """Least and greatest of `costs`; None where every point was trained once."""
        return _ends(self.costs(workloads, penalty))


def best_fractions(fractions: Fractions) -> dict[str, float]:
    """Workload -> fraction of the best point of a list, inf if all miss.

    Example:
      >>> best_fractions(Fractions(("a", "b"), ("mnist",), np.array([[0.5], [np.inf]])))
      {'mnist': 0.5}
    """
    return dict(zip(fractions.workloads, fractions.values.min(axis=0).tolist(), strict=True))


def best_metrics(hits: pl.DataFrame) -> dict[str, float]:
    """Workload -> best over points of the median over repeats of the best metric of a trial; ±inf if there
    is none.

    Args:
      hits: rows of one submission, as `hits` gives them.
    """
    return {workload: float(np.median(values)) for workload, values in metrics_by_repeat(hits).items()}


def metrics_by_repeat(hits: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """Workload -> the best metric, in each repeat, of the point that `best_metrics` speaks of."""
    return _of_best_point(hits, "best_metric")


def fractions_by_repeat(hits: pl.DataFrame) -> dict[str, tuple[float, ...]]:
    """Workload -> the step fraction, in each repeat, of the point whose median over repeats is least.

    Args:
      hits: rows of one submission, as `hits` gives them, on workloads with a target.
    """
    return _of_best_point(hits, "step_fraction")


def trials_in_words(hits: pl.DataFrame) -> str:
    """Points per workload and repeats of one submission, such as `5 × 3`."""
    points = hits.group_by("workload").agg(pl.col("point").n_unique())["point"]
    least, most, repeats = points.min(), points.max(), hits["repeat"].n_unique()
    count = f"{most}" if least == most else f"{least}–{most}"
    return f"{count} × {repeats}" if repeats > 1 else count


def hyperparameters_of(trials: pl.DataFrame) -> dict[str, dict[str, object]]:
    """Point -> hyperparameters, by the first trial that ran it.

    A file of hyperparameters may be wrong in one place (AlgoPerf's logs hold five), so the most frequent
    reading wins.
    """
    found: dict[str, dict[str, object]] = {}
    counted = (
        trials.group_by("point", "hyperparameters", maintain_order=True).len().sort("len", descending=True)
    )
    for point, text in counted.select("point", "hyperparameters").iter_rows():
        if point not in found:
            found[point] = json.loads(text)
    return found


def _of_best_point(hits: pl.DataFrame, column: str) -> dict[str, tuple[float, ...]]:
    repeats = {repeat: r for r, repeat in enumerate(hits["repeat"].unique().sort())}
    found: dict[str, tuple[float, ...]] = {}
    for (workload,), rows in hits.group_by("workload", maintain_order=True):
        minimize = column != "best_metric" or rows["minimize"][0]
        points = {point: p for p, point in enumerate(rows["point"].unique(maintain_order=True))}
        # As with fractions: a repeat that left no trial is a bad one, not one to overlook.
        worst = math.inf if minimize else -math.inf
        values = np.full((len(points), len(repeats)), worst)
        places = [points[p] for p in rows["point"]], [repeats[r] for r in rows["repeat"]]
        values[places] = rows[column].fill_null(worst).to_numpy()
        # The mean of two middle values is infinite if one of them is.
        medians = np.median(values, axis=1)
        best = int(medians.argmin() if minimize else medians.argmax())
        found[str(workload)] = tuple(values[best].tolist())
    return found


def _ends(values: Sequence[float]) -> Spread | None:
    return (min(values), max(values)) if len(values) > 1 else None
