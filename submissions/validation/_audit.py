"""Watches what the submission's own code opens, connects to and starts while it runs.

Python's audit hooks cannot be removed, so this belongs into the dry run's process alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import CodeType, FrameType

# What these do on the submission's behalf, such as compiling or importing, is not the submission's doing.
_ON_BEHALF = ("jax", "jaxlib", "flax", "optax", "chex", "importlib", "linecache", "traceback", "logging", "warnings",
              "inspect", "absl", "tokenize", "orbax", "etils")  # fmt: skip
_EVENTS = {
    "socket.connect": "R503",
    "socket.getaddrinfo": "R503",
    "urllib.Request": "R503",
    "subprocess.Popen": "R504",
    "os.system": "R504",
    "os.fork": "R504",
    "os.exec": "R504",
    "os.posix_spawn": "R504",
}


class Audit:
    """Collects (code, message, path, line) of what the code in a folder does."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve())
        self.seen: dict[tuple[str, str, str, int], None] = {}
        self._innocent = tuple({self.folder, sys.prefix, sys.base_prefix, sys.exec_prefix, "/dev/null"})
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path = arguments[0]
            if not isinstance(path, (str, bytes)):
                return  # a file descriptor: it was opened elsewhere
            path = os.path.abspath(os.fsdecode(path))
            if path.startswith(self._innocent) or path.endswith((".py", ".pyc", ".so", ".pth")):
                return
            self._note("R502", f"opens {path}")
        elif event in _EVENTS:
            self._note(_EVENTS[event], f"{event} {str(arguments)[:80]}")

    def _note(self, code: str, message: str) -> None:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            source: CodeType = frame.f_code
            if source.co_filename.startswith(self.folder):
                self.seen[code, message, source.co_filename, frame.f_lineno] = None
                return
            name = frame.f_globals.get("__name__") or ""
            if name.partition(".")[0] in _ON_BEHALF or source.co_filename.startswith("<frozen importlib"):
                return
            frame = frame.f_back
