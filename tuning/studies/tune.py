"""Runs a study, or what is missing of it."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl

import submissions
import workloads
from results import studies
from results.studies import StudySpec
from submissions import environment
from submissions.points import Point
from tuning import strategies
from tuning.engine import _lanes
from tuning.engine.population import Evaluation, Population
from tuning.studies._batches import train_batch
from workloads.data.files import write_atomically

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
      All trials, as `studies.read_trials` does. What the run cost is the last of `studies.read_runs`.

    Raises:
      ValueError: the folder holds another study, a workload or optimizer is unknown, or a point is outside the
        optimizer's domain. Nothing is written in these cases.
    """
    populations = {} if populations is None else populations
    optimizer = submissions.optimizer(spec.optimizer)
    loaded = [_loaded(populations, name, data_dir) for name in spec.workloads]
    spec = _with_widths(folder, spec, loaded)
    # Batches that run side by side leave no core to split one of them over. By what the study asks for, not by what
    # is missing of it: a resumed study trains the same programs again.
    side_by_side = 1 if _batches(spec) >= _lanes.places() else None
    engines = []
    for workload in loaded:
        key = _key(spec, workload.name, data_dir, side_by_side)
        if key not in populations:
            steps = spec.steps or workload.step_hint
            populations[key] = Population(
                workload,
                optimizer.rule,
                steps,
                spec.eval_period or _eval_period(workload, steps),
                spec.shared_batches,
                Evaluation(spec.eval_batches, spec.eval_at_start),
                optimizer.applies_constraints,
                width=spec.width,
                side_by_side=side_by_side,
            )
        engines.append(populations[key])
    for engine in engines:
        for point in (spec.points or {}).get(engine.workload.name, ()):
            optimizer.prepare(point.hyperparameters, engine.total_steps, where=f"point {point.id}")
    data = {engine.workload.name: str(engine.workload.data.provenance) for engine in engines}
    spec = dataclasses.replace(spec, data=data)
    studies.write_spec(folder, spec)
    _keep_source(folder, optimizer)
    if spec.points is None:
        jobs = [functools.partial(_ask_and_train, folder, spec, engine, progress) for engine in engines]
    else:
        jobs = _jobs(folder, spec, engines, progress)
    began, compiled = time.perf_counter(), _compiled(engines)
    with ThreadPoolExecutor(workers or _lanes.places()) as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            trained = sum(future.result() for future in futures)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if trained:
        compilations, compile_seconds = (
            now - then for now, then in zip(_compiled(engines), compiled, strict=True)
        )
        studies.write_run(
            folder,
            studies.Run(
                trials=trained,
                compilations=int(compilations),
                compile_seconds=round(compile_seconds, 3),
                seconds=round(time.perf_counter() - began, 3),
                device=environment.device(),
                versions=environment.versions(),
                command=environment.command(),
            ),
        )
    return studies.read_trials(folder)


def _loaded(
    populations: Mapping[tuple[object, ...], Population], name: str, data_dir: Path | None
) -> workloads.Workload:
    """The workload of that name, with the data that a population may have of it already."""
    for key, population in populations.items():
        if key[:2] == (name, str(data_dir)):
            return population.workload
    return workloads.load(name, data_dir)


def _key(
    spec: StudySpec, workload: str, data_dir: Path | None, side_by_side: int | None
) -> tuple[object, ...]:
    """What distinguishes engines: everything that is not an array."""
    evaluation = spec.eval_period, spec.eval_batches, spec.eval_at_start
    how = spec.shared_batches, spec.width, side_by_side
    return workload, str(data_dir), spec.optimizer, spec.steps, evaluation, how


def _with_widths(folder: Path, spec: StudySpec, loaded: Sequence[workloads.Workload]) -> StudySpec:
    """The specification with a width for every workload: those that the study began with, or this machine's."""
    if spec.width is not None or spec.widths is not None:
        return spec
    there = studies.read_spec(folder).widths if (folder / "study.json").exists() else None
    chosen = {workload.name: _lanes.batch_width(workload.family) for workload in loaded}
    return dataclasses.replace(spec, widths=there or chosen)


def _batches(spec: StudySpec) -> int:
    """Batches that may run at a time: all of them, or one per workload where every one waits for the last."""
    if spec.points is None:
        return len(spec.workloads)
    return sum(len(spec.batches(spec.points[name], name)) for name in spec.workloads)


def _keep_source(folder: Path, optimizer: submissions.Optimizer) -> None:
    """Stores the file of a user's own optimizer with the study.

    Raises:
      ValueError: the file has changed since the study began, so its trials would be of two optimizers.
    """
    file = getattr(optimizer, "file", None)
    if file is None:
        return
    content, kept = file.read_bytes(), folder / "optimizer.py"
    if not kept.exists():
        write_atomically(kept, content)
    elif kept.read_bytes() != content:
        raise ValueError(
            f"{file}: has changed since this study began, with what is now in {kept}; choose another folder, or "
            "restore the file"
        )


def _compiled(engines: Sequence[Population]) -> tuple[int, float]:
    """Programs compiled so far, and the seconds that they took."""
    return sum(engine.compilations for engine in engines), sum(engine.compile_seconds for engine in engines)


def _jobs(
    folder: Path, spec: StudySpec, engines: Sequence[Population], progress: Progress | None
) -> list[Callable[[], int]]:
    """The batches that are missing. Workloads take turns, so that threads compile different programs at once."""
    assert spec.points is not None
    turns: dict[int, list[Callable[[], int]]] = {}
    for engine in engines:
        name = engine.workload.name
        batches = spec.batches(spec.points[name], name)
        count = _Count(progress, name, len(spec.points[name]) * spec.repeats)
        width = max((len(chunk) for _, chunk in batches), default=0)
        for index, (repeat, chunk) in enumerate(batches):
            if studies.batch_path(folder, name, index).exists():
                count.add(len(chunk))
            else:
                job = functools.partial(_train, folder, spec, engine, count, index, repeat, chunk, width)
                turns.setdefault(index, []).append(job)
    return [job for turn in sorted(turns) for job in turns[turn]]


def _ask_and_train(folder: Path, spec: StudySpec, engine: Population, progress: Progress | None) -> int:
    # A sequential strategy is a pure function of what it was told, so replaying the told trials resumes it.
    name = engine.workload.name
    strategy = strategies.from_spec(spec.strategy)
    count = _Count(progress, name, strategy.budget * spec.repeats)
    told: list[strategies.Told] = []
    index = trained = 0
    while points := strategy.ask(told):
        for repeat, chunk in spec.batches(points, name):
            if studies.batch_path(folder, name, index).exists():
                count.add(len(chunk))
            else:
                trained += _train(folder, spec, engine, count, index, repeat, chunk, len(chunk))
            index += 1
        told += _told(studies.read_trials(folder, name), points)
    return trained


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
) -> int:
    """Trains one batch, writes it, and returns how many trials it was."""
    name = engine.workload.name
    studies.write_batch(folder, name, index, train_batch(spec, engine, index, repeat, points, width))
    count.add(len(points))
    return len(points)


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
