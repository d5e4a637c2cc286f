"""A job done: the same in a thread of the process that asked, in a worker process, and on another machine."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import threading
import time
from pathlib import Path

import polars as pl

import submissions
import workloads
from results import studies
from results.studies import StudySpec
from tuning import strategies
from tuning.engine.population import Evaluation, Population
from tuning.execution._cohort import compete_cohort, train_cohort
from tuning.execution.jobs import Done, Job
from workloads.arithmetic import Arithmetic, computed
from workloads.own_files import OwnFile, is_file_form, parts


@dataclasses.dataclass
class Kept:
    """What a process keeps from one job to the next.

    Attributes:
      populations: what distinguishes engines -> the engine, with its data and its compiled programs.
    """

    populations: dict[tuple[object, ...], Population] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self._counted = {key: _compiled(engine) for key, engine in self.populations.items()}

    def compilations(self) -> tuple[int, float]:
        """Programs compiled since the last call, and the seconds that took. Threads share programs, so that none of
        them can tell which it compiled."""
        count, seconds = 0, 0.0
        with self.lock:
            for key, engine in list(self.populations.items()):
                now, before = _compiled(engine), self._counted.get(key, (0, 0.0))
                self._counted[key] = now
                count, seconds = count + now[0] - before[0], seconds + now[1] - before[1]
        return count, seconds


OF_THIS_PROCESS = Kept()


def work(job: Job, kept: Kept = OF_THIS_PROCESS) -> Done:
    """Trains a cohort and writes it into the study's folder, unless somebody else has written it meanwhile.

    Raises:
      ValueError: the study cannot be trained here as it was begun: other data, or another optimizer.
    """
    folder = Path(job.study)
    checkpoint = studies.checkpoint_folder(folder, job.workload, job.cohort.number)
    content, done = train(job, _spec(folder), kept, checkpoint)
    if studies.source_of(folder) != job.source:
        raise ValueError(f"{folder}: another optimizer.py was put into this study while {job} was trained")
    if studies.workload_source_of(folder, job.workload) != _sha256(job.workload_file):
        file = studies.workload_copy(folder, job.workload)
        raise ValueError(f"{file}: another file was put into this study while {job} was trained")
    studies.write_cohort(folder, job.workload, job.cohort.number, content)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return done


def train(
    job: Job, spec: StudySpec, kept: Kept = OF_THIS_PROCESS, checkpoint: Path | None = None
) -> tuple[bytes, Done]:
    """Trains a cohort. Returns the content of its file, and what it took; writes nothing but checkpoints.

    Args:
      job: what to train.
      spec: of its study.
      kept: what this process has from earlier jobs.
      checkpoint: folder for the state of trainings on data that the host reads, which are long: a cohort that was
        interrupted goes on from there. Others are one program from start to end, and begin again.

    Raises:
      ValueError: as `work`.
    """
    began = time.perf_counter()
    optimizer = study_optimizer(spec, Path(job.study), job.source)
    file, copy = job.workload_file, studies.workload_copy(Path(job.study), job.workload)
    engine = population(spec, job.workload, optimizer, job.data_dir, job.source, kept, file, copy)
    data = str(engine.workload.data.provenance)
    if spec.data is not None and spec.data.get(job.workload) != data:
        raise ValueError(
            f"{job.study}: this study has data = {spec.data.get(job.workload)!r} for {job.workload}, here it is "
            f"{data!r}; give the same --data-dir"
        )
    where = checkpoint if engine.call_by_call else None
    belongs = studies.belongs_to(spec, job.workload, job.cohort, job.source, _sha256(file))
    if (strategy := strategies.step_budget(spec.strategy)) is None:
        rows = train_cohort(spec, engine, optimizer, job.cohort, job.command, where)
    else:
        earlier = _earlier(job) if strategy.stopping.looks_back else pl.DataFrame()
        rows = compete_cohort(spec, engine, optimizer, job.cohort, job.command, strategy.stopping, earlier)
    content = studies.as_parquet(rows, belongs)
    compilations, compile_seconds = kept.compilations()
    seconds = time.perf_counter() - began
    return content, Done(len(job.cohort.points), compilations, compile_seconds, seconds)


def _earlier(job: Job) -> pl.DataFrame:
    """The trials of the cohorts before a job's: these alone, so that training it again gives the same."""
    trials = studies.read_trials(Path(job.study), job.workload)
    return trials.filter(pl.col("cohort") < job.cohort.number) if len(trials) else trials


def population(
    spec: StudySpec,
    workload: str | workloads.Workload,
    optimizer: submissions.Optimizer,
    data_dir: str | None,
    source: str | None,
    kept: Kept,
    file: OwnFile | None = None,
    copy: Path | None = None,
) -> Population:
    """The engine of a workload of a study that has its programs; made when this process has none yet.

    Args:
      spec, workload, optimizer, data_dir, source: what is trained, and by what.
      kept: the engines of this process.
      file: the user's own that defines the workload.
      copy: where the study keeps that file.
    """
    assert spec.programs is not None
    name = workload if isinstance(workload, str) else workload.name
    programs = spec.programs[name]
    evaluation = spec.eval_period, spec.eval_batches, spec.eval_at_start
    how = spec.shared_batches, programs.width, programs.side_by_side
    arithmetic = Arithmetic(spec.precision, spec.micro_batches)
    # Everything that is not an array.
    key = (name, file), data_dir, spec.optimizer, source, spec.steps, evaluation, how, arithmetic
    with kept.lock:
        if key not in kept.populations:
            loaded = load(name, data_dir, kept, file, copy) if isinstance(workload, str) else workload
            arithmetic.check_batch(name, loaded.batch_size, 1)  # devices share trials, not batches
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
            )
        return kept.populations[key]


def load(
    name: str, data_dir: str | None, kept: Kept, file: OwnFile | None = None, copy: Path | None = None
) -> workloads.Workload:
    """The workload of that name, with the data that an engine may have of it already.

    Args:
      name, data_dir: as `workloads.load` takes them.
      kept: the engines of this process.
      file: the user's own that defines it.
      copy: where the study keeps that file.
    """
    for key, engine in list(kept.populations.items()):
        if key[:2] == ((name, file), data_dir) and key[-1] == Arithmetic():
            return engine.workload
    where = name if file is None else f"{file.where(copy)}:{name}"
    return workloads.load(where, None if data_dir is None else Path(data_dir))


def study_optimizer(spec: StudySpec, folder: Path, source: str | None) -> submissions.Optimizer:
    """The optimizer of a study; a user's own from its file, or where that is not the one, from the study's copy.

    Raises:
      ValueError: neither is what the study began with.
    """
    if source is None or not is_file_form(spec.optimizer):
        return submissions.optimizer(spec.optimizer)
    path, function = parts(spec.optimizer)
    return submissions.optimizer(f"{OwnFile(str(path), source).where(folder / 'optimizer.py')}:{function}")


def _sha256(file: OwnFile | None) -> str | None:
    return None if file is None else file.sha256


def _spec(folder: Path) -> StudySpec:
    return _read_spec(folder, (folder / "study.json").stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read_spec(folder: Path, written: int) -> StudySpec:
    """Read once for all jobs of a study, whose points may be thousands."""
    del written
    return studies.read_spec(folder)


def _compiled(engine: Population) -> tuple[int, float]:
    return engine.compilations, engine.compile_seconds


def _eval_period(workload: workloads.Workload, steps: int) -> int:
    """The workload's own period at its step hint; scaled with the steps otherwise, so that curves stay comparable."""
    return max(1, round(workload.eval_period * steps / workload.step_hint))
