"""Learning-rate sweeps, the plainest baseline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Self

from submissions.points import Point
from tuning.strategies._strategy import Asked, Defaults, Option, Parallel, Row, check_whole

DEFAULT_DECAY = 1e-4


@dataclasses.dataclass(frozen=True)
class LearningRateSweep(Parallel):
    """Learning rates from 1e-4 to 1e-2 in equal ratios, everything else fixed.

    The paper has 5 points, with weight decay 0.5 and with 1e-4, and does not give the rest: here beta1 0.9,
    beta2 0.999, 5 % warm-up, no dropout and no label smoothing, Optax's defaults and the middle or least of
    its Table 1.

    Attributes:
      weight_decay: of all points.
      budget: number of points, at least 2.
    """

    weight_decay: float
    budget: int = 5

    def __post_init__(self) -> None:
        check_whole(self, budget=2)
        decay = self.weight_decay
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < math.inf:
            raise ValueError(f"weight_decay is {decay!r}; must be a number in [0, inf)")

    @property
    def title(self) -> str:
        return f"learning-rate sweep, weight decay {self.weight_decay:g}"

    def all_points(self) -> tuple[Point, ...]:
        fixed = {
            "beta1": 0.9,
            "beta2": 0.999,
            "weight_decay": self.weight_decay,
            "warmup_fraction": 0.05,
            "label_smoothing": 0.0,
            "dropout_rate": 0.0,
        }
        rates = [10.0 ** (-4 + 2 * i / (self.budget - 1)) for i in range(self.budget)]
        return tuple(Point(str(i), {"learning_rate": rate, **fixed}) for i, rate in enumerate(rates))

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        return Defaults(budget=5)

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        return cls(asked.options.get("weight_decay", DEFAULT_DECAY), asked.budget)


ROW = Row(
    LearningRateSweep,
    asks="parallel",
    role="baseline",
    takes=(Option("weight_decay", float, "X", "of all points; default 1e-4."),),
    reference="arXiv:2503.03986, section 3.1.1",
    fixed=lambda sweep: "a sweep spreads its learning rates anew for every budget",
)
