"""How a name that does not exist is answered: with the closest one that does, if any is near enough to be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Of difflib's ratio: one slip in a name of five letters or more. At its usual .6, adamw would be adam8p.
NEAR = 0.8
TURNED = 0.6  # for names of the same letters


def did_you_mean(name: object, allowed: Iterable[str]) -> str:
    """ "; did you mean 'x'?" for the nearest allowed name, or "" where none is near.

    Example:
      >>> did_you_mean("scalling", ["min", "max", "scaling"])
      "; did you mean 'scaling'?"
      >>> did_you_mean("adamw", ["adam8p", "adamw_optax"])
      "; did you mean 'adamw_optax'?"
    """
    close = nearest(str(name), allowed, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def closest(name: str, allowed: Iterable[str], otherwise: str) -> str:
    """ "did you mean 'x' or 'y'?" for the nearest two of many allowed names, or else another hint.

    Example:
      >>> closest("clicks/mpl", ["clicks/mlp", "digits/conv"], "'shortlist workloads' lists them")
      "did you mean 'clicks/mlp'?"
    """
    close = nearest(name, allowed, 2)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else otherwise


def nearest(name: str, allowed: Iterable[str], most: int) -> list[str]:
    """At most so many allowed names that may have been meant: misspelt, or not written to the end; nearest first.

    A name is written to its end from a beginning of three letters or more, such as nadamw of nadamw_optax.
    """
    among = list(dict.fromkeys(allowed))
    # Letters that changed places count as one slip, which difflib takes for two.
    near = difflib.get_close_matches(name, among, 20, TURNED)
    same = [other for other in near if sorted(other) == sorted(name)]
    misspelt = [*same, *difflib.get_close_matches(name, [o for o in near if o not in same], most, NEAR)]
    begun = [other for other in among if len(name) >= 3 and other.startswith(name) and other not in misspelt]
    return [*misspelt, *sorted(begun, key=len)][:most]
