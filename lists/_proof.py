"""A list proven on any source, in one call: built without each workload in turn, and judged on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lists._build import Progress, read_if_needed, said_of, stopped_of
from lists._leave_one_out import LeaveOneOut
from lists._leave_one_out import leave_one_out as of_arrays
from lists._notes import late_note, repeats_note
from lists._repeats import costs_by_repeat, fractions_by_repeat
from lists._ties import MERIT, TIES
from results import By, Fractions, LeftOut, Results, late, pool


@dataclasses.dataclass(frozen=True, eq=False)
class LeftOneOut:
    """A leave-one-workload-out experiment on a source.

    Attributes:
      title: for people.
      fractions: of all points there were to choose from.
      result: the lists and their fractions on the workload each has not seen.
      by, source: which budget, and from where.
      left_out, warnings: of the source, see `Results`.
    """

    title: str
    fractions: Fractions
    result: LeaveOneOut
    by: By
    source: str
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    def table(self) -> pl.DataFrame:
        """One row per left-out workload: the list built without it, and its fraction there for every length.

        Returns:
          Columns left out, list (points in order), adds (how many of them lower the cost on the others), k=1, k=2,
          ... (the fraction of the first k points), and lowest and highest (of the whole list's fraction in the single
          repeats, where there are several).
        """
        names = self.fractions.points
        columns: dict[str, Any] = {
            "left out": self.fractions.workloads,
            "list": [" ".join(names[i] for i in one.points) for one in self.result.lists],
            "adds": self.result.adds,
        }
        columns |= {f"k={k}": column for k, column in enumerate(self.result.held_out.T, 1)}
        if (repeated := self._by_repeat(-1)) is not None:
            columns |= {
                "lowest": [float(of_workload.min()) for of_workload in repeated],
                "highest": [float(of_workload.max()) for of_workload in repeated],
            }
        return pl.DataFrame(columns)

    def summary(self) -> pl.DataFrame:
        """One row per length of the lists.

        Returns:
          Columns points (the length), trained (left-out workloads), by adding (trained by points that lower the cost
          on the workloads that built the list), cost (geometric mean of min(fraction, tau)), and its lowest and
          highest over repeats, where there are several.
        """
        repeated = self.repeat_costs()
        columns: dict[str, Any] = {
            "points": range(1, len(self.result.trained) + 1),
            "trained": self.result.trained,
            "by adding": self.result.trained_by_adding,
            "cost": self.result.held_out_costs,
        }
        if repeated is not None:
            columns |= {"lowest": repeated.min(axis=1), "highest": repeated.max(axis=1)}
        return pl.DataFrame(columns)

    def repeat_costs(self) -> np.ndarray | None:
        """Cost on the left-out workloads [length, repeat], as if only that repeat had judged the lists."""
        costs = []
        for k in range(len(self.result.trained)):
            if (reached := self._by_repeat(k)) is None:
                return None
            fewest = min(map(len, reached))
            judged = np.array([of_workload[:fewest] for of_workload in reached])
            costs.append(costs_by_repeat(judged[np.newaxis], self.result.penalty))
        return np.stack(costs)

    def _by_repeat(self, k: int) -> list[np.ndarray] | None:
        """Fractions over repeats of the lists of one length, each on its left-out workload."""
        if (by_repeat := self.fractions.by_repeat) is None:
            return None
        return [
            fractions_by_repeat(by_repeat[list(sizes[k].points), w : w + 1])[0]
            for w, sizes in enumerate(self.result.by_size)
        ]

    def notes(self) -> tuple[str, ...]:
        """What must be said beside the tables, a sentence each."""
        said = []
        size = len(self.result.trained)
        few = [
            f"{w} ({adds})"
            for w, adds in zip(self.fractions.workloads, self.result.adds, strict=True)
            if adds < size
        ]
        if few:
            said.append(
                f"asked {size} points; fewer lower the cost on the other workloads (how many in brackets) where the "
                f"left-out one is {', '.join(few)}: the rest is chosen by the tie rule ({TIES[self.result.ties]})"
            )
        lucky = [
            w for w, row in zip(self.fractions.workloads, self.result.unlearnt, strict=True) if row.any()
        ]
        if lucky:
            said.append(
                f"not learnt: {', '.join(lucky)}: reached only by points that add nothing on the other workloads"
            )
        after = [
            w
            for w, row in zip(self.fractions.workloads, late(self.result.held_out), strict=True)
            if row.any()
        ]
        if after:
            said.append(late_note(after, self.result.penalty))
        if self.fractions.by_repeat is not None:
            said.append(repeats_note(self.fractions.by_repeat.shape[2]))
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist leave-one-out --json`."""
        names, repeated = self.fractions.points, self.repeat_costs()
        return {
            "source": self.source,
            "by": self.by,
            "method": self.result.method,
            "penalty": self.result.penalty,
            "ties": self.result.ties,
            "candidates": len(names),
            "workloads": list(self.fractions.workloads),
            "lists": [[names[i] for i in one.points] for one in self.result.lists],
            "adds": list(self.result.adds),
            "held_out": self.result.held_out.tolist(),
            "held_out_by_adding": self.result.held_out_by_adding.tolist(),
            "trained": list(self.result.trained),
            "trained_by_adding": list(self.result.trained_by_adding),
            "late": list(self.result.late),
            "held_out_costs": list(self.result.held_out_costs),
            "repeat_costs": None if repeated is None else repeated.tolist(),
            "notes": list(self.notes()),
            "warnings": list(self.warnings),
            "left_out": [item.to_json() for item in self.left_out],
        }


def leave_one_workload_out(
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
) -> LeftOneOut:
    """Builds a list without each workload in turn, from the points of a source; see `lists.leave_one_out`.

    Args:
      source, by, benchmark, submission, allow_stopped, progress: see `build_list`.
      size, penalty, method, ties, stop_when_covered: see `lists.leave_one_out`.

    Raises:
      ValueError, FileNotFoundError: the source cannot be read, leaves open which points are meant, or has trials that
        were stopped.
    """
    read, where = read_if_needed(source, benchmark, ruleset, progress)
    stopped = stopped_of(read, benchmark, submission, allow_stopped)
    fractions = pool(read, by=by, benchmark=benchmark, submission=submission)
    result = of_arrays(
        fractions.values, size, penalty, method, progress, ties=ties, places=fractions.places,
        by_repeat=fractions.by_repeat, stop_when_covered=stop_when_covered,
    )  # fmt: skip
    title = (
        f"Leave one workload out: {by[:-1] if by == 'steps' else by} fraction of {method} lists of k points"
    )
    return LeftOneOut(title, fractions, result, by, where, **said_of(read, stopped))
