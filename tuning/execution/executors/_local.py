"""Executors of this process: in line, and threads."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any

from tuning.engine import _spread
from tuning.execution.jobs import AnyJob, Result, WorkerLost
from tuning.execution.stopping import Stop
from tuning.execution.work import Kept, work


class Inline:
    """Jobs in the thread that submits them: each is done when `submit` returns."""

    workers = 1
    ahead = 0
    device = None

    def __init__(self, workers: int | None, kept: Kept, options: Mapping[str, Any]) -> None:
        del options
        if workers not in (None, 1):
            raise ValueError(f"executor 'inline' does one cohort at a time, not {workers}")
        self._kept = kept

    def submit(self, job: AnyJob) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work(job, self._kept))
        except Exception as error:
            future.set_exception(error)
        return future

    def abandon(self, future: Future[Result]) -> None:
        del future  # it is done

    def interrupt(self, future: Future[Result]) -> None:
        del future  # likewise

    def close(self) -> None:
        """There is nothing to close."""


class Places:
    """So many threads, each of which does one job at a time. One that is given up is replaced, and not waited for."""

    def __init__(self, count: int, do: Callable[[int, AnyJob], Result]) -> None:
        self.count = count
        self._do = do
        self._jobs: queue.SimpleQueue[tuple[Future[Result], AnyJob] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._at: dict[Future[Result], int] = {}
        self._threads = {place: self._start(place) for place in range(count)}

    def submit(self, job: AnyJob) -> Future[Result]:
        future: Future[Result] = Future()
        self._jobs.put((future, job))
        return future

    def give_up(self, future: Future[Result], why: str) -> int | None:
        """Lets another thread have the place of a job; returns which, None where the job has not begun or is over."""
        with self._lock:
            place = self._at.pop(future, None)
            if place is not None:
                self._threads[place] = self._start(place)
        if place is None:
            future.cancel()
        else:
            with contextlib.suppress(InvalidStateError):
                future.set_exception(WorkerLost(why))
        return place

    def interrupt(self, future: Future[Result], ask: Callable[[int], None]) -> None:
        """Drops a job that has not begun, and asks the place of one that has."""
        with self._lock:
            place = self._at.get(future)
        if place is None:
            future.cancel()
        else:
            ask(place)

    def close(self) -> None:
        """Drops what has not begun, and waits for what has."""
        with contextlib.suppress(queue.Empty):
            while item := self._jobs.get_nowait():
                item[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in list(self._threads.values()):
            thread.join()

    def _start(self, place: int) -> threading.Thread:
        thread = threading.Thread(target=self._serve, args=(place,), name=f"place {place}", daemon=True)
        thread.start()
        return thread

    def _serve(self, place: int) -> None:
        while item := self._jobs.get():
            future, job = item
            with self._lock:
                self._at[future] = place
            if not future.set_running_or_notify_cancel():
                with self._lock:
                    self._at.pop(future, None)
                continue
            result, error = None, None
            try:
                result = self._do(place, job)
            except BaseException as raised:  # a place outlives whatever a job does
                error = raised
            with self._lock:
                if self._at.pop(future, None) is None:
                    return  # it was given up, and another thread has the place
            if error is not None:
                future.set_exception(error)
            else:
                assert result is not None
                future.set_result(result)


class Threads:
    """Jobs in threads of this process, which share its compiled programs."""

    ahead = 0
    device = None

    def __init__(self, workers: int | None, kept: Kept, options: Mapping[str, Any]) -> None:
        del options
        self.workers = _spread.places() if workers is None else workers
        self._stops: dict[int, Stop] = {}

        def do(place: int, job: AnyJob) -> Result:
            self._stops[place] = Stop()
            return work(job, kept, self._stops[place])

        self._places = Places(self.workers, do)

    def submit(self, job: AnyJob) -> Future[Result]:
        return self._places.submit(job)

    def abandon(self, future: Future[Result]) -> None:
        """A thread cannot be ended: what it does goes on, and nobody waits for it."""
        self._places.give_up(future, "a thread of this process was given up")

    def interrupt(self, future: Future[Result]) -> None:
        self._places.interrupt(
            future, lambda place: self._stops[place].set() if place in self._stops else None
        )

    def close(self) -> None:
        self._places.close()
