"""A trial that was sent: trained in a folder of this machine, by a process of its own, and sent back.

A submission is used where it lies, if its code lies there in that version, else from a copy. What is said of it comes
back with the paths of whoever asked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from results import studies
from submissions import api, environment
from submissions.api import TrialOutcome
from tuning.execution.jobs import Done, Result, SentFile, TrialJob, WorkerLost
from tuning.execution.stopping import Stop
from tuning.execution.trials import _trial_folder, _trial_process, locks, parcel
from tuning.execution.trials.record import trained_on
from workloads import own_files
from workloads.data import reading

CACHE = "JAX_COMPILATION_CACHE_DIR"


@dataclasses.dataclass(frozen=True)
class Here:
    """What whoever trains has.

    Attributes:
      private: folder of this process alone.
      state: folder for trials under way whose run is not on this machine; it may outlive this process.
      data_dir: where real data sets lie here, in the place of where a job says.
      place: where a user's own file lies in this process.
    """

    private: Path
    state: Path
    data_dir: str | None
    place: Callable[[SentFile], Path]


def train_sent(job: TrialJob, here: Here, stop: Stop) -> Result:
    """Trains a trial. What a crash of it leaves is a result too: the submission may be at fault, and nobody else.

    Args:
      job: the trial.
      here: what this process has.
      stop: set to have the trial save itself and end; what it has made by then is the result.

    Raises:
      WorkerLost: its files cannot be written here, or it was told to go.
      ValueError: the trial was refused.
    """
    began, who = time.perf_counter(), f"{environment.host()}:{os.getpid()}"
    try:
        with _state(job, here) as (place, lock):
            folder = place / f"trial_{job.spec.trial}"
            outcome, said = _trained(job, folder, lock, here, stop)
            about = {
                "belongs_to": job.belongs_to(), "outcome": dataclasses.asdict(outcome), "said": said,
                "data": trained_on(folder),
            }  # fmt: skip
            content = parcel.pack(folder, about)
    except OSError as error:  # not of the submission, whose own are a crash
        raise WorkerLost(f"{who}: {error}", "host", who) from error
    except _trial_process.ToldToGo as error:
        raise WorkerLost(f"{who}: {error}", "preempted", who) from error
    seconds = time.perf_counter() - began
    return Result(content, Done(1, 0, 0.0, seconds, environment.host(), environment.device()))


def is_here(job: TrialJob) -> bool:
    """Whether the run of a job is on this machine."""
    return job.host == environment.host() and (Path(job.study) / "study.json").is_file()


def state_folder(job: TrialJob) -> Path:
    """Where a trial is while it trains on the machine of its run: what a killed worker leaves there is gone on with."""
    return studies.checkpoint_folder(Path(job.study), job.workload, job.number) / _name(job)


def _name(job: TrialJob) -> str:
    return job.belongs_to()[:32]  # what was left by another version of it is nobody's


def _trained(
    job: TrialJob, folder: Path, lock: int, here: Here, stop: Stop
) -> tuple[TrialOutcome, list[str]]:
    """How the trial ended, and what it said, with the paths of whoever asked."""
    submission, names = _submission(job, here)
    spec = dataclasses.replace(job.spec, folder=str(folder), submission_path=str(submission))
    names = {str(folder): job.spec.folder, **names}
    if job.workload_file is not None:
        file = here.place(job.workload_file)
        spec = dataclasses.replace(spec, workload_file=str(file))
        names[str(file)] = job.workload_file.path
    if spec.data_dir is not None and here.data_dir is not None:
        spec = dataclasses.replace(spec, data_dir=here.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if job.begun is not None and not parcel.names(folder):
        for name, content in parcel.opened(job.begun)[1].items():
            (folder / name).write_bytes(content)
    spec = dataclasses.replace(spec, resume=spec.resume or bool(parcel.names(folder)))
    listener = _Listener()
    outcome = _trial_folder.read_outcome(folder)  # that its result was lost on the way, it may have ended
    if outcome is None or outcome.status not in _trial_folder.ENDED:
        (folder / _trial_folder.OUTCOME).unlink(missing_ok=True)
        without = (CACHE,) if job.compiles else ()
        outcome = _trial_process.train_apart(spec, lock, stop, listener, without=without, may_go=True)
        if outcome.status == "crashed" and not reading.matching(folder, "meta_data_*.json"):
            with contextlib.suppress(_trial_process.TrialCrashed, ValueError):
                _trial_process.begin_apart(spec, lock)
    console = folder / _trial_process.CONSOLE
    if console.exists():
        console.write_bytes(_renamed(console.read_bytes(), names))
    reason = _renamed(outcome.reason.encode(), names).decode()
    said = [_renamed(line.encode(), names).decode() for line in listener.said]
    return dataclasses.replace(outcome, folder=job.spec.folder, reason=reason), said


class _Listener(api.Attendant):
    """Keeps what is said for whoever asked."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, what: str) -> None:
        self.said.append(what)


def _submission(job: TrialJob, here: Here) -> tuple[Path, dict[str, str]]:
    """The submission's file here, and what its paths are for whoever asked."""
    path, own = Path(job.spec.submission_path), job.optimizer_file
    optimizer = None if own is None else here.place(own)
    moved = own is not None and str(optimizer) != own.path
    code = [file for file in job.submission if file.path.endswith(".py")]
    if not job.submission or (not moved and all(map(_lies_there, code))):
        return path, {}
    root = Path(os.path.commonpath([os.path.dirname(file.path) for file in job.submission]))
    digest = hashlib.sha256("".join(file.sha256 for file in job.submission).encode()).hexdigest()[:16]
    # Below a folder of the same name, which an import may go by.
    copy = here.private / digest / root.name
    if not copy.exists():
        beside = here.private / f"{digest}.{uuid.uuid4().hex}" / root.name
        for file in job.submission:
            content = file.content
            if moved and own is not None and file.path == str(path):
                content = content.replace(f"{own.path}:".encode(), f"{optimizer}:".encode())
            target = beside / Path(file.path).relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        with contextlib.suppress(OSError):  # another thread was quicker
            os.rename(beside.parent, copy.parent)
    names = {str(copy): str(root)}
    if own is not None:
        names[str(optimizer)] = own.path
    return copy / path.relative_to(root), names


def _lies_there(file: SentFile) -> bool:
    try:
        return own_files.sha256(Path(file.path).read_bytes()) == file.sha256
    except OSError:
        return False


def _renamed(text: bytes, names: dict[str, str]) -> bytes:
    for here, there in names.items():
        text = text.replace(here.encode(), there.encode())
    return text


@contextlib.contextmanager
def _state(job: TrialJob, here: Here) -> Iterator[tuple[Path, int]]:
    """The folder of a trial while it trains, and a lock on it that its process holds.

    On the machine of its run it is in the record, and stays until the result is there; elsewhere it stays with the
    worker until the trial has ended.
    """
    own = is_here(job)
    place = state_folder(job) if own else here.state / _name(job)
    lock = _lock(place)
    if lock is None:  # one that was given up lives on there
        own, place = False, here.state / uuid.uuid4().hex
        lock = _lock(place)
    assert lock is not None
    try:
        yield place, lock
    finally:
        os.close(lock)
    if not own:
        shutil.rmtree(place, ignore_errors=True)


def _lock(place: Path) -> int | None:
    place.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + locks.SECONDS_TO_DIE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
            time.sleep(0.05)
        except OSError:  # a file system without locks
            return descriptor
        else:
            return descriptor
