"""When each trial first reached its target, and the fractions of the budget that lists are built from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from jaxtyping import Float

from results._fractions import Fractions
from results._reached import best_value, reached
from results._results import Results
from workloads.benchmarks import benchmark

By = Literal["steps", "time"]

INF = float("inf")

HIT_COLUMNS = (
    *("trial_id", "benchmark", "submission", "repeat", "workload", "trial", "point", "minimize"),
    *("hit_index", "hit_step", "hit_seconds", "step_fraction", "time_fraction", "best_metric"),
    "ruleset",
)


def hits(results: Results) -> pl.DataFrame:
    """The first evaluation of each trial at or past its validation target; see `reached`.

    No interpolation between evaluations, and no cut-off at the budget. A null metric (NaN in the log) is
    never a hit.

    A target that holds at the evaluation before training, at step 0, counts as reached with the first step: no
    fraction is 0, which would make every list with such a point free. So `hit_step` is 1 there, and `hit_seconds`,
    where the clock says 0, the time of one step by the trial's first later evaluation, or else by its budget.
    `hit_index` still names the evaluation.

    Args:
      results: trials and evaluations.

    Returns:
      A row per trial, in the order of `results.trials`, with `HIT_COLUMNS`. `hit_index`, `hit_step` (steps)
      and `hit_seconds` (of training) are null where the target was missed. `step_fraction` = hit_step /
      step_hint and `time_fraction` = hit_seconds / max_runtime_seconds are then inf; they are null where
      the workload has no target, or the trial no budget or clock of that kind. `best_metric` is the best
      validation metric seen, null if none was finite; it is right-censored, since many trials end at their
      target.
    """
    keys = ["trial_id", "eval_index"]
    judged = results.trials.select("trial_id", "minimize", "validation_target")
    joined = results.evals.join(judged, on="trial_id").sort(keys)
    first = (
        joined.filter(reached("validation_metric", "validation_target", "minimize"))
        .group_by("trial_id", maintain_order=True)
        .first()
        .select("trial_id", hit_index="eval_index", hit_step="global_step", hit_seconds="submission_seconds")
    )
    pace = (
        joined.filter((pl.col("global_step") > 0) & (pl.col("submission_seconds") > 0))
        .group_by("trial_id", maintain_order=True)
        .first()
        .select("trial_id", pace=pl.col("submission_seconds") / pl.col("global_step"))
    )
    curves = joined.group_by("trial_id").agg("validation_metric", pl.col("minimize").first())
    best = curves.select("trial_id", best_metric=best_value("validation_metric", "minimize"))
    missed = pl.col("hit_index").is_null()
    return (
        results.trials.join(first, on="trial_id", how="left", maintain_order="left")
        .join(best, on="trial_id", how="left", maintain_order="left")
        .join(pace, on="trial_id", how="left", maintain_order="left")
        .with_columns(_from_the_first_step())
        .with_columns(
            pl.when(pl.col("validation_target").is_not_null())
            .then(pl.when(missed).then(float("inf")).otherwise(pl.col(hit) / pl.col(budget)))
            .alias(fraction)
            for hit, budget, fraction in (
                ("hit_step", "step_hint", "step_fraction"),
                ("hit_seconds", "max_runtime_seconds", "time_fraction"),
            )
        )
        .select(HIT_COLUMNS)
    )


def _from_the_first_step() -> tuple[pl.Expr, pl.Expr]:
    """`hit_step` and `hit_seconds` of targets that held before training as those of the first step; see `hits`."""
    at_start = pl.col("hit_step") == 0
    of_one_step = pl.coalesce("pace", pl.col("max_runtime_seconds") / pl.col("step_hint"))
    return (
        pl.when(at_start).then(1).otherwise(pl.col("hit_step")).alias("hit_step"),
        pl.when(at_start & (pl.col("hit_seconds") == 0))
        .then(of_one_step)
        .otherwise(pl.col("hit_seconds"))
        .alias("hit_seconds"),
    )


def fractions(
    hits: pl.DataFrame,
    by: By = "steps",
    submission: str | None = None,
    workloads: Sequence[str] | None = None,
) -> Fractions:
    """Point x workload: the median over repeats of the share of the budget spent at the first hit.

    f[p, w] = median over r of f[p, w, r], r over all repeats present in p's submission. A trial that missed
    its target, crashed or is missing counts as inf, and inf takes part in the median.

    The minimum over a list's points comes after this median, as in arXiv:2503.03986. AlgoPerf's scoring takes
    the minimum first; see `score`.

    Args:
      hits: what `hits` returns, of one benchmark version.
      by: "steps" (share of step_hint) or "time" (share of the runtime budget).
      submission: only this one's points; by default those of all.
      workloads: columns wanted. By default the benchmark's base workloads that are present, sorted, or all
        that are present where there is no benchmark.

    Returns:
      Rows in the order of trial numbers, named by point, or "<submission>/<point>" if there are several
      submissions; with `places` by the median over repeats of the best metric, a trial without one worst, and with
      `by_repeat` where there are several repeats.

    Raises:
      ValueError: several benchmark versions, an unknown submission or workload, two trials of one point in
        one repeat, or a fraction that cannot be told (no target, no budget, no clock).
    """
    if by not in ("steps", "time"):
        raise ValueError(f"by is {by!r}; must be 'steps' or 'time'")
    versions = sorted(str(version) for version in hits["benchmark"].unique())
    if len(versions) != 1:
        found = f"hits of {len(versions)} benchmark versions ({', '.join(versions)})"
        raise ValueError(f"{found}; budgets differ, so choose one with Results.of_benchmark")
    if "ruleset" in hits.columns and hits["ruleset"].n_unique() > 1:
        found = " and ".join(sorted(str(ruleset) for ruleset in hits["ruleset"].unique()))
        raise ValueError(
            f"hits of the rulesets {found}; budgets differ, so choose one with Results.of_ruleset"
        )
    names = hits["submission"].unique().sort().to_list()
    if submission is not None:
        if submission not in names:
            raise ValueError(f"no submission {submission!r}; present: {', '.join(names)}")
        names = [submission]
    everywhere = hits.filter(pl.col("submission").is_in(names))
    columns = _columns(everywhere, workloads)
    rows = everywhere.filter(pl.col("workload").is_in(columns))
    _check(rows, by)
    column = "step_fraction" if by == "steps" else "time_fraction"
    # Smaller is better from here on.
    rows = rows.with_columns(
        metric=pl.when("minimize")
        .then(pl.col("best_metric"))
        .otherwise(-pl.col("best_metric"))
        .fill_null(INF)
    )
    labels, cubes, metrics = [], [], []
    for name in names:
        part = rows.filter(pl.col("submission") == name)
        repeats = everywhere.filter(pl.col("submission") == name)["repeat"].unique().sort().to_list()
        points = _points(part)
        labels += [f"{name}/{point}" for point in points] if len(names) > 1 else points
        cubes.append(_cube(part, points, columns, repeats, column))
        metrics.append(np.median(_cube(part, points, columns, repeats, "metric"), axis=2))
    return Fractions(
        tuple(labels),
        tuple(columns),
        np.concatenate([np.median(cube, axis=2) for cube in cubes]),
        places=_places(np.concatenate(metrics)),
        by_repeat=_side_by_side(cubes),
    )


def _places(metrics: Float[np.ndarray, "point workload"]) -> Float[np.ndarray, "point workload"]:
    """Place of every point on each workload, 1 for the lowest; equals share the mean of their places."""
    return np.stack([pl.Series(column).rank("average").to_numpy() for column in metrics.T], axis=1)


def _side_by_side(
    cubes: Sequence[Float[np.ndarray, "_ workload _repeats"]],
) -> Float[np.ndarray, "point workload repeat"] | None:
    """All points' fractions by repeat, NaN for repeats that a submission has not; None where nobody has two."""
    most = max(cube.shape[2] for cube in cubes)
    if most < 2:
        return None
    wide = [(0, 0), (0, 0)]
    return np.concatenate(
        [np.pad(cube, [*wide, (0, most - cube.shape[2])], constant_values=np.nan) for cube in cubes]
    )


