"""Runs a study, or what is missing of it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
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
    workers: int | None = None,
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
      workers: populations trained at a time, in threads; by default one per core on a CPU, where small models leave
        cores idle, and one on anything else. It changes no number.
      progress: called as (workload, trials done, trials in all), from any of the threads.
      populations: compiled engines to share between studies of one process; filled as they are made.

    Returns:
      All trials, as `studies.read_trials` does.

    Raises:
      ValueError: the folder holds another study, a workload or optimizer is unknown, or a point is outside the
        optimizer's domain. Nothing is written in these cases.
    """
    populations = {} if populations is None else populations
    optimizer = submissions.optimizer(spec.optimizer)
    missing = [name for name in spec.workloads if _key(spec, name, data_dir) not in populations]
    for name in missing:
        workload = workloads.load(name, data_dir)
        steps = spec.steps or workload.step_hint
        populations[_key(spec, name, data_dir)] = Population(
            workload, optimizer.rule, steps, _eval_period(workload, steps), spec.shared_batches
        )
    engines = [populations[_key(spec, name, data_dir)] for name in spec.workloads]
    for engine in engines:
        for point in (spec.points or {}).get(engine.workload.name, ()):
            optimizer.prepare(point.hyperparameters, engine.total_steps, where=f"point {point.id}")
    data = {engine.workload.name: str(engine.workload.data.provenance) for engine in engines}
    spec = dataclasses.replace(spec, data=data)
    studies.write_spec(folder, spec)
    if spec.points is None:
        jobs = [functools.partial(_ask_and_train, folder, spec, engine, progress) for engine in engines]
    else:
        jobs = _jobs(folder, spec, engines, progress)
    workers = workers or ((os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1)
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return studies.read_trials(folder)


def _key(spec: StudySpec, workload: str, data_dir: Path | None) -> tuple[object, ...]:
    """What distinguishes engines: everything that is not an array."""
    return workload, str(data_dir), spec.optimizer, spec.steps, spec.shared_batches


def _jobs(
    folder: Path, spec: StudySpec, engines: Sequence[Population], progress: Progress | None
) -> list[Callable[[], None]]:
    """The batches that are missing. Workloads take turns, so that threads compile different programs at once."""
    assert spec.points is not None
    turns: dict[int, list[Callable[[], None]]] = {}
    for engine in engines:
        name = engine.workload.name
        batches = spec.batches(spec.points[name])
        count = _Count(progress, name, len(spec.points[name]) * spec.repeats)
        width = max((len(chunk) for _, chunk in batches), default=0)
        for index, (repeat, chunk) in enumerate(batches):
            if studies.batch_path(folder, name, index).exists():
                count.add(len(chunk))
            else:
                job = functools.partial(_train, folder, spec, engine, count, index, repeat, chunk, width)
                turns.setdefault(index, []).append(job)
    return [job for turn in sorted(turns) for job in turns[turn]]


def _ask_and_train(folder: Path, spec: StudySpec, engine: Population, progress: Progress | None) -> None:
    # A sequential strategy is a pure function of what it was told, so replaying the told trials resumes it.
    name = engine.workload.name
    strategy = strategies.from_spec(spec.strategy)
    count = _Count(progress, name, strategy.budget * spec.repeats)
    told: list[strategies.Told] = []
    index = 0
    while points := strategy.ask(told):
        for repeat, chunk in spec.batches(points):
            if studies.batch_path(folder, name, index).exists():
                count.add(len(chunk))
            else:
                _train(folder, spec, engine, count, index, repeat, chunk, len(chunk))
            index += 1
        told += _told(studies.read_trials(folder, name), points)


class _Count:
    """Trials done of one workload, counted by several threads."""

    def __init__(self, progress: Progress | None, what: str, total: int) -> None:
        self._progress, self._what, self._total, self._done = progress, what, total, 0
        self._lock = threading.Lock()
        self.add(0)

    def add(self, trials: int) -> None:
        with self._lock:
            self._done += trials
            if self._progress:
                self._progress(self._what, self._done, self._total)


def _train(
    folder: Path,
    spec: StudySpec,
    engine: Population,
    count: _Count,
    index: int,
    repeat: int,
    points: Sequence[Point],
    width: int,
) -> None:
    name = engine.workload.name
    studies.write_batch(folder, name, index, train_batch(spec, engine, index, repeat, points, width))
    count.add(len(points))


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


def _told(trials: pl.DataFrame, points: Sequence[Point]) -> list[strategies.Told]:
    """What a strategy is told of its points: the median over repeats of each trial's best validation metric."""
    told = []
    for point in points:
        rows = trials.filter(pl.col("point") == point.id)
        metric, minimize = rows["metric"][0], bool(rows["minimize"][0])
        curves = rows.filter(pl.col("status") == "done")[f"validation/{metric}"].list
        best = (curves.min() if minimize else curves.max()).drop_nulls()
        complete = len(best) == len(rows)
        told.append(strategies.Told(point, float(np.median(best.to_numpy())) if complete else None, minimize))
    return told


def _eval_period(workload: workloads.Workload, steps: int) -> int:
    """The workload's own period at its step hint; scaled with the steps otherwise, so that curves stay comparable."""
    return max(1, round(workload.eval_period * steps / workload.step_hint))
