"""What a sequential strategy is given before it begins: points to try first, or trials of an older study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from submissions.points import Point, Told
from submissions.spaces import SearchSpace
from tuning.strategies._strategy import Option

WARM_START = Option(
    "warm_start",
    str,
    "NAME|FILE|STUDY",
    "a list, whose points are tried first and count; or an older study, whose trials it is told and that do not.",
)


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Kept by content, so that a study is the same wherever the list or the older study goes.

    Attributes:
      first: hyperparameters of points to try before anything is suggested, in order; they count as trials.
      told: workload -> trials of an older study, told before any of this one; they do not count.

    Example:
      >>> start = WarmStart(first=({"learning_rate": 0.001},))
      >>> WarmStart.from_json(start.to_json()) == start
      True
    """

    first: tuple[Mapping[str, float], ...] = ()
    told: Mapping[str, tuple[Told, ...]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.first and not any(self.told.values()):
            raise ValueError("warm_start has neither points nor finished trials; leave it out")
        object.__setattr__(self, "first", tuple(dict(values) for values in self.first))
        object.__setattr__(self, "told", MappingProxyType(dict(self.told)))

    def __hash__(self) -> int:
        return hash((len(self.first), tuple(self.told)))

    def check(self, space: SearchSpace) -> None:
        """Accepts points and trials of a space.

        Raises:
          ValueError: one is not; names it.
        """
        for number, values in enumerate(self.first):
            _check(space, Point(str(number), values), "warm_start")
        for workload, trials in self.told.items():
            for trial in trials:
                _check(space, trial.point, f"warm_start: {workload}")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {
            "first": [dict(values) for values in self.first],
            "told": {
                workload: [
                    {**trial.point.to_json(), "value": trial.value, "minimize": trial.minimize}
                    for trial in trials
                ]
                for workload, trials in self.told.items()
            },
        }

    @classmethod
    def from_json(cls, data: Any) -> WarmStart:
        """Reads what `to_json` wrote.

        Raises:
          ValueError: something else.
        """
        if not isinstance(data, Mapping) or set(data) != {"first", "told"}:
            raise ValueError(f"warm_start must be an object with first and told, not {str(data)[:80]}")
        try:
            first = tuple(Point(str(i), values).hyperparameters for i, values in enumerate(data["first"]))
            told = {workload: _trials(trials) for workload, trials in data["told"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"warm_start: {type(error).__name__}: {error}") from None
        return cls(first, told)


def _check(space: SearchSpace, point: Point, where: str) -> None:
    try:
        space.check(point)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _trials(data: Sequence[Mapping[str, Any]]) -> tuple[Told, ...]:
    return tuple(
        Told(Point(one["id"], one["hyperparameters"]), one["value"], one["minimize"]) for one in data
    )
