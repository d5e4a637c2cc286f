"""How jobs reach whoever does them. Executors move jobs and nothing else, so none of them changes a number.

| module | what |
|---|---|
| `_local`, `_processes` | in line, in threads and in processes of this machine |
| `_folder`, `_shared_folder` | through a folder that workers on other machines share |
| `folder_worker` | what does the jobs of a shared folder |
| `slurm` | workers of a shared folder as jobs of Slurm |
| `on_ray` | through Ray: a worker per device of this machine, or of a cluster |
| `_worker`, `_worker_process` | a process that does one job after another |

This door loads none of them before it is asked: a worker must be set up before JAX is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from tuning.execution.jobs import AnyJob, Result
from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    from tuning.execution.work import Kept

__all__ = ["EXECUTORS", "Executor", "Row", "executor", "start"]


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

    def interrupt(self, future: Future[Result]) -> None:
        """Drops a job that has not begun. Asks whoever does one to save what it has made and end, which trials of
        submissions do and cohorts do not. It may be said again and again. Never raises, and does not wait."""
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


def _threads(workers: int | None, kept: Kept, options: Mapping[str, Any]) -> Executor:
    from tuning.execution.executors._local import Threads

    return Threads(workers, kept, options)


def _processes(workers: int | None, kept: Kept, options: Mapping[str, Any]) -> Executor:
    from tuning.execution.executors._processes import Processes

    return Processes(workers, kept, options)


def _folder(workers: int | None, kept: Kept, options: Mapping[str, Any]) -> Executor:
    from tuning.execution.executors._folder import Folder

    return Folder(workers, kept, options)


def _ray(workers: int | None, kept: Kept, options: Mapping[str, Any]) -> Executor:
    from tuning.execution.executors.on_ray.executor import Ray

    return Ray(workers, kept, options)


def _inline(workers: int | None, kept: Kept, options: Mapping[str, Any]) -> Executor:
    from tuning.execution.executors._local import Inline

    return Inline(workers, kept, options)


EXECUTORS = {
    "threads": Row(_threads, "one machine; programs are compiled once"),
    "processes": Row(_processes, "the cores of one machine; a crash costs one cohort"),
    "folder": Row(
        _folder,
        "several machines with a common folder, each with its 'shortlist worker FOLDER'",
        options=("folder", "device", "lease"),
    ),
    "ray": Row(
        _ray,
        "the accelerators of one machine, or the machines of a Ray cluster",
        options=("address", "device", "cost_classes"),
    ),
    "inline": Row(_inline, "one cohort after the other, in this very thread; for debuggers"),
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
