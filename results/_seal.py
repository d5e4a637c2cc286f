"""Sealed Parquet files: they say in their metadata what they are, and hold a SHA-256 of all of their bytes.

The sum is taken with its own place as zeros. So whatever changes in a file after it was written is found, its account
of itself included.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

ACCOUNT, _SUM = "shortlist", "shortlist_sha256"  # names in the metadata
_MARK = "shortlist seal"  # a second sign that there is a seal, so that no one flip makes a file look as if it had none
_HEX = re.compile(rb"[0-9a-f]{64}")


def sealed(table: pl.DataFrame, account: Mapping[str, Any], **how: Any) -> bytes:
    """The bytes of a Parquet file with a seal.

    Args:
      table: its rows.
      account: what the file says of itself, JSON data.
      how: options of `polars.DataFrame.write_parquet`.
    """
    buffer = io.BytesIO()
    said = json.dumps({_MARK: 1, **account})
    table.write_parquet(buffer, metadata={ACCOUNT: said, _SUM: "0" * 64}, **how)
    content = buffer.getvalue()
    at = _place_of_sum(content)
    assert at is not None
    return content[:at] + _sum(content, at) + content[at + 64 :]


def unsealed(content: bytes) -> Mapping[str, Any] | None:
    """What a file says of itself; None where it has no seal, and had none as far as anything shows.

    Args:
      content: all bytes of the file.

    Raises:
      ValueError: it has changed since it was sealed.
    """
    at, marked = _place_of_sum(content), f'"{_MARK}": 1'.encode() in content
    if at is None and not marked:
        return None
    if at is None or not marked or content[at : at + 64] != _sum(content, at):
        raise ValueError("its content has changed since it was written, by its checksum")
    return json.loads(pl.read_parquet_metadata(io.BytesIO(content))[ACCOUNT])


def _place_of_sum(content: bytes) -> int | None:
    """Where the sum stands: behind the last of its names, and the length of what follows; None: there is none."""
    name = content.rfind(_SUM.encode())
    found = _HEX.search(content, name, name + len(_SUM) + 4 + 64) if name >= 0 else None
    return found and found.start()


def _sum(content: bytes, at: int) -> bytes:
    """SHA-256 of a file, with the sum itself taken as zeros, as hexadecimal digits."""
    made = hashlib.sha256(content[:at])
    made.update(b"0" * 64)
    made.update(content[at + 64 :])
    return made.hexdigest().encode()
