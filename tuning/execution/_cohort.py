"""One cohort of a study: a population trained, and its trials as rows."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

import submissions
from results.studies import Cohort, StudySpec
from submissions import environment
from submissions.points import Point
from tuning.engine.population import Population, stack
from tuning.execution.seeding import keys
from tuning.strategies.stopping import Standing, Stopping


def train_cohort(
    spec: StudySpec,
    population: Population,
    optimizer: submissions.Optimizer,
    cohort: Cohort,
    command: str | None,
    checkpoint: Path | None = None,
    numbers: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Trains one cohort and returns one row per trial.

    A cohort smaller than its `size` is filled up with copies of its last point, whose results are dropped: padding
    costs less than compiling a second program.

    Args:
      spec: of the study.
      population: the workload's, as the study trains it.
      optimizer: the study's.
      cohort: what to train.
      command: what the rows say that they were made by.
      checkpoint: see `Population.train`.
      numbers: of its points, see `tuning.execution.seeding`.
    """
    workload, points = population.workload, cohort.points
    padded = [*points, *[points[-1]] * (cohort.size - len(points))]
    began = time.perf_counter()
    curves = population.train(
        _prepared(optimizer, population, padded),
        keys(spec, workload.name, cohort, padded, numbers),
        checkpoint=checkpoint,
    )
    evaluations = np.full(len(padded), len(curves.global_step))
    recorded = _Recorded(curves.global_step, curves.metrics, curves.diverged_step, evaluations)
    return _rows(spec, population, recorded, cohort, time.perf_counter() - began, command)


def compete_cohort(
    spec: StudySpec,
    population: Population,
    optimizer: submissions.Optimizer,
    cohort: Cohort,
    command: str | None,
    stopping: Stopping,
    earlier: pl.DataFrame,
    numbers: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    """Trains one cohort whose losers stop and returns one row per trial, whose curves end where it did.

    Args:
      spec, population, optimizer, cohort, command: see `train_cohort`. Nothing fills the cohort up.
      stopping: says who goes on.
      earlier: trials of the cohorts before it, for a rule that looks back at them.
      numbers: see `train_cohort`.
    """
    workload, points = population.workload, list(cohort.points)
    name, minimize = f"validation/{workload.metric.name}", workload.metric.minimize
    before = _values(earlier, name, minimize) if len(earlier) else np.empty((0, 0))

    def goes_on(steps: np.ndarray, metrics: Mapping[str, np.ndarray], running: np.ndarray) -> np.ndarray:
        values = metrics[name].astype(np.float64)
        values = np.where(np.isfinite(values), values if minimize else -values, np.nan)
        others = np.full((len(before), len(steps)), np.nan)
        others[:, : before.shape[1]] = before[:, : len(steps)]
        standing = Standing(
            steps, population.eval_period, population.total_steps, values, running.copy(), others
        )
        return stopping.goes_on(standing) & np.isfinite(values[:, -1])

    began = time.perf_counter()
    made = population.compete(
        _prepared(optimizer, population, points),
        keys(spec, workload.name, cohort, points, numbers),
        goes_on,
        stopping.widths(len(points)),
    )
    recorded = _Recorded(
        made.global_step, made.metrics, made.diverged_step, made.evaluations, stopping.reason
    )
    return _rows(spec, population, recorded, cohort, time.perf_counter() - began, command)


@dataclasses.dataclass(frozen=True)
class _Recorded:
    """What trials recorded: as `Curves`, and how many evaluations each one had, and why those with fewer stopped."""

    global_step: np.ndarray
    metrics: Mapping[str, np.ndarray]
    diverged_step: np.ndarray
    evaluations: np.ndarray
    reason: str = ""


def _prepared(
    optimizer: submissions.Optimizer, population: Population, points: Sequence[Point]
) -> dict[str, np.ndarray]:
    steps = population.total_steps
    return stack([optimizer.prepare(p.hyperparameters, steps, where=f"point {p.id}") for p in points])


def _values(trials: pl.DataFrame, name: str, minimize: bool) -> np.ndarray:
    """[trial, evaluation] of trials that were written, smaller is better; NaN where there is nothing."""
    curves = trials[name].to_list()
    values = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(values, curves, strict=True):
        row[: len(curve)] = [np.nan if value is None else value for value in curve]
    return values if minimize else -values


def _rows(
    spec: StudySpec,
    population: Population,
    curves: _Recorded,
    cohort: Cohort,
    seconds: float,
    command: str | None,
) -> pl.DataFrame:
    workload, points, count = population.workload, cohort.points, len(cohort.points)
    diverged, ends = curves.diverged_step[:count], curves.evaluations[:count].tolist()
    most = population.total_steps // population.eval_period + population.evaluation.at_start
    recorded = {name: values[:count].astype(np.float64) for name, values in curves.metrics.items()}
    # A last step can push parameters past the largest float without a loss having shown it.
    judged = recorded[f"validation/{workload.metric.name}"]
    failed = (diverged >= 0) | np.array(
        [np.isnan(row[:end]).any() or np.isinf(row[end - 1]) for row, end in zip(judged, ends, strict=True)]
    )
    stopped = ~failed & (np.array(ends) < most)
    steps = [curves.global_step[:end].tolist() for end in ends]
    reasons = [
        f"{curves.reason} at step {taken[-1]} of {population.total_steps}" if early else None
        for taken, early in zip(steps, stopped, strict=True)
    ]
    return pl.DataFrame(
        {
            "workload": workload.name,
            "cohort": cohort.number,
            "repeat": cohort.repeat,
            "point": [p.id for p in points],
            "hyperparameters": [json.dumps(dict(p.hyperparameters), sort_keys=True) for p in points],
            "status": np.where(failed, "diverged", np.where(stopped, "stopped", "done")).tolist(),
            "status_reason": pl.Series(reasons, dtype=pl.String),
            "diverged_step": pl.Series([int(s) if s >= 0 else None for s in diverged], dtype=pl.Int64),
            "metric": workload.metric.name,
            "minimize": workload.metric.minimize,
            "validation_target": pl.Series([workload.validation_target] * count, dtype=pl.Float64),
            "test_target": pl.Series([workload.test_target] * count, dtype=pl.Float64),
            "step_hint": workload.step_hint,
            "max_runtime_seconds": pl.Series([None] * count, dtype=pl.Float64),
            "steps": population.total_steps,
            "global_step": steps,
            **{name: _curve_column(values, ends) for name, values in sorted(recorded.items())},
            "submission_seconds": pl.Series([None] * count, dtype=pl.List(pl.Float64)),
            "cohort_seconds": seconds,
            "loop": "population",
            "precision": spec.precision,
            "micro_batches": spec.micro_batches,
            "seed": spec.seed,
            "optimizer": spec.optimizer,
            "data": str(workload.data.provenance),
            "host": environment.host(),
            "device": environment.device(),
            "versions": json.dumps(environment.versions(), sort_keys=True),
            "command": pl.Series([command] * count, dtype=pl.String),
        }
    )


def _curve_column(values: np.ndarray, ends: Sequence[int]) -> pl.Series:
    """[trial, evaluation] as a list column of so many evaluations each, in which whatever is not finite is null: NaN
    never travels."""
    rows = [
        [v if ok else None for v, ok in zip(row[:end], np.isfinite(row[:end]), strict=True)]
        for row, end in zip(values.tolist(), ends, strict=True)
    ]
    return pl.Series(rows, dtype=pl.List(pl.Float64))
