"""VeLOdrome's grid of learning rates, of any optimizer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from submissions.points import Point
from tuning.strategies._strategy import Defaults, Option, Parallel, Row, check_whole

OPTIMIZER = "adam_velodrome"
# Name -> hyperparameters of that optimizer beside the rate.
SCHEDULES: Mapping[str, Mapping[str, float]] = {
    "constant": {},
    "sqrt": {"rampup_steps": 1000.0},
    "exponential": {"decay_per_step": 7e-5},
}
ALL = "all"


@dataclasses.dataclass(frozen=True)
class RateGrid(Parallel):
    """Learning rates 1e-7, 3e-7, 1e-6, ..., 3e-1, 1, everything else at the optimizer's defaults.

    Attributes:
      budget: number of points, as many as the rates and schedules are.
      lowest, highest: ends of the grid; 15 rates by default.
      schedule: "constant", which goes with every optimizer; of adam_velodrome also "sqrt" (1,000 steps of ramp-up, then
        a decay as the root), "exponential" (7e-5 less at every step), and "all", which are the three of them.
    """

    budget: int = 15
    lowest: float = 1e-7
    highest: float = 1.0
    schedule: str = "constant"

    def __post_init__(self) -> None:
        check_whole(self, budget=1)
        allowed = (*SCHEDULES, ALL)
        if self.schedule not in allowed:
            raise ValueError(f"schedule is {self.schedule!r}; allowed: {', '.join(allowed)}")
        count = len(rates(self.lowest, self.highest)) * len(self._schedules)
        if self.budget != count:
            raise ValueError(f"budget is {self.budget}; this grid has {count} points, leave the budget out")

    @property
    def title(self) -> str:
        return f"{self.budget} learning rates" + ("" if self.schedule == "constant" else f", {self.schedule}")

    @property
    def _schedules(self) -> tuple[str, ...]:
        return tuple(SCHEDULES) if self.schedule == ALL else (self.schedule,)

    def all_points(self) -> tuple[Point, ...]:
        return tuple(
            Point(
                f"{'' if name == 'constant' else f'{name}-'}{rate:g}",
                {"learning_rate": rate, **SCHEDULES[name]},
            )
            for name in self._schedules
            for rate in rates(self.lowest, self.highest)
        )

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        schedules = len(SCHEDULES) if options.get("schedule") == ALL else 1
        count = len(rates(options.get("lowest", cls.lowest), options.get("highest", cls.highest)))
        return Defaults(count * schedules, OPTIMIZER)


def rates(lowest: float, highest: float) -> tuple[float, ...]:
    """All of 1e-7, 3e-7, 1e-6, ... between two numbers, these included.

    Example:
      >>> rates(1e-3, 3e-2)
      (0.001, 0.003, 0.01, 0.03)
    """
    for name, value in (("lowest", lowest), ("highest", highest)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"{name} is {value!r}; must be a positive number")
    grid = tuple(float(f"{digit}e{power}") for power in range(-12, 7) for digit in (1, 3))
    found = tuple(rate for rate in grid if lowest <= rate <= highest)
    if not found:
        raise ValueError(f"no learning rate 1e-7, 3e-7, ... lies between {lowest:g} and {highest:g}")
    return found


ROW = Row(
    RateGrid,
    asks="parallel",
    role="baseline",
    takes=(
        Option("lowest", float, "X", "first learning rate; default 1e-7."),
        Option("highest", float, "X", "last learning rate; default 1."),
        Option(
            "schedule", str, "NAME", f"of adam_velodrome: {', '.join(SCHEDULES)} or {ALL}; default constant."
        ),
    ),
    reference="VeLOdrome; Metz et al. 2022, arXiv:2211.09760",
    fixed=lambda grid: "a grid of rates has the points that it has",
)
