"""Files that are read: the one way to open them, and the one way to read JSON. Nothing here needs JAX.

A pipe would be waited for and a device read without end, so what is not a regular file is refused before it is opened.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEPTH = 64  # of JSON; none of our files has more than 8
DIGITS = 300  # of an integer: what is longer no float holds

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


def check_file(path: str | os.PathLike[str], absent: str = "no such file") -> os.stat_result:
    """Accepts a regular file, or a symbolic link to one, without opening it.

    Args:
      path: of the file.
      absent: said of a path where nothing is.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: something else than a regular file is there.
      OSError: it may not be looked at, or its name is too long.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path}: {absent}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path}: a symbolic link that leads back to itself; give a file") from None
        raise
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise ValueError(f"{path}: is {kind}; give a file")
    return found


def lies(path: str | os.PathLike[str]) -> bool:
    """Whether anything lies at a path, if only a link that leads nowhere.

    `os.path.lexists` says no where a folder on the way may not be searched, and what lies there would be passed over.

    Raises:
      OSError: it cannot be known.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def matching(folder: Path, pattern: str) -> list[Path]:
    """What lies directly in a folder under a name of a pattern, in order of name; nothing where there is no folder.

    `Path.glob` finds nothing either where a folder may not be listed, and what was there would be missing unsaid.

    Args:
      folder: which.
      pattern: of a name, as of a shell.

    Raises:
      PermissionError: the folder may not be listed.
      OSError: of any other kind.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(fnmatch.filter(names, pattern))]


def walk(folder: Path) -> Iterator[Path]:
    """All files and folders below a folder, in order of name within each.

    Raises:
      PermissionError: one of the folders may not be listed.
      OSError: of any other kind.
    """

    def refuse(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=refuse) if lies(folder) else ():
        folders.sort()
        yield from (Path(where, name) for name in sorted((*folders, *names)))


def walk_files(folder: Path) -> Iterator[Path]:
    """As `walk`, without the folders."""
    return (path for path in walk(folder) if not path.is_dir())


def read_bytes(path: str | os.PathLike[str], absent: str = "no such file") -> bytes:
    """The content of a file.

    Args:
      path, absent: as of `check_file`.

    Raises:
      FileNotFoundError, ValueError, OSError: as `check_file`; the message names the path.
    """
    check_file(path, absent)
    return Path(path).read_bytes()


def read_text(path: str | os.PathLike[str], absent: str = "no such file") -> str:
    """The content of a file in UTF-8, without a byte order mark.

    Raises:
      FileNotFoundError, ValueError, OSError: as `read_bytes`; or the bytes are no such text.
    """
    content = read_bytes(path, absent)
    try:
        return _text(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_json(path: str | os.PathLike[str], absent: str = "no such file") -> Any:
    """The data of a JSON file, see `parse_json`.

    Raises:
      FileNotFoundError, ValueError, OSError: as `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, absent), str(path))


def parse_json(content: bytes, where: str) -> Any:
    """The data of JSON text as the standard has it: UTF-8, finite numbers, no key twice.

    Args:
      content: of the file; a byte order mark is passed over.
      where: opens every error message; a path, for instance.

    Raises:
      ValueError: not JSON; a number that no float holds, NaN; a key that an object has twice; nested deeper than
        `DEPTH`; half of a character.

    Example:
      >>> parse_json(b'{"a": 1, "a": 2}', "mine.json")
      Traceback (most recent call last):
      ValueError: mine.json: not valid JSON (the key 'a' occurs twice in one object)
    """
    try:
        text = _text(content)
        data = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
        _check_depth(data)
    except RecursionError:
        raise ValueError(f"{where}: {_TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"{where}: not valid JSON ({error})") from None
    if "\\ud" in text.lower() and _HALF_A_CHARACTER.search(json.dumps(data, ensure_ascii=False)):
        raise ValueError(f"{where}: a text in it has half of a character (a lone surrogate)")
    return data


_TOO_DEEP = f"nested more than {DEPTH} deep, which no file of this kind is"


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("text in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"no text in UTF-8: byte {error.start}: {error.reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return data


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a finite number")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {_short(text)} is beyond what can be computed with")
    return value


def _int(text: str) -> int:
    if len(text) > DIGITS:
        raise ValueError(f"the number {_short(text)} has {len(text)} digits, more than can be computed with")
    return int(text)


def _check_depth(data: Any) -> None:
    level, depth = [data], 0
    while level:
        if depth > DEPTH:
            raise RecursionError
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]


def _short(text: str, limit: int = 20) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
