"""Lists from any source, in one call."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lists._constructions import construct, named
from lists._greedy import ChosenList
from lists._list_file import HyperparameterList
from lists._notes import adds_of, late_note, padding_note, repeats_note
from lists._repeats import costs_by_repeat
from lists._stopped import check_stopped
from lists._ties import MERIT
from results import (
    By,
    Fractions,
    LeftOut,
    Results,
    choose_benchmark,
    choose_submission,
    late,
    pool,
    read_source,
)  # fmt: skip
from submissions.points import Point

Progress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True, eq=False)
class BuiltList:
    """A list built from a source, with what it was built from.

    Attributes:
      name, title: for files and for people.
      fractions: of all points there were to choose from.
      chosen: the rows chosen, in order, the cost after each, and how many of them lower it.
      asked: how many points were asked for; `chosen` has fewer where it stops once nothing lowers the cost.
      by, method, penalty, ties, source: how it was built, and from where.
      update_rule: what the points are hyperparameters of; None for a table of fractions.
      hyperparameters: point -> its hyperparameters; empty for a table of fractions.
      left_out, warnings: of the source, see `Results`.
    """

    name: str
    title: str
    fractions: Fractions
    chosen: ChosenList
    asked: int
    by: By
    method: str
    penalty: float
    ties: str
    source: str
    update_rule: str | None
    hyperparameters: Mapping[str, Mapping[str, float]]
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def adds(self) -> int:
        """How many of the points, the first ones, lower the cost of those before them."""
        return adds_of(self.chosen)

    def repeat_costs(self) -> np.ndarray | None:
        """C_tau [length of the list, repeat] of its first 1, 2, ... points; None where nothing was repeated."""
        if (by_repeat := self.fractions.by_repeat) is None:
            return None
        rows = by_repeat[list(self.chosen.points)]
        return np.stack([costs_by_repeat(rows[:k], self.penalty) for k in range(1, len(rows) + 1)])

    def table(self) -> pl.DataFrame:
        """One row per point, in order: whether it lowers the cost, the cost so far, and the list's fractions.

        Returns:
          Columns order, point, adds (whether it lowers the cost), cost and trained (of the list so far), lowest and
          highest (of the costs in the single repeats, where there are several), and one per workload with the list's
          fraction there.
        """
        values = np.minimum.accumulate(self.fractions.values[list(self.chosen.points)], axis=0)
        head: dict[str, Any] = {
            "order": range(1, len(values) + 1),
            "point": [self.fractions.points[i] for i in self.chosen.points],
            "adds": [place < self.adds for place in range(len(values))],
            "cost": self.chosen.costs,
        }
        if (repeated := self.repeat_costs()) is not None:
            head |= {"lowest": repeated.min(axis=1), "highest": repeated.max(axis=1)}
        head["trained"] = np.isfinite(values).sum(1)
        return pl.DataFrame(head | {name: values[:, w] for w, name in enumerate(self.fractions.workloads)})

    def notes(self) -> tuple[str, ...]:
        """What must be said beside the table, a sentence each."""
        best = self.chosen.best(self.fractions.values)
        said = [padding_note(self.asked, len(self.chosen.points), self.adds, self.ties)]
        if after := [w for w, is_late in zip(self.fractions.workloads, late(best), strict=True) if is_late]:
            said.append(late_note(after, self.penalty))
        if self.fractions.by_repeat is not None:
            said.append(repeats_note(self.fractions.by_repeat.shape[2]))
        return tuple(filter(None, said))

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist build-list --json`."""
        table, repeated = self.table(), self.repeat_costs()
        values = np.minimum.accumulate(self.fractions.values[list(self.chosen.points)], axis=0)
        return {
            "source": self.source,
            "by": self.by,
            "method": self.method,
            "penalty": self.penalty,
            "ties": self.ties,
            "candidates": len(self.fractions.points),
            "workloads": list(self.fractions.workloads),
            "asked": self.asked,
            "adds": self.adds,
            "points": table["point"].to_list(),
            "costs": list(self.chosen.costs),
            "repeat_costs": None if repeated is None else repeated.tolist(),
            "trained": table["trained"].to_list(),
            "late": late(values).sum(axis=1).tolist(),
            "fractions": table.select(self.fractions.workloads).to_numpy()[-1].tolist(),
            "hyperparameters": [dict(self.hyperparameters.get(p, {})) for p in table["point"]],
            "notes": list(self.notes()),
            "warnings": list(self.warnings),
            "left_out": [item.to_json() for item in self.left_out],
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
            asked=self.asked,
            adds=self.adds,
            ties=self.ties,
            made_by={"shortlist": metadata.version("shortlist"), "by": self.by},
        )


