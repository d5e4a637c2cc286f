"""What takes unexpectedly long is named while it does, so that nobody waits for they know not what."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

SECONDS = 5.0


@contextlib.contextmanager
def told_when_slow(doing: str, seconds: float = SECONDS) -> Iterator[None]:
    """Warns of what is done in the context, where it takes longer than expected.

    Args:
      doing: such as "importing my_optimizer.py".
      seconds: after which.
    """
    message = f"{doing} has taken {seconds:g} s so far; Ctrl-C stops it"
    timer = threading.Timer(seconds, logging.getLogger("shortlist").warning, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
