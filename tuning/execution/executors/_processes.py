"""Jobs in processes of their own on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from submissions import environment
from tuning.engine import _spread
from tuning.execution.executors._local import Places
from tuning.execution.executors._worker_process import WorkerProcess, shares
from tuning.execution.jobs import AnyJob, Result
from tuning.execution.work import Kept


class Processes:
    """Jobs in processes of their own, each on its own cores and with its own compiled programs.

    Raises:
      ValueError: on an accelerator, whose memory this process holds.
    """

    ahead = 0
    device = None

    def __init__(self, workers: int | None, kept: Kept, options: Mapping[str, Any]) -> None:
        del kept, options  # what this process has compiled does not travel
        device = environment.device()
        if not device.startswith("cpu"):
            raise ValueError(f"executor 'processes' is for CPUs, not for {device}; use 'threads'")
        count = self.workers = _spread.cores() if workers is None else workers
        variables = environment.for_workers()
        self._workers = [WorkerProcess(cores, variables) for cores in shares(count)]
        self._places = Places(count, lambda place, job: self._workers[place].work(job))

    def submit(self, job: AnyJob) -> Future[Result]:
        return self._places.submit(job)

    def abandon(self, future: Future[Result]) -> None:
        place = self._places.give_up(future, "its worker process was ended")
        if place is not None:
            lost, self._workers[place] = self._workers[place], self._workers[place].another()
            lost.kill()

    def interrupt(self, future: Future[Result]) -> None:
        self._places.interrupt(future, lambda place: self._workers[place].interrupt())

    def close(self) -> None:
        try:
            self._places.close()
        finally:  # an impatient second Ctrl-C too
            for worker in self._workers:
                worker.end()
