"""How this process and the one that speaks to Ray talk: a header of plain data, and bytes."""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any


def send(pipe: Connection, header: dict[str, Any], content: bytes = b"") -> None:
    """Sends one message."""
    pipe.send_bytes(json.dumps(header).encode() + b"\n" + content)


def receive(pipe: Connection) -> tuple[dict[str, Any], bytes]:
    """Waits for one message.

    Raises:
      EOFError: there will be none.
    """
    header, _, content = pipe.recv_bytes().partition(b"\n")
    return json.loads(header), content
