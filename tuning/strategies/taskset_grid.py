"""TaskSet's sets of settings, each of one optimizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from submissions import taskset_grids
from submissions.points import Point
from tuning.strategies._strategy import DEFAULT_BUDGET, Defaults, Option, Parallel, Row, check_whole


@dataclasses.dataclass(frozen=True)
class TaskSetGrid(Parallel):
    """The first settings of one of TaskSet's grids; ids are its own names, such as "adam8p_wide_grid_seed21".

    Attributes:
      grid: a name of `submissions.taskset_grids.GRIDS`.
      budget: number of points: seeds 0 to budget - 1, or so many of the fixed names.
    """

    grid: str
    budget: int

    def __post_init__(self) -> None:
        check_whole(self, budget=1)
        taskset_grids.grid_names(self.grid, self.budget)  # refuses what it does not have

    @property
    def draws(self) -> Literal["independent", "chosen"]:  # type: ignore[override]
        """A grid with seeds is drawn anew for each of them, one of fixed names is not drawn."""
        return "chosen" if taskset_grids.grid(self.grid).fixed else "independent"

    @property
    def title(self) -> str:
        return f"TaskSet's {self.grid}"

    def all_points(self) -> tuple[Point, ...]:
        names = taskset_grids.grid_names(self.grid, self.budget)
        return tuple(Point(name, taskset_grids.grid_point(name)) for name in names)

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        grid = taskset_grids.grid(options["grid"])
        return Defaults(min(DEFAULT_BUDGET, grid.size), grid.optimizer)


ROW = Row(
    TaskSetGrid,
    asks="parallel",
    role="candidates",
    takes=(
        Option(
            "grid", str, "NAME", "nadamw_grid, adam8p_wide_grid, ...", needed=", ".join(taskset_grids.GRIDS)
        ),
    ),
    reference="Metz et al. 2020, arXiv:2002.11887, and its program",
)
