"""Successive halving: cohorts of which the best 1/eta go on at every rung."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Self

from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies._step_budget import DEFAULT_ETA, ETA, OPTIONS, StepBudget, two_rungs
from tuning.strategies._strategy import Asked, Parallel, Row, check_whole
from tuning.strategies.rungs import SLACK, Rungs

if TYPE_CHECKING:
    from tuning.strategies.stopping import Halving


@dataclasses.dataclass(frozen=True)
class SuccessiveHalving(Parallel, StepBudget):
    """As many cohorts, each independent of the others, as the budget pays for. Ids of points are their numbers.

    This is the synchronous form: a rung waits for all trials of its cohort, so who goes on does not depend on which
    worker was faster.

    Attributes:
      budget, space, points_from, seed, least: see `StepBudget`.
      eta: of every eta trials one goes on at a rung.
      cohort: trials that compete with each other.

    Reference: Jamieson and Talwalkar 2016, arXiv:1502.07943; as in Li et al. 2020, arXiv:1810.05934, section 3.1.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    points_from: str = "quasirandom"
    seed: int = 0
    least: float = 1 / DEFAULT_ETA**2
    eta: int = DEFAULT_ETA
    cohort: int = DEFAULT_ETA**2

    def __post_init__(self) -> None:
        check_whole(self, eta=2)
        self.check_fields()
        cost = self.rungs.cost(self.cohort)
        if self.budget < cost - SLACK:
            raise ValueError(
                f"budget {self.budget}, in full trainings, does not pay for a cohort of {self.cohort} trials, which "
                f"takes {cost:.2f}; choose a budget of {math.ceil(cost - SLACK)} or more, or a smaller cohort size"
            )

    @property
    def title(self) -> str:
        return "successive halving"

    @property
    def rungs(self) -> Rungs:
        """Where trials are compared."""
        return Rungs(self.eta, self.least)

    @property
    def stopping(self) -> Halving:
        from tuning.strategies.stopping import Halving  # on NumPy, which naming the strategies does not need

        return Halving(self.rungs)

    def all_points(self) -> tuple[Point, ...]:
        cohorts = math.floor(self.budget / self.rungs.cost(self.cohort) + SLACK)
        return self.drawn(0, cohorts * self.cohort)

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        given = two_rungs(asked.options)
        if "cohort" not in given:  # as many as leave one
            eta = given.get("eta", DEFAULT_ETA)
            given["cohort"] = eta ** len(Rungs(eta, given["least"]).parts) if given["least"] > 0 else eta
        return super().planned(dataclasses.replace(asked, options=given))


ROW = Row(
    SuccessiveHalving,
    asks="parallel",
    role="baseline",
    takes=(ETA, *OPTIONS),
    reference="Jamieson and Talwalkar 2016, arXiv:1502.07943",
)
