"""What an answer says, so that two can be compared: all of its content, but for places and clocks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

# Key of JSON answers -> beginning of lines, that say what is not used, and what is used but to be read with care.
_SAYING = {"left_out": "left out: ", "warnings": "warning: "}
_SECONDS = re.compile(r"\d+(\.\d+)? s\b")
_CLOCKS = ("seconds", "command", "versions")  # columns that no two trainings share


@dataclasses.dataclass(frozen=True)
class Made:
    """An answer.

    Attributes:
      content: name -> digest: of what was printed, of files that were written, of parts of a value.
      left_out: what is left out and why.
      warnings: of what is used.
    """

    content: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()

    def differs(self, other: Made) -> str:
        """Names of the parts that are others."""
        names = self.content.keys() | other.content.keys()
        return ", ".join(sorted(name for name in names if self.content.get(name) != other.content.get(name)))


def made_by_command(out: str, err: str, folder: Path, given: Path) -> Made:
    """The answer of a command: what it printed and what it wrote to `made` in the folder.

    Copies of the user's own code that was given are that, whatever is in it.
    """
    copied = given.read_bytes() if given.suffix == ".py" and given.is_file() else None
    out, err = (
        _SECONDS.sub("", text.replace(str(folder), "{dir}").replace(folder.name, "{case}"))
        for text in (out, err)
    )
    said = {key: _starting(start, out, err) for key, start in _SAYING.items()}
    try:
        data = json.loads(out)
    except ValueError:
        told = set().union(*said.values())
        content = {"text": _digest([line for line in out.splitlines() if line not in told])}
    else:
        for key in _SAYING:
            said[key] |= {json.dumps(item) for item in data.pop(key, [])}
        content = {key: _digest(value) for key, value in data.items()}
    for path in sorted(folder.glob("made*")):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                name = str(file.relative_to(folder)).replace(folder.name, "{case}")
                content[name] = "a copy" if file.read_bytes() == copied else _of_file(file, folder)
    return Made(content, frozenset(said["left_out"]), frozenset(said["warnings"]))


def made_by_reader(value: Any, folder: Path, given: Path) -> Made:
    """The answer of a function: what it returned, or what it made of the file where it returns nothing."""
    parts = dict(_parts(given.read_bytes() if value is None else value, "value"))
    return Made({name: text.replace(str(folder), "{dir}") for name, text in parts.items()})


def _starting(start: str, *texts: str) -> set[str]:
    return {line for text in texts for line in text.splitlines() if line.startswith(start)}


def _of_file(file: Path, folder: Path) -> str:
    if file.suffix == ".parquet":
        table = pl.read_parquet(file)
        kept = [name for name in table.columns if not any(clock in name for clock in _CLOCKS)]
        return _digest(table.select(kept).write_json().replace(folder.name, "{case}"))
    if file.suffix == ".jsonl":
        return ""  # of clocks alone
    content = (
        file.read_bytes().replace(str(folder).encode(), b"{dir}").replace(folder.name.encode(), b"{case}")
    )
    return hashlib.sha256(content).hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _parts(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Leaves of a value, as text; functions say nothing."""
    if isinstance(value, pl.DataFrame):
        yield name, value.write_json()
    elif isinstance(value, np.ndarray) or hasattr(value, "__array__"):
        array = np.asarray(value)
        yield name, f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    elif isinstance(value, msgspec.Struct):
        yield from _parts(msgspec.structs.asdict(value), name)
    elif dataclasses.is_dataclass(value):
        yield from _parts({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, name)
    elif isinstance(value, Mapping):
        yield f"{name} keys", repr(list(map(str, value)))
        for key, inner in value.items():
            yield from _parts(inner, f"{name}.{key}")
    elif isinstance(value, list | tuple):
        yield f"{name} length", str(len(value))
        for number, inner in enumerate(value):
            yield from _parts(inner, f"{name}[{number}]")
    elif value is None or isinstance(value, str | bytes | int | float | bool | Path):
        yield name, repr(value)
    else:
        yield name, type(value).__name__
