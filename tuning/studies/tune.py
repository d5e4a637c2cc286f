"""Runs a study, or what is missing of it."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

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
from tuning.execution.coordinate import InOrder, Rules, complete
from tuning.execution.jobs import Done, Job, SentFile
from tuning.execution.making import MakeJob, maker
from tuning.execution.seen import Seen
from tuning.execution.stopping import Stop
from tuning.strategies.vizier import Vizier
from tuning.studies._asked import Asked
from tuning.studies._growth import grown
from tuning.studies._served import ServedWorkload, Service, check_service
from workloads import own_files
from workloads.data import reading
from workloads.data.files import sweep, write_atomically, write_once
from workloads.own_files import OwnFile

Progress = Callable[[str, int, int], None]
MOST_ASKING = 32  # workloads whose strategies are asked at a time


def tune(
    folder: Path,
    spec: StudySpec,
    *,
    data_dir: Path | None = None,
    executor: str = "threads",
    workers: int | None = None,
    options: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    watch: Callable[[Seen], None] | None = None,
    progress: Progress | None = None,
    populations: dict[tuple[object, ...], Population] | None = None,
    stop: Stop | None = None,
    service: str | None = None,
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
      options: what else the executor takes, by name, such as the folder of "folder".
      deadline: seconds that a cohort may take, after which its worker is given up; None: many times what the longest
        of its workload took.
      watch: told what is seen of the workers, from this thread.
      progress: called as (workload, trials done, trials in all), from any thread.
      populations: compiled engines to share between studies of one process; filled as they are made.
      stop: set, from any thread, to end with what is done by then; cohorts that have begun are let end.
      service: HOST:PORT of a Vizier service, for strategy "vizier": it makes the suggestions, `parallel` of them
        outstanding at once, for all processes on the study.

    Returns:
      All trials that are there, as `studies.read_trials` does. What the run cost is the last of `studies.read_runs`.

    Raises:
      ValueError: the folder holds another study, a workload, optimizer or executor is unknown, or a point is outside
        the optimizer's domain. Nothing is written in these cases.
      RuntimeError: a cohort lost its worker, or took too long, again and again.
      ConnectionError: no service answers there.
      KeyboardInterrupt: stopped before anything was trained.
    """
    check_service(spec, service)
    executors.executor(executor, options)
    stop = Stop() if stop is None else stop
    kept = work.Kept({} if populations is None else populations)
    optimizer = submissions.optimizer(spec.optimizer)
    file: Path | None = getattr(optimizer, "file", None)
    content = None if file is None else file.read_bytes()
    source = None if content is None else own_files.sha256(content)
    sent = None
    if file is not None and content is not None and source is not None:
        sent = SentFile(str(file.resolve()), source, content)
    where = None if data_dir is None else str(data_dir.resolve())
    own = {name: kept_files.own_workload(folder, name) for name in spec.workloads}
    files = {name: None if one is None else kept_files.sent(one) for name, one in own.items()}
    versions = {name: _version(own[name], folder, name) for name in spec.workloads}
    loaded = [work.load(name, where, kept, *versions[name]) for name in spec.workloads]
    asked = dataclasses.replace(spec, data={w.name: str(w.data.provenance) for w in loaded})
    studies.check_place(folder)
    _decided(folder, asked, loaded, source, own)  # whatever is wrong is said before anything is started
    given = dict(options or {})
    if "cost_classes" in executors.executor(executor).options:
        given["cost_classes"] = sorted({workload.cost_class for workload in loaded})
    with Claims(folder) as claims, closing(executors.start(executor, workers, kept, given)) as started:
        began = time.perf_counter()
        device = started.device
        spec = _decided(folder, asked, loaded, source, own, device=device)
        stopping = strategies.step_budget(spec.strategy)
        for workload in loaded:
            name = workload.name
            engine = work.population(spec, workload, optimizer, where, source, kept, *versions[name])
            for point in (spec.points or {}).get(workload.name, ()):
                optimizer.prepare(point.hyperparameters, engine.total_steps, where=f"point {point.id}")
            if stopping is not None:
                stopping.check_training(name, engine.total_steps, engine.eval_period)
        if stop.is_set():  # what a handler of a signal raises can get lost in a callback of JAX's
            raise KeyboardInterrupt
        with claims.sole("study.json", stop):  # of several who begin or grow it, one after the other
            spec = _decided(folder, asked, loaded, source, own, claims, device)
            sweep(folder)
            _write(folder, spec, file, content, own)
        here = work.here()
        needs = here if device is None else dataclasses.replace(here, device=device)
        job = maker(folder, spec, needs, where, sent, files)
        spent: list[float] = []
        how = {
            "executor": started, "claims": claims, "stop": stop, "rules": Rules(deadline=deadline), "watch": watch,
        }  # fmt: skip
        minimize = {workload.name: workload.metric.minimize for workload in loaded}
        served = None if service is None else Service(service, minimize)
        done = _complete_all(folder, spec, job, spent, progress, served, **how)
    if done.trials:
        studies.write_run(
            folder,
            studies.Run(
                trials=done.trials,
                compilations=done.compilations,
                compile_seconds=round(done.compile_seconds, 3),
                seconds=round(time.perf_counter() - began, 3),
                suggestion_cpu_seconds=tuple(spent),
                device=environment.device(),
                versions=environment.versions(),
                command=environment.command(),
            ),
        )
    return studies.read_trials(folder)


