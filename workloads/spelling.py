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


def closest(name: str, allowed: Iterable[str], otherwise: str) -> str:
    """ "did you mean 'x' or 'y'?" for the closest two of many allowed names, or else another hint.

    Example:
      >>> closest("clicks/mpl", ["clicks/mlp", "digits/conv"], "'shortlist workloads' lists them")
      "did you mean 'clicks/mlp'?"
    """
    close = difflib.get_close_matches(name, list(allowed), 2)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else otherwise
