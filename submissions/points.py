"""A point: one setting of the hyperparameters, with an id that never changes; and what became of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Point:
    """One setting of the hyperparameters; what a strategy proposes and a trial trains.

    Attributes:
      id: name within a study, such as the row number in a candidate set. Not empty; stable however
        many points are drawn and in whatever order they are trained.
      hyperparameters: name -> finite float, in the order of the search space; {} for an optimizer that has
        none. Read-only.

    Raises:
      ValueError: empty id, or a value that is not a finite number.

    Example:
      >>> point = Point("173", {"learning_rate": 0.007, "warmup_fraction": 0.1})
      >>> point.hyperparameters["learning_rate"]
      0.007
      >>> Point.from_json(point.to_json()) == point
      True
    """

    id: str
    hyperparameters: Mapping[str, float]

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"a point's id must be a non-empty string, not {self.id!r}")
        if not isinstance(self.hyperparameters, Mapping):
            raise ValueError(f"point {self.id}: hyperparameters must be a mapping of names to numbers")
        values: dict[str, float] = {}
        for name, value in self.hyperparameters.items():
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if not math.isfinite(number) or isinstance(value, str):
                raise ValueError(f"point {self.id}: {name} is {value!r}; must be a finite number")
            values[str(name)] = number
        object.__setattr__(self, "hyperparameters", MappingProxyType(values))

    # A MappingProxyType can be neither hashed nor pickled, and points travel to worker processes.
    def __hash__(self) -> int:
        return hash((self.id, frozenset(self.hyperparameters.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Point, (self.id, dict(self.hyperparameters))

    def to_json(self) -> dict[str, Any]:
        """The point as plain JSON data: {"id": ..., "hyperparameters": {...}}."""
        return {"id": self.id, "hyperparameters": dict(self.hyperparameters)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str = "point") -> Point:
        """Reads what `to_json` wrote; `where` (file and position) opens every error message."""
        if not isinstance(data, Mapping):
            raise ValueError(f'{where}: must be an object with "id" and "hyperparameters", not {data!r}')
        if set(data) != {"id", "hyperparameters"}:
            raise ValueError(f"{where}: has the keys {sorted(data)}; must be ['hyperparameters', 'id']")
        try:
            return cls(data["id"], data["hyperparameters"])
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


@dataclasses.dataclass(frozen=True)
class Told:
    """What a strategy is told about a point that was trained.

    Attributes:
      point: as the strategy gave it.
      value: of the metric; None where training diverged. Anything that is not finite counts as None.
      minimize: whether smaller values are better.
      part: of a full training that it took; less where it was stopped.
    """

    point: Point
    value: float | None
    minimize: bool
    part: float = 1.0

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            object.__setattr__(self, "value", None)
