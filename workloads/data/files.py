"""Files that appear whole or not at all. Nothing here needs JAX."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file beside its place, flushes it to disk, and renames it there.

    The name beside is unique over processes and hosts, and is removed where writing fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        _write(path, beside, content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_once(path: Path, content: bytes) -> bool:
    """Writes a file unless there is one; of several writers, on whatever hosts, one wins.

    Returns:
      Whether this call wrote it; where it did not, the file holds what another wrote, whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        _write(path, beside, content)
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)  # fails where the file exists, which a rename would replace
            return True
        return False
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path, instead: Path | None = None) -> Iterator[None]:
    """Has errors of the operating system name a file: those of writing and flushing, such as a full disk, do not.

    Args:
      path: the file.
      instead: a file beside it, whose name says nothing to anybody.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(instead)):
            error.filename = str(path)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _write(path: Path, beside: Path, content: bytes) -> None:
    with naming(path, instead=beside), beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
