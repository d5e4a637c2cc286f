"""Search spaces, and AlgoPerf's file for them, `tuning_search_space.json`.

The file holds either an object of dimensions, such as `{"beta2": {"min": 0.9, "max": 1, "scaling": "log"}}`,
or a list of points, such as `[{"beta2": 0.99}, {"beta2": 0.999}]`. Both are read and written, without JAX.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from submissions.points import Point
from workloads.data import reading
from workloads.spelling import did_you_mean

# A value that was computed from a bound, by exp and log for instance, may miss it by a few units of roundoff.
ROUNDING = 1e-12


def _number(value: Any, key: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{key} is {value!r}; must be a finite number")
    return number


@dataclasses.dataclass(frozen=True)
class Interval:
    """All numbers from min to max, spread evenly over their logarithms or over themselves.

    Raises:
      ValueError: bounds that are not finite or ascending, an unknown scaling, or a log scale with min <= 0.
    """

    min: float
    max: float
    scaling: Literal["log", "linear"]

    def __post_init__(self) -> None:
        for key in ("min", "max"):
            object.__setattr__(self, key, _number(getattr(self, key), key))
        if self.scaling not in ("log", "linear"):
            raise ValueError(f"scaling is {self.scaling!r}; allowed: 'log', 'linear'")
        if not self.min < self.max:
            raise ValueError(
                f"min {self.min} is not below max {self.max}; for a fixed value give feasible_points [value]"
            )
        if self.scaling == "log" and self.min <= 0:
            raise ValueError(f"min {self.min} has no logarithm; give min > 0, or scaling 'linear'")

    def at(self, u: float) -> float:
        """The value at a coordinate u in [0, 1): min * (max / min)^u, or min + u * (max - min).

        Written as AlgoPerf computes it, so that points agree in the last bit.
        """
        if self.scaling == "log":
            return self.min * math.exp(u * math.log(self.max / self.min))
        return u * (self.max - self.min) + self.min

    def contains(self, value: float) -> bool:
        """Whether a value lies between the bounds, up to rounding."""
        near = any(math.isclose(value, bound, rel_tol=ROUNDING) for bound in (self.min, self.max))
        return near or self.min <= value <= self.max

    def to_json(self) -> dict[str, Any]:
        """AlgoPerf's entry."""
        return {"min": self.min, "max": self.max, "scaling": self.scaling}

    def __str__(self) -> str:
        return f"[{self.min}, {self.max}]"


@dataclasses.dataclass(frozen=True)
class Choices:
    """A few values, all equally likely.

    Raises:
      ValueError: none given, or one that is not a finite number.
    """

    feasible_points: tuple[float, ...]

    def __post_init__(self) -> None:
        if isinstance(self.feasible_points, str) or not isinstance(self.feasible_points, Iterable):
            raise ValueError(f"feasible_points is {self.feasible_points!r}; must be a list of numbers")
        values = tuple(_number(value, "feasible_points") for value in self.feasible_points)
        if not values:
            raise ValueError("feasible_points is empty; give at least one value")
        object.__setattr__(self, "feasible_points", values)

    def at(self, u: float) -> float:
        """The value at a coordinate u in [0, 1): number floor(u * count), in the order given."""
        return self.feasible_points[math.floor(u * len(self.feasible_points))]

    def contains(self, value: float) -> bool:
        """Whether a value is one of them."""
        return value in self.feasible_points

    def to_json(self) -> dict[str, Any]:
        """AlgoPerf's entry."""
        return {"feasible_points": list(self.feasible_points)}

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self.feasible_points))}}}"


