"""Who trains a trial of a run: a lock that its process holds, so that no two ever write into one folder.

The operating system gives a lock back when the last process that holds it is gone, and not before: a run that was
killed leaves none behind, and its trial, should it live on, keeps its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from workloads.data import reading
from workloads.data.files import naming

FOLDER = "locks"  # beside the record: a trial's own folder may be deleted
SECONDS_TO_DIE = 2.0  # that a killed run's trial is given
_UNSUPPORTED = (
    errno.ENOLCK,
    errno.ENOTSUP,
    errno.EINVAL,
    errno.ENOSYS,
)  # what file systems without locks say


class TrialLocks:
    """The locks of a run's trials; given back when the context ends, and with them the files."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Nothing is locked yet.

        Args:
          folder: for the files, one a trial.
          root: of the experiment; what is made for the locks and left empty is removed, up to it.
        """
        self._folder, self._root = folder, root
        self._held: dict[int, int] = {}

    def __enter__(self) -> TrialLocks:
        return self

    def __exit__(self, *_: object) -> None:
        for trial, descriptor in self._held.items():
            # While it is held: whoever waits for it sees that the file is another.
            with contextlib.suppress(OSError):
                self._file(trial).unlink()
            os.close(descriptor)
        self._held.clear()
        with contextlib.suppress(OSError):  # not empty: another run holds others, or there are results
            for folder in (self._folder, *self._folder.parents):
                folder.rmdir()
                if folder == self._root:
                    break

    def take(self, trials: Iterable[int], say: Callable[[str], None]) -> None:
        """Takes the locks of all these trials.

        Args:
          trials: from 1.
          say: told where the file system has no locks.

        Raises:
          ValueError: another process trains one of them.
          OSError: of the files.
        """
        wanted = list(trials)
        _make_room_for(len(wanted))
        self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + SECONDS_TO_DIE
        for trial in wanted:
            while (descriptor := self._locked(trial, say)) is None:
                if time.monotonic() > deadline:
                    raise ValueError(
                        f"{self._folder.parent}: trial {trial} is being trained by {self._holder(trial)}; let it end, "
                        "or stop it, and run this again"
                    )
                time.sleep(0.05)
            self._held[trial] = descriptor

    def of(self, trial: int) -> int:
        """The descriptor of a trial's lock, for the process that trains it."""
        return self._held[trial]

    def _locked(self, trial: int, say: Callable[[str], None]) -> int | None:
        file = self._file(trial)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino != file.stat().st_ino:  # removed by its last holder
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError):
            os.close(descriptor)
            return None
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                os.close(descriptor)
                raise
            if not self._held:
                say(
                    f"{self._folder}: no locks on this file system; see to it that no other run trains these trials"
                )
        try:
            with naming(file):
                os.ftruncate(descriptor, 0)
                os.pwrite(
                    descriptor, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0
                )
        except OSError:  # as on a full disk
            file.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return descriptor

    def _holder(self, trial: int) -> str:
        try:
            said = json.loads(self._file(trial).read_text(encoding="utf-8"))
            return f"another run (process {said['pid']} on {said['host']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another run"

    def _file(self, trial: int) -> Path:
        return self._folder / str(trial)


def held(folder: Path) -> list[int]:
    """The trials whose locks in a folder somebody holds, this process included; none on a file system without locks."""
    return [int(file.name) for file in reading.matching(folder, "[0-9]*") if _is_held(file)]


def _is_held(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)
    return False


def keep_from_children(lock: int) -> None:
    """Has no process that this one starts hold its lock: a data loader that is left over locks nobody out."""
    os.set_inheritable(lock, False)
    os.register_at_fork(after_in_child=lambda: _close(lock))


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _make_room_for(files: int) -> None:
    """Lets this process have so many more files open, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files + 256
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
