"""Files that appear whole or not at all. Nothing here needs JAX."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

SECONDS_UNTIL_LEFT = 3600.0  # of another host, which cannot be asked: nothing is written for so long
# .<name>.<host>-<process>-<unique>.tmp; the first versions had a unique part alone.
_TEMPORARY = re.compile(r"\..*\.(?:([0-9a-f]{8})-(\d+)-[0-9a-f]{12}|[0-9a-f]{32})\.tmp", re.DOTALL)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file beside its place, flushes it to disk, and renames it there.

    The name beside is unique over processes and hosts, and is removed where writing fails; what a kill inside a write
    leaves, `sweep` removes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with naming(path):
            _write(beside, content)
            os.replace(beside, path)
    except BaseException:
        _forget(beside)
        raise


def write_once(path: Path, content: bytes, *, flush: bool = True) -> bool:
    """Writes a file unless there is one; of several writers, on whatever hosts, one wins.

    Args:
      path: where.
      content: all of it.
      flush: to disk, first; for what must outlive a power cut.

    Returns:
      Whether this call wrote it; where it did not, the file holds what another wrote, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with naming(path):
            _write(beside, content, flush)
            with contextlib.suppress(FileExistsError):
                os.link(beside, path)  # fails where the file exists, which a rename would replace
                return True
            return False
    finally:
        _forget(beside)


def append_line(path: Path, line: bytes) -> None:
    """Adds a line to a file, whole or not at all; the lines of two processes never mix.

    Raises:
      OSError: it cannot, such as on a full disk; the file is as it was.
    """
    content = line + b"\n"
    # Unbuffered and in one call.
    with naming(path), path.open("ab", buffering=0) as file:
        before = file.tell()
        if file.write(content) < len(content):
            file.truncate(before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def reserve(path: Path) -> None:
    """Takes the disk space of a file that is written through memory, where a full disk would end the process.

    Raises:
      OSError: there is not so much.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(os.fstat(file.fileno()).st_size, 1))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Says in every OSError of the context what could not be written: a full disk says no name of its own."""
    try:
        yield
    except OSError as error:
        if error.strerror:  # else a library's, whose text says all there is
            error.filename = str(path)
        raise


def _forget(beside: Path) -> None:
    # Where nothing may be written, nothing may be removed; the reason why is on its way already.
    with contextlib.suppress(OSError):
        beside.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that is being written beside its place, or was when its process ended.

    Example:
      >>> is_temporary(_beside(Path("study.json")).name), is_temporary(".study.json")
      (True, False)
    """
    return _TEMPORARY.fullmatch(name) is not None


def sweep(folder: Path) -> None:
    """Removes what writers that are gone have left in a folder and below it: they were killed inside a write."""
    for where, _, names in os.walk(folder):
        for name in names:
            if is_temporary(name) and _is_left(path := Path(where, name)):
                with contextlib.suppress(OSError):  # somebody else's to remove, or done already
                    path.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    said = _TEMPORARY.fullmatch(path.name)
    assert said is not None
    if said[1] == _host() and not _runs(int(said[2])):
        return True
    try:
        return time.time() - path.stat().st_mtime > SECONDS_UNTIL_LEFT
    except OSError:
        return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _beside(path: Path) -> Path:
    # Names may have 255 bytes.
    return path.with_name(f".{path.name[:40]}.{_host()}-{os.getpid()}-{uuid.uuid4().hex[:12]}.tmp")


def _write(beside: Path, content: bytes, flush: bool = True) -> None:
    with beside.open("wb") as file:
        file.write(content)
        if flush:
            file.flush()
            os.fsync(file.fileno())
