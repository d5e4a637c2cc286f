"""The executor that moves jobs through Ray. Nothing here loads Ray: another process does."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError, wait
from typing import Any

from submissions import environment
from tuning.engine import _spread
from tuning.execution.executors.on_ray._places import RESOURCES
from tuning.execution.executors.on_ray._process import DriverProcess
from tuning.execution.jobs import AnyJob, OutOfMemory, Result, WorkerLost, error_from_json
from tuning.execution.work import Kept

SECONDS_TO_START = 900.0  # until the first worker is there
_MOST_STARTS = 5  # in a row: Ray gives its daemons 30 s, which a busy machine does not always


class Ray:
    """Jobs on the devices of this machine, or of a cluster, through Ray.

    Workers come and go with the nodes of a cluster. A Ray of our own ends with this executor, however its process ends.
    """

    ahead = 1

    def __init__(self, workers: int | None, kept: Kept, options: Mapping[str, Any]) -> None:
        """Starts Ray, or joins a cluster, and waits for the first worker.

        Args:
          workers: at most; more than there are accelerators share these. None for one on each core, or on each
            accelerator as many as the table of widths says for what is trained.
          kept: not used: what this process has compiled does not travel.
          options: `address` of the cluster to join, such as "auto" or "10.0.0.1:6379"; without one a Ray of our own is
            started, which only this machine can reach. `device` of the workers, a kind as `environment.device_kind`
            says it; by default the accelerators of a cluster that has any, and on this machine what JAX uses here.
            `cost_classes` of what is trained.

        Raises:
          ValueError: Ray is not installed, others can read the cluster's token, no node has such a device, Ray does not
            start, or no worker does.
        """
        del kept
        if importlib.util.find_spec("ray") is None:
            raise ValueError("executor 'ray' needs Ray: pip install 'shortlist[ray]'")
        address = options.get("address")
        asked = options.get("device") or ("" if address else environment.device_kind())
        device = asked.partition(" ")[0] or None
        if device is not None and device not in RESOURCES:
            raise ValueError(f"executor 'ray' is for {', '.join(RESOURCES)}, not for {device}")
        if address is None and workers is None and device == "cpu":
            workers = _spread.cores()  # Ray would count those that this process may not use
        classes = options.get("cost_classes", ())
        # Until its workers say so, nobody knows more of a cluster's accelerators than what they are called.
        each = {
            platform: _spread.workers_per_device(classes, asked if platform == device else platform)
            for platform in RESOURCES
        }
        self._plan = {"address": address, "device": device, "workers": workers, "each": each}
        self._changed = threading.Condition()
        self._futures: dict[int, Future[Result]] = {}
        self._ready: list[dict[str, Any]] = []
        self._numbers = itertools.count()
        self._closing, self._broken, self._failure = False, "", ""
        self._driver: DriverProcess | None = DriverProcess(self._plan)
        self._thread = threading.Thread(target=self._run, args=(self._driver,), name="ray", daemon=True)
        self._thread.start()
        try:
            self._await_first()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """Workers that are there now."""
        return len(self._ready)

    @property
    def device(self) -> str | None:
        """Kind of a cluster's workers' device; None on this machine, where it is that of this process."""
        return self._kind

    def submit(self, job: AnyJob) -> Future[Result]:
        """Has a job done by the next worker that is free."""
        future: Future[Result] = Future()
        message = json.dumps(job.to_json()).encode()
        with self._changed:
            if self._broken or self._closing:
                raise RuntimeError(f"executor 'ray': {self._broken or 'it is closed'}")
            number = next(self._numbers)
            if self._driver is None:
                future.set_exception(WorkerLost("Ray is being started again", "unsent"))
            else:
                self._futures[number] = future
                self._driver.send({"job": number}, message)
        return future

    def abandon(self, future: Future[Result]) -> None:
        """Ends the worker that does a job; another one takes its place."""
        with self._changed:
            number = next((number for number, one in self._futures.items() if one is future), None)
            if number is not None:
                del self._futures[number]
                if self._driver is not None:
                    self._driver.send({"abandon": number})
        _fail(future, WorkerLost("its worker was ended"))

    def interrupt(self, future: Future[Result]) -> None:
        """Drops a job that has not begun, and asks the worker of one that has."""
        with self._changed:
            number = next((number for number, one in self._futures.items() if one is future), None)
            if number is not None and self._driver is not None:
                self._driver.send({"interrupt": number})

    def close(self) -> None:
        """Drops what has not begun, waits for what has, and ends all workers, and a Ray of our own with its files."""
        with self._changed:
            self._closing = True
            if self._driver is not None:
                self._driver.send({"drop": True})
            futures = list(self._futures.values())
        try:
            wait([future for future in futures if not future.cancel()])
        finally:  # an impatient second Ctrl-C too
            with self._changed:
                if self._driver is not None:
                    self._driver.hang_up()
            self._thread.join()

    def _await_first(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready or self._broken, SECONDS_TO_START):
                self._broken = (
                    f"no worker within {SECONDS_TO_START:g} s; are all devices of the cluster taken?"
                )
            if self._broken:
                raise ValueError(f"executor 'ray': {self._broken}")
            self._kind = None if self._plan["address"] is None else str(self._ready[0]["device"])

    def _run(self, driver: DriverProcess) -> None:
        """Listens to the process that speaks to Ray, and starts another when it was lost."""
        failures = 0
        while True:
            began = False
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self._hear(*driver.receive())
                    began = began or bool(self._ready)
            with self._changed:
                self._driver, self._ready = None, []
            status = driver.end()
            failures = 0 if began else failures + 1
            with self._changed:
                lost, self._futures = list(self._futures.values()), {}
                why = self._failure or f"the process that speaks to Ray ended with status {status}"
                if failures == (_MOST_STARTS if self._plan["address"] is None else 1):
                    self._broken = self._broken or why
                over = self._closing or bool(self._broken)
                if not over:
                    driver = self._driver = DriverProcess(self._plan)
                self._changed.notify_all()
            for future in lost:
                _fail(future, WorkerLost(why, "host"))
            if over:
                return

    def _hear(self, header: dict[str, Any], content: bytes) -> None:
        with self._changed:
            if "workers" in header:
                self._ready = header["workers"]
            elif "failed" in header:
                self._failure = header["failed"]
            elif "unfit" in header and not self._ready:  # else the others do the work
                self._broken = header["unfit"]
            elif "began" in header:
                if (future := self._futures.get(header["began"])) is not None:
                    future.set_running_or_notify_cancel()
                return
            self._changed.notify_all()
            future = self._futures.pop(header.get("job", -1), None)
        if future is None:
            return
        if "lost" in header:
            memory = header["cause"] == "memory"
            lost = WorkerLost(header["lost"], header["cause"], header["worker"])
            _fail(future, OutOfMemory(header["lost"]) if memory else lost)
        elif "error" in (answer := json.loads(content)):
            worker = header["worker"]
            _fail(future, error_from_json(answer["error"], f"{worker}, a worker on Ray", worker))
        else:
            with contextlib.suppress(InvalidStateError):
                future.set_result(Result.from_json(answer["result"]))


def _fail(future: Future[Result], error: Exception) -> None:
    with contextlib.suppress(InvalidStateError):  # it was cancelled
        future.set_exception(error)