def _columns(rows: pl.DataFrame, wanted: Sequence[str] | None) -> list[str]:
    present = rows["workload"].unique().sort().to_list()
    if wanted is not None:
        if absent := [name for name in wanted if name not in present]:
            raise ValueError(f"no trials on workload {', '.join(absent)}; present: {', '.join(present)}")
        return list(wanted)
    version = rows["benchmark"][0]
    if version is None:
        return present
    columns = [name for name in present if name in benchmark(version).base]
    if not columns:
        shown = ", ".join(present)
        raise ValueError(f"no trials on a base workload of {version}; name the workloads wanted of {shown}")
    return columns


def _check(rows: pl.DataFrame, by: By) -> None:
    column, budget = (
        ("step_fraction", "step hint") if by == "steps" else ("time_fraction", "runtime budget or clock")
    )
    untold = rows.filter(pl.col(column).is_null())
    if len(untold):
        name = untold["workload"][0]
        other = "" if by == "steps" else "; by='steps' may work"
        raise ValueError(f"workload {name}: no validation target or no {budget} for its trials{other}")
    keys = ["submission", "point", "workload", "repeat"]
    twice = rows.filter(pl.struct(keys).is_duplicated())
    if len(twice):
        name, point, workload, repeat = twice.select(keys).row(0)
        raise ValueError(
            f"{name}: two trials of point {point} on {workload} in repeat {repeat}; one is expected"
        )


def _points(rows: pl.DataFrame) -> list[str]:
    """By trial number, so that the order of rows or folders never decides a tie between points."""
    order = rows.group_by("point").agg(pl.col("trial").min()).sort("trial", "point")
    return order["point"].to_list()


def _cube(
    rows: pl.DataFrame, points: list[str], workloads: list[str], repeats: list[int], column: str
) -> Float[np.ndarray, "point workload repeat"]:
    values = np.full((len(points), len(workloads), len(repeats)), np.inf)
    places = []
    for name, axis in (("point", points), ("workload", workloads), ("repeat", repeats)):
        place_of = {value: place for place, value in enumerate(axis)}
        places.append([place_of[value] for value in rows[name]])
    values[tuple(places)] = rows[column].to_numpy()
    return values
