"""Jobs through a folder that workers on other machines share: `shortlist worker` on each of them does them."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from pathlib import Path
from typing import Any

from tuning.execution.executors._shared_folder import SharedFolder, about_me
from tuning.execution.jobs import AnyJob, Refused, Result, WorkerLost, error_from_json
from tuning.execution.work import Kept
from workloads.data.files import sweep, write_once

QUICK, SLOW = 0.02, 0.5  # seconds between looks, while there is something to see, and while there is not


class Folder:
    """Jobs as files in a shared folder, which workers take; a lease that nobody touches is taken back.

    Attributes:
      workers: that have said hello and touch their file.
      refusals: file of a worker that refused -> what it said.
    """

    ahead = 1

    def __init__(self, workers: int | None, kept: Kept, options: Mapping[str, Any]) -> None:
        del kept
        if workers is not None:
            raise ValueError(
                "executor 'folder' has as many workers as are started ('shortlist worker FOLDER'); leave out --workers"
            )
        if "folder" not in options:
            raise ValueError("executor 'folder' needs --folder PATH, which workers on other machines see too")
        self.device: str | None = options.get("device")
        self._folder = SharedFolder(Path(options["folder"]), options.get("lease"))
        if self._folder.is_stopped():
            raise ValueError(f"{self._folder.path / 'stop'}: is there, so that workers end; remove it")
        self._id = uuid.uuid4().hex[:12]
        write_once(self._folder.path / "coordinators" / self._id, json.dumps(about_me()).encode())
        self._sweep()
        self.workers = 0
        self._lock = threading.Lock()
        self._futures: dict[str, Future[Result]] = {}
        self.refusals: dict[str, str] = {}
        self._number = 0
        self._ended = threading.Event()
        self._look(self._folder.touch("coordinators", self._id))
        self._looker = threading.Thread(target=self._look_on, name="shared folder", daemon=True)
        self._looker.start()

    def submit(self, job: AnyJob) -> Future[Result]:
        self._number += 1
        name = f"{self._id}-{self._number:08d}.json"
        future: Future[Result] = Future()
        with self._lock:
            self._futures[name] = future
        write_once(self._folder.path / "jobs" / name, json.dumps(job.to_json()).encode())
        return future

    def abandon(self, future: Future[Result]) -> None:
        """Takes the lease back, upon which its worker ends whatever does it."""
        with self._lock:
            names = [name for name, one in self._futures.items() if one is future]
        for name in names:
            with contextlib.suppress(OSError):
                self._take_back(name)
            self._settle(name, error=WorkerLost("its lease was taken back"))

    def interrupt(self, future: Future[Result]) -> None:
        with self._lock:
            names = [name for name, one in self._futures.items() if one is future]
        for name in names:
            lease = Path(name).stem
            with contextlib.suppress(OSError):  # said again by whoever asks
                # In this order: a worker takes the lease first, and finds no job then.
                self._folder.remove("jobs", name)
                if (self._folder.path / "leases" / lease).exists():
                    write_once(self._folder.path / "stops" / lease, b"", flush=False)
                elif not future.running():
                    self._settle(name, error=WorkerLost("it was dropped", "unsent"))

    def close(self) -> None:
        try:
            for name in list(self._futures):
                if not self._futures[name].running():
                    self._folder.remove("jobs", name)  # whoever has it by now is waited for
            while self._waits():
                self._ended.wait(QUICK)
        finally:
            self._ended.set()
            self._looker.join()
            for kind in ("jobs", "results", "stops"):
                for name in self._folder.names(kind, self._id):
                    self._folder.remove(kind, name)
            self._folder.remove("coordinators", self._id)

    def _waits(self) -> bool:
        """Whether there are jobs that a worker has."""
        return any((self._folder.path / "leases" / Path(name).stem).exists() for name in list(self._futures))

    def _look_on(self) -> None:
        now, pause, slept = self._folder.touch("coordinators", self._id), QUICK, 0.0
        while not self._ended.wait(pause):
            slept += pause
            try:
                if slept >= min(1.0, self._folder.seconds_between_touches):
                    now, slept = self._folder.touch("coordinators", self._id), 0.0
                pause = QUICK if self._look(now) else min(SLOW, pause * 1.5)
            except OSError:  # such as a server that is away for a while
                pause = SLOW

    def _look(self, now: float) -> bool:
        """Takes what has come. Returns whether there was anything."""
        folder, came = self._folder, False
        for name in folder.names("results", self._id):
            said = folder.read("results", name)
            if said is None:
                continue
            if "error" in said:
                error = error_from_json(said["error"], f"a worker on {said['worker']}", said["worker"])
                self._settle(name, error=error)
            else:
                self._settle(name, result=Result.from_json(said["result"]))
            for kind in ("jobs", "results"):
                folder.remove(kind, name)
            came = True
        for lease in folder.names("leases", self._id):
            name = f"{lease}.json"
            future = self._futures.get(name)
            if future is not None and not future.running() and not future.done():
                with contextlib.suppress(InvalidStateError):
                    future.set_running_or_notify_cancel()
            gone = (folder.path / "leases" / lease).exists() and not folder.is_alive("leases", lease, now)
            if gone and not (folder.path / "results" / name).exists():
                who = folder.read("leases", lease) or {}
                worker = f"{who.get('host', 'an unknown host')}:{who.get('pid', '?')}"
                self._take_back(name)
                error = WorkerLost(f"nothing is heard of {worker}", "host", worker)
                self._settle(name, error=error)
                came = True
        self._look_at_workers(now)
        return came

    def _look_at_workers(self, now: float) -> None:
        alive = 0
        for name in self._folder.names("workers"):
            said = self._folder.read("workers", name) or {}
            if "refused" in said:
                self.refusals[name] = said["refused"]
            elif self._folder.is_alive("workers", name, now):
                alive += 1
            else:
                self._folder.remove("workers", name)
        self.workers = alive
        if not alive and self.refusals:  # all there were
            text = next(reversed(self.refusals.values()))
            for name in list(self._futures):
                self._settle(name, error=Refused(text, worker="all"))
                self._folder.remove("jobs", name)

    def _settle(self, name: str, result: Result | None = None, error: Exception | None = None) -> None:
        with self._lock:
            future = self._futures.pop(name, None)
        if future is None:
            return  # late: of a job that was given up
        if not future.running():
            future.set_running_or_notify_cancel()
        if error is not None:
            future.set_exception(error)
        elif result is not None:
            future.set_result(result)

    def _take_back(self, name: str) -> None:
        """Ends a lease, so that its worker sees it. By a rename: only one can."""
        self._folder.remove("jobs", name)
        lease = self._folder.path / "leases" / Path(name).stem
        aside = lease.with_name(f".{lease.name}.{uuid.uuid4().hex}.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.rename(lease, aside)
            aside.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what coordinators and workers have left that are gone."""
        now = self._folder.touch("coordinators", self._id)
        there = self._folder.names("coordinators")
        alive = {name for name in there if self._folder.is_alive("coordinators", name, now)}
        for kind in ("jobs", "leases", "results", "stops"):
            for name in self._folder.names(kind):
                if name.partition("-")[0] not in alive:
                    self._folder.remove(kind, name)
        for name in set(there) - alive:
            self._folder.remove("coordinators", name)
        for name in self._folder.names("workers"):
            said = self._folder.read("workers", name)
            if (said and "refused" in said) or not self._folder.is_alive("workers", name, now):
                self._folder.remove("workers", name)
        sweep(self._folder.path)