def _version(own: OwnFile | None, folder: Path, name: str) -> tuple[Path | None, str | None]:
    """Where a user's own workload lies, in that version of its file."""
    return (None, None) if own is None else (own.where(studies.workload_copy(folder, name)), own.sha256)


def _decided(
    folder: Path,
    asked: StudySpec,
    loaded: Sequence[workloads.Workload],
    source: str | None,
    own: Mapping[str, OwnFile | None],
    claims: Claims | None = None,
    device: str | None = None,
) -> StudySpec:
    """The specification with cohorts and programs: those that the study has, and what serves best for the rest.

    Raises:
      ValueError: the study is another one, or of another file of the user's own.
    """
    begun = studies.read_spec(folder) if (folder / "study.json").exists() else None
    if begun is not None:
        has_trials, elsewhere = _has_trials(folder), claims is not None and claims.elsewhere()
        changed = studies.source_of(folder) not in (None, source)
        if changed and (has_trials or elsewhere):
            raise ValueError(
                f"{submissions.own_file(asked.optimizer) or asked.optimizer}: has changed since this study's first "
                f"trial, from what is now in {_copy_in(folder)}; choose another folder, or restore the file"
            )
        for name, one in own.items():
            if one is not None and name in begun.workloads:
                bound = elsewhere or kept_files.any_trained(folder, name)
                kept_files.check_workload(folder, name, one, bound)
                changed |= studies.workload_source_of(folder, name) not in (None, one.sha256)
        if changed and not has_trials:
            begun = None  # nothing has come of it yet: a first attempt binds nobody
    sizes = asked.cohort_size
    if sizes is None and begun is not None:
        asked = dataclasses.replace(asked, cohort_size=begun.cohort_size)
    if asked.cohort_size is None and asked.cohort_sizes is None:
        chosen = {workload.name: _spread.cohort_size(workload.cost_class, device) for workload in loaded}
        asked = dataclasses.replace(asked, cohort_sizes=chosen | dict((begun and begun.cohort_sizes) or {}))
    if asked.points is not None and begun is None:
        asked = dataclasses.replace(asked, blocks=_blocks(asked, asked.workloads))
    elif asked.points is not None and begun is not None:
        fresh = [name for name in asked.workloads if name not in begun.workloads]
        asked = dataclasses.replace(asked, blocks=_blocks(asked, fresh))
    if asked.programs is None:
        # Cohorts that are trained at a time leave no core to split one of them over. By what the study asks for, not
        # by what is missing of it. Workers elsewhere have one core, or one device.
        places = _spread.places() if device is None else 1
        side_by_side = 1 if _cohorts(asked) >= places else places
        programs = {
            workload.name: Programs(
                _spread.measured_width(workload.cost_class, device)
                if asked.cohort_size is None
                else _spread.width_within(workload.cost_class, asked.cohort_size, device),
                side_by_side,
            )
            for workload in loaded
        }
        asked = dataclasses.replace(asked, programs=programs)
    return dataclasses.replace(asked, sealed=True) if begun is None else grown(folder, begun, asked)


def _blocks(spec: StudySpec, names: Sequence[str]) -> dict[str, int]:
    """Points of a cohort, for good.

    A size that was asked for is taken as it is, so that a study that grows has the cohorts of one that was asked for at
    once. One that was chosen is evened out, so that less is trained that nobody needs.
    """
    points = spec.points or {}
    return {
        name: max(1, min(spec.cohort_size, len(points[name])))
        if spec.cohort_size is not None
        else studies.balanced(len(points[name]), spec.cohort_size_of(name))
        for name in names
    }


