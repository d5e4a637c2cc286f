"""What travels to whoever trains, what comes back, and what can go wrong: plain data.

Nothing here needs JAX.
"""

from __future__ import annotations

import builtins
import dataclasses
import hashlib
import traceback
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from results.studies import Cohort, StudySpec
from submissions.api import TrialSpec
from workloads import own_files

CAUSES = ("crash", "host", "preempted", "unsent")  # of a lost worker


@dataclasses.dataclass(frozen=True)
class SentFile:
    """A user's own file, as it travels.

    Attributes:
      path: where it lies on the machine that sends it; used where that version of it lies there.
      sha256: of the content, as hexadecimal digits.
      content: all of it.
    """

    path: str
    sha256: str
    content: bytes

    def __post_init__(self) -> None:
        if own_files.sha256(self.content) != self.sha256:
            raise ValueError(f"{self.path}: its content is not the one that was sent, by its SHA-256")


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a worker must have to give the numbers that are asked for.

    Attributes:
      versions: of every package that numbers depend on.
      source: SHA-256 of Shortlist's own files.
      device: kind of device, as `environment.device_kind` says it.
    """

    versions: Mapping[str, str]
    source: str
    device: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return msgspec.to_builtins(self)

    def differing(self, here: Needs) -> str:
        """What a worker has otherwise, in words, with both values; "" where it may work."""
        said = [
            f"{name} is {here.versions.get(name, 'missing')} here, must be {asked}"
            for name, asked in self.versions.items()
            if here.versions.get(name) != asked
        ]
        if here.source != self.source:
            said.append(f"Shortlist's own source is {here.source[:12]} here, must be {self.source[:12]}")
        if here.device != self.device:
            said.append(f"the device is {here.device!r} here, must be {self.device!r}")
        return "; ".join(said)


@dataclasses.dataclass(frozen=True)
class Job:
    """One cohort to train, with everything that this takes: any process that has Shortlist can do it.

    Attributes:
      study: its folder, whole; for messages, and for checkpoints where the worker is on `host`.
      workload: its name; one that `workloads.load` knows in any process, where no file is given.
      cohort: the trials.
      spec: of the study, as far as it concerns this workload; without the points.
      needs: what whoever trains it must have; None: nobody checks.
      host: the machine that the study's folder is on; None: unknown.
      data_dir: where real data sets lie; None for embedded ones.
      optimizer_file, workload_file: the user's own; None where there is none.
      numbers: id of a point -> its number, where the study's seeding asks for it.
      earlier: trials of the cohorts before it, where a strategy looks back at them, as a Parquet file.
      command: the command line that asked for it, for the record.

    Example:
      >>> from submissions.points import Point
      >>> point = Point("0", {"learning_rate": 0.1})
      >>> spec = StudySpec("s", "", "candidates", "sgd_optax", {}, None, ("clicks/mlp",))
      >>> job = Job("/studies/s", "clicks/mlp", Cohort(0, 0, (point,), 2), spec)
      >>> Job.from_json(job.to_json()) == job
      True
    """

    study: str
    workload: str
    cohort: Cohort
    spec: StudySpec
    needs: Needs | None = None
    host: str | None = None
    data_dir: str | None = None
    optimizer_file: SentFile | None = None
    workload_file: SentFile | None = None
    numbers: Mapping[str, int] | None = None
    earlier: bytes | None = None
    command: str | None = None

    def __str__(self) -> str:
        return f"cohort {self.cohort.number} of {self.workload}"

    @property
    def number(self) -> int:
        """Which of its workload's it is, from 0."""
        return self.cohort.number

    def to_json(self) -> dict[str, Any]:
        """The job as plain JSON data; contents as base64."""
        return msgspec.to_builtins(self, enc_hook=dict)  # a point's hyperparameters are a read-only mapping

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        """Reads what `to_json` wrote."""
        return msgspec.convert(data, cls)


