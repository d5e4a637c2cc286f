"""How long tasks are trained: constant, log-uniform, or growing with the outer steps.

A schedule gives bounds for an outer step; a task's length is floor(exp(U(ln low, ln high))) for bounds (low, high), so
that the upper one is practically never drawn, and low where both are equal. Programs take the bounds as numbers, and
another length compiles nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from results.meta_trainings import DESCRIPTION
from workloads.data import reading


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Bounds of the lengths of tasks, in steps.

    Attributes:
      low, high: at first.
      final_low, final_high: after `growth` outer steps; None: as at first.
      growth: outer steps over which bounds grow, evenly in their logarithm; 0: they do not.

    Example:
      >>> Lengths(100, 1000).bounds(5)
      (100, 1000)
      >>> Lengths(10, 10, 1000, 1000, growth=100).bounds(50)
      (100, 100)
    """

    low: int
    high: int
    final_low: int | None = None
    final_high: int | None = None
    growth: int = 0

    def __post_init__(self) -> None:
        for low, high in ((self.low, self.high), self._final):
            if not 1 <= low <= high:
                raise ValueError(f"lengths from {low} to {high} steps; must be at least 1, and rise")
        if self.growth < 0:
            raise ValueError(f"growth is {self.growth} outer steps; must be at least 0")

    @property
    def _final(self) -> tuple[int, int]:
        low = self.low if self.final_low is None else self.final_low
        return low, self.high if self.final_high is None else self.final_high

    @property
    def longest(self) -> int:
        """No task is longer, at any outer step."""
        return max(self.high, self._final[1])

    def bounds(self, outer_step: int) -> tuple[int, int]:
        """(low, high) at an outer step."""
        if not self.growth:
            return self.low, self.high
        part = min(1.0, outer_step / self.growth)
        low, high = (
            round(float(np.exp((1 - part) * np.log(a) + part * np.log(b))))
            for a, b in zip((self.low, self.high), self._final, strict=True)
        )
        return low, high

    def __str__(self) -> str:
        """As `parse` reads it."""
        text = f"{self.low}" if self.low == self.high else f"loguniform:{self.low},{self.high}"
        if not self.growth:
            return text
        low, high = self._final
        return f"growing:{self.low},{self.high},{low},{high},{self.growth}"


def parse(text: str) -> Lengths:
    """A schedule from the command line.

    | text | lengths |
    |---|---|
    | N or constant:N | N steps |
    | loguniform:A,B | from A to B steps |
    | growing:A,B,C,D,G | from A to B steps at first, and from C to D after G outer steps |

    Raises:
      ValueError: it is none of these.
    """
    kind, colon, numbers = text.rpartition(":")
    try:
        given = [int(number) for number in numbers.split(",")]
    except ValueError:
        given = []
    expected = {"": 1, "constant": 1, "loguniform": 2, "growing": 5}
    if len(given) != expected.get(kind if colon else "", 0):
        raise ValueError(
            f"length {text!r}: give N, constant:N, loguniform:LOW,HIGH or growing:LOW,HIGH,FINAL_LOW,FINAL_HIGH,"
            "OUTER_STEPS"
        )
    if len(given) == 1:
        return Lengths(given[0], given[0])
    return Lengths(*given)


def drawn(bounds: tuple[int, int], rng: np.random.Generator, multiple: int = 1) -> int:
    """One length of an outer step's bounds, rounded down to a multiple, and up to one."""
    low, high = bounds
    length = low if low == high else int(np.exp(rng.uniform(np.log(low), np.log(high))))
    return max(length // multiple * multiple, multiple)


def longest_of(weights: Path) -> int | None:
    """The longest task that a weight file was trained on, by the description beside it; None where there is none.

    Raises:
      ValueError: the description is damaged.
    """
    file = weights.parent / DESCRIPTION
    if not file.exists():
        return None
    said = reading.read_json(file, "no such file")
    try:
        return Lengths(**said["plan"]["lengths"]).longest
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file}: does not say how long tasks were ({error})") from None