def _has_trials(folder: Path) -> bool:
    of_workloads = reading.matching(folder / "trials", "*")
    return any(reading.matching(one, "[0-9]*.parquet") for one in of_workloads)


def _write(
    folder: Path, spec: StudySpec, file: Path | None, content: bytes | None, own: Mapping[str, OwnFile | None]
) -> None:
    """Writes down what a study is, while nobody else can."""
    kept = None if file is None else studies.optimizer_copy(folder, file)
    if (
        kept is not None
        and content is not None
        and studies.source_of(folder) not in (None, own_files.sha256(content))
    ):
        # Of an attempt that came to nothing.
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        before = _copy_in(folder)
        write_atomically(kept, content)
        if before != kept:
            before.unlink(missing_ok=True)
    for name, one in own.items():
        if one is not None:
            if studies.workload_source_of(folder, name) not in (None, one.sha256):
                shutil.rmtree(studies.checkpoint_folder(folder, name, 0).parent, ignore_errors=True)
            kept_files.keep_workload(folder, name, one, kept_files.any_trained(folder, name))
    studies.replace_spec(folder, spec)
    if kept is not None and content is not None:
        write_once(kept, content)


def _copy_in(folder: Path) -> Path:
    """The copy that a study keeps of an optimizer's file."""
    of_own = folder / "optimizer.py"
    return of_own if of_own.exists() else folder / "optimizer.weights"


def _cohorts(spec: StudySpec) -> int:
    """Cohorts that may be trained at a time: all of them, or one per workload where every one waits for the last."""
    if spec.points is None:
        return len(spec.workloads)
    return sum(len(spec.cohorts(spec.points[name], name)) for name in spec.workloads)


def _complete_all(
    folder: Path,
    spec: StudySpec,
    job: MakeJob,
    spent: list[float],
    progress: Progress | None,
    service: Service | None,
    **how: Any,
) -> Done:
    """Has everything done that is missing of a study. Returns what was done; adds to `spent` what asking took."""
    if spec.points is not None:
        missing = [one for one in _cohorts_in_turn(spec) if not _is_there(folder, *one)]
        counts = {}
        for name in spec.workloads:
            total = len(spec.points[name]) * spec.repeats
            left = sum(len(cohort.points) for workload, cohort in missing if workload == name)
            counts[name] = _Count(progress, name, total, total - left)
        jobs = InOrder(job(*one) for one in missing)
        return complete(jobs, written=lambda one: counts[one.workload].add(one), **how)
    stop, claims, executor = how["stop"], how["claims"], how["executor"]
    # Where workers may join, as many as could.
    at_a_time = MOST_ASKING if executor.ahead else executor.workers
    told: dict[str, Callable[[Job], object]] = {}
    asked, asks = Asked(), []
    for name in spec.workloads:
        strategy = strategies.from_spec(spec.strategy).of_workload(name)
        open_ended = isinstance(strategy, strategies.StepBudget)
        count = _Count(progress, name, strategy.budget * spec.repeats, open_ended=open_ended)
        told[name] = count.add
        if service is None:
            asks.append(
                functools.partial(
                    _ask_and_train, folder, spec, name, strategy, job, asked.do, count, spent, stop
                )
            )
            continue
        assert isinstance(strategy, Vizier)
        counted = functools.partial(_count_files, folder, name, count)
        told[name] = lambda _, counted=counted: counted()
        handed = ServedWorkload(
            folder, spec, name, strategy, service,
            job=job, claims=claims, told_of=_told, spent=spent, count=counted, stop=stop,
        )  # fmt: skip
        # As many as are trained here at a time: the others are for other processes.
        places = range(min(strategy.parallel, at_a_time))
        asks += [functools.partial(handed.train, place, asked.do) for place in places]

    def written(one: Job) -> None:
        told[one.workload](one)
        asked.written(one)

    # One more than train at a time, so that the next point of one workload is worked out while others train.
    asking = ThreadPoolExecutor(min(at_a_time + 1, len(asks)))
    try:
        asked.expect(list(map(asking.submit, asks)))
        return complete(asked, written=written, **how)
    except BaseException:
        stop.set()
        raise
    finally:
        asked.clear()
        asking.shutdown(cancel_futures=True)


