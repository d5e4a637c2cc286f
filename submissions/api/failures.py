"""What a user's code did wrong, in one line: which call, what was raised, and at which line of the user's own.

The errors themselves are left as they are: whoever calls a submission adds the call as a note. Nothing here needs JAX.
"""

from __future__ import annotations

import contextlib
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("workloads", "submissions", "tuning", "results", "lists", "reports", "shortlist")
_CALL = "in the submission's "  # how the note of a call begins
_LONGEST = 400  # characters of a message: those of compilers have pages


class Refused(ValueError):
    """A trial that cannot be begun or gone on with as it was asked for, through no fault of the submission."""


@contextlib.contextmanager
def calling(name: str, step: int | None = None) -> Iterator[None]:
    """Notes on whatever is raised which of the submission's functions was called.

    Args:
      name: of the function.
      step: steps made before the call.
    """
    try:
        yield
    except Exception as error:
        if call_of(error) is None:
            error.add_note(f"{_CALL}{name}" + ("" if step is None else f" at step {step}"))
        raise


def call_of(error: BaseException) -> str | None:
    """The call that raised, such as "update_params at step 37"; None where none was under way."""
    notes = (note for one in _chain(error) for note in getattr(one, "__notes__", ()))
    return next((note.removeprefix(_CALL) for note in notes if note.startswith(_CALL)), None)


def told(error: BaseException, folder: Path) -> str:
    """The error in one line.

    Args:
      error: whatever was raised.
      folder: of the submission; other files that are neither Python's, a package's nor ours count as the user's too.

    Example:
      >>> try:
      ...     with calling("update_params", 37):
      ...         raise ZeroDivisionError("by nothing")
      ... except ZeroDivisionError as error:
      ...     told(error, Path("my_submission"))
      'update_params at step 37: ZeroDivisionError: by nothing'
    """
    call, line = call_of(error), _line(error, folder.resolve())
    said = _one_line(str(error))
    found = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if line is not None and line not in said:
        found += f" ({line})"
    return f"{call}: {found}" if call else found


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = "".join(c if c.isprintable() else "?" for c in lines[0]) if lines else ""
    return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 1]}…"


def _line(error: BaseException, folder: Path) -> str | None:
    """FILE:LINE where the user's own code was last, on the way to the error or to what caused it."""
    for one in reversed(_chain(error)):
        for frame in reversed(traceback.extract_tb(one.__traceback__)):
            if _is_users(frame.filename, folder):
                return f"{frame.filename}:{frame.lineno}"
    return None


def _is_users(file: str, folder: Path) -> bool:
    path = Path(file)
    if file.startswith("<") or not path.is_absolute():
        return False
    if path.is_relative_to(folder):
        return True
    installed = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    others = (*(Path(place).resolve() for place in installed), *(ROOT / room for room in ROOMS))
    return not any(path.resolve().is_relative_to(place) for place in others)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from: who imports or traces code raises one of its own from the user's."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
