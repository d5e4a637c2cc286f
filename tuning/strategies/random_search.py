"""Random search: every point drawn on its own, which is what the theory of tuning curves supposes."""

from __future__ import annotations

import dataclasses
from typing import Self

from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies._space import SPACE, space_to_search
from tuning.strategies._strategy import Asked, Parallel, Row, check_whole


@dataclasses.dataclass(frozen=True)
class RandomSearch(Parallel):
    """Independent draws, uniform on each dimension's own scale; ids count them.

    A coordinate u is uniform in [0, 1): a logarithmic interval gives min * (max / min)^u, a linear one
    min + u * (max - min), n choices number floor(u * n). Row by row the coordinates are the next numbers of
    `Generator(PCG64(seed))`, so a smaller budget is the beginning of a larger one.

    Attributes:
      budget: number of points.
      space: what they are drawn from.
      seed: of the draws.

    Reference: Bergstra and Bengio 2012, JMLR 13:281-305.
    """

    draws = "independent"

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, budget=1, seed=0)

    @property
    def title(self) -> str:
        return "random search"

    def all_points(self) -> tuple[Point, ...]:
        import numpy as np

        generator = np.random.Generator(np.random.PCG64(self.seed))
        rows = generator.random((self.budget, len(self.space.dimensions))).tolist()
        return tuple(Point(str(row), self.space.at(coordinates)) for row, coordinates in enumerate(rows))

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        return cls(asked.budget, space_to_search(asked), asked.seed)


ROW = Row(
    RandomSearch,
    asks="parallel",
    role="candidates",
    takes=(SPACE,),
    reference="Bergstra and Bengio 2012, JMLR 13:281-305",
)
