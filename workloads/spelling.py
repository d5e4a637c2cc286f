"""How a name that does not exist is answered: with the closest one that does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, allowed: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the closest allowed name, or "" where none is close.

    Example:
      >>> did_you_mean("scalling", ["min", "max", "scaling"])
      "; did you mean 'scaling'?"
    """
    close = difflib.get_close_matches(str(name), list(allowed), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