@dataclasses.dataclass(frozen=True)
class TrialJob:
    """One trial of a submission to train, with everything that this takes.

    Attributes:
      study: folder of the run's record, whole; for messages, and for the state of the trial where the worker is on
        `host`.
      spec: of the trial; its paths are those of the machine that sends it.
      submission: its files, and others of its folder.
      needs: what whoever trains it must have; None: nobody checks.
      host: the machine that asked.
      optimizer_file: the user's own that the submission reads, if it is a packaged one that does.
      workload_file: the user's own; None where there is none.
      begun: the files of a trial that has begun already, see `tuning.execution.trials.parcel`.
      compiles: a trial compiles everything itself, since what that takes is of its time.

    Example:
      >>> spec = TrialSpec("/mine/submission.py", "clicks/mlp", "/runs/a/clicks.mlp_jax/trial_2", 2, seed=0)
      >>> job = TrialJob("/runs/a/record/clicks.mlp_jax", spec)
      >>> str(job), job.number, TrialJob.from_json(job.to_json()) == job
      ('trial 2 of clicks/mlp', 1, True)
    """

    study: str
    spec: TrialSpec
    submission: tuple[SentFile, ...] = ()
    needs: Needs | None = None
    host: str | None = None
    optimizer_file: SentFile | None = None
    workload_file: SentFile | None = None
    begun: bytes | None = None
    compiles: bool = True

    def __str__(self) -> str:
        return f"trial {self.spec.trial} of {self.workload}"

    @property
    def workload(self) -> str:
        """Its name."""
        return self.spec.workload

    @property
    def number(self) -> int:
        """Which of the run's it is, from 0."""
        return self.spec.trial - 1

    def belongs_to(self) -> str:
        """SHA-256 of all that the numbers of its result come from."""
        files = [file.sha256 for file in (*self.submission, self.optimizer_file, self.workload_file) if file]
        spec = dataclasses.replace(self.spec, resume=False, flags={})  # however it is gone on with
        asked = msgspec.json.encode([self.study, dataclasses.asdict(spec), files], order="sorted")
        return hashlib.sha256(asked).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The job as plain JSON data; contents as base64."""
        return {"kind": "trial", **msgspec.to_builtins(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrialJob:
        """Reads what `to_json` wrote."""
        return msgspec.convert(data, cls)


@dataclasses.dataclass(frozen=True)
class EstimateJob:
    """One estimate of a meta-gradient to make, with everything that this takes.

    Attributes:
      study: folder of the meta-training, whole; for messages.
      plan: of the meta-training, as JSON.
      estimator, part: whose estimate; `parts` are all that there are of it.
      outer_step: after which the weights are these.
      drawn_at, shares: how the estimator's task was drawn: at which outer step, and by which weights of workloads; None
        of these: the plan's.
      weights: of the optimizer, as a file of Flax's layout.
      carried: what the estimator's tasks have come to, as its last result has it; None where they have not begun.
      begin_with: weights with which they begin; None: `weights`.
      turn: of an asynchronous training, how many estimates were asked for before.
      needs: what whoever makes it must have; None: nobody checks.
      data_dir: where real data sets lie; None for embedded ones.
      files: name of a workload, as the plan has it -> the user's own file that defines it.

    Example:
      >>> job = EstimateJob("/mine/meta", {"seed": 0}, 3, 0, 2, 17, 0, b"weights")
      >>> str(job), job.number, job_from_json(job.to_json()) == job
      ('part 0 of estimator 3 after 17 outer steps', 0, True)
    """

    study: str
    plan: Mapping[str, Any]
    estimator: int
    part: int
    parts: int
    outer_step: int
    drawn_at: int
    weights: bytes
    shares: tuple[float, ...] | None = None
    carried: bytes | None = None
    begin_with: bytes | None = None
    turn: int | None = None
    needs: Needs | None = None
    data_dir: str | None = None
    files: Mapping[str, SentFile] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"part {self.part} of {self.workload} after {self.outer_step} outer steps"

    @property
    def workload(self) -> str:
        """Whose it is; what that trains, its worker draws."""
        return f"estimator {self.estimator}"

    @property
    def number(self) -> int:
        """Which of its estimator's it is, from 0."""
        return self.part

    def to_json(self) -> dict[str, Any]:
        """The job as plain JSON data; contents as base64."""
        return {"kind": "estimate", **msgspec.to_builtins(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EstimateJob:
        """Reads what `to_json` wrote."""
        return msgspec.convert(data, cls)


AnyJob: TypeAlias = Job | TrialJob | EstimateJob


def job_from_json(data: dict[str, Any]) -> AnyJob:
    """Reads what `to_json` of any kind wrote."""
    kinds = {"trial": TrialJob, "estimate": EstimateJob}
    return kinds.get(data.get("kind", ""), Job).from_json(data)


@dataclasses.dataclass(frozen=True)
class Done:
    """What jobs took.

    Attributes:
      trials: trained.
      compilations, compile_seconds: programs compiled in this process since it last said so.
      seconds: in all.
      host, device: that did it; "" where several did.
    """

    trials: int = 0
    compilations: int = 0
    compile_seconds: float = 0.0
    seconds: float = 0.0
    host: str = ""
    device: str = ""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a worker returns. It writes nothing into the study; whoever asked does.

    Attributes:
      content: of the cohort's file, sealed; of a trial, its files.
      done: what it took.
    """

    content: bytes
    done: Done

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON data; the content as base64."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Result:
        """Reads what `to_json` wrote."""
        return msgspec.convert(data, cls)


class WorkerLost(Exception):
    """Whoever did a job is gone, and the job may be done by another.

    Attributes:
      cause: one of `CAUSES`. "crash": the process ended, which the job may have caused. "host": nobody hears of its
        machine. "preempted": it was told to go. "unsent": the job never began, so that it is no attempt.
      worker: which, such as "node7:4711"; "" where nobody knows.
    """

    def __init__(self, message: str, cause: str = "crash", worker: str = "") -> None:
        super().__init__(message)
        self.cause, self.worker = cause, worker


class OutOfMemory(MemoryError):
    """A job took more memory than its worker has."""


class Refused(ValueError):
    """A worker cannot do a job as it is asked for: it has other versions, another source, device or data.

    Attributes:
      worker: which; "" for this process.
    """

    def __init__(self, message: str, worker: str = "") -> None:
        super().__init__(message)
        self.worker = worker


_OURS = {kind.__name__: kind for kind in (WorkerLost, OutOfMemory, Refused)}


def error_to_json(error: BaseException) -> dict[str, str]:
    """An error of a worker as plain JSON data."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _OURS or _is_known(kind)]
    # The nearest of ours or of Python's own that says anything, or the name of another's.
    kind = kinds[0] if kinds else type(error).__name__
    message = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1:
        message = str(error.args[0])  # its text is in quotes already
    return {"kind": kind, "message": message, "trace": "".join(traceback.format_exception(error))}


def error_from_json(data: Mapping[str, str], where: str = "a worker process", worker: str = "") -> Exception:
    """The error, as the same job would have raised it here.

    Args:
      data: what `error_to_json` made.
      where: it was raised, for a note.
      worker: which, see `Refused`.
    """
    kind, message = data["kind"], data["message"]
    known = _OURS.get(kind) or getattr(builtins, kind, None)
    if known is Refused:
        error: Exception | None = Refused(message, worker)
    elif known is WorkerLost:
        error = WorkerLost(message, worker=worker)
    else:
        try:
            error = known(message) if isinstance(known, type) and issubclass(known, Exception) else None
        except TypeError:  # it takes more than a message
            error = None
        error = error or RuntimeError(f"{kind}: {message}")
    error.add_note(
        f"In {where}, which knows only what can be loaded by name; executor 'threads' also knows what this process has "
        f"registered.\n{data['trace']}"
    )
    return error


def _is_known(kind: type) -> bool:
    return kind.__module__ == "builtins" and kind not in (Exception, BaseException, object)
