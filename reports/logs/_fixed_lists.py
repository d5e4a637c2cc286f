"""Submissions with fixed points, seen as lists: which of their points are worth having, and in which order?"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import polars as pl

import lists
from reports import _tables as tables
from reports._contenders import Contender
from reports._list_sections import fraction_columns, workload_columns
from reports._words import number
from reports.logs._scoring import Score
from reports.page import Block, Column, Note, Prose, Section, Table, file_stem
from results import By, Fractions, Results, fractions, hits
from results.algoperf import step_warnings

DEFAULT_SIZE = 5  # AlgoPerf's number of points
TIES = "lowest-id"  # a submission's points stand in an order of its own, which decides between equals
UNITS: dict[By, str] = {"steps": "step", "time": "time"}


@dataclasses.dataclass(frozen=True)
class FixedList:
    """One submission's fixed points, seen as candidates for a list."""

    submission: str
    fractions: Fractions
    whole: lists.ChosenList
    left: lists.LeaveOneOut | None

    @property
    def size(self) -> int:
        """Points in the left-out lists: one fewer than there are, or nothing would be left to choose."""
        return self.left.held_out.shape[1] if self.left else len(self.whole.points)

    def trained(self) -> int:
        """Workloads that some point trains."""
        return sum(map(math.isfinite, self.fractions.values.min(axis=0)))


def fixed_lists(
    results: Results, result: Score, list_size: int | None, penalty: float, submission: str | None = None
) -> dict[By, list[FixedList]]:
    """Submissions with several points, or one of them, by steps where those are gradient steps, and by time."""
    judged = hits(results)
    found: dict[By, list[FixedList]] = {"steps": [], "time": []}
    for name in result.ranked if submission is None else [n for n in result.ranked if n == submission]:
        own = results.of_submissions([name])
        rows = judged.filter((pl.col("submission") == name) & pl.col("workload").is_in(result.workloads))
        if rows["point"].n_unique() < 2:
            continue
        strange = bool(step_warnings(own.trials, own.evals))
        for by, unit in UNITS.items():
            if rows[f"{unit}_fraction"].null_count() or (by == "steps" and strange):
                continue
            values = fractions(rows, by=by, submission=name)
            points = len(values.points)
            size = min(list_size or DEFAULT_SIZE, points - 1)
            left = (
                lists.leave_one_out(values.values, size, penalty, ties=TIES)
                if len(values.workloads) > 1
                else None
            )
            whole = lists.greedy(values.values, min(points, 10), penalty, ties=TIES)
            found[by].append(FixedList(name, values, whole, left))
    return found


def list_section(
    results: Results, result: Score, found: dict[By, list[FixedList]], penalty: float
) -> Section:
    stem = file_stem(result.benchmark or "logs")
    blocks: list[Block] = [
        Prose(
            "In external tuning a submission brings a fixed list of points, and trial k trains point k - 1 "
            "on every workload. So each submission is a set of candidates: which of its points are worth "
            "having, in which order, and would a list built without a workload have trained it? A point "
            "counts by its median over repeats, a crashed or missing trial as a miss; where different "
            "trials hit in different repeats, this trains fewer workloads than the score counts."
        )
    ]
    for by in ("steps", "time"):
        if not found[by]:
            continue
        blocks.append(_greedy_table(f"greedy_{by}_{stem}", found[by], by, penalty))
        if any(one.left for one in found[by]):
            blocks.append(_left_out_table(f"leave_one_out_{by}_{stem}", found[by], result, by, penalty))
    absent = sorted({one.submission for one in found["time"]} - {one.submission for one in found["steps"]})
    if absent and found["steps"]:
        blocks.append(
            Note(
                f"{', '.join(absent)}: not compared by steps, because "
                f"{'their' if len(absent) > 1 else 'its'} step counter does not count gradient steps, or no "
                "step budget is known. Time compares all."
            )
        )
    best = found["steps"] or found["time"]
    by = "steps" if found["steps"] else "time"
    blocks.append(_points_table(f"points_{by}_{stem}", best, result, by))
    done = results.trials.filter(pl.col("status") == "done").height
    blocks += [
        Note(
            "The same trials build and judge these lists, and points are hand-picked finalists, not a sample "
            "of a search space: random-search curves and their bands would mean nothing here."
        ),
        Note(
            f"Trials end once they reach both targets, as many of the {done:,} finished ones did. Best "
            "metrics are therefore right-censored, what lies beyond the target is unseen, and with stricter "
            "targets counts of hits would be lower bounds. An evaluation comes every so many seconds, so "
            "each hit is rounded up to the next one."
        ),
    ]
    return Section(f"{result.benchmark or 'The'} submissions as lists", tuple(blocks))


