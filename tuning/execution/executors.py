"""How jobs reach whoever does them. Executors move jobs and nothing else, so none of them changes a number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from tuning.execution._folder import Folder
from tuning.execution._local import Inline, Threads
from tuning.execution._processes import Processes
from tuning.execution.jobs import AnyJob, Result
from tuning.execution.jobs import OutOfMemory as OutOfMemory
from tuning.execution.jobs import Refused as Refused
from tuning.execution.jobs import WorkerLost as WorkerLost
from tuning.execution.on_ray.executor import Ray
from tuning.execution.work import Kept
from workloads.spelling import did_you_mean


class Executor(Protocol):
    """What all executors can do. The coordinator calls it from one thread.

    Attributes:
      workers: jobs that it does at a time; may change while it runs, as workers join and go.
      ahead: jobs that may wait with it beside those, so that no worker idles while a result travels: 0 or 1.
      refusals: optional; worker -> what it said when it refused and went.
      device: kind of its workers' device, as `environment.device_kind` says it; None: as this process's.
    """

    @property
    def workers(self) -> int: ...
    @property
    def ahead(self) -> int: ...
    @property
    def device(self) -> str | None: ...

    def submit(self, job: AnyJob) -> Future[Result]:
        """Has a job done, as soon as there is a place for it.

        The future is `running()` once a worker has begun. It raises what the job raised, or `WorkerLost`,
        `OutOfMemory`, `Refused`. It may come to its end in any thread.
        """
        ...

    def abandon(self, future: Future[Result]) -> None:
        """Gives up a job that took too long, and ends whoever does it where that is possible. Never raises, and does
        not wait."""
        ...

    def close(self) -> None:
        """Drops jobs that have not begun, waits for those that have and were not given up, and ends the workers."""
        ...


@dataclasses.dataclass(frozen=True)
class Row:
    """An executor as the table describes it.

    Attributes:
      start: (workers or None for its own default, what this process keeps, options by name) -> the executor. Raises
        ValueError where it cannot work here.
      what_for: when to choose it.
      options: names of what else it takes; "cost_classes" are those of the workloads, which no user gives.
    """

    start: Callable[[int | None, Kept, Mapping[str, Any]], Executor]
    what_for: str
    options: tuple[str, ...] = ()


EXECUTORS = {
    "threads": Row(Threads, "one machine; programs are compiled once"),
    "processes": Row(Processes, "the cores of one machine; a crash costs one cohort"),
    "folder": Row(
        Folder,
        "several machines with a common folder, each with its 'shortlist worker FOLDER'",
        options=("folder", "device", "lease"),
    ),
    "ray": Row(
        Ray,
        "the accelerators of one machine, or the machines of a Ray cluster",
        options=("address", "device", "cost_classes"),
    ),
    "inline": Row(Inline, "one cohort after the other, in this very thread; for debuggers"),
}


def executor(name: str, options: Mapping[str, Any] | None = None) -> Row:
    """The executor of a name in `EXECUTORS`.

    Args:
      name: of the table.
      options: that it is to be given; None values are as not given.

    Raises:
      ValueError: no such executor, or an option that it does not take.
    """
    if name not in EXECUTORS:
        allowed = ", ".join(EXECUTORS)
        raise ValueError(f"unknown executor {name!r}{did_you_mean(name, EXECUTORS)} (allowed: {allowed})")
    row = EXECUTORS[name]
    for option, value in (options or {}).items():
        if value is not None and option not in row.options:
            takers = [other for other, of in EXECUTORS.items() if option in of.options]
            said = f"; it is for {', '.join(takers)}" if takers else ""
            raise ValueError(f"executor {name!r} does not take --{option.replace('_', '-')}{said}")
    return row


def start(name: str, workers: int | None, kept: Kept, options: Mapping[str, Any] | None = None) -> Executor:
    """Starts an executor.

    Args:
      name, options: see `executor`.
      workers: jobs at a time; None: its own default.
      kept: what this process keeps.
    """
    given = {option: value for option, value in (options or {}).items() if value is not None}
    return executor(name, given).start(workers, kept, given)
