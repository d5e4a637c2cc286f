"""Where the user's caches are, and folders of them that are made once. Nothing here needs JAX."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from typing import Any


def cache_folder() -> pathlib.Path | None:
    """Of this package, in $XDG_CACHE_HOME, else in ~/.cache; None for a user without a home, as in many containers."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return pathlib.Path(base or pathlib.Path.home() / ".cache") / "shortlist"
    except RuntimeError:  # neither $HOME nor an entry among the users
        return None


def made_once(kind: str, what: str, key: str, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """A folder of the cache, made now if it is not there. It may be deleted at any time.

    Args:
      kind: the folder's folder.
      what: is in it, such as "decoded images", for messages.
      key: see `key_of`.
      write: makes the content, in a folder that takes its place when it is whole.

    Raises:
      ValueError: this user has no place for caches.
      OSError: it cannot be written.
    """
    root = cache_folder()
    if root is None:
        raise ValueError(f"{what} need a place, and this user has no home; set XDG_CACHE_HOME to a folder")
    folder = root / kind / key
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = pathlib.Path(tempfile.mkdtemp(prefix="unfinished-", dir=folder.parent))
    except OSError as error:
        raise OSError(
            f"{folder.parent}: no place for {what}: {error.strerror}; set XDG_CACHE_HOME to a folder that "
            "may be written"
        ) from error
    try:
        write(unfinished)
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same content
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def key_of(files: Iterable[pathlib.Path], *made: Any) -> str:
    """A name that depends on files, by their sizes and times, and on what is made of them, as JSON."""
    parts = []
    for file in files:
        found = file.stat()
        parts.append((str(file.resolve()), found.st_size, found.st_mtime_ns))
    return hashlib.sha256(json.dumps([parts, *made]).encode()).hexdigest()[:32]
