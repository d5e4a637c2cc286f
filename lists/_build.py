"""Lists from any source: built, and proven by leaving one workload out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lists._greedy import ChosenList
from lists._leave_one_out import METHODS, LeaveOneOut
from lists._leave_one_out import leave_one_out as of_arrays
from lists._list_file import HyperparameterList
from results import By, Fractions, Results, choose_benchmark, choose_submission, pool, read_source
from submissions.points import Point

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class BuiltList:
    """A list built from a source, with what it was built from.

    Attributes:
      name, title: for files and for people.
      fractions: of all points there were to choose from.
      chosen: the rows chosen, in order, and the cost after each.
      by, method, penalty, source: how it was built, and from where.
      update_rule: what the points are hyperparameters of; None for a table of fractions.
      hyperparameters: point -> its hyperparameters; empty for a table of fractions.
    """

    name: str
    title: str
    fractions: Fractions
    chosen: ChosenList
    by: By
    method: str
    penalty: float
    source: str
    update_rule: str | None
    hyperparameters: Mapping[str, Mapping[str, float]]

    def table(self) -> pl.DataFrame:
        """One row per point, in order: cost and workloads trained so far, and the list's fraction on each workload."""
        values = np.minimum.accumulate(self.fractions.values[list(self.chosen.points)], axis=0)
        head = {
            "order": range(1, len(values) + 1),
            "point": [self.fractions.points[i] for i in self.chosen.points],
            "cost": self.chosen.costs,
            "trained": np.isfinite(values).sum(1),
        }
        return pl.DataFrame(head | {name: values[:, w] for w, name in enumerate(self.fractions.workloads)})

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist build-list --json`."""
        table = self.table()
        return {
            "source": self.source,
            "by": self.by,
            "method": self.method,
            "penalty": self.penalty,
            "candidates": len(self.fractions.points),
            "workloads": list(self.fractions.workloads),
            "points": table["point"].to_list(),
            "costs": list(self.chosen.costs),
            "trained": table["trained"].to_list(),
            "fractions": table.select(self.fractions.workloads).to_numpy()[-1].tolist(),
            "hyperparameters": [dict(self.hyperparameters.get(p, {})) for p in table["point"]],
        }

    def as_list(self) -> HyperparameterList:
        """The list as a list file holds it.

        Raises:
          ValueError: the source has no hyperparameters.
        """
        points = [self.fractions.points[i] for i in self.chosen.points]
        if self.update_rule is None or not all(self.hyperparameters.get(p) for p in points):
            raise ValueError(
                f"{self.source}: holds no hyperparameters, so no list file can be made; use --json"
            )
        return HyperparameterList(
            name=self.name,
            update_rule=self.update_rule,
            source=f"{self.title}, from {self.source}",
            method=self.method,
            penalty=self.penalty,
            workloads=self.fractions.workloads,
            points=tuple(Point(p, self.hyperparameters[p]) for p in points),
            costs=self.chosen.costs,
            made_by={"shortlist": metadata.version("shortlist"), "by": self.by},
        )


@dataclasses.dataclass(frozen=True, eq=False)
class LeftOneOut:
    """A leave-one-workload-out experiment on a source.

    Attributes:
      title: for people.
      fractions: of all points there were to choose from.
      result: the lists and their fractions on the workload each has not seen.
      by, source: which budget, and from where.
    """

    title: str
    fractions: Fractions
    result: LeaveOneOut
    by: By
    source: str

    def table(self) -> pl.DataFrame:
        """One row per left-out workload: the list built without it, and its fraction there for every length."""
        columns: dict[str, Any] = {
            "left out": [*self.fractions.workloads, "trained", "cost"],
            "list": [" ".join(self.fractions.points[i] for i in one.points) for one in self.result.lists]
            + ["", ""],
        }
        for k, (trained, cost) in enumerate(
            zip(self.result.trained, self.result.held_out_costs, strict=True), 1
        ):
            columns[f"k={k}"] = [*self.result.held_out[:, k - 1].tolist(), float(trained), cost]
        return pl.DataFrame(columns)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist leave-one-out --json`."""
        names = self.fractions.points
        return {
            "source": self.source,
            "by": self.by,
            "method": self.result.method,
            "penalty": self.result.penalty,
            "candidates": len(names),
            "workloads": list(self.fractions.workloads),
            "lists": [[names[i] for i in one.points] for one in self.result.lists],
            "held_out": self.result.held_out.tolist(),
            "trained": list(self.result.trained),
            "held_out_costs": list(self.result.held_out_costs),
        }


def build_list(
    source: Path,
    *,
    size: int = 5,
    penalty: float = 2.0,
    method: str = "greedy",
    by: By = "steps",
    benchmark: str | None = None,
    submission: str | None = None,
    ruleset: str | None = None,
    progress: Progress | None = None,
) -> BuiltList:
    """Builds a list from a source; see `lists.greedy` and `lists.exact`.

    Raises:
      ValueError, FileNotFoundError: the source cannot be read, or leaves open which points are meant.
    """
    read = read_source(source, progress, benchmark, ruleset)
    fractions = pool(read, by=by, benchmark=benchmark, submission=submission)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; must be one of {', '.join(METHODS)}")
    chosen = METHODS[method](fractions.values, size, penalty)
    rule, hyperparameters = None, {}
    if isinstance(read, Results):
        rule, hyperparameters = _hyperparameters(choose_benchmark(read, benchmark), submission)
    title = f"{method} list of {size} out of {len(fractions.points)} points on {len(fractions.workloads)} workloads"
    return BuiltList(
        name=Path(source).resolve().name, title=title, fractions=fractions, chosen=chosen, by=by, method=method,
        penalty=penalty, source=str(source), update_rule=rule, hyperparameters=hyperparameters,
    )  # fmt: skip


def leave_one_workload_out(
    source: Path,
    *,
    size: int = 5,
    penalty: float = 2.0,
    method: str = "greedy",
    by: By = "steps",
    benchmark: str | None = None,
    submission: str | None = None,
    ruleset: str | None = None,
    progress: Progress | None = None,
) -> LeftOneOut:
    """Builds a list without each workload in turn, from the points of a source; see `lists.leave_one_out`.

    Raises:
      ValueError, FileNotFoundError: the source cannot be read, or leaves open which points are meant.
    """
    fractions = pool(
        read_source(source, progress, benchmark, ruleset), by=by, benchmark=benchmark, submission=submission
    )
    result = of_arrays(fractions.values, size, penalty, method, progress)
    title = (
        f"Leave one workload out: {by[:-1] if by == 'steps' else by} fraction of {method} lists of k points"
    )
    return LeftOneOut(title, fractions, result, by, str(source))


def _hyperparameters(
    results: Results, submission: str | None
) -> tuple[str | None, dict[str, dict[str, float]]]:
    """The update rule, and what each point stands for; points that do not stand for one thing are left out."""
    chosen = choose_submission(results, submission)
    if chosen == "all":
        return None, {}
    rows = results.trials.filter(pl.col("submission") == chosen)
    by_point = rows.group_by("point").agg(pl.col("hyperparameters").unique()).filter(
        pl.col("hyperparameters").list.len() == 1
    )  # fmt: skip
    named = {point: json.loads(texts[0]) for point, texts in by_point.iter_rows()}
    rule = results.about.get("studies", {}).get(chosen, {}).get("optimizer", chosen)
    return rule, named
