"""Progress of long work: bars with counts, rate and time left; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES = 5.0
SECONDS_WORTH_A_LINE = 1.0  # what is over sooner is not announced


@dataclasses.dataclass
class _Track:
    """Rate of one piece of work, counted from where it was picked up: a resumed study was not that fast."""

    began: float
    first: int
    task: object = None
    last_line: float = 0.0

    def text(self, done: int, total: int) -> str:
        seconds = time.monotonic() - self.began
        if done >= total:
            return f"{seconds:.1f} s"
        if done <= self.first or seconds <= 0:
            return "starting"
        rate = (done - self.first) / seconds
        return f"{rate:.3g}/s, {(total - done) / rate:.0f} s left"


@contextlib.contextmanager
def progress_display() -> Iterator[Callable[[str, int, int], None]]:
    """Yields progress(what, done, total); writes to stderr, so that stdout stays the result's.

    Example:
      >>> with progress_display() as progress:
      ...     progress("reading logs", 0, 1)
    """
    from rich.console import Console

    console = Console(stderr=True)
    tracks: dict[str, _Track] = {}
    if not console.is_terminal:

        def plain(what: str, done: int, total: int) -> None:
            now = time.monotonic()
            track = tracks.setdefault(what, _Track(now, done, last_line=now))
            over = done >= total
            if now - track.last_line >= (SECONDS_WORTH_A_LINE if over else SECONDS_BETWEEN_LINES):
                track.last_line = now
                print(f"{what}: {done}/{total}, {track.text(done, total)}", file=sys.stderr, flush=True)
            if over:
                del tracks[what]

        yield plain
        return

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=console) as bars:

        def bar(what: str, done: int, total: int) -> None:
            track = tracks.get(what)
            if track is None:
                track = tracks[what] = _Track(time.monotonic(), done)
                track.task = bars.add_task(what, total=total, completed=done, rate="starting")
            bars.update(track.task, completed=done, total=total, rate=track.text(done, total))  # type: ignore[arg-type]
            if done >= total:
                del tracks[what]  # the same work may come again, as a bar of its own

        yield bar
