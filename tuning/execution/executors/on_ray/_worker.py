"""A worker: an actor of Ray on one device, which keeps its compiled programs from job to job."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator

from tuning.execution.executors.on_ray.cores import choose
from tuning.execution.jobs import Refused, error_to_json, job_from_json
from tuning.execution.stopping import Stop
from workloads.data.caches import cache_folder

SECONDS_AFTER_REFUSAL = 1.0  # until the next job, so that another worker gets it


class Worker:
    """One device of one node. Ray makes it in a process of its own, before JAX is there."""

    def __init__(self, variables: dict[str, str], number: int, of: int, pinned: bool, cache: bool) -> None:
        """Sets up the process.

        Args:
          variables: environment variables.
          number, of: which of its node's workers it is.
          pinned: to its part of the cores that the node may use, as far as no other worker has them.
          cache: keeps compiled programs on this host, beside the user's other caches.
        """
        os.environ.update(variables)
        os.environ.pop("XLA_PYTHON_CLIENT_MEM_FRACTION", None)  # an older name of ours, and JAX takes but one
        self._cores: list[int] | None = None
        self._doing: tuple[int, Stop] | None = None
        if pinned and hasattr(os, "sched_setaffinity"):
            self._cores, threads = choose(sorted(os.sched_getaffinity(0)), number, of)
            self._pin()
            os.environ["PJRT_NPROC"] = str(threads)
        if cache and (caches := cache_folder()) is not None:
            # One per host: a home is often on the network, and programs are made for a processor.
            os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches / f"xla-{socket.gethostname()}"))
            os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

    def hello(self) -> str:
        """Loads everything that a job needs. Says, as JSON, who this is."""
        self._pin()
        from submissions import environment
        from tuning.execution import work  # noqa: F401

        return json.dumps(
            {"host": environment.host(), "pid": os.getpid(), "device": environment.device_kind()}
        )

    def work(self, job: bytes, number: int) -> Iterator[bytes]:
        """Does a job: gives an empty answer when it begins, which some never do, and then the answer."""
        self._pin()
        from tuning.execution.work import OF_THIS_PROCESS, work

        _, stop = self._doing = number, Stop()
        yield b""
        refused = False
        try:
            said = {"result": work(job_from_json(json.loads(job)), OF_THIS_PROCESS, stop).to_json()}
        except Exception as error:
            said, refused = {"error": error_to_json(error)}, isinstance(error, Refused)
        yield json.dumps(said).encode()
        if refused:
            time.sleep(SECONDS_AFTER_REFUSAL)

    def interrupt(self, number: int) -> None:
        """Asks the job of that number to save what it has made and end, from another thread than that which does it."""
        doing = self._doing
        if doing is not None and doing[0] == number:
            doing[1].set()

    def _pin(self) -> None:
        # Of this thread, which those that JAX starts take it from: Ray has one for jobs and one for words.
        if self._cores is not None:
            os.sched_setaffinity(0, self._cores)
