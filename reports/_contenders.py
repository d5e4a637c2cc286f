"""Contenders: what each submission, given all its points, reaches on each workload.

One rule everywhere: on a workload, the median over repeats of each point, then the best over points
(Medapati et al. 2025, arXiv:2503.03986, section 2.5). A repeat that is missing or crashed counts as a miss.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

import lists
from results import Fractions


@dataclasses.dataclass(frozen=True)
class Contender:
    """One row of a comparison.

    Attributes:
      label: how tables and figures call it.
      fractions: workload -> fraction of the budget at which its best point reaches the target; inf = missed;
        a workload it was not run on is absent.
      best: workload -> best validation metric of its best point.
      trials: points per workload, and repeats, in words; empty if that says nothing.
    """

    label: str
    fractions: Mapping[str, float]
    best: Mapping[str, float]
    trials: str = ""

    def trained(self, workloads: Sequence[str]) -> int:
        """How many of the workloads reach their target."""
        return sum(math.isfinite(self.fractions.get(w, math.inf)) for w in workloads)

    def cost(self, workloads: Sequence[str], penalty: float) -> float | None:
        """C_tau on the workloads; None if it was not run on all of them."""
        if not workloads or any(w not in self.fractions for w in workloads):
            return None
        return lists.cost(np.array([[self.fractions[w] for w in workloads]]), penalty)


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
    repeats = hits["repeat"].n_unique()
    found: dict[str, float] = {}
    for (workload,), rows in hits.group_by("workload", maintain_order=True):
        minimize = rows["minimize"][0]
        worst = math.inf if minimize else -math.inf
        medians = []
        for _, of_point in rows.group_by("point", maintain_order=True):
            values = [worst if value is None else value for value in of_point["best_metric"].to_list()]
            # As with fractions: a repeat that left no trial is a bad one, not one to overlook.
            values += [worst] * (repeats - len(values))
            medians.append(_median(values))
        found[str(workload)] = min(medians) if minimize else max(medians)
    return found


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


def _median(values: list[float]) -> float:
    """The median where infinities take part; the mean of two middle values is inf if one of them is."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else statistics.fmean(ordered[middle - 1 : middle + 1])
