"""What went wrong with the jobs of a study, in one place: failures/<workload>__<cohort>.txt, an entry per attempt."""

from __future__ import annotations

import contextlib
import datetime
import traceback
from pathlib import Path

from tuning.execution.jobs import AnyJob
from workloads.data.files import append_line


def log_of(job: AnyJob) -> Path:
    """The file of a job."""
    return Path(job.study) / "failures" / f"{job.workload.replace('/', '__')}__{job.number:05d}.txt"


def record(job: AnyJob, error: BaseException, again: bool) -> Path:
    """Adds what a job raised, with what its worker said of it; returns the file.

    Where that cannot be written, such as on a full disk, there is none: the error is worth more than its log.
    """
    path, now = log_of(job), datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    went = "is tried again" if again else "is given up"
    text = f"{now} {job} {went}\n{''.join(traceback.format_exception(error))}"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        append_line(path, text.encode(errors="backslashreplace"))
    return path


def blame(job: AnyJob, error: BaseException) -> None:
    """Records an error that ends the run, and notes on it where."""
    error.add_note(f"The log of {job}: {record(job, error, again=False)}")
