"""Who looks after a run: tells whoever called."""

from __future__ import annotations

from collections.abc import Callable

from submissions import api
from tuning.execution.stopping import Stop

Progress = Callable[[str, int, int], None]  # (what, done, total)


class RunAttendant(api.Attendant):
    """Tells whoever called.

    Attributes:
      what: is under way, for the progress.
      stop: set to end it.
    """

    def __init__(self, progress: Progress | None, say: Callable[[str], None] | None, stop: Stop) -> None:
        self._progress, self._say, self.stop, self.what = progress, say, stop, ""

    def progress(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(self.what, done, total or 0)

    def say(self, what: str) -> None:
        if self._say is not None:
            self._say(what)
        else:
            super().say(what)

    def is_to_stop(self) -> bool:
        return self.stop.is_set()
