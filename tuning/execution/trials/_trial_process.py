"""A trial in a process of its own, seen from the run: started, listened to, stopped, and judged by how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from submissions.api import Attendant, TrialOutcome, TrialSpec
from tuning.execution import team
from tuning.execution.stopping import Stop
from tuning.execution.trials import _trial_folder

CONSOLE = "console.log"
SECONDS_BETWEEN_LOOKS = 0.1  # at a request to stop


class TrialCrashed(Exception):
    """A trial whose process raised or died."""


class ToldToGo(TrialCrashed):
    """A trial whose process was told to end, as all are of a machine that is wanted back."""


def train_apart(
    spec: TrialSpec,
    lock: int,
    stop: Stop,
    attendant: Attendant,
    *,
    part: team.InTrial | None = None,
    without: Collection[str] = (),
    may_go: bool = False,
) -> TrialOutcome:
    """A trial whose end, however bad, is not ours.

    Args:
      spec: of the trial.
      lock: descriptor of its lock.
      stop: set to have the trial save itself and end; it knows what the trial is doing.
      attendant: told how it is getting on.
      part: that its process has, where several hosts train it.
      without: environment variables that it is not to have.
      may_go: SIGTERM to it is no crash of its own.

    Raises:
      GaveUp: another host is gone.
      ValueError: the trial was refused.
      OSError: its files could not be written.
      ToldToGo: it ended by SIGTERM, and may.
      KeyboardInterrupt: while there was nothing to be saved.
    """
    folder = Path(spec.folder)
    _trial_folder.write_spec(spec)
    try:
        with contextlib.ExitStack() as together:
            if part is not None:  # Ctrl-C leaves nobody alone: whoever hears it waits until all have stopped
                together.enter_context(stop.under_way(f"trial {spec.trial} to stop on all hosts"))
                together.enter_context(part)
            _converse(spec, "train", lock, stop, attendant, part, without)
        outcome = _trial_folder.read_outcome(folder)
        if outcome is None:  # sys.exit(0) is no end of a trial
            raise TrialCrashed("the submission ended its process, with exit status 0")
    except (TrialCrashed, team.Broken) as crash:
        if may_go and isinstance(crash, ToldToGo):
            raise
        why = str(crash) if part is None else part.why(str(crash))
        found = TrialOutcome(spec.trial, spec.folder, "crashed", f"{why}, see {folder / CONSOLE}")
        return _ended(_trial_folder.with_last_evaluation(found))
    except KeyboardInterrupt:  # the process is gone
        found = TrialOutcome(spec.trial, spec.folder, "interrupted", "by the keyboard")
        _ended(_trial_folder.with_last_evaluation(found))
        raise
    except team.Lost as lost:
        if _trial_folder.read_outcome(folder) is None:  # it had not ended by itself
            found = TrialOutcome(spec.trial, spec.folder, "interrupted", str(lost))
            _ended(_trial_folder.with_last_evaluation(found))
        raise
    if part is not None and outcome.status == "interrupted":
        stop.set()  # whichever host was asked, no other trial begins
    return outcome


def begin_apart(spec: TrialSpec, lock: int) -> None:
    """Writes down what a trial was to be, that crashed before it did so, without running any code of its submission.

    Raises:
      TrialCrashed, ValueError, OSError: that is impossible.
    """
    _converse(spec, "begin", lock, Stop(), Attendant())


def _ended(outcome: TrialOutcome) -> TrialOutcome:
    _trial_folder.write_outcome(outcome)
    return outcome


def _converse(
    spec: TrialSpec,
    task: str,
    lock: int,
    stop: Stop,
    attendant: Attendant,
    part: team.InTrial | None = None,
    without: Collection[str] = (),
) -> None:
    """Has a process of its own do a task, to its end."""
    console, asked = Path(spec.folder) / CONSOLE, False
    crash, saves = None, _Unsaved(spec, stop)
    join = "" if part is None else part.join.to_json()
    with _process(spec, task, lock, console, join, without) as (process, reports, words), saves:
        for line in _lines(reports, process):
            if part is not None:
                part.look()
            if stop.is_set() and spec.save_checkpoints and not asked:
                asked = True
                with contextlib.suppress(BrokenPipeError):  # it has just ended
                    os.write(words, b"stop\n")
            message: list[Any] = json.loads(line) if line else [""]
            match message:
                case ["progress", done, total]:
                    attendant.progress(done, total)
                case ["unsaved" | "evaluating" | "saved" as what]:
                    saves.now(what)
                case ["say", what]:
                    attendant.say(what)
                case ["refused", why]:
                    raise ValueError(why)
                case ["failed", number, why, file]:
                    raise OSError(number, f"{why}; nothing that was saved is lost, --resume goes on", file)
                case ["crashed", why, trace]:
                    crash = why
                    if os.environ.get("SHORTLIST_TRACEBACK"):
                        attendant.say(trace)
        status = process.wait()
    if crash or status:
        kind = ToldToGo if status == -signal.SIGTERM else TrialCrashed
        raise kind(crash or _cause(status, console))


class _Unsaved:
    """Says what a stop has to wait for: steps that the next checkpoint will have."""

    def __init__(self, spec: TrialSpec, stop: Stop) -> None:
        trial = f"trial {spec.trial}"
        self._words = {
            "unsaved": f"{trial} to save what it has made",
            "evaluating": f"{trial} to end an evaluation and save",
            "saved": "",
        }
        if not spec.save_checkpoints:
            self._words["unsaved"] = self._words["evaluating"] = f"{trial} to end, as it keeps no checkpoints"
        self._stop, self._said = stop, ""

    def __enter__(self) -> _Unsaved:
        return self

    def __exit__(self, *_: object) -> None:
        self.now("saved")

    def now(self, what: str) -> None:
        """What the trial has just begun."""
        before, self._said = self._said, self._words[what]
        if self._said:
            self._stop.begin(self._said)
        if before:
            self._stop.end(before)


@contextlib.contextmanager
def _process(
    spec: TrialSpec, task: str, lock: int, console: Path, join: str, without: Collection[str]
) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """The process, its reports, and a pipe for words to it; it has ended when the context does."""
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as its:
        reports, reporting = os.pipe()
        listening, words = os.pipe()
        for descriptor in (reports, words):
            ours.callback(os.close, descriptor)
        for descriptor in (reporting, listening):
            its.callback(os.close, descriptor)
        file = str(Path(spec.folder) / _trial_folder.SPEC)
        variables = {name: value for name, value in os.environ.items() if name not in without}
        with console.open("ab") as printed:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "tuning.execution.trials._trial_main", file, str(reporting), str(listening),
                    str(lock), str(os.getpid()), task, join,
                ],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=(reporting, listening, lock),
                process_group=0,  # Ctrl-C is for the run, which waits for what has begun
                env=variables | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        its.close()
        try:
            yield process, reports, words
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # its own processes too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _lines(pipe: int, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """The lines that come through a pipe, until its process is gone; between them, every so often, an empty one.

    Not by a read that blocks: signals do not end it once a library, as Polars, has put its own handlers there.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    rest = b""
    while True:
        gone = process.poll() is not None  # and yet a process that it started may hold the pipe
        if not poll.poll(SECONDS_BETWEEN_LOOKS * 1000):
            if gone:
                return
            yield b""
            continue
        content = os.read(pipe, 65536)
        if not content:
            return
        *lines, rest = (rest + content).split(b"\n")
        yield from lines


def _cause(status: int, console: Path) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; the system may have run out of memory" if -status == signal.SIGKILL else ""
        return f"the process was ended by {name}{hint}"
    printed: Any = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return printed[-1] if printed else f"exit status {status}"
