"""One batch of a study: a population trained, and its trials as rows."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import numpy as np
import polars as pl

import submissions
from results.studies import StudySpec
from submissions import environment
from submissions.points import Point
from tuning.engine.population import Curves, Population, stack, trial_seed


def train_batch(
    spec: StudySpec, population: Population, batch: int, repeat: int, points: Sequence[Point], width: int
) -> pl.DataFrame:
    """Trains one population and returns one row per trial.

    A batch smaller than `width` is filled up with copies of its last point, whose results are dropped: padding costs
    less than compiling a second program.
    """
    workload = population.workload
    optimizer = submissions.optimizer(spec.optimizer)
    padded = [*points, *[points[-1]] * (width - len(points))]
    prepared = [
        optimizer.prepare(p.hyperparameters, population.total_steps, where=f"point {p.id}") for p in padded
    ]
    of_trial = [(spec.seed, workload.name, p.id, repeat) for p in padded]
    of_batch = [(spec.seed, workload.name, repeat)] if population.shared_batches else of_trial
    began = time.perf_counter()
    curves = population.run(
        stack(prepared),
        np.array([trial_seed(*parts, "init") for parts in of_trial], np.uint32),
        np.array([trial_seed(*parts, "batches") for parts in of_batch], np.uint32),
    )
    seconds = time.perf_counter() - began
    return _rows(spec, population, curves, points, batch, repeat, seconds)


def _rows(
    spec: StudySpec,
    population: Population,
    curves: Curves,
    points: Sequence[Point],
    batch: int,
    repeat: int,
    seconds: float,
) -> pl.DataFrame:
    workload, count = population.workload, len(points)
    diverged = curves.diverged_step[:count]
    recorded = {name: values[:count].astype(np.float64) for name, values in curves.metrics.items()}
    # A last step can push parameters past the largest float without a loss having shown it.
    failed = (diverged >= 0) | np.isnan(recorded[f"validation/{workload.metric.name}"]).any(1)
    return pl.DataFrame(
        {
            "workload": workload.name,
            "batch": batch,
            "repeat": repeat,
            "point": [p.id for p in points],
            "hyperparameters": [json.dumps(dict(p.hyperparameters), sort_keys=True) for p in points],
            "status": np.where(failed, "diverged", "done").tolist(),
            "diverged_step": pl.Series([int(s) if s >= 0 else None for s in diverged], dtype=pl.Int64),
            "metric": workload.metric.name,
            "minimize": workload.metric.minimize,
            "validation_target": pl.Series([workload.validation_target] * count, dtype=pl.Float64),
            "test_target": pl.Series([workload.test_target] * count, dtype=pl.Float64),
            "step_hint": workload.step_hint,
            "steps": population.total_steps,
            "global_step": [curves.global_step.tolist()] * count,
            **{name: _curve_column(values) for name, values in sorted(recorded.items())},
            "batch_seconds": seconds,
            "seed": spec.seed,
            "optimizer": spec.optimizer,
            "data": str(workload.data.provenance),
            "device": environment.device(),
            "versions": json.dumps(environment.versions(), sort_keys=True),
            "command": pl.Series([environment.command()] * count, dtype=pl.String),
        }
    )


def _curve_column(values: np.ndarray) -> pl.Series:
    """[trial, evaluation] as a list column in which whatever is not finite is null: NaN never travels."""
    rows = [
        [v if ok else None for v, ok in zip(row, np.isfinite(row), strict=True)] for row in values.tolist()
    ]
    return pl.Series(rows, dtype=pl.List(pl.Float64))
