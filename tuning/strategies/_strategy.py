"""What a strategy is, and the row that says about one what others need to know."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

from submissions.points import Point, Told

DEFAULT_BUDGET = 20
DEFAULT_OPTIMIZER = "nadamw_optax"


@dataclasses.dataclass(frozen=True)
class Option:
    """Something that a person may say to a strategy: an argument of `plan`, and an option of `shortlist tune`.

    Attributes:
      name: of the argument.
      type: of the value on the command line; None for what only programs say.
      metavar, help: how the command line shows it.
      flag: its name there, where that is not the argument's.
      least: the smallest number allowed.
      needed: what to give, where the strategy cannot do without it.
    """

    name: str
    type: type | None
    metavar: str
    help: str
    flag: str = ""
    least: int | None = None
    needed: str = ""

    def __post_init__(self) -> None:
        if not self.flag:
            object.__setattr__(self, "flag", "--" + self.name.replace("_", "-"))


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What a strategy does where nobody says otherwise: so many points, for this optimizer."""

    budget: int = DEFAULT_BUDGET
    optimizer: str = DEFAULT_OPTIMIZER


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a person asked for, as far as it concerns a strategy.

    Attributes:
      study: name of the study.
      budget: number of points.
      optimizer: name of the one that the points are for.
      seed: of the study.
      options: name -> value, of the options that its row takes; those not given are left out.
    """

    study: str
    budget: int
    optimizer: str
    seed: int
    options: Mapping[str, Any]


class Strategy(abc.ABC):
    """A frozen dataclass whose fields are the arguments of a specification, with `budget` among them.

    Its answers depend on these and on what it was told, and on nothing else.
    """

    budget: int

    # independent: each point drawn from one distribution, whatever the others are; what confidence bands suppose.
    # quasi-random: spread more evenly than such draws. chosen: by a person, or by results.
    draws: Literal["independent", "quasi-random", "chosen"] = "chosen"

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """How reports call it."""

    @abc.abstractmethod
    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        """The points to train next; () when all of them have been told.

        Parallel strategies give all points that they have not been told about, sequential ones one at a time.

        Raises:
          ValueError: told of a point that this strategy never gave.
        """

    def of_workload(self, workload: str) -> Strategy:
        """The strategy as it is for one workload; the same for all, where it knows nothing of any beforehand."""
        return self

    def check_installed(self) -> None:  # noqa: B027 most need nothing beside this project
        """Accepts an installation that has what this strategy asks.

        Raises:
          ValueError: a package is missing; names the command that installs it.
        """

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        """Its defaults, given the options that were."""
        return Defaults()

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        """The strategy that a person asked for; by default options are arguments of the same name."""
        return cls(budget=asked.budget, **asked.options)  # type: ignore[call-arg]


class Parallel(Strategy):
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
class Row:
    """A row of `STRATEGIES`.

    Attributes:
      make: the class.
      asks: all points at once, or each after the result of the one before.
      role: what a report compares its points as.
      takes: what a person may say to it, beside a budget.
      reference: where it comes from.
      fixed: why the points of a larger budget do not begin with those of a smaller one, so that a study cannot get more
        of them, such as "..., whose points depend on how many there are"; "" where they do.
    """

    make: type[Strategy]
    asks: Literal["parallel", "sequential"]
    role: Literal["candidates", "baseline"]
    takes: tuple[Option, ...]
    reference: str
    fixed: Callable[[Any], str] = lambda strategy: ""


def check_whole(strategy: Strategy, **least: int) -> None:
    """Accepts fields that are whole numbers, at least these and below 2^32.

    Raises:
      ValueError: names the field.
    """
    for name, lowest in least.items():
        value = getattr(strategy, name)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value < 2**32:
            raise ValueError(f"{name} is {value!r}; must be a whole number, at least {lowest}, below 2^32")