def _cohorts_in_turn(spec: StudySpec) -> list[tuple[str, studies.Cohort]]:
    """All cohorts, with their workloads. These take turns, so that different programs are compiled at once."""
    assert spec.points is not None
    turns: dict[int, list[tuple[str, studies.Cohort]]] = {}
    for name in spec.workloads:
        for cohort in spec.cohorts(spec.points[name], name):
            turns.setdefault(cohort.number, []).append((name, cohort))
    return [one for turn in sorted(turns) for one in turns[turn]]


def _is_there(folder: Path, workload: str, cohort: studies.Cohort) -> bool:
    return studies.cohort_path(folder, workload, cohort.number).exists()


def _ask_and_train(
    folder: Path,
    spec: StudySpec,
    name: str,
    strategy: strategies.Strategy,
    job: MakeJob,
    do: Callable[[Sequence[Job]], None],
    count: _Count,
    spent: list[float],
    stop: Stop,
) -> None:
    # A sequential strategy is a pure function of what it was told, so replaying the told trials resumes it. The points
    # travel with the jobs; asking stays here.
    told: list[strategies.Told] = []
    number = 0
    # What takes seconds to work out is read where it was trained, and not asked for again.
    known = _points(folder, name) if isinstance(strategy, strategies.Suggesting) else {}
    while not stop.is_set():
        if len(told) < strategy.budget and (again := known.get(str(len(told)))):
            points = (again,)
        else:
            with stop.under_way(f"the next point of {name}"), strategies.metered() as now:
                points = strategy.ask(told)
            spent += now
        if not points:
            count.over()
            break
        cohorts = spec.cohorts(points, name, number)
        do([job(name, cohort) for cohort in cohorts])
        if stop.is_set():  # what was asked for may not be there
            break
        trials = studies.read_cohorts(folder, spec, name, range(number, number + len(cohorts)))
        told += _told(trials, points)
        number += len(cohorts)


def _points(folder: Path, workload: str) -> dict[str, Point]:
    """Id -> point, of all that a study has trained of a workload."""
    trials = studies.read_trials(folder, workload)
    rows = trials.select("point", "hyperparameters").rows() if len(trials) else ()
    return {name: Point(name, json.loads(values)) for name, values in rows}


def _count_files(folder: Path, workload: str, count: _Count) -> None:
    """Counts the trials of points that are trained one by one."""
    count.at(len(reading.matching(studies.cohort_path(folder, workload, 0).parent, "[0-9]*.parquet")))


class _Count:
    """Trials done of one workload, counted by several threads."""

    def __init__(
        self, progress: Progress | None, what: str, total: int, done: int = 0, *, open_ended: bool = False
    ) -> None:
        self._progress, self._what, self._total, self._done = progress, what, total, done
        self._open_ended = open_ended  # where trials stop, nobody knows how many there will be
        self._lock = threading.Lock()
        self._add(0)

    def add(self, job: Job) -> None:
        self._add(len(job.cohort.points))

    def at(self, trials: int) -> None:
        """Says how many there are, whoever trained them."""
        with self._lock:
            self._done = max(self._done, trials)
        self._add(0)

    def over(self) -> None:
        """Says that no more will come than were counted."""
        if self._open_ended:
            self._open_ended, self._total = False, 0
            self._add(0)

    def _add(self, trials: int) -> None:
        with self._lock:
            self._done += trials
            self._total = max(self._total, self._done + self._open_ended)
            if self._progress:
                self._progress(self._what, self._done, self._total)


def _told(trials: pl.DataFrame, points: Sequence[Point]) -> list[strategies.Told]:
    """What a strategy is told of its points: the median over repeats of each trial's best validation metric, and what
    part of a training they took."""
    told = []
    for point in points:
        rows = trials.filter(pl.col("point") == point.id)
        metric, minimize = rows["metric"][0], bool(rows["minimize"][0])
        done = rows.filter(pl.col("status").is_in(["done", "stopped"]))
        best = done.select(best_value(f"validation/{metric}", minimize)).to_series().drop_nulls()
        complete = len(best) == len(rows)
        value = float(np.median(best.to_numpy())) if complete else None
        part = 1.0
        if "steps" in rows.columns:  # older studies stopped nobody
            part = float(rows.select((pl.col("global_step").list.last() / pl.col("steps")).mean()).item())
        told.append(strategies.Told(point, value, minimize, part))
    return told
