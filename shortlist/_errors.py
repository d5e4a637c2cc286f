"""How a command that failed says so: in one line where its input or the machine is the cause."""

from __future__ import annotations

import os
import re
import sys

from tuning.execution.stopping import GaveUp
from workloads.shown import plain

MOST = 2000  # characters of a line


def told(error: BaseException) -> str | None:
    """What to tell a user of bad input, or of a machine that refuses, in one line; None for what is a defect of ours.

    Example:
      >>> told(ValueError("list.json: penalty: is 0"))
      'list.json: penalty: is 0'
      >>> told(KeyError("penalty")) is None
      True
    """
    if isinstance(error, OSError):
        return one_line(_of_the_system(error))
    if isinstance(error, MemoryError):
        detail = f" ({error})" if str(error) else ""
        return one_line(f"out of memory{detail}; ask for less at a time")
    if isinstance(error, RecursionError):
        return "the input is nested deeper than can be read; SHORTLIST_TRACEBACK=1 shows where"
    if isinstance(error, OverflowError):
        return one_line(f"a number is too large ({error}); SHORTLIST_TRACEBACK=1 shows where")
    return one_line(f"{error}{_log(error)}") if isinstance(error, ValueError | GaveUp) else None


def one_line(text: str) -> str:
    """Text as one line, of what a terminal shows as it is."""
    line = plain(re.sub(r"\s*\n\s*", " ", text.strip()), instead=" ")
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"


def say(message: str) -> None:
    """Prints a line on stderr, whatever it can encode."""
    line = f"shortlist: {message}"
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)


def flush_results() -> None:
    """Writes out what was printed on stdout; what cannot be is given up, so that the interpreter does not try again.

    Raises:
      OSError: it cannot, such as on a full disk.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise OSError(error.errno, error.strerror, "stdout") from None


def _log(error: BaseException) -> str:
    """Where the log of a job is that failed elsewhere: here nobody saw its traceback."""
    notes = getattr(error, "__notes__", ())
    elsewhere = any(note.startswith("In a worker") for note in notes)
    logs = [note.rpartition(": ")[2] for note in notes if note.startswith("The log of ")]
    return f"; its log: {logs[0]}" if elsewhere and logs else ""


def wants_traceback() -> bool:
    """Whether the user has asked for tracebacks."""
    return bool(os.environ.get("SHORTLIST_TRACEBACK"))


def _of_the_system(error: OSError) -> str:
    if not error.strerror:
        return str(error)
    places = [
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)
    ]
    return ": ".join([" -> ".join(places), error.strerror] if places else [error.strerror])
