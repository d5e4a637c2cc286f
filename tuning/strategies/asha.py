"""ASHA in its stopping form: at a rung, a trial is compared with those that came before it, and waits for none."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies._step_budget import (
    DEFAULT_COHORT,
    DEFAULT_ETA,
    ETA,
    OPTIONS,
    OneCohortAfterTheOther,
    two_rungs,
)
from tuning.strategies._strategy import Asked, Row, check_whole
from tuning.strategies.rungs import Rungs

if TYPE_CHECKING:
    from tuning.strategies.stopping import TopOfRung


@dataclasses.dataclass(frozen=True)
class Asha(OneCohortAfterTheOther):
    """One cohort after the other, each compared with those before it. Ids of points are their numbers.

    Li et al. let every worker decide by what has been reported when it asks, so that answers depend on who was faster.
    Here the order is fixed: that of cohorts. As there, no trial waits for a later one, and the first decisions are made
    on few. Unlike there, a trial that stopped does not go on when it later turns out to be among the best.

    Attributes:
      budget, space, points_from, seed, cohort, least: see `StepBudget`.
      eta: of every eta trials that came to a rung one goes on.

    Reference: Li et al. 2020, arXiv:1810.05934, section 3.2; stopping in place of promotion, as Ray Tune has it.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    points_from: str = "quasirandom"
    seed: int = 0
    least: float = 1 / DEFAULT_ETA**2
    eta: int = DEFAULT_ETA
    cohort: int = DEFAULT_COHORT

    def __post_init__(self) -> None:
        check_whole(self, eta=2)
        self.check_fields()

    @property
    def title(self) -> str:
        return "ASHA in a fixed order"

    @property
    def stopping(self) -> TopOfRung:
        from tuning.strategies.stopping import (
            TopOfRung,  # on NumPy, which naming the strategies does not need
        )

        return TopOfRung(Rungs(self.eta, self.least))

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        return super().planned(dataclasses.replace(asked, options=two_rungs(asked.options)))


ROW = Row(
    Asha,
    asks="sequential",
    role="baseline",
    takes=(ETA, *OPTIONS),
    reference="Li et al. 2020, arXiv:1810.05934",
    fixed=lambda asha: "how many trials begin together depends on the budget that is left",
)
