"""AlgoPerf's quasi-random points of any search space."""

from __future__ import annotations

import dataclasses
from typing import Self

from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies._space import SPACE, space_to_search
from tuning.strategies._strategy import Asked, Option, Parallel, Row, check_whole


@dataclasses.dataclass(frozen=True)
class Quasirandom(Parallel):
    """AlgoPerf's quasi-random points. Ids are row numbers of the set.

    Attributes:
      budget: number of points.
      space: what they are drawn from.
      order_seed: None for the set's own order, whose prefixes are smaller budgets; see `halton.points`.
      start: number of the first row.
    """

    draws = "quasi-random"

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    order_seed: int | None = None
    start: int = 0

    def __post_init__(self) -> None:
        check_whole(self, budget=1, start=0)
        if self.order_seed is not None:
            check_whole(self, order_seed=0)

    @property
    def title(self) -> str:
        return "quasi-random search"

    def all_points(self) -> tuple[Point, ...]:
        from tuning.strategies import halton  # on NumPy, which naming the strategies does not need

        return halton.points(self.space, self.budget, self.order_seed, self.start)

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        return cls(asked.budget, space_to_search(asked), asked.options.get("order_seed"))


ROW = Row(
    Quasirandom,
    asks="parallel",
    role="candidates",
    takes=(SPACE, Option("order_seed", int, "N", "AlgoPerf's shuffle.", least=0)),
    reference="Bousquet et al. 2017, arXiv:1706.03200, as in AlgoPerf",
    fixed=lambda drawn: (
        ""
        if drawn.order_seed is None
        else "AlgoPerf's shuffle (--order-seed) is another one for every budget"
    ),
)
