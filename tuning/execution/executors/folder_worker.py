"""A worker of a shared folder: takes jobs, has a process of its own do them, and says what came of them.

This process trains nothing, so that whatever a job does, it is here to touch the lease, to end what was given up, and
to say that a job has killed its process. Nothing here needs JAX.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from submissions import environment
from tuning.execution.executors._shared_folder import SharedFolder, about_me
from tuning.execution.executors._worker_process import WorkerProcess, shares
from tuning.execution.jobs import AnyJob, Needs, Refused, WorkerLost, error_to_json, job_from_json
from tuning.execution.stopping import Stop
from workloads.data.caches import cache_folder
from workloads.data.files import write_atomically, write_once

LEAST_PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds between looks for a job


def serve(
    folder: Path,
    *,
    data_dir: Path | None = None,
    workers: int = 1,
    once: bool = False,
    lease: float | None = None,
    stop: Stop | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Does jobs of a shared folder until it is told to end.

    Args:
      folder: that a coordinator has, or will have.
      data_dir: where real data sets lie on this machine, in the place of where the coordinator has them.
      workers: jobs at a time, each in a process pinned to its share of the cores.
      once: end as soon as nobody is there who asks, once there was something to do.
      lease: seconds; of a folder that is made now.
      stop: set, from any thread, to end once what has begun has ended.
      say: called with lines for a person.

    Returns:
      How many jobs were done.

    Raises:
      Refused: a job needs something else than what this machine has.
      ValueError: not a folder of jobs.
    """
    shared, stop = SharedFolder(folder, lease), stop or Stop()
    with tempfile.TemporaryDirectory(prefix="shortlist-worker-", ignore_cleanup_errors=True) as private:
        more = ["--checkpoints", private]
        if data_dir is not None:
            more += ["--data-dir", str(data_dir.resolve())]
        cores = shares(workers) if workers > 1 else [[]]
        places = [_Place(shared, WorkerProcess(own, _variables(), more), once, stop, say) for own in cores]
        threads = [threading.Thread(target=place.run, daemon=True) for place in places]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(0.2)
        finally:
            for place in places:
                place.process.end()
    for place in places:
        if place.error is not None:
            raise place.error
    return sum(place.done for place in places)


class _Place:
    """One job at a time."""

    def __init__(
        self, folder: SharedFolder, process: WorkerProcess, once: bool, stop: Stop, say: Callable[[str], None]
    ) -> None:
        self.folder, self.process, self.once, self.stop, self.say = folder, process, once, stop, say
        self.name = f"{environment.host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
        self.done = 0
        self.error: Exception | None = None
        self.lease: tuple[str, bytes] | None = None

    def run(self) -> None:
        ended = threading.Event()
        toucher = threading.Thread(target=self._touch, args=(ended,), daemon=True)
        try:
            here, device = self.process.here()
            self._hello({"device": device, **here.to_json()})
            toucher.start()
            self.say(f"waits for jobs in {self.folder.path}, on {device}")
            self._serve(here)
        except Exception as error:
            self.error = error
            self.stop.set()  # whatever is wrong here is wrong at the other places
        finally:
            ended.set()
            if not isinstance(self.error, Refused):
                self.folder.remove("workers", self.name)

    def _serve(self, here: Needs) -> None:
        pause = LEAST_PAUSE
        while not self.stop.is_set() and not self.folder.is_stopped():
            taken = self._take()
            if taken is None:
                if self.once and self.done and not self._is_asked():
                    return
                self.stop.wait(pause)
                pause = min(LONGEST_PAUSE, pause * 1.5)
                continue
            pause = LEAST_PAUSE
            name, job = taken
            with self.stop.under_way(str(job)):
                self._do(name, job, here)

    def _is_asked(self) -> bool:
        """Whether there is a coordinator, who may have more to do in a moment."""
        now = self.folder.touch("workers", self.name)
        asking = self.folder.names("coordinators")
        return any(self.folder.is_alive("coordinators", name, now) for name in asking)

    def _take(self) -> tuple[str, AnyJob] | None:
        """A job, leased."""
        names = self.folder.names("jobs")
        begin = hash(self.name) % len(names) if names else 0  # not all workers the same one first
        for name in names[begin:] + names[:begin]:
            content = json.dumps({**about_me(), "lease": uuid.uuid4().hex}).encode()
            lease = name.removesuffix(".json")
            if not write_once(self.folder.path / "leases" / lease, content, flush=False):
                continue
            said = self.folder.read("jobs", name)
            if said is None:  # done by another, or given up
                self.folder.remove("leases", lease)
                continue
            self.lease = lease, content
            return name, job_from_json(said)
        return None

    def _do(self, name: str, job: AnyJob, here: Needs) -> None:
        said: dict[str, Any] = {"worker": f"{environment.host()}:{os.getpid()}"}
        try:
            if job.needs is not None and (differing := job.needs.differing(here)):
                raise Refused(f"{job}: refused by {said['worker']}: {differing}")
            said["result"] = self.process.work(job, Path(name).stem).to_json()
        except Refused as error:
            self._hello({"refused": str(error)})
            self._give_back()
            raise
        except WorkerLost as error:
            said["error"] = error_to_json(error)
        except Exception as error:
            said["error"] = error_to_json(error) | {"trace": "".join(getattr(error, "__notes__", ()))}
        if not self._is_mine(self.lease):  # it was given up
            self.lease = None
            self.say(f"{job} was given up by whoever asked for it")
            return
        write_once(self.folder.path / "results" / name, json.dumps(said).encode())
        self.folder.remove("jobs", name)
        self._give_back()
        self.done += 1
        failed = f": {said['error']['kind']}: {said['error']['message']}" if "error" in said else ""
        self.say(f"{job} of {job.study}{' failed' if failed else ' is trained'}{failed}")

    def _hello(self, said: dict[str, Any]) -> None:
        content = json.dumps(about_me() | said).encode()
        write_atomically(self.folder.path / "workers" / self.name, content)

    def _is_mine(self, lease: tuple[str, bytes] | None) -> bool:
        with contextlib.suppress(OSError):
            return lease is not None and (self.folder.path / "leases" / lease[0]).read_bytes() == lease[1]
        return False

    def _give_back(self) -> None:
        lease, self.lease = self.lease, None
        if lease is not None:
            self.folder.remove("leases", lease[0])

    def _touch(self, ended: threading.Event) -> None:
        """Says that this worker runs, and ends what it does when the lease is gone."""
        while not ended.wait(min(1.0, self.folder.seconds_between_touches)):
            with contextlib.suppress(OSError):  # such as a server that is away for a while
                self.folder.touch("workers", self.name)
                lease = self.lease
                if lease is None:
                    continue
                if self._is_mine(lease):
                    self.folder.touch("leases", lease[0])
                    if (self.folder.path / "stops" / lease[0]).exists():
                        self.process.interrupt(lease[0])
                elif self.lease is lease:
                    self.process.kill()


def _variables() -> dict[str, str]:
    """Environment of a process that trains: it finds what this one finds, and keeps compiled programs on this host."""
    found = {"PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path)}
    caches = cache_folder()
    if caches is not None and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        # One per host: a home is often on the network, and programs are made for a processor.
        found["JAX_COMPILATION_CACHE_DIR"] = str(caches / f"xla-{environment.host()}")
        found.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    return found
