"""A process that never outlives the one that started it, however that ended. Nothing here imports anything big.

On Linux the kernel ends it, whatever it is doing; elsewhere, and should the kernel not, a thread of it does that waits
for its end of a pipe to be closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def end_with(parent: int, pipe: int, on_word: Callable[[], None]) -> None:
    """Ends this process as soon as its parent is gone; to be called before anything that takes long.

    Args:
      parent: its process id.
      pipe: whose other end the parent alone holds.
      on_word: called, from a thread, for every line that comes through the pipe.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it was gone before
        os._exit(1)

    def listen() -> None:
        while word := os.read(pipe, 4096):
            for _ in range(word.count(b"\n")):
                on_word()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=listen, name="lifeline", daemon=True).start()