Dimension = Interval | Choices
ENTRY_KEYS = ("min", "max", "scaling", "feasible_points")


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """Named dimensions in an order that matters: it decides which Halton base each of them gets.

    Attributes:
      dimensions: (name, dimension), names unique, at least one.

    Example:
      >>> space = SearchSpace((("learning_rate", Interval(1e-4, 1e-2, "log")),))
      >>> space.at([0.0])
      {'learning_rate': 0.0001}
    """

    dimensions: tuple[tuple[str, Dimension], ...]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ValueError("the search space has no dimensions; give at least one")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"a dimension occurs twice in {', '.join(self.names)}; names must be unique")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the dimensions, in order."""
        return tuple(name for name, _ in self.dimensions)

    def at(self, coordinates: Iterable[float]) -> dict[str, float]:
        """The hyperparameters at coordinates in [0, 1), one for each dimension."""
        return {
            name: dimension.at(u) for (name, dimension), u in zip(self.dimensions, coordinates, strict=True)
        }

    def check(self, point: Point) -> None:
        """Accepts a point of this space.

        Raises:
          ValueError: a hyperparameter is missing, unknown, or outside its dimension.
        """
        for name in point.hyperparameters:
            if name not in self.names:
                raise ValueError(
                    f"point {point.id}: {name!r} is not in the search space{did_you_mean(name, self.names)} "
                    f"(it has: {', '.join(self.names)})"
                )
        for name, dimension in self.dimensions:
            if name not in point.hyperparameters:
                raise ValueError(
                    f"point {point.id}: {name} is missing; the search space has it in {dimension}"
                )
            value = point.hyperparameters[name]
            if not dimension.contains(value):
                raise ValueError(f"point {point.id}: {name} is {value}, outside its search space {dimension}")

    def to_json(self) -> dict[str, dict[str, Any]]:
        """AlgoPerf's object of dimensions."""
        return {name: dimension.to_json() for name, dimension in self.dimensions}

    @classmethod
    def from_json(cls, data: Any, where: str = "search space") -> SearchSpace:
        """Reads AlgoPerf's object of dimensions; `where` (a file, for instance) opens every error message."""
        if not isinstance(data, Mapping) or not data:
            raise ValueError(f"{where}: must be an object of at least one dimension, not {_short(data)}")
        return cls(tuple((name, _dimension(entry, f"{where}: {name}")) for name, entry in data.items()))


MEDAPATI_TABLE_1 = SearchSpace(
    # arXiv:2503.03986. Only this order of dimensions and of values gives the points of the paper's Table 10.
    (
        ("learning_rate", Interval(1e-4, 1e-2, "log")),
        ("warmup_fraction", Choices((0.02, 0.05, 0.1))),
        ("one_minus_beta1", Interval(1e-3, 0.2, "log")),
        ("one_minus_beta2", Interval(1e-3, 0.2, "log")),
        ("weight_decay", Interval(1e-4, 0.5, "log")),
        ("label_smoothing", Choices((0.0, 0.1, 0.2))),
        ("dropout_rate", Choices((0.0, 0.1))),
    )
)


def read_space(path: Path) -> SearchSpace | tuple[Point, ...]:
    """Reads AlgoPerf's tuning_search_space.json.

    Returns:
      The search space, or, where the file is a list, its points; their ids are their positions, "0", "1", ...

    Raises:
      FileNotFoundError: no such file.
      ValueError: not JSON, or not a search space; the message names the file and the key.
    """
    data = reading.read_json(path, "no such file; give a tuning_search_space.json")
    if isinstance(data, list):
        return _points(data, str(path))
    return SearchSpace.from_json(data, str(path))


def _dimension(entry: Any, where: str) -> Dimension:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: must be an object with {', '.join(ENTRY_KEYS)}, not {_short(entry)}")
    for key in entry:
        if key not in ENTRY_KEYS:
            hint = did_you_mean(key, ENTRY_KEYS)
            raise ValueError(f"{where}: unknown key {key!r}{hint} (allowed: {', '.join(ENTRY_KEYS)})")
    expected = {"feasible_points"} if "feasible_points" in entry else {"min", "max", "scaling"}
    if set(entry) != expected:
        got = ", ".join(entry) or "nothing"
        raise ValueError(f"{where}: has {got}; must be either min, max, scaling or feasible_points alone")
    try:
        return Choices(**entry) if "feasible_points" in entry else Interval(**entry)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _points(data: Sequence[Any], where: str) -> tuple[Point, ...]:
    if not data:
        raise ValueError(f"{where}: the list of points is empty; give at least one")
    points = []
    for position, values in enumerate(data):
        if not isinstance(values, Mapping) or not values:
            raise ValueError(f"{where}: point {position}: must be an object of numbers, not {_short(values)}")
        for name in (*data[0], *values):
            if name not in values or name not in data[0]:
                which = "is missing" if name in data[0] else "is not in point 0"
                raise ValueError(f"{where}: point {position}: {name} {which}; all must have the same names")
        try:
            numbers = {name: _number(values[name], name) for name in data[0]}
        except ValueError as error:
            raise ValueError(f"{where}: point {position}: {error}") from None
        points.append(Point(str(position), numbers))
    return tuple(points)


def _short(value: Any, limit: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
