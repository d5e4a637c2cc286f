"""A job done: the same in a thread of the process that asked, in a worker process, and on another machine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import hashlib
import io
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import polars as pl
from jax.extend.backend import clear_backends

import submissions
import workloads
from results import studies
from results.studies import StudySpec
from submissions import environment
from tuning import strategies
from tuning.engine.mappings import crowded
from tuning.engine.population import Evaluation, Population
from tuning.execution._cohort import compete_cohort, train_cohort
from tuning.execution.jobs import (
    AnyJob,
    Done,
    EstimateJob,
    Job,
    Needs,
    OutOfMemory,
    Refused,
    Result,
    SentFile,
    TrialJob,
)
from tuning.execution.stopping import Stop
from tuning.execution.trials.sent import Here, train_sent
from workloads import own_files
from workloads.arithmetic import Arithmetic, computed


@dataclasses.dataclass
class Kept:
    """What a process keeps from one job to the next.

    Attributes:
      populations: what distinguishes engines -> the engine, with its data and its compiled programs.
      data_dir: where real data sets lie here, in the place of where a job says.
      checkpoints: folder for those of jobs whose study is not on this machine; None: one of this process, which goes
        with it.
      meta_trainings: what distinguishes meta-trainings -> the tasks of the last one, with their programs.
    """

    populations: dict[tuple[Any, ...], Population] = dataclasses.field(default_factory=dict)
    data_dir: str | None = None
    checkpoints: Path | None = None
    meta_trainings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.in_use: set[Path] = set()  # folders of checkpoints
        # (name, SHA-256 of its file), where data lie -> the workload, with its data
        self.workloads = {
            key[:2]: engine.workload for key, engine in self.populations.items() if key[2] == Arithmetic()
        }
        self._counted = {key: _compiled(engine) for key, engine in self.populations.items()}
        self._uncounted = 0, 0.0  # compiled by engines that are gone since the last call of `compilations`

    def compilations(self) -> tuple[int, float]:
        """Programs compiled since the last call, and the seconds that took. Threads share programs, so that none of
        them can tell which it compiled."""
        with self.lock:
            for key in list(self.populations):
                self._count(key)
            (count, seconds), self._uncounted = self._uncounted, (0, 0.0)
        return count, seconds

    def _count(self, key: tuple[Any, ...]) -> None:
        now, before = _compiled(self.populations[key]), self._counted.get(key, (0, 0.0))
        self._counted[key] = now
        count, seconds = self._uncounted
        self._uncounted = count + now[0] - before[0], seconds + now[1] - before[1]

    def used(self, key: tuple[Any, ...]) -> Population:
        """The engine of a key, which is there; others go, those that were used longest ago first, where a process
        cannot hold as many programs."""
        engine = self.populations[key] = self.populations.pop(key)
        while len(self.populations) > 1 and crowded():
            oldest = next(iter(self.populations))
            self._count(oldest)
            del self.populations[oldest], self._counted[oldest]
            gc.collect()  # an engine and its programs refer to each other
        return engine

    def forget(self, workload: str) -> None:
        """Lets go of the engines of a workload, and of its data."""
        with self.lock:
            for kept in (self.populations, self.workloads):
                for key in [key for key in kept if key[0][0] == workload]:
                    del kept[key]

    @functools.cached_property
    def folder(self) -> Path:
        """Of this process alone, for the files that it is sent; removed with it."""
        self._own = tempfile.TemporaryDirectory(prefix="shortlist-worker-", ignore_cleanup_errors=True)
        return Path(self._own.name)


OF_THIS_PROCESS = Kept()


def here() -> Needs:
    """What this process has, of what a job may need."""
    return Needs(environment.versions(), environment.source(), environment.device_kind())


def work(job: AnyJob, kept: Kept = OF_THIS_PROCESS, stop: Stop | None = None) -> Result:
    """Trains a cohort, or a trial of a submission, or makes an estimate of a meta-gradient.

    Writes nothing but checkpoints and the files that it was sent, in folders of its own.

    Trainings on data that the host reads are long, and keep their state: a cohort that was interrupted goes on from
    there. Others are one program from start to end, and begin again.

    Args:
      job: what to do.
      kept: what this process keeps.
      stop: set to have a trial of a submission save itself and end; a cohort does not heed it.

    Raises:
      Refused: this process has other versions, another source, device or data than the job needs.
      OutOfMemory: it takes more than there is.
      ValueError: the study cannot be trained, such as because of an error in the user's own file.
    """
    if job.needs is not None and (differing := job.needs.differing(here())):
        raise Refused(f"{job} of {job.study}: refused by {environment.host()}: {differing}")
    if isinstance(job, TrialJob):
        let_go(kept)
        state = kept.checkpoints or kept.folder / "checkpoints"
        machine = Here(kept.folder, state, kept.data_dir, lambda file: place(file, kept))
        return train_sent(job, machine, stop or Stop())
    with _memory_named(job):
        if isinstance(job, EstimateJob):
            from tuning.meta_training import sent  # workers of studies need nothing of it

            return sent.estimate_sent(job, kept, lambda file: place(file, kept))
        return _train(job, kept)


def let_go(kept: Kept = OF_THIS_PROCESS) -> None:
    """Leaves an accelerator to other processes; compiled programs of this one are gone."""
    if environment.device_kind() == "cpu":
        return
    environment.device()  # remembered
    kept.populations.clear()
    kept.workloads.clear()
    kept._counted.clear()
    jax.clear_caches()
    clear_backends()


def _train(job: Job, kept: Kept) -> Result:
    began = time.perf_counter()
    spec, source, workload_source = job.spec, _sha256(job.optimizer_file), _sha256(job.workload_file)
    data_dir = job.data_dir if kept.data_dir is None else kept.data_dir
    optimizer = _optimizer(job, kept)
    file = None if job.workload_file is None else place(job.workload_file, kept)
    engine = population(spec, job.workload, optimizer, data_dir, source, kept, file, workload_source)
    data = str(engine.workload.data.provenance)
    if spec.data is not None and spec.data.get(job.workload) != data:
        raise Refused(
            f"{job.study}: this study has data = {spec.data.get(job.workload)!r} for {job.workload}, "
            f"{environment.host()} has {data!r}; give the same --data-dir"
        )
    belongs = studies.belongs_to(spec, job.workload, job.cohort, source, workload_source)
    strategy = strategies.step_budget(spec.strategy)
    if strategy is None:
        where = _checkpoint(job, belongs, kept) if engine.call_by_call else contextlib.nullcontext()
        with where as checkpoint:
            rows = train_cohort(spec, engine, optimizer, job.cohort, job.command, checkpoint, job.numbers)
    else:
        earlier = pl.DataFrame() if job.earlier is None else pl.read_parquet(io.BytesIO(job.earlier))
        rows = compete_cohort(
            spec, engine, optimizer, job.cohort, job.command, strategy.stopping, earlier, job.numbers
        )
    compilations, compile_seconds = kept.compilations()
    seconds = time.perf_counter() - began
    done = Done(
        len(job.cohort.points),
        compilations,
        compile_seconds,
        seconds,
        environment.host(),
        environment.device(),
    )
    return Result(studies.as_parquet(rows, belongs), done)


def place(file: SentFile, kept: Kept) -> Path:
    """Where that version of a user's own file lies in this process: at its own path, or written into a private folder.

    Raises:
      OSError: it cannot be written.
    """
    there = Path(file.path)
    with contextlib.suppress(OSError):
        if there.is_file() and own_files.sha256(there.read_bytes()) == file.sha256:
            return there
    copy = kept.folder / file.sha256[:16] / there.name
    with kept.lock:
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.content)
    return copy


@contextlib.contextmanager
def _checkpoint(job: Job, belongs: Mapping[str, Any], kept: Kept) -> Iterator[Path]:
    """Where a job keeps its state: in the study's folder, where that is on this machine.

    What is there stays until the cohort is written; what is elsewhere goes once it is trained.
    """
    if _is_here(job):
        folder = studies.checkpoint_folder(Path(job.study), job.workload, job.cohort.number)
    else:
        points = [sorted(point.hyperparameters.items()) for point in job.cohort.points]
        key = hashlib.sha256(repr((job.study, sorted(belongs.items()), points)).encode()).hexdigest()[:32]
        folder = (kept.checkpoints or kept.folder / "checkpoints") / key
    with kept.lock:
        if folder in kept.in_use:  # a thread has it that was given up and goes on
            folder = kept.folder / "checkpoints" / uuid.uuid4().hex
        kept.in_use.add(folder)
    try:
        yield folder
    finally:
        with kept.lock:
            kept.in_use.discard(folder)
    if not folder.is_relative_to(job.study):
        shutil.rmtree(folder, ignore_errors=True)


def _is_here(job: Job) -> bool:
    return job.host == environment.host() and (Path(job.study) / "study.json").is_file()


def population(
    spec: StudySpec,
    workload: str | workloads.Workload,
    optimizer: submissions.Optimizer,
    data_dir: str | None,
    source: str | None,
    kept: Kept,
    file: Path | None = None,
    workload_source: str | None = None,
) -> Population:
    """The engine of a workload of a study that has its programs; made when this process has none yet.

    Args:
      spec, workload, optimizer, data_dir, source: what is trained, and by what.
      kept: the engines of this process.
      file: the user's own that defines the workload.
      workload_source: its SHA-256.
    """
    assert spec.programs is not None
    name = workload if isinstance(workload, str) else workload.name
    programs = spec.programs[name]
    evaluation = spec.eval_period, spec.eval_batches, spec.eval_at_start
    how = spec.shared_batches, programs.width, programs.side_by_side
    arithmetic = Arithmetic(spec.precision, spec.micro_batches)
    # Everything that is not an array.
    what = (name, workload_source), data_dir, arithmetic
    key = *what, spec.optimizer, source, spec.steps, evaluation, how, spec.devices_per_trial
    with kept.lock:
        if key not in kept.populations:
            loaded = (
                load(name, data_dir, kept, file, workload_source) if isinstance(workload, str) else workload
            )
            arithmetic.check_batch(name, loaded.batch_size, spec.devices_per_trial)
            loaded = computed(loaded, arithmetic)
            steps = spec.steps or loaded.step_hint
            kept.populations[key] = Population(
                loaded,
                optimizer.rule,
                steps,
                spec.eval_period or _eval_period(loaded, steps),
                spec.shared_batches,
                Evaluation(spec.eval_batches, spec.eval_at_start),
                optimizer.applies_constraints,
                width=programs.width,
                side_by_side=programs.side_by_side,
                devices_per_trial=spec.devices_per_trial,
            )
        return kept.used(key)


def load(
    name: str,
    data_dir: str | None,
    kept: Kept,
    file: Path | None = None,
    workload_source: str | None = None,
) -> workloads.Workload:
    """The workload of that name, with the data that an engine may have of it already.

    Args:
      name, data_dir: as `workloads.load` takes them.
      kept: the engines of this process.
      file: the user's own that defines it.
      workload_source: its SHA-256.
    """
    key = (name, workload_source), data_dir
    if key not in kept.workloads:
        where = name if file is None else f"{file}:{name}"
        kept.workloads[key] = workloads.load(where, None if data_dir is None else Path(data_dir))
    return kept.workloads[key]


def _optimizer(job: Job, kept: Kept) -> submissions.Optimizer:
    """The optimizer of a job; a user's own, or a learned one's weights, from the file as it was sent."""
    name = job.spec.optimizer
    if job.optimizer_file is not None and submissions.own_file(name) is not None:
        name = submissions.moved(name, place(job.optimizer_file, kept))
    return submissions.optimizer(name)


@contextlib.contextmanager
def _memory_named(job: AnyJob) -> Iterator[None]:
    """Raises what runs out of memory, on the host or on the device, as one error."""
    try:
        yield
    except OutOfMemory:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            said = (str(error).splitlines() or [""])[0]
            raise OutOfMemory(f"{job} on {environment.host()}: {said}") from error
        raise


def _sha256(file: SentFile | None) -> str | None:
    return None if file is None else file.sha256


def _compiled(engine: Population) -> tuple[int, float]:
    return engine.compilations, engine.compile_seconds


def _eval_period(workload: workloads.Workload, steps: int) -> int:
    """The workload's own period at its step hint; scaled with the steps otherwise, so that curves stay comparable."""
    return max(1, round(workload.eval_period * steps / workload.step_hint))
