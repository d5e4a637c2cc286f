"""How jobs reach whoever does them. Executors move jobs and nothing else, so none of them changes a number.

An executor has `workers`, how many jobs it does at a time; `submit(job)`, a future of what the job took; and `close()`,
which drops what has not begun and waits for what has. A future raises what the job raised, or `WorkerLost`.
"""

from __future__ import annotations

import builtins
import dataclasses
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from submissions import environment
from tuning.engine import _spread
from tuning.execution.jobs import Done, Job
from tuning.execution.work import Kept, work
from workloads.spelling import did_you_mean


class WorkerLost(Exception):
    """Whoever did a job is gone, and the job may be done by another."""


class Executor(Protocol):
    """What all executors can do."""

    workers: int

    def submit(self, job: Job) -> Future[Done]:
        """Has a job done, as soon as there is a place for it. May be called from any thread."""
        ...

    def close(self) -> None:
        """Drops jobs that have not begun and waits for those that have."""
        ...


class Threads:
    """Jobs in threads of this process, which share its compiled programs."""

    def __init__(self, workers: int, kept: Kept) -> None:
        self.workers = workers
        self._kept = kept
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, job: Job) -> Future[Done]:
        return self._pool.submit(work, job, self._kept)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Processes:
    """Jobs in processes of their own, each on its own cores and with its own compiled programs.

    Raises:
      ValueError: on an accelerator, whose memory this process holds.
    """

    def __init__(self, workers: int, kept: Kept) -> None:
        del kept  # what this process has compiled does not travel
        device = environment.device()
        if not device.startswith("cpu"):
            raise ValueError(f"executor 'processes' is for CPUs, not for {device}; use 'threads'")
        self.workers = workers
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
        self._workers = [_Worker(cores[i::workers] or [cores[i % len(cores)]]) for i in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, job: Job) -> Future[Done]:
        return self._pool.submit(self._move, job)

    def close(self) -> None:
        try:
            self._pool.shutdown(cancel_futures=True)
        finally:  # an impatient second Ctrl-C too
            for worker in self._workers:
                worker.end()

    def _move(self, job: Job) -> Done:
        worker = self._idle.get()
        try:
            return worker.work(job)
        finally:
            self._idle.put(worker)


class _Worker:
    """A process that does one job after another; a new one when it was lost.

    It ends when its standard input does, so that none outlives the process that it works for.
    """

    def __init__(self, cores: list[int]) -> None:
        self._cores = cores
        self._process: subprocess.Popen[bytes] | None = None

    def work(self, job: Job) -> Done:
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            self.end()
            raise WorkerLost(f"worker process {process.pid} ended with status {process.returncode}")
        said = json.loads(answer)
        if "error" in said:
            raise _error(**said["error"])
        return Done.from_json(said["done"])

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()

    def _start(self) -> subprocess.Popen[bytes]:
        variables = environment.for_workers()
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tuning.execution._worker", *map(str, self._cores)],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the process that asked, which waits for what has begun
        )


def _error(kind: str, message: str, trace: str) -> Exception:
    """An error of a worker, as the same job would have raised it here."""
    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, Exception):
        error = known(message)
    else:
        error = RuntimeError(f"{kind}: {message}")
    error.add_note(
        f"In a worker process, which knows only what can be loaded by name; executor 'threads' also knows what this "
        f"process has registered.\n{trace}"
    )
    return error


@dataclasses.dataclass(frozen=True)
class Row:
    """An executor as the table describes it.

    Attributes:
      start: (workers, what this process keeps) -> the executor.
      what_for: when to choose it.
      workers: how many it has by default.
    """

    start: Callable[[int, Kept], Any]
    what_for: str
    workers: Callable[[], int]


EXECUTORS = {
    "threads": Row(Threads, "one machine; programs are compiled once", _spread.places),
    "processes": Row(Processes, "the cores of one machine; a crash costs one cohort", _spread.cores),
}


def executor(name: str) -> Row:
    """The executor of a name in `EXECUTORS`.

    Raises:
      ValueError: no such executor.
    """
    if name not in EXECUTORS:
        allowed = ", ".join(EXECUTORS)
        raise ValueError(f"unknown executor {name!r}{did_you_mean(name, EXECUTORS)} (allowed: {allowed})")
    return EXECUTORS[name]
