"""What the dry run's process says to the one that judges it: numbered, signed lines, so that none is added or lost.

The key comes on a descriptor that is closed before the submission is imported. A line that the submission writes into
the same pipe has no valid signature; a line that is missing leaves a gap. This is no secret from code that searches the
process's memory, but such a search is itself seen (`_audit`).
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Callable, Iterator
from threading import RLock
from typing import Any

Send = Callable[..., None]
AT_MOST = 16_000_000  # bytes of answers


class Forged(ValueError):
    """A line that the dry run's own code did not write, or not in this order."""


def sender(descriptor: int, key: bytes) -> Send:
    """A function that writes one line of its keyword arguments; in forked children it does nothing."""
    # All in a closure, looked up once: nothing of it hangs on a module that the submission can reach by name.
    digest, encode, write, lock = hmac.digest, json.JSONEncoder().encode, os.write, RLock()
    process, getpid, number = os.getpid(), os.getpid, [0]

    def send(**answer: Any) -> None:
        if getpid() != process:
            return
        with lock:
            body = f"{number[0]} {encode(answer)}".encode()
            number[0] += 1
            line = digest(key, body, "sha256").hex().encode() + b" " + body + b"\n"
            while line:
                line = line[write(descriptor, line) :]

    return send


class Receiver:
    """Takes what comes out of the pipe and gives the answers in it."""

    def __init__(self, key: bytes) -> None:
        self._key, self._number, self._rest, self._size = key, 0, b"", 0

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The answers whose lines are now whole.

        Raises:
          Forged: a line is not what the sender wrote, or there are too many.
        """
        self._size += len(data)
        if self._size > AT_MOST:
            raise Forged(f"more than {AT_MOST:,} bytes")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            signature, _, body = line.partition(b" ")
            number, _, text = body.partition(b" ")
            signed = hmac.digest(self._key, body, "sha256").hex().encode()
            if not hmac.compare_digest(signature, signed) or number != str(self._number).encode():
                raise Forged(f"line {self._number + 1} is not the dry run's own")
            self._number += 1
            yield json.loads(text)

    def close(self) -> None:
        """Raises `Forged` if half a line is left."""
        if self._rest:
            raise Forged("the last line is not whole")
