"""The candidates from which Medapati et al. chose their list."""

from __future__ import annotations

import dataclasses

from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1
from tuning.strategies._strategy import Parallel, Row, check_whole


@dataclasses.dataclass(frozen=True)
class MedapatiCandidates(Parallel):
    """The first `budget` of the 200 candidates of Medapati et al., "0" to "199".

    The paper does not print them, but the five points of its Table 10 are rows 173, 170, 197, 43 and 104 of
    this set, to the last digit. That the other candidates are its other rows is inferred.
    """

    draws = "quasi-random"

    budget: int = 200

    def __post_init__(self) -> None:
        check_whole(self, budget=1)
        if self.budget > 200:
            raise ValueError(f"budget is {self.budget}; the paper has 200 candidates")

    @property
    def title(self) -> str:
        return "quasi-random search (candidates of Medapati et al.)"

    def all_points(self) -> tuple[Point, ...]:
        from tuning.strategies import halton  # on NumPy, which naming the strategies does not need

        return halton.points(MEDAPATI_TABLE_1, self.budget)


ROW = Row(
    MedapatiCandidates,
    asks="parallel",
    role="candidates",
    takes=(),
    reference="arXiv:2503.03986, Table 1",
)
