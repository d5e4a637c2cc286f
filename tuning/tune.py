"""Runs a study, or what is missing of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

import submissions
import workloads
from tuning import environment, strategies, studies
from tuning._points import Point
from tuning.population import Curves, Population, stack, trial_seed
from tuning.studies import StudySpec

Progress = Callable[[str, int, int], None]


def tune(
    folder: Path,
    spec: StudySpec,
    *,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    populations: dict[tuple[object, ...], Population] | None = None,
) -> pl.DataFrame:
    """Trains every trial of a study that is not on disk yet.

    Running the same study again does exactly what is missing and nothing else, and gives the same numbers, bit for bit
    on the same machine, as if it had never stopped.

    Args:
      folder: of the study; made when missing.
      spec: what to train.
      data_dir: where real data sets lie; embedded ones otherwise.
      progress: called as (workload, trials done, trials in all).
      populations: compiled engines to share between studies of one process; filled as they are made.

    Returns:
      All trials, as `studies.read_trials` does.

    Raises:
      ValueError: the folder holds another study, a workload or optimizer is unknown, or a point is outside the
        optimizer's domain. Nothing is written in these cases.
    """
    populations = {} if populations is None else populations
    optimizer = submissions.optimizer(spec.optimizer)
    loaded = {name: workloads.load(name, data_dir) for name in spec.workloads}
    for name, points in (spec.points or {}).items():
        for point in points:
            optimizer.prepare(point.hyperparameters, spec.steps or loaded[name].step_hint, where=f"point {point.id}")
    studies.write_spec(folder, spec)
    for name, workload in loaded.items():
        key = (name, str(data_dir), spec.optimizer, spec.steps, spec.shared_batches)
        if key not in populations:
            steps = spec.steps or workload.step_hint
            populations[key] = Population(
                workload, optimizer.rule, steps, _eval_period(workload, steps), spec.shared_batches
            )
        _tune_workload(folder, spec, populations[key], progress)
    return studies.read_trials(folder)


def _tune_workload(folder: Path, spec: StudySpec, population: Population, progress: Progress | None) -> None:
    name = population.workload.name
    if spec.points is not None:
        _train_missing(folder, spec, population, spec.points[name], 0, progress)
        return
    # A sequential strategy is a pure function of what it was told, so replaying the told trials resumes it.
    strategy = strategies.from_spec(spec.strategy)
    told: list[strategies.Told] = []
    first_batch = 0
    while points := strategy.ask(told):
        _train_missing(folder, spec, population, points, first_batch, progress, strategy.budget)
        first_batch += len(spec.batches(points))
        told += _told(studies.read_trials(folder, name), points)


def _train_missing(
    folder: Path,
    spec: StudySpec,
    population: Population,
    points: Sequence[Point],
    first_batch: int,
    progress: Progress | None,
    budget: int | None = None,
) -> None:
    name = population.workload.name
    batches = spec.batches(points)
    width = max((len(chunk) for _, chunk in batches), default=0)
    total = (budget or len(points)) * spec.repeats
    done = first_batch * width
    for index, (repeat, chunk) in enumerate(batches, first_batch):
        if progress:
            progress(name, done, total)
        if not studies.batch_path(folder, name, index).exists():
            studies.write_batch(folder, name, index, train_batch(spec, population, index, repeat, chunk, width))
        done += len(chunk)
    if progress:
        progress(name, done, total)


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
    prepared = [optimizer.prepare(p.hyperparameters, population.total_steps, where=f"point {p.id}") for p in padded]
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
        }
    )


def _curve_column(values: np.ndarray) -> pl.Series:
    """[trial, evaluation] as a list column in which whatever is not finite is null: NaN never travels."""
    rows = [[v if ok else None for v, ok in zip(row, np.isfinite(row), strict=True)] for row in values.tolist()]
    return pl.Series(rows, dtype=pl.List(pl.Float64))


def _told(trials: pl.DataFrame, points: Sequence[Point]) -> list[strategies.Told]:
    """What a strategy is told of its points: the median over repeats of each trial's best validation metric."""
    told = []
    for point in points:
        rows = trials.filter(pl.col("point") == point.id)
        metric, minimize = rows["metric"][0], bool(rows["minimize"][0])
        curves = rows.filter(pl.col("status") == "done")[f"validation/{metric}"].list
        best = (curves.min() if minimize else curves.max()).drop_nulls()
        told.append(strategies.Told(point, float(best.median()) if len(best) == len(rows) else None, minimize))  # type: ignore[arg-type]
    return told


def _eval_period(workload: workloads.Workload, steps: int) -> int:
    """The workload's own period at its step hint; scaled with the steps otherwise, so that curves stay comparable."""
    return max(1, round(workload.eval_period * steps / workload.step_hint))
