"""A process that does one job after another for this one. Nothing here needs JAX."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from submissions import environment
from tuning.execution.jobs import AnyJob, Needs, Result, WorkerLost, error_from_json


def shares(workers: int) -> list[list[int]]:
    """The cores of each of so many workers: disjoint where there are enough."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return [cores[i::workers] or [cores[i % len(cores)]] for i in range(workers)]


class WorkerProcess:
    """A process that does one job after another; a new one when it was lost.

    It ends when its standard input does, so that none outlives the process that it works for.
    """

    def __init__(self, cores: Sequence[int], variables: Mapping[str, str], more: Sequence[str] = ()) -> None:
        """
        Args:
          cores: that it is pinned to; none: as this process.
          variables: of its environment, beside this one's.
          more: arguments of its command line, see `tuning.execution.executors._worker`.
        """
        self._how = cores, variables, more
        self._process: subprocess.Popen[bytes] | None = None
        self._writing = threading.Lock()

    def another(self) -> WorkerProcess:
        """One more like this one."""
        return WorkerProcess(*self._how)

    def work(self, job: AnyJob, name: str = "") -> Result:
        """Has a job done.

        Args:
          job: what to do.
          name: by which it may be interrupted.

        Raises:
          WorkerLost: the process ended.
          Exception: what the job raised.
        """
        return Result.from_json(self._ask({"job": job.to_json(), "name": name}))

    def interrupt(self, name: str = "") -> None:
        """Asks the process to end a job as soon as what it has made is saved, from another thread than the one that
        waits for its answer. One that does another job, or none yet, does not heed it."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError, ValueError), self._writing:  # it has ended
                _say(process.stdin, {"stop": name})

    def here(self) -> tuple[Needs, str]:
        """What the process has, of what a job may need, and its device in words."""
        said = self._ask({"here": True})
        return msgspec.convert(said["needs"], Needs), said["device"]

    def _ask(self, what: dict[str, object]) -> dict:
        process = self._process = self._process or self._start()
        name = f"{environment.host()}:{process.pid}"
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with self._writing:
                _say(process.stdin, what)
            answer = process.stdout.readline()
        except (BrokenPipeError, ValueError):  # ValueError: it was ended meanwhile, and its pipes closed
            answer = b""
        if not answer.endswith(b"\n"):
            self.end()
            raise WorkerLost(
                f"worker process {process.pid} ended with status {process.returncode}", worker=name
            )
        said = json.loads(answer)
        if "error" in said:
            raise error_from_json(said["error"], f"a worker process, {name}", name)
        return said["answer"]

    def kill(self) -> None:
        """Ends the process, whatever it does, from another thread than the one that waits for its answer."""
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """Ends the process, whatever it does; the next job begins another one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None and not pipe.closed:
                    pipe.close()

    def _start(self) -> subprocess.Popen[bytes]:
        cores, variables, more = self._how
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tuning.execution.executors._worker", *more, *map(str, cores)],
            env=os.environ | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the process that asked, which waits for what has begun
        )


def _say(pipe: IO[bytes], what: Mapping[str, object]) -> None:
    pipe.write(json.dumps(what).encode() + b"\n")
    pipe.flush()
