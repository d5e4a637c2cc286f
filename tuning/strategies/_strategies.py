"""Where points come from, behind one interface: ask for points, tell what became of them.

    >>> strategy = from_spec({"name": "lr-sweep", "weight_decay": 0.5})
    >>> [point.hyperparameters["learning_rate"] for point in strategy.ask(())][::4]
    [0.0001, 0.01]

A strategy is data. What it answers depends on its arguments and on what it was told, and on nothing else, so
a study that was stopped goes on as if it had not been. Nothing here needs JAX.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from submissions import taskset_grids
from submissions.points import Point, Told
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies import halton, vizier
from workloads.spelling import did_you_mean

__all__ = ["STRATEGIES", "Point", "Strategy", "Told", "from_spec", "to_spec"]


class Strategy(Protocol):
    """What all strategies can do."""

    @property
    def budget(self) -> int:
        """How many points there will be in all."""
        ...

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        """The points to train next; () when all of them have been told.

        Parallel strategies give all points that they have not been told about, sequential ones one at a time.

        Raises:
          ValueError: told of a point that this strategy never gave.
        """
        ...


class _Parallel(abc.ABC):
    """A strategy whose points do not depend on results."""

    @abc.abstractmethod
    def all_points(self) -> tuple[Point, ...]:
        """All of its points, in order."""

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        points = self.all_points()
        known = {point.id: point for point in points}
        for trial in told:
            if known.get(trial.point.id) != trial.point:
                raise ValueError(
                    f"told of point {trial.point.id} with {dict(trial.point.hyperparameters)}, which is not "
                    f"among this strategy's {len(points)} points; was the study made with other arguments?"
                )
        done = {trial.point.id for trial in told}
        return tuple(point for point in points if point.id not in done)


@dataclasses.dataclass(frozen=True)
class Quasirandom(_Parallel):
    """AlgoPerf's quasi-random points. Ids are row numbers of the set.

    Attributes:
      budget: number of points.
      space: what they are drawn from.
      order_seed: None for the set's own order, whose prefixes are smaller budgets; see `halton.points`.
      start: number of the first row.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    order_seed: int | None = None
    start: int = 0

    def __post_init__(self) -> None:
        _check_whole(self, budget=1, start=0)
        if self.order_seed is not None:
            _check_whole(self, order_seed=0)

    def all_points(self) -> tuple[Point, ...]:
        return halton.points(self.space, self.budget, self.order_seed, self.start)


@dataclasses.dataclass(frozen=True)
class MedapatiCandidates(_Parallel):
    """The first `budget` of the 200 candidates of Medapati et al., "0" to "199".

    The paper does not print them, but the five points of its Table 10 are rows 173, 170, 197, 43 and 104 of
    this set, to the last digit. That the other candidates are its other rows is inferred.
    """

    budget: int = 200

    def __post_init__(self) -> None:
        _check_whole(self, budget=1)
        if self.budget > 200:
            raise ValueError(f"budget is {self.budget}; the paper has 200 candidates")

    def all_points(self) -> tuple[Point, ...]:
        return halton.points(MEDAPATI_TABLE_1, self.budget)


@dataclasses.dataclass(frozen=True)
class TaskSetGrid(_Parallel):
    """The first settings of one of TaskSet's grids; ids are its own names, such as "adam8p_wide_grid_seed21".

    Attributes:
      grid: a name of `submissions.taskset_grids.GRIDS`.
      budget: number of points: seeds 0 to budget - 1, or so many of the fixed names.
    """

    grid: str
    budget: int

    def __post_init__(self) -> None:
        _check_whole(self, budget=1)
        taskset_grids.grid_names(self.grid, self.budget)  # refuses what it does not have

    def all_points(self) -> tuple[Point, ...]:
        names = taskset_grids.grid_names(self.grid, self.budget)
        return tuple(Point(name, taskset_grids.grid_point(name)) for name in names)


@dataclasses.dataclass(frozen=True)
class LearningRateSweep(_Parallel):
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
        _check_whole(self, budget=2)
        decay = self.weight_decay
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < math.inf:
            raise ValueError(f"weight_decay is {decay!r}; must be a number in [0, inf)")

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


