"""What a sequential strategy is given before it begins: points to try first, or trials of an older study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import submissions
from submissions.points import Point, Told
from submissions.spaces import SearchSpace
from tuning.strategies._strategy import Option

COMPLEMENT = "one_minus_"
WARM_START = Option(
    "warm_start",
    str,
    "NAME|FILE|STUDY",
    "a list, whose points are tried first and count; or an older study, whose trials it is told and that do not.",
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a warm start comes from, as far as it must be what the new study is; None where nobody knows.

    Attributes:
      what: it is, in words.
      optimizer: that it is for.
      source: SHA-256 of a user's own optimizer.
      arithmetic: precision and micro-batches of an older study.
      horizons: workload -> (steps of its trials, step hint).
    """

    what: str
    optimizer: str | None = None
    source: str | None = None
    arithmetic: tuple[str, int] | None = None
    horizons: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def check(
        self, optimizer: str, source: str | None, arithmetic: tuple[str, int], steps: int | None
    ) -> None:
        """Accepts the training of a new study.

        Args:
          optimizer, source, arithmetic: see the attributes.
          steps: None: the step hint of each workload.

        Raises:
          ValueError: it is another; says what differs.
        """
        differing = []
        if self.optimizer is not None and not submissions.same_but_for_place(self.optimizer, optimizer):
            differing.append(f"is for optimizer {self.optimizer}, not {optimizer}")
        elif None not in (self.source, source) and self.source != source:
            differing.append(f"is for {self.optimizer} as it was, which has changed since")
        if self.arithmetic is not None and self.arithmetic != arithmetic:
            said = ["{} with micro-batches {}".format(*one) for one in (self.arithmetic, arithmetic)]
            differing.append(f"was trained in {said[0]}, not in {said[1]}")
        for workload, (trained, hint) in self.horizons.items():
            if trained != (asked := hint if steps is None else steps):
                differing.append(f"trained {workload} for {trained} steps, not {asked}")
        if differing:
            raise ValueError(
                f"warm_start: {self.what} {'; '.join(differing)}: its values would say little; ask for the same, or "
                "leave it out"
            )


@dataclasses.dataclass(frozen=True)
class WarmStart:
    """Kept by content, so that a study is the same wherever the list or the older study goes.

    Attributes:
      first: hyperparameters of points to try before anything is suggested, in order; they count as trials.
      told: workload -> trials of an older study, told before any of this one; they do not count.
      origin: what a new study is checked against; not part of the content.

    Example:
      >>> start = WarmStart(first=({"learning_rate": 0.001},))
      >>> WarmStart.from_json(start.to_json()) == start
      True
    """

    first: tuple[Mapping[str, float], ...] = ()
    told: Mapping[str, tuple[Told, ...]] = dataclasses.field(default_factory=dict)
    origin: Origin | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.first and not any(self.told.values()):
            raise ValueError("warm_start has neither points nor finished trials; leave it out")
        object.__setattr__(self, "first", tuple(dict(values) for values in self.first))
        object.__setattr__(self, "told", MappingProxyType(dict(self.told)))

    def __hash__(self) -> int:
        return hash((len(self.first), tuple(self.told)))

    def in_words_of(self, space: SearchSpace) -> WarmStart:
        """The same with the names of a space: a list says beta1 where Medapati et al.'s space has one_minus_beta1."""
        told = {
            workload: tuple(
                dataclasses.replace(
                    one, point=Point(one.point.id, _renamed(one.point.hyperparameters, space))
                )
                for one in trials
            )
            for workload, trials in self.told.items()
        }
        return WarmStart(tuple(_renamed(values, space) for values in self.first), told, self.origin)

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


def _renamed(values: Mapping[str, float], space: SearchSpace) -> dict[str, float]:
    renamed = {}
    for name, value in values.items():
        other = name.removeprefix(COMPLEMENT) if name.startswith(COMPLEMENT) else COMPLEMENT + name
        complement = name not in space.names and other in space.names and other not in values
        renamed |= {other: 1 - value} if complement else {name: value}
    return renamed


def _check(space: SearchSpace, point: Point, where: str) -> None:
    try:
        space.check(point)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _trials(data: Sequence[Mapping[str, Any]]) -> tuple[Told, ...]:
    return tuple(
        Told(Point(one["id"], one["hyperparameters"]), one["value"], one["minimize"]) for one in data
    )
