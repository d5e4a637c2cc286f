"""A request to stop that lets what has begun end, and knows what that is. Nothing here needs JAX."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class GaveUp(RuntimeError):
    """Something was tried often enough; says what, and what is kept."""


class Stop(threading.Event):
    """Set by whoever wants work to stop; those who work look at it, and say what is under way.

    Example:
      >>> stop = Stop()
      >>> with stop.under_way("cohort 3 of digits/conv"):
      ...     stop.waits_for()
      'cohort 3 of digits/conv'
      >>> stop.waits_for()
      ''
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._under_way: list[str] = []

    @contextlib.contextmanager
    def under_way(self, what: str) -> Iterator[None]:
        """Says that something has begun which should not be broken off, until the context ends."""
        self.begin(what)
        try:
            yield
        finally:
            self.end(what)

    def begin(self, what: str) -> None:
        """Says that something has begun."""
        with self._lock:
            self._under_way.append(what)

    def end(self, what: str) -> None:
        """Says that it has ended."""
        with self._lock:
            self._under_way.remove(what)

    def waits_for(self) -> str:
        """What has begun and not ended, in words; "" where a stop breaks off nothing."""
        with self._lock:
            return ", ".join(self._under_way)
