"""Rungs: the steps after which trials of one cohort are compared, and what a cohort costs whose losers stop there."""

from __future__ import annotations

import dataclasses
import itertools
import math

SLACK = 1e-9  # of sums of parts, which are rounded


@dataclasses.dataclass(frozen=True)
class Rungs:
    """Where trials are compared: after `least`, least * eta, least * eta^2, ... of a full training, below all of it.

    A rung stands at the last evaluation that is not past it, so that evaluations that fall between rungs make nothing
    dearer. The last one is no nearer to the end than a thousandth.

    Example:
      >>> Rungs(2, 0.125).parts
      (0.125, 0.25, 0.5)
    """

    eta: int
    least: float

    @property
    def parts(self) -> tuple[float, ...]:
        """Of a full training."""
        found, part = [], self.least
        while part < 0.999:
            found.append(part)
            part *= self.eta
        return tuple(found)

    def at(self, step: int, period: int, total: int) -> int | None:
        """Number of the last rung that stands at an evaluation, from 0; None where none does.

        Args:
          step: of the evaluation.
          period: steps to the next one.
          total: steps of a full training.
        """
        ends = [part * total * (1 + SLACK) for part in self.parts]
        return max(
            (number for number, end in enumerate(ends) if 0 < step <= end < step + period), default=None
        )

    def sizes(self, trials: int) -> tuple[int, ...]:
        """Of so many trials, those that come to each rung and to the end, if one of every eta goes on, at least one.

        Example:
          >>> Rungs(3, 1 / 9).sizes(20)
          (20, 6, 2)
        """
        found = [trials]
        for _ in self.parts:
            found.append(max(1, found[-1] // self.eta))
        return tuple(found)

    def cost(self, trials: int) -> float:
        """Full trainings' worth of steps that so many trials take at the most.

        Example:
          >>> round(Rungs(3, 1 / 9).cost(9), 3)
          2.333
        """
        ends = (0.0, *self.parts, 1.0)
        lengths = [end - begin for begin, end in itertools.pairwise(ends)]
        return math.fsum(n * length for n, length in zip(self.sizes(trials), lengths, strict=True))
