"""Strategies that spend a budget of steps: it counts full trainings' worth of them, and trials are stopped early.

Trials begin together as a cohort, are compared with each other after the same steps, and stop where others are better,
by a rule of `tuning.strategies.stopping`. Every decision depends on what was trained, in an order that is fixed, and
never on which worker was faster.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from submissions.points import Point, Told
from submissions.spaces import SearchSpace
from tuning.strategies._space import SPACE, space_to_search
from tuning.strategies._strategy import Asked, Defaults, Option, Strategy, check_whole
from tuning.strategies.quasirandom import Quasirandom
from tuning.strategies.random_search import RandomSearch
from tuning.strategies.rungs import SLACK

if TYPE_CHECKING:
    from tuning.strategies.stopping import Stopping

DEFAULT_BUDGET = 5  # full trainings' worth of steps: as many as the lists of Medapati et al. take
DEFAULT_COHORT = 8
DEFAULT_ETA = 3
DRAWN_FROM = ("quasirandom", "random")

ETA = Option("eta", int, "N", f"the best 1/N go on; default {DEFAULT_ETA}.", least=2)
OPTIONS = (
    SPACE,
    Option("points_from", str, "NAME", "quasirandom (default) or random points."),
    Option(
        "least", float, "X", "part of all steps that every trial gets; default 1/eta^2, or 0.1 without eta."
    ),
    Option("cohort", None, "N", "trials that begin together.", flag="--cohort-size"),
)


class StepBudget(Strategy):
    """A strategy that stops trials, and whose `budget` counts full trainings' worth of steps.

    Subclasses are frozen dataclasses with the fields below and those of their rule.

    Attributes:
      space: what points are drawn from.
      points_from: how, one of `DRAWN_FROM`.
      seed: of random draws.
      cohort: trials that begin together.
      least: part of a full training that every trial gets, if it does not diverge.
    """

    space: SearchSpace
    points_from: str
    seed: int
    cohort: int
    least: float

    @property
    @abc.abstractmethod
    def stopping(self) -> Stopping:
        """Says who stops, and when."""

    def check_training(self, workload: str, total: int, period: int) -> None:
        """Accepts a training that is evaluated early enough for the first comparison.

        Raises:
          ValueError: it is not.
        """
        first = math.floor(self.least * total * (1 + SLACK))
        if first < period:
            finer = f", or --eval-period {first} or less" if first else ""
            raise ValueError(
                f"{workload}: trials are compared after {self.least:.3g} of {total} steps, but evaluated every "
                f"{period}; choose --least {math.ceil(1000 * period / total) / 1000:g} or more{finer}"
            )

    def drawn(self, first: int, count: int) -> tuple[Point, ...]:
        """Points by number; more of them begin with fewer."""
        if not count:
            return ()
        if self.points_from == "random":
            return RandomSearch(first + count, self.space, self.seed).all_points()[first:]
        return Quasirandom(count, self.space, start=first).all_points()

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        return Defaults(budget=DEFAULT_BUDGET)

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        given = {key: value for key, value in asked.options.items() if key != "space"}
        return cls(budget=asked.budget, space=space_to_search(asked), seed=asked.seed, **given)  # type: ignore[call-arg]

    def check_fields(self) -> None:
        """Accepts fields as they must be.

        Raises:
          ValueError: names the field.
        """
        check_whole(self, budget=1, seed=0, cohort=2)
        if self.points_from not in DRAWN_FROM:
            raise ValueError(f"points_from is {self.points_from!r}; must be one of {', '.join(DRAWN_FROM)}")
        least = self.least
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 < least < 1:
            raise ValueError(f"least is {least!r}; must be a part of a full training, between 0 and 1")


class OneCohortAfterTheOther(StepBudget):
    """Cohorts that are trained one after the other until the budget is spent, as each is compared with the last ones.

    A cohort has as many trials as could all be trained to their end by what is left, and no more than `cohort`. So the
    budget holds whoever stops, and what is left in the end is less than a full training.
    """

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        for number, trial in enumerate(told):
            if trial.point.id != str(number):
                raise ValueError(f"told of point {trial.point.id} where point {number} was expected")
        left = self.budget - math.fsum(trial.part for trial in told)
        return self.drawn(len(told), min(self.cohort, math.floor(left + SLACK)))


def two_rungs(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a strategy with rungs, where nobody says otherwise two of them."""
    return {"least": 1 / given.get("eta", DEFAULT_ETA) ** 2, **given}
