"""Vizier's median stopping rule: a trial stops where its best is worse than what others have been on average."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies._step_budget import DEFAULT_COHORT, OPTIONS, OneCohortAfterTheOther
from tuning.strategies._strategy import Row

if TYPE_CHECKING:
    from tuning.strategies.stopping import WorseThanMedian


@dataclasses.dataclass(frozen=True)
class MedianStopping(OneCohortAfterTheOther):
    """One cohort after the other, each compared with those before it. Ids of points are their numbers.

    Attributes:
      budget, space, points_from, seed, cohort, least: see `StepBudget`.

    Reference: Golovin et al. 2017, Google Vizier, KDD 2017, section 3.2.2.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    points_from: str = "quasirandom"
    seed: int = 0
    least: float = 0.1
    cohort: int = DEFAULT_COHORT

    def __post_init__(self) -> None:
        self.check_fields()

    @property
    def title(self) -> str:
        return "median stopping"

    @property
    def stopping(self) -> WorseThanMedian:
        from tuning.strategies.stopping import WorseThanMedian  # on NumPy

        return WorseThanMedian(self.least)


ROW = Row(
    MedianStopping,
    asks="sequential",
    role="baseline",
    takes=OPTIONS,
    reference="Golovin et al. 2017, Google Vizier, KDD 2017, section 3.2.2",
    fixed=lambda median: "how many trials begin together depends on the budget that is left",
)
