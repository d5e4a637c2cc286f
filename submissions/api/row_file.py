"""Rows that a training adds to as it goes, a line of JSON each, and of which a checkpoint says how many are its own.

A checkpoint that held all rows would take longer with every evaluation. It holds a `Mark` instead: how far the file
went when it was saved, and a checksum of that much. Lines behind it belong to steps that will be made again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from workloads.data.files import naming, write_atomically


class Mark(NamedTuple):
    """How much of a file belongs to a state.

    Attributes:
      rows, bytes: of it, from its beginning.
      crc32: of these bytes.
    """

    rows: int = 0
    bytes: int = 0
    crc32: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Mark:
        """What a checkpoint holds, as JSON.

        Raises:
          TypeError, ValueError: that is no mark.
        """
        mark = cls(**kept)
        if not all(isinstance(number, int) and number >= 0 for number in mark):
            raise ValueError(f"its rows are {dict(kept)}")
        return mark


class RowFile:
    """A file of rows, of which the first so many are known to be there.

    Attributes:
      file: its path.
      mark: what has been added, or was found.
    """

    def __init__(self, file: Path) -> None:
        """Nothing is read or written yet; what lies there counts for nothing until it is `read`."""
        self.file, self.mark = file, Mark()

    def add(self, row: Any) -> None:
        """Adds a row behind the others. It is on the disk when this returns, before any checkpoint that counts it.

        Raises:
          OSError: it cannot be written; what was there is as it was, or has half a line too much, which goes next time.
        """
        line = _line(row)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with naming(self.file), self.file.open("ab") as lines:
            lines.truncate(self.mark.bytes)
            lines.write(line)
            lines.flush()
            os.fsync(lines.fileno())
        rows, size, crc32 = self.mark
        self.mark = Mark(rows + 1, size + len(line), zlib.crc32(line, crc32))

    def read(self, mark: Mark) -> list[Any]:
        """The rows of a mark, behind which others will be added.

        Raises:
          ValueError: they are not there, or others are.
        """
        try:
            with self.file.open("rb") as lines:
                content = lines.read(mark.bytes) if mark.bytes else b""
        except FileNotFoundError:
            content = b""
        if len(content) < mark.bytes or zlib.crc32(content) != mark.crc32:
            why = "has others" if len(content) == mark.bytes else "is cut short" if content else "is missing"
            raise ValueError(f"{self.file}: {why}; the checkpoint counts on its first {mark.rows:,} rows")
        self.mark = mark
        return [json.loads(line) for line in content.splitlines()]

    def replace(self, rows: list[Any]) -> None:
        """Has the file hold these rows alone."""
        content = b"".join(map(_line, rows))
        write_atomically(self.file, content)
        self.mark = Mark(len(rows), len(content), zlib.crc32(content))


def _line(row: Any) -> bytes:
    return json.dumps(row, sort_keys=True).encode() + b"\n"
