"""The folder in which a coordinator and workers on other machines meet. Nothing here needs JAX.

    folder.json                   format, and seconds that a lease lasts
    stop                          made by a person: workers end
    coordinators/<id>             touched by a coordinator that runs
    workers/<name>.json           hello of a worker, which touches it while it runs
    jobs/<id>-<number>.json       a job that nobody has done
    leases/<id>-<number>          who does it; touched while that goes on
    results/<id>-<number>.json    what came of it
    stops/<id>-<number>           whoever does it is asked to save what it has made and end

All are written whole; leases and results by a link, so that of two the first stays. Times are compared on one clock,
the file system's: that of a file that was touched just now.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from submissions import environment
from tuning.execution.alive import started_at
from workloads.data import reading
from workloads.data.files import naming, write_once

FORMAT = 1
LEASE = 300.0  # seconds; a network file system may show a touch a minute late
_FOLDERS = ("coordinators", "workers", "jobs", "leases", "results", "stops")


class SharedFolder:
    """The folder, and what both sides do in it.

    Attributes:
      path: of the folder.
      lease: seconds after which somebody who has not touched his file is gone.
    """

    def __init__(self, path: Path, lease: float | None = None) -> None:
        """Opens the folder, or makes it, for this user alone.

        Raises:
          ValueError: it is something else, another lease is asked for than it has, or anybody may write into it.
        """
        self.path = path
        about = path / "folder.json"
        others = set(os.listdir(path)) - {"stop", *_FOLDERS} if path.is_dir() else set()
        if not about.exists() and not all(name.startswith(".folder.json.") for name in others):
            raise ValueError(
                f"{path}: not empty, and no folder of jobs (no folder.json); choose another folder"
            )
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.stat().st_mode & stat.S_IWOTH:
            raise ValueError(
                f"{path}: anybody may write into it, and so have code run by workers; chmod o-w, or choose another"
            )
        for name in _FOLDERS:
            (path / name).mkdir(exist_ok=True)
        write_once(about, json.dumps({"format": FORMAT, "lease": lease or LEASE}).encode() + b"\n")
        said = reading.read_json(about)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise ValueError(f"{about}: not of format {FORMAT}; other versions of shortlist use this folder")
        self.lease = float(said["lease"])
        if lease is not None and lease != self.lease:
            raise ValueError(f"{about}: leases last {self.lease:g} s in this folder, asked for {lease:g}")

    @property
    def seconds_between_touches(self) -> float:
        """How often whoever runs says so: late touches cost nothing yet."""
        return min(30.0, self.lease / 6)

    def is_stopped(self) -> bool:
        """Whether a person wants workers to end."""
        return (self.path / "stop").exists()

    def names(self, kind: str, of: str = "") -> list[str]:
        """The files of a folder whose names begin so, in order."""
        with naming(self.path / kind):
            return sorted(
                name
                for name in os.listdir(self.path / kind)
                if name.startswith(of) and not name.startswith(".")
            )

    def read(self, kind: str, name: str) -> dict[str, Any] | None:
        """What a file says; None: it is gone, or not whole yet."""
        with contextlib.suppress(OSError, ValueError):
            said = json.loads((self.path / kind / name).read_bytes())
            return said if isinstance(said, dict) else None
        return None

    def remove(self, kind: str, name: str) -> None:
        """Removes a file, if it is there."""
        (self.path / kind / name).unlink(missing_ok=True)

    def touch(self, kind: str, name: str) -> float:
        """Says that whoever has a file runs. Returns what time it is. Raises FileNotFoundError: it was removed."""
        path = self.path / kind / name
        os.utime(path)  # by the clock of whoever has the disk
        return path.stat().st_mtime

    def is_alive(self, kind: str, name: str, now: float) -> bool:
        """Whether whoever has a file has touched it of late, and is not known to be gone."""
        try:
            late = now - (self.path / kind / name).stat().st_mtime > self.lease
        except FileNotFoundError:
            return False
        return not late and not is_gone(self.read(kind, name))


def about_me() -> dict[str, Any]:
    """Who has a file: a process of a machine."""
    return {"host": environment.host(), "pid": os.getpid(), "started": started_at(os.getpid())}


def is_gone(who: dict[str, Any] | None) -> bool:
    """Whether a process of this machine is known to have ended."""
    if who is None or who.get("host") != environment.host():
        return False
    return started_at(int(who.get("pid", 0))) != who.get("started")