def _greedy_table(name: str, found: Sequence[FixedList], by: By, penalty: float) -> Table:
    longest = max(len(one.whole.points) for one in found)
    schema = {"submission": pl.String, "order": pl.String, "adds": pl.Int64, "trained": pl.Int64} | {
        f"cost_{k}": pl.Float64 for k in range(1, longest + 1)
    }
    rows = [
        (
            *(
                one.submission,
                ", ".join(one.fractions.points[p] for p in one.whole.points),
                one.whole.adds,
                one.trained(),
            ),
            *(one.whole.costs[k] if k < len(one.whole.costs) else None for k in range(longest)),
        )
        for one in found
    ]
    return Table(
        name,
        pl.DataFrame(rows, schema=schema, orient="row"),
        f"Greedy lists by {UNITS[by]} fraction: the order in which a submission's points (numbered from 0) "
        f"are worth trying, and the cost of the first 1, 2, ... of them; a miss counts {number(penalty)}. "
        "Between equals the submission's own order decides; beyond the points that add, it is nothing else.",
        {
            "order": Column(title="points in order", show="code"),
            "adds": Column(note="points that lower it"),
            "trained": Column(note=f"of {len(found[0].fractions.workloads)}", best="max"),
            **{f"cost_{k}": Column(title=str(k), note="cost" if k == 1 else None, show="fraction", best="min")
               for k in range(1, longest + 1)},
        },
    )  # fmt: skip


def _left_out_table(name: str, found: Sequence[FixedList], result: Score, by: By, penalty: float) -> Table:
    contenders = []
    for one in found:
        if one.left is not None:
            held_out = one.left.held_out[:, -1].tolist()
            reached = dict(zip(one.fractions.workloads, held_out, strict=True))
            sizes = f"{one.size} of {len(one.fractions.points)}"
            contenders.append(Contender(one.submission, reached, {}, sizes))
    table = tables.fraction_table(contenders, result.workloads, penalty)
    caption = (
        f"Leave one out, by {UNITS[by]} fraction: each workload is judged by the list built on the others."
    )
    if table["trials"].n_unique() == 1:
        caption += f" Lists hold {table['trials'][0]} points."
        table = table.drop("trials")
    caption += _unlearnt(found)
    columns = fraction_columns(result.workloads, penalty) | {
        "contender": Column(title="submission"),
        "trials": Column(title="points", show="text"),
    }
    return Table(name, table, caption, columns)


def _unlearnt(found: Sequence[FixedList]) -> str:
    """Says where a left-out workload is reached by points alone that add nothing on the others."""
    lucky = [
        f"{one.submission} on {w}"
        for one in found
        if one.left is not None
        for w, no in zip(one.fractions.workloads, one.left.unlearnt[:, -1], strict=True)
        if no
    ]
    if not lucky:
        return ""
    return f" Reached only by points that add nothing on the other workloads, and so not learnt: {', '.join(lucky)}."


def _points_table(name: str, found: Sequence[FixedList], result: Score, by: By) -> Table:
    rows = []
    for one in found:
        columns = {w: i for i, w in enumerate(one.fractions.workloads)}
        for point, values in zip(one.fractions.points, one.fractions.values.tolist(), strict=True):
            reached = [values[columns[w]] if w in columns else None for w in result.workloads]
            rows.append(
                (
                    f"{one.submission}/{point}",
                    *reached,
                    sum(v is not None and math.isfinite(v) for v in reached),
                )
            )
    schema = {"point": pl.String, **dict.fromkeys(result.workloads, pl.Float64), "trained": pl.Int64}
    return Table(
        name,
        pl.DataFrame(rows, schema=schema, orient="row"),
        f"Every point of these submissions: {UNITS[by]} fraction to target, median over repeats. Darker is "
        "sooner.",
        workload_columns(result.workloads, show="share", shade=True),
    )


def list_sentence(result: Score, found: dict[By, list[FixedList]]) -> str | None:
    for by in ("steps", "time"):
        named = {one.submission: one for one in found[by] if one.left is not None}
        if not named:
            continue
        name = next((n for n in (result.against, *result.ranked) if n in named), None)
        if name is None:
            continue
        one = named[name]
        assert one.left is not None
        n = len(one.fractions.workloads)
        version = f" ({result.benchmark})" if result.benchmark else ""
        return (
            f"Seen as a list, the {len(one.fractions.points)} points of {name}{version} train "
            f"{one.trained()} of {n} workloads; lists of {one.size} of them, built without the workload "
            f"they are judged on, train {one.left.trained[-1]}{_by_adding(one.left)}."
        )
    return None


def _by_adding(left: lists.LeaveOneOut) -> str:
    adding = left.trained_by_adding[-1]
    if adding == left.trained[-1]:
        return ""
    return f", {adding} of them by points that add anything on the workloads that built the list"
