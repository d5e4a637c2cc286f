"""What there is to compare in a source: of every contender, fractions by point, workload and repeat."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import polars as pl
from jaxtyping import Float

import lists
from reports.bands import quantile_of_best
from reports.study._candidates import candidate_studies, reruns_of
from reports.study._facts import read_facts, said_of, size_trained_anew
from results import By, Fractions, Results, choose_benchmark, choose_ruleset, fractions, hits

SEARCHES = (
    101  # searches that stand for all random searches of one size: odd, so that one of them is the median
)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A contender: who, and what it needed.

    Attributes:
      name: unique within a source.
      source: where it is from.
      what: it is, a few words.
      fractions: workload -> [point, repeat], shares of the budget, inf where missed; points in the order of trials.
      searches: its repeats are random searches of one set of points, drawn from it, and no trainings of their own.
      budgets: workload -> (target, budget), which those compared have in common; empty for a table of fractions.
    """

    name: str
    source: str
    what: str
    fractions: Mapping[str, Float[np.ndarray, "point repeat"]]
    searches: bool = False
    budgets: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    def on(
        self, workloads: tuple[str, ...], budget: int | None = None
    ) -> Float[np.ndarray, "point workload repeat"]:
        """Fractions on these workloads, of the first `budget` points; what one of them lacks counts as missed."""
        parts = [self.fractions[w][:budget] for w in workloads]
        points, repeats = (max(part.shape[axis] for part in parts) for axis in (0, 1))
        values = np.full((points, len(parts), repeats), np.inf)
        for w, part in enumerate(parts):
            values[: part.shape[0], w, : part.shape[1]] = part
        return values


def contenders_of(
    read: Results | Fractions,
    source: str,
    *,
    by: By,
    size: int | None,
    penalty: float,
    benchmark: str | None = None,
    ruleset: str | None = None,
) -> list[Measured]:
    """The contenders of a source that was read.

    Of AlgoPerf's logs the submissions; of a table of fractions its points. Of studies: every baseline and every study
    of left-out lists trained anew; of each search for candidates whose lists were not, the left-out lists judged by the
    trainings that built the other columns; and random search among its points.

    Args:
      read: what `results.read_source` returned.
      source: where from, in words.
      by: of which budget fractions are.
      size: points in left-out lists and trials of random search; None: as many as were trained anew, else 5.
      penalty: tau, by which lists are built.
      benchmark, ruleset: of AlgoPerf's logs, where they hold several.

    Raises:
      ValueError: nothing to compare; a benchmark or ruleset is to be chosen; fractions that cannot be told.
    """
    if isinstance(read, Fractions):
        if benchmark or ruleset:
            raise ValueError(
                f"{source}: a table of fractions has no benchmark and no ruleset; leave them out"
            )
        return _of_table(read, source)
    chosen = choose_ruleset(choose_benchmark(read, benchmark), ruleset)
    if chosen.kind == "study":
        return _of_studies(chosen, source, by, size, penalty)
    scored, budgets = hits(chosen), _budgets(chosen, by)
    columns = fractions(scored, by=by).workloads
    return [
        Measured(name, source, "submission", _slots(scored, name, by, columns), budgets=budgets)
        for name in chosen.submissions
    ]


def _of_table(table: Fractions, source: str) -> list[Measured]:
    values = table.values[:, :, None] if table.by_repeat is None else table.by_repeat
    found = []
    for name, row in zip(table.points, values, strict=True):
        repeated = row[:, ~np.isnan(row).all(axis=0)]
        of_workload = dict(zip(table.workloads, repeated[:, None, :], strict=True))
        found.append(Measured(name, source, "point", of_workload))
    return found


