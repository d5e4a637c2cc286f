"""Runs a study, or what is missing of it."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

import submissions
import workloads
from results import best_value, studies
from results.studies import Programs, StudySpec
from submissions import environment
from submissions.points import Point
from tuning import strategies
from tuning.engine import _spread
from tuning.engine.population import Population
from tuning.execution import executors, kept_files, work
from tuning.execution.claims import Claims
from tuning.execution.coordinate import complete, is_written
from tuning.execution.jobs import Done, Job
from workloads import own_files

Progress = Callable[[str, int, int], None]
# Jobs -> what was done here of them, once every cohort is in the study's folder.
Complete = Callable[[Sequence[Job]], list[Done]]


def tune(
    folder: Path,
    spec: StudySpec,
    *,
    data_dir: Path | None = None,
    executor: str = "threads",
    workers: int | None = None,
    progress: Progress | None = None,
    populations: dict[tuple[object, ...], Population] | None = None,
) -> pl.DataFrame:
    """Trains every trial of a study that is not on disk yet.

    Running the same study again does exactly what is missing and nothing else, and gives the same numbers, bit for bit
    on the same machine, as if it had never stopped. Several processes may run one study at once: each trains what no
    other does, and all return when everything is there.

    Args:
      folder: of the study; made when missing.
      spec: what to train.
      data_dir: where real data sets lie; embedded ones otherwise.
      executor: a name of `tuning.execution.executors.EXECUTORS`; it changes no number. Where it is not "threads",
        workloads and optimizers must be such that another process finds them by name.
      workers: cohorts trained at a time; by default one per core on a CPU, where small models leave cores idle, and
        one on anything else. It changes no number.
      progress: called as (workload, trials done, trials in all), from any thread.
      populations: compiled engines to share between studies of one process; filled as they are made.

    Returns:
      All trials, as `studies.read_trials` does. What the run cost is the last of `studies.read_runs`.

    Raises:
      ValueError: the folder holds another study, a workload, optimizer or executor is unknown, or a point is outside
        the optimizer's domain. Nothing is written in these cases.
      RuntimeError: a cohort lost its worker again and again.
    """
    row = executors.executor(executor)
    kept = work.Kept({} if populations is None else populations)
    optimizer = submissions.optimizer(spec.optimizer)
    file: Path | None = getattr(optimizer, "file", None)
    content = None if file is None else file.read_bytes()
    source = None if content is None else own_files.sha256(content)
    where = None if data_dir is None else str(data_dir)
    own = {name: kept_files.own_workload(folder, name) for name in spec.workloads}
    copies = {name: studies.workload_copy(folder, name) for name in spec.workloads}
    loaded = [work.load(name, where, kept, own[name], copies[name]) for name in spec.workloads]
    spec = _decided(folder, spec, loaded)
    for workload in loaded:
        name = workload.name
        engine = work.population(spec, workload, optimizer, where, source, kept, own[name], copies[name])
        for point in (spec.points or {}).get(workload.name, ()):
            optimizer.prepare(point.hyperparameters, engine.total_steps, where=f"point {point.id}")
    spec = dataclasses.replace(spec, data={w.name: str(w.data.provenance) for w in loaded})
    studies.write_spec(folder, spec)
    if file is not None and content is not None:
        begun = any(kept_files.any_trained(folder, name) for name in spec.workloads)
        kept_files.keep_file(folder / "optimizer.py", file, content, begun)
    for name, one in own.items():
        if one is not None:
            kept_files.keep_workload(folder, name, one, kept_files.any_trained(folder, name))

    def job(name: str, cohort: studies.Cohort) -> Job:
        return Job(str(folder), name, cohort, where, source, environment.command(), own[name])

    began = time.perf_counter()
    with Claims(folder) as claims, closing(row.start(workers or row.workers(), kept)) as started:
        done = _complete_all(folder, spec, job, started, claims, progress)
    if done:
        studies.write_run(
            folder,
            studies.Run(
                trials=sum(one.trials for one in done),
                compilations=sum(one.compilations for one in done),
                compile_seconds=round(sum(one.compile_seconds for one in done), 3),
                seconds=round(time.perf_counter() - began, 3),
                device=environment.device(),
                versions=environment.versions(),
                command=environment.command(),
            ),
        )
    return studies.read_trials(folder)


def _decided(folder: Path, spec: StudySpec, loaded: Sequence[workloads.Workload]) -> StudySpec:
    """The specification with cohort sizes and programs: those that the study began with, or what serves best."""
    begun = studies.read_spec(folder) if (folder / "study.json").exists() else None
    if spec.cohort_size is None and spec.cohort_sizes is None:
        chosen = {workload.name: _spread.cohort_size(workload.cost_class) for workload in loaded}
        spec = dataclasses.replace(spec, cohort_sizes=(begun and begun.cohort_sizes) or chosen)
    if spec.programs is None:
        # Cohorts that are trained at a time leave no core to split one of them over. By what the study asks for, not
        # by what is missing of it.
        side_by_side = 1 if _cohorts(spec) >= _spread.places() else _spread.places()
        programs = {
            workload.name: Programs(
                spec.cohort_size or _spread.spread(workload.cost_class).width, side_by_side
            )
            for workload in loaded
        }
        spec = dataclasses.replace(spec, programs=(begun and begun.programs) or programs)
    return spec


def _cohorts(spec: StudySpec) -> int:
    """Cohorts that may be trained at a time: all of them, or one per workload where every one waits for the last."""
    if spec.points is None:
        return len(spec.workloads)
    return sum(len(spec.cohorts(spec.points[name], name)) for name in spec.workloads)


def _complete_all(
    folder: Path,
    spec: StudySpec,
    job: Callable[..., Job],
    executor: executors.Executor,
    claims: Claims,
    progress: Progress | None,
) -> list[Done]:
    """Has everything done that is missing of a study. Returns what was done here."""
    stop = threading.Event()
    if spec.points is not None:
        jobs = [one for one in _jobs(spec, job) if not is_written(one)]
        counts = {}
        for name in spec.workloads:
            total = len(spec.points[name]) * spec.repeats
            missing = sum(len(one.cohort.points) for one in jobs if one.workload == name)
            counts[name] = _Count(progress, name, total, total - missing)
        return complete(jobs, executor, claims, lambda one: counts[one.workload].add(one), stop)
    asking = ThreadPoolExecutor(executor.workers)
    try:
        futures = []
        for name in spec.workloads:
            strategy = strategies.from_spec(spec.strategy)
            count = _Count(progress, name, strategy.budget * spec.repeats)
            do = functools.partial(complete, executor=executor, claims=claims, written=count.add, stop=stop)
            futures.append(asking.submit(_ask_and_train, folder, spec, name, strategy, job, do, stop))
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = [future for future in futures if future.done() and future.exception()]
        return [one for future in failed or futures for one in future.result()]
    finally:
        stop.set()
        asking.shutdown(cancel_futures=True)


def _jobs(spec: StudySpec, job: Callable[..., Job]) -> list[Job]:
    """All cohorts. Workloads take turns, so that different programs are compiled at once."""
    assert spec.points is not None
    turns: dict[int, list[Job]] = {}
    for name in spec.workloads:
        for cohort in spec.cohorts(spec.points[name], name):
            turns.setdefault(cohort.number, []).append(job(name, cohort))
    return [job for turn in sorted(turns) for job in turns[turn]]


def _ask_and_train(
    folder: Path,
    spec: StudySpec,
    name: str,
    strategy: strategies.Strategy,
    job: Callable[..., Job],
    do: Complete,
    stop: threading.Event,
) -> list[Done]:
    # A sequential strategy is a pure function of what it was told, so replaying the told trials resumes it. The points
    # travel with the jobs; asking stays here.
    told: list[strategies.Told] = []
    number, done = 0, []
    while points := strategy.ask(told):
        cohorts = spec.cohorts(points, name, number)
        done += do([job(name, cohort) for cohort in cohorts])
        if stop.is_set():
            break
        number += len(cohorts)
        told += _told(studies.read_trials(folder, name), points)
    return done


class _Count:
    """Trials done of one workload, counted by several threads."""

    def __init__(self, progress: Progress | None, what: str, total: int, done: int = 0) -> None:
        self._progress, self._what, self._total, self._done = progress, what, total, done
        self._lock = threading.Lock()
        self._add(0)

    def add(self, job: Job) -> None:
        self._add(len(job.cohort.points))

    def _add(self, trials: int) -> None:
        with self._lock:
            self._done += trials
            if self._progress:
                self._progress(self._what, self._done, self._total)


def _told(trials: pl.DataFrame, points: Sequence[Point]) -> list[strategies.Told]:
    """What a strategy is told of its points: the median over repeats of each trial's best validation metric."""
    told = []
    for point in points:
        rows = trials.filter(pl.col("point") == point.id)
        metric, minimize = rows["metric"][0], bool(rows["minimize"][0])
        done = rows.filter(pl.col("status") == "done")
        best = done.select(best_value(f"validation/{metric}", minimize)).to_series().drop_nulls()
        complete = len(best) == len(rows)
        told.append(strategies.Told(point, float(np.median(best.to_numpy())) if complete else None, minimize))
    return told
