"""Progress of long work: bars with counts, rate and time left; plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tuning.execution.seen import Seen

SECONDS_BETWEEN_LINES = 5.0
SECONDS_BETWEEN_LOOKS = 0.2  # on a terminal
SECONDS_WORTH_A_LINE = 1.0  # what is over sooner is not announced


@dataclasses.dataclass
class _Track:
    """Rate of one piece of work, counted from where it was picked up: a resumed study was not that fast."""

    began: float
    first: int
    task: TaskID | None = None
    last_line: float = 0.0

    def text(self, done: int, total: int) -> str:
        seconds = time.monotonic() - self.began
        if done >= total:
            return f"{seconds:.1f} s"
        if done <= self.first or seconds <= 0:
            return "starting"
        rate = (done - self.first) / seconds
        return f"{rate:.3g}/s, {(total - done) / rate:.0f} s left"


class Display(Protocol):
    """What `progress_display` yields."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Tells how far a piece of work is."""
        ...

    def watch(self, seen: Seen) -> None:
        """Tells what the workers do, all of them in one line."""
        ...


class _Workers:
    """The line about the workers: jobs, trials per second, devices, retries, who is lost."""

    def __init__(self) -> None:
        self.began, self.trials = time.monotonic(), 0

    def text(self, seen: Seen) -> str:
        if seen.trials < self.trials or not seen.trials:  # another study
            self.began = time.monotonic()
        self.trials = seen.trials
        seconds = time.monotonic() - self.began
        rate = f"{seen.trials / seconds:.3g} {seen.made}/s, " if seen.trials and seconds > 0 else ""
        return f"{rate}{seen}"


class _Plain:
    """Lines, where there is no terminal."""

    def __init__(self) -> None:
        self.tracks: dict[str, _Track] = {}
        self.workers, self.told, self.last_line = _Workers(), "", time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        track = self.tracks.setdefault(what, _Track(now, done, last_line=now))
        over = done >= total
        if now - track.last_line >= (SECONDS_WORTH_A_LINE if over else SECONDS_BETWEEN_LINES):
            track.last_line = now
            print(f"{what}: {done}/{total}, {track.text(done, total)}", file=sys.stderr, flush=True)
        if over:
            del self.tracks[what]

    def watch(self, seen: Seen) -> None:
        now, text = time.monotonic(), self.workers.text(seen)
        if now - self.last_line >= SECONDS_BETWEEN_LINES and text != self.told:
            self.last_line, self.told = now, text
            print(f"workers: {text}", file=sys.stderr, flush=True)


class _Bars:
    """Bars, on a terminal."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tracks: dict[str, _Track] = {}
        self.workers, self.last_look = _Workers(), 0.0
        self.line: TaskID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        track = self.tracks.get(what)
        if track is None or track.task is None:
            task = self.bars.add_task(what, total=total, completed=done, rate="starting")
            track = self.tracks[what] = _Track(time.monotonic(), done, task)
        assert track.task is not None
        self.bars.update(track.task, completed=done, total=total, rate=track.text(done, total))
        if done >= total:
            del self.tracks[what]  # the same work may come again, as a bar of its own

    def watch(self, seen: Seen) -> None:
        now = time.monotonic()
        if now - self.last_look < SECONDS_BETWEEN_LOOKS:
            return
        self.last_look = now
        if self.line is None:
            self.line = self.bars.add_task("workers", total=None, rate="")
        self.bars.update(self.line, rate=self.workers.text(seen))


@contextlib.contextmanager
def progress_display() -> Iterator[Display]:
    """Yields progress(what, done, total), which has `watch` too; writes to stderr, so that stdout stays the result's.

    Example:
      >>> with progress_display() as progress:
      ...     progress("reading logs", 0, 1)
    """
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Plain()
        return

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield _Bars(bars)