def _of_studies(results: Results, source: str, by: By, size: int | None, penalty: float) -> list[Measured]:
    studies = read_facts(results)
    if not studies.judged:
        raise ValueError(
            f"{source}: none of its workloads has a target, so that there are no step fractions to compare"
        )
    about, budgets = said_of(results), _budgets(results, by)
    length = size or size_trained_anew(studies)
    found = []
    for role, what in (("leave-one-out", "left-out lists, trained anew"), ("baseline", "baseline")):
        for name in studies.of_role(role):
            rows = studies.hits.filter(submission=name)
            columns = [w for w in studies.judged if w in set(rows["workload"])]
            if columns:
                slots = _slots(rows, name, by, columns)
                drawn = about[name].get("draws") in ("independent", "quasi-random")
                if drawn and max(map(len, slots.values())) > length:
                    found.append(_drawn(name, source, rows, by, columns, length, budgets))
                else:
                    found.append(Measured(name, source, what, slots, budgets=budgets))
    searches = candidate_studies(results)
    for name in searches:
        anew = reruns_of(studies, name)
        rows = studies.hits.filter(submission=name)
        columns = [w for w in studies.judged if w in set(rows["workload"])]
        if not columns:
            continue
        candidates = fractions(rows, by=by, workloads=columns)
        if not anew and len(columns) > 1:
            kept = _left_out(candidates, min(length, len(candidates.points)), penalty)
            what = "left-out lists, judged by the trainings that built the others"
            found.append(Measured(f"{name} leave-one-out", source, what, kept, budgets=budgets))
        if about[name].get("draws") != "chosen" and len(candidates.points) > length:
            found.append(_drawn(name, source, rows, by, columns, length, budgets))
        elif len(candidates.points) <= length:
            slots = _slots(rows, name, by, columns)
            found.append(Measured(name, source, "all its points", slots, budgets=budgets))
    if not found:
        raise ValueError(
            f"{source}: no contenders; a study of candidates on several workloads, or baselines, make some"
        )
    return found


def _slots(
    scored: pl.DataFrame, submission: str, by: By, workloads: tuple[str, ...] | list[str]
) -> dict[str, np.ndarray]:
    """Fractions by place in the order of trials, which need not hold the same point on every workload."""
    rows = scored.filter(pl.col("submission") == submission)
    repeats = {repeat: r for r, repeat in enumerate(rows["repeat"].unique().sort())}
    column = "step_fraction" if by == "steps" else "time_fraction"
    there = [w for w in workloads if w in set(rows["workload"])]
    if there:
        fractions(rows, by=by, workloads=there)  # refuses what cannot be told, in words
    found = {}
    for workload in workloads:
        part = rows.filter(pl.col("workload") == workload)
        order = part.group_by("point").agg(pl.col("trial").min()).sort("trial", "point")["point"]
        places = {point: p for p, point in enumerate(order)}
        # Where nothing was run, everything is missed, as in `results.fractions`.
        values = np.full((max(len(places), 1), len(repeats)), np.inf)
        for point, repeat, value in part.select("point", "repeat", column).iter_rows():
            values[places[point], repeats[repeat]] = value
        found[workload] = values
    return found


def _left_out(candidates: Fractions, size: int, penalty: float) -> dict[str, np.ndarray]:
    left = lists.leave_one_out(candidates.values, size, penalty, places=candidates.places)
    by_repeat = _by_repeat(candidates)
    return {
        workload: by_repeat[list(chosen.points), w]
        for w, (workload, chosen) in enumerate(zip(candidates.workloads, left.lists, strict=True))
    }


def _drawn(
    name: str,
    source: str,
    rows: pl.DataFrame,
    by: By,
    workloads: list[str],
    size: int,
    budgets: Mapping[str, tuple[float, float]],
) -> Measured:
    """Random search of so many points among those of a study.

    Its repeats are the quantiles of the best of so many points drawn at random.
    """
    points = fractions(rows, by=by, workloads=workloads)
    shares = ((np.arange(SEARCHES) + 0.5) / SEARCHES).tolist()
    best = {
        workload: [quantile_of_best(column, size, q, minimize=True) for q in shares]
        for workload, column in zip(points.workloads, points.values.T, strict=True)
    }
    return Measured(
        f"{size} of {name}",
        source,
        f"random search of {size} of {len(points.points)} points",
        {workload: np.array([values]) for workload, values in best.items()},
        searches=True,
        budgets=budgets,
    )


def _by_repeat(found: Fractions) -> Float[np.ndarray, "point workload repeat"]:
    return found.values[:, :, None] if found.by_repeat is None else found.by_repeat


def _budgets(results: Results, by: By) -> dict[str, tuple[float, float]]:
    """Workload -> the target and the budget that most trials have."""
    column = "step_hint" if by == "steps" else "max_runtime_seconds"
    pairs = (
        results.trials.group_by("workload", "validation_target", column)
        .len()
        .sort("len", "validation_target", column, descending=[True, False, False])
        .unique("workload", keep="first", maintain_order=True)
    )
    return {
        workload: (math.nan if target is None else target, math.nan if budget is None else budget)
        for workload, target, budget in pairs.select("workload", "validation_target", column).iter_rows()
    }
