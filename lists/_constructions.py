"""Constructions of lists: a table, so that everything that builds one can build any."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from lists._bagged import bagged
from lists._cautious import cautious
from lists._cost import PENALTY
from lists._exact import exact
from lists._greedy import ChosenList, greedy
from lists._hedged import hedged
from lists._nested import best_penalty, nested
from lists._shrunk import shrunk, shrunk_exact
from lists._ties import MERIT

METHODS: dict[str, Callable[..., ChosenList]] = {  # the paper's two: (values, size, penalty, *, ties, places)
    "greedy": greedy,
    "exact": exact,
}


@dataclasses.dataclass(frozen=True)
class Construction:
    """How lists are built.

    Attributes:
      build: (values, size, penalty, *, ties, places), and by_repeat where it reads repeats.
      grows: whether its list, cut, serves as a shorter one: every point was chosen with those before it.
      reads_repeats: whether it takes fractions in the single repeats.
      summary: a phrase for people.
    """

    build: Callable[..., ChosenList]
    grows: bool
    reads_repeats: bool
    summary: str


CONSTRUCTIONS = {
    #  name                        function      grows  repeats  what it does
    "greedy": Construction(greedy, True, False, "point by point, each the one that lowers the cost most"),
    "exact": Construction(exact, False, False, "the best set of points"),
    "hedged": Construction(hedged, True, False, "greedy on the expected cost: points may fail, near misses may not"),
    "bagged": Construction(bagged, True, True, "votes of greedy on resampled workloads and repeats"),
    "shrunk": Construction(shrunk, True, False, "greedy on costs drawn towards the mean of their point"),
    "shrunk-exact": Construction(shrunk_exact, False, False, "the best set on such costs"),
    "cautious": Construction(cautious, True, True, "greedy on upper bounds of the costs from repeats"),
    "best-penalty": Construction(best_penalty, True, False, "greedy by the penalty that leave-one-out likes best"),
    "nested": Construction(nested, True, False, "greedy, hedged or shrunk, as leave-one-out likes best"),
}  # fmt: skip


def construct(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    construction: str = "greedy",
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    by_repeat: Float[np.ndarray, "point workload repeat"] | None = None,
) -> ChosenList:
    """A list by any construction.

    Args:
      values, size, penalty, ties, places: see `greedy`.
      construction: a key of `CONSTRUCTIONS`.
      by_repeat: what `values` are medians of, as `Fractions` keeps it; some constructions read it.

    Raises:
      ValueError: an unknown construction, or what it refuses.

    Example:
      >>> construct(np.array([[0.5, np.inf], [0.4, 0.9]]), 1, construction="hedged").points
      (1,)
    """
    found = named(construction)
    repeats = {"by_repeat": by_repeat} if found.reads_repeats else {}
    return found.build(values, size, penalty, ties=ties, places=places, **repeats)


def named(construction: str) -> Construction:
    """The construction of a name.

    Raises:
      ValueError: no such construction.
    """
    if construction not in CONSTRUCTIONS:
        raise ValueError(f"method is {construction!r}; must be one of {', '.join(CONSTRUCTIONS)}")
    return CONSTRUCTIONS[construction]