def build_list(
    source: Path | Results | Fractions,
    *,
    size: int = 5,
    penalty: float = 2.0,
    method: str = "greedy",
    ties: str = MERIT,
    stop_when_covered: bool = False,
    by: By = "steps",
    benchmark: str | None = None,
    submission: str | None = None,
    ruleset: str | None = None,
    allow_stopped: bool = False,
    progress: Progress | None = None,
) -> BuiltList:
    """Builds a list from a source; see `lists.CONSTRUCTIONS`.

    Args:
      source: what `results.read_source` reads, or has read.
      size, penalty, ties: see `lists.greedy`.
      method: the construction, a key of `lists.CONSTRUCTIONS`.
      stop_when_covered: leave out the points that add nothing, so that the list may be shorter than asked. They are
        kept by default, and marked: whoever has `size` trials has them anyway, and a point that adds nothing on the
        workloads at hand may be the one that trains the next.
      by, benchmark, submission: see `results.pool`.
      allow_stopped: count trials that a strategy stopped before they reached the target as missed; by default such a
        source is refused.
      progress: called as progress(what, done, total).

    Raises:
      ValueError, FileNotFoundError: the source cannot be read, leaves open which points are meant, or has trials that
        were stopped.
    """
    named(method)
    read, where = read_if_needed(source, benchmark, ruleset, progress)
    stopped = stopped_of(read, benchmark, submission, allow_stopped)
    fractions = pool(read, by=by, benchmark=benchmark, submission=submission)
    chosen = construct(
        fractions.values,
        size,
        penalty,
        method,
        ties=ties,
        places=fractions.places,
        by_repeat=fractions.by_repeat,
    )
    chosen = chosen.covered() if stop_when_covered else chosen
    rule, hyperparameters = None, {}
    if isinstance(read, Results):
        rule, hyperparameters = hyperparameters_of(choose_benchmark(read, benchmark), submission)
    title = (
        f"{method} list of {len(chosen.points)} out of {len(fractions.points)} points on "
        f"{len(fractions.workloads)} workloads"
    )
    return BuiltList(
        name=Path(where).resolve().name, title=title, fractions=fractions, chosen=chosen, asked=size,
        by=by, method=method, penalty=penalty, ties=ties, source=where, update_rule=rule,
        hyperparameters=hyperparameters, **said_of(read, stopped),
    )  # fmt: skip


def read_if_needed(
    source: Path | Results | Fractions, benchmark: str | None, ruleset: str | None, progress: Progress | None
) -> tuple[Results | Fractions, str]:
    """A source as `results.read_source` gives it, and where it is from, in words."""
    if isinstance(source, Results):
        return source, source.source
    if isinstance(source, Fractions):
        return source, "a table of fractions"
    return read_source(source, progress, benchmark, ruleset), str(source)


def stopped_of(
    source: Results | Fractions, benchmark: str | None, submission: str | None, allowed: bool
) -> tuple[str, ...]:
    """What is to be said of trials that were stopped; see `check_stopped`."""
    if isinstance(source, Fractions):
        return ()
    chosen = choose_benchmark(source, benchmark)
    return check_stopped(chosen, choose_submission(chosen, submission), allowed)


def said_of(source: Results | Fractions, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a source leaves out and what it warns of, and more; nothing where it is a table of fractions."""
    if isinstance(source, Fractions):
        return {}
    return {"left_out": source.left_out, "warnings": (*source.warnings, *more)}


def hyperparameters_of(
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
