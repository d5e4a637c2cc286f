"""Jobs that strategies ask for as they go: several threads ask, one coordinator has them done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from tuning.execution.jobs import Job


class Asked:
    """A source of jobs (`tuning.execution.coordinate.Source`) that one thread per workload fills."""

    def __init__(self) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._open: set[tuple[str, int]] = set()  # cohorts that are not written
        self._asking: Sequence[Future[None]] = ()
        self._cleared = False

    def expect(self, asking: Sequence[Future[None]]) -> None:
        """Says who asks: once all of these are done, no more will come."""
        self._asking = asking
        for future in asking:
            future.add_done_callback(lambda _: self.wake())

    def do(self, jobs: Sequence[Job]) -> None:
        """Returns once the cohorts of jobs are there, or nothing more is begun. From the threads that ask."""
        mine = {(job.workload, job.cohort.number) for job in jobs}
        with self._changed:
            if self._cleared:
                return
            self._jobs.extend(jobs)
            self._open |= mine
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: self._cleared or not self._open & mine)

    def written(self, job: Job) -> None:
        """Says that a cohort is there."""
        with self._changed:
            self._open.discard((job.workload, job.cohort.number))
            self._changed.notify_all()

    def take(self) -> Job | None:
        with self._changed:
            return self._jobs.popleft() if self._jobs else None

    def is_over(self) -> bool:
        """Whether no more will come. Raises what a thread that asks has raised."""
        done = [future for future in self._asking if future.done() and not future.cancelled()]
        for future in done:
            future.result()
        return not self._jobs and all(future.done() for future in self._asking)

    def clear(self) -> None:
        with self._changed:
            self._cleared = True
            self._jobs.clear()
            self._changed.notify_all()
