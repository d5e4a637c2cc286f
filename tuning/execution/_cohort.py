"""One cohort of a study: a population trained, and its trials as rows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import polars as pl

import submissions
from results.studies import Cohort, StudySpec
from submissions import environment
from tuning.engine.population import Curves, Population, stack
from tuning.execution.seeding import keys


def train_cohort(
    spec: StudySpec,
    population: Population,
    optimizer: submissions.Optimizer,
    cohort: Cohort,
    command: str | None,
    checkpoint: Path | None = None,
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
    """
    workload, points = population.workload, cohort.points
    padded = [*points, *[points[-1]] * (cohort.size - len(points))]
    prepared = [
        optimizer.prepare(p.hyperparameters, population.total_steps, where=f"point {p.id}") for p in padded
    ]
    began = time.perf_counter()
    curves = population.train(
        stack(prepared), keys(spec, workload.name, cohort, padded), checkpoint=checkpoint
    )
    return _rows(spec, population, curves, cohort, time.perf_counter() - began, command)


def _rows(
    spec: StudySpec,
    population: Population,
    curves: Curves,
    cohort: Cohort,
    seconds: float,
    command: str | None,
) -> pl.DataFrame:
    workload, points, count = population.workload, cohort.points, len(cohort.points)
    diverged = curves.diverged_step[:count]
    recorded = {name: values[:count].astype(np.float64) for name, values in curves.metrics.items()}
    # A last step can push parameters past the largest float without a loss having shown it.
    failed = (diverged >= 0) | np.isnan(recorded[f"validation/{workload.metric.name}"]).any(1)
    return pl.DataFrame(
        {
            "workload": workload.name,
            "cohort": cohort.number,
            "repeat": cohort.repeat,
            "point": [p.id for p in points],
            "hyperparameters": [json.dumps(dict(p.hyperparameters), sort_keys=True) for p in points],
            "status": np.where(failed, "diverged", "done").tolist(),
            "status_reason": pl.Series([None] * count, dtype=pl.String),
            "diverged_step": pl.Series([int(s) if s >= 0 else None for s in diverged], dtype=pl.Int64),
            "metric": workload.metric.name,
            "minimize": workload.metric.minimize,
            "validation_target": pl.Series([workload.validation_target] * count, dtype=pl.Float64),
            "test_target": pl.Series([workload.test_target] * count, dtype=pl.Float64),
            "step_hint": workload.step_hint,
            "max_runtime_seconds": pl.Series([None] * count, dtype=pl.Float64),
            "steps": population.total_steps,
            "global_step": [curves.global_step.tolist()] * count,
            **{name: _curve_column(values) for name, values in sorted(recorded.items())},
            "submission_seconds": pl.Series([None] * count, dtype=pl.List(pl.Float64)),
            "cohort_seconds": seconds,
            "loop": "population",
            "precision": spec.precision,
            "micro_batches": spec.micro_batches,
            "seed": spec.seed,
            "optimizer": spec.optimizer,
            "data": str(workload.data.provenance),
            "device": environment.device(),
            "versions": json.dumps(environment.versions(), sort_keys=True),
            "command": pl.Series([command] * count, dtype=pl.String),
        }
    )


def _curve_column(values: np.ndarray) -> pl.Series:
    """[trial, evaluation] as a list column in which whatever is not finite is null: NaN never travels."""
    rows = [
        [v if ok else None for v, ok in zip(row, np.isfinite(row), strict=True)] for row in values.tolist()
    ]
    return pl.Series(rows, dtype=pl.List(pl.Float64))
