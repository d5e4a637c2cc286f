"""Who trains a cohort at the moment, so that two processes on one study do no work twice.

A claim is a file `claims/<workload>/<cohort>` that only one process can create. Its holder touches it every minute and
removes it once the cohort is written. A claim whose process is gone, or that nobody touched for five minutes, is taken
over. A claim that breaks in spite of its holder costs a second training of the same numbers and never a wrong file,
because of two results the first is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tuning.execution.alive import started_at
from workloads.data import reading
from workloads.data.files import write_once

SECONDS_BETWEEN_TOUCHES = 60.0
SECONDS_UNTIL_STALE = 300.0  # a network file system may show a touch a minute late


class Claims:
    """The cohorts of a study that this process claims; given back when the context ends."""

    def __init__(self, study: Path) -> None:
        self._folder = study / "claims"
        self._held: dict[Path, bytes] = {}
        self._ended = threading.Event()
        self._toucher = threading.Thread(target=self._touch, daemon=True)

    def __enter__(self) -> Claims:
        self._toucher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._toucher.join()
        for path in list(self._held):
            self._remove(path)

    def take(self, workload: str, number: int) -> bool:
        """Whether the cohort is this process's now; False where another one trains it."""
        path = self._path(workload, number)
        return self._create(path) or (_is_stale(path) and self._take_over(path))

    @contextlib.contextmanager
    def sole(self, name: str, stop: threading.Event) -> Iterator[None]:
        """What only one process does at a time, under a name that is no workload's.

        Raises:
          KeyboardInterrupt: `stop` was set while another process did it.
        """
        while not self.take(name, 0):
            if stop.wait(0.02):
                raise KeyboardInterrupt
        try:
            yield
        finally:
            self.give_back(name, 0)

    def elsewhere(self) -> bool:
        """Whether another process works on the study."""
        claims = [
            path
            for of_workload in reading.matching(self._folder, "*")
            for path in reading.matching(of_workload, "*")
            if path not in self._held and not path.name.startswith(".")
        ]
        return any(path.is_file() and not _is_stale(path) for path in claims)

    def give_back(self, workload: str, number: int) -> None:
        """Lets others take the cohort, or see that it is done."""
        self._remove(self._path(workload, number))

    def _path(self, workload: str, number: int) -> Path:
        return self._folder / workload.replace("/", "__") / f"{number:05d}"

    def _create(self, path: Path) -> bool:
        pid = os.getpid()
        content = json.dumps(
            {"host": socket.gethostname(), "pid": pid, "started": started_at(pid), "claim": uuid.uuid4().hex}
        ).encode()
        # Whole, or not at all: nobody could tell whose an empty one is, and all would wait until it is stale.
        if not write_once(path, content, flush=False):
            return False
        self._held[path] = content
        return True

    def _take_over(self, path: Path) -> bool:
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            os.rename(path, aside)
        except FileNotFoundError:  # another was quicker, or the holder is done
            return False
        try:
            if not _is_stale(aside):  # another was quicker, and this is its claim
                with contextlib.suppress(FileExistsError):
                    os.link(aside, path)
                return False
        finally:
            aside.unlink(missing_ok=True)
        return self._create(path)

    def _remove(self, path: Path) -> None:
        content = self._held.pop(path, None)
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == content:  # not one that was taken over from this process
                path.unlink()

    def _touch(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_TOUCHES):
            for path in list(self._held):
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)


def _is_stale(path: Path) -> bool:
    """Whether nobody works on what is claimed any more."""
    try:
        age, content = time.time() - path.stat().st_mtime, path.read_bytes()
    except FileNotFoundError:
        return False  # its holder is done; looking again shows with what
    try:
        claim = json.loads(content)
        here, pid, started = claim["host"] == socket.gethostname(), claim["pid"], claim["started"]
    except (ValueError, KeyError):  # an earlier version's, whose process was killed before it had written it
        here, pid, started = False, 0, None
    return age > SECONDS_UNTIL_STALE or (here and started_at(pid) != started)