@dataclasses.dataclass(frozen=True)
class Listed(_Parallel):
    """Points that somebody chose, in their order; their ids are kept.

    Attributes:
      points: at least one, ids unique.
    """

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        ids = [point.id for point in self.points]
        if not ids:
            raise ValueError("points is empty; give at least one point")
        for name in ids:
            if ids.count(name) > 1:
                raise ValueError(f"points has two points with the id {name!r}; ids must be unique")

    @property
    def budget(self) -> int:
        return len(self.points)

    def all_points(self) -> tuple[Point, ...]:
        return self.points


@dataclasses.dataclass(frozen=True)
class Vizier:
    """Vizier's Gaussian-process bandit, one trial after the other; ids count them. See `tuning.strategies.vizier`.

    Attributes:
      budget: number of points.
      space: what it searches.
      seed: of its own randomness.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_whole(self, budget=1, seed=0)

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        for number, trial in enumerate(told):
            if trial.point.id != str(number):
                raise ValueError(f"told of point {trial.point.id} where point {number} was expected")
        if len(told) >= self.budget:
            return ()
        return (Point(str(len(told)), vizier.suggest(self.space, self.seed, told)),)


class Row(NamedTuple):
    """A row of `STRATEGIES`."""

    make: type[Any]
    asks: Literal["parallel", "sequential"]  # all points at once, or each after the result of the one before
    reference: str


STRATEGIES = {
    "quasirandom": Row(Quasirandom, "parallel", "Bousquet et al. 2017, arXiv:1706.03200, as in AlgoPerf"),
    "medapati-candidates": Row(MedapatiCandidates, "parallel", "arXiv:2503.03986, Table 1"),
    "taskset-grid": Row(TaskSetGrid, "parallel", "Metz et al. 2020, arXiv:2002.11887, and its program"),
    "lr-sweep": Row(LearningRateSweep, "parallel", "arXiv:2503.03986, section 3.1.1"),
    "vizier": Row(Vizier, "sequential", "arXiv:2503.03986, section 3.1.1, with google-vizier"),
    "list": Row(Listed, "parallel", "arXiv:2503.03986, section 2.6"),
}


def to_spec(strategy: Strategy) -> dict[str, Any]:
    """A strategy as JSON data: its name and all of its arguments."""
    name = next(name for name, row in STRATEGIES.items() if isinstance(strategy, row.make))
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(strategy):  # type: ignore[arg-type]
        value = getattr(strategy, field.name)
        if field.name == "space":
            value = value.to_json()
        elif field.name == "points":
            value = [point.to_json() for point in value]
        arguments[field.name] = value
    return {"name": name, **arguments}


def from_spec(spec: Mapping[str, Any]) -> Strategy:
    """The strategy of a specification; arguments left out take their defaults.

    Args:
      spec: {"name": a name of `STRATEGIES`, and the arguments of its class}; a space in AlgoPerf's JSON form.

    Raises:
      ValueError: an unknown name or argument, one missing, or a value that is not allowed.
    """
    name = spec.get("name")
    if name not in STRATEGIES:
        hint = did_you_mean(str(name), STRATEGIES)
        raise ValueError(f"unknown strategy {name!r}{hint} (allowed: {', '.join(STRATEGIES)})")
    make, where = STRATEGIES[name].make, f"strategy {name!r}"
    fields = {field.name: field for field in dataclasses.fields(make)}
    arguments = {key: value for key, value in spec.items() if key != "name"}
    for key in arguments:
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise ValueError(f"{where}: unknown argument {key!r}{hint} (allowed: {', '.join(fields)})")
    for key, field in fields.items():
        if key not in arguments and field.default is dataclasses.MISSING:
            raise ValueError(f"{where}: argument {key!r} is missing (it takes: {', '.join(fields)})")
    try:
        if "space" in arguments:
            arguments["space"] = SearchSpace.from_json(arguments["space"], "space")
        if "points" in arguments:
            arguments["points"] = _read_points(arguments["points"])
        return make(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _read_points(data: Any) -> tuple[Point, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        raise ValueError(f"points is {data!r}; must be a list of points")
    return tuple(Point.from_json(point, f"points[{i}]") for i, point in enumerate(data))


def _check_whole(strategy: Any, **least: int) -> None:
    for name, lowest in least.items():
        value = getattr(strategy, name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value < 2**32:
            raise ValueError(f"{name} is {value!r}; must be a whole number, at least {lowest}, below 2^32")
