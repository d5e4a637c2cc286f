"""Sequential strategies whose suggestions a library makes in a process of its own."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from submissions.points import Point, Told
from submissions.spaces import MEDAPATI_TABLE_1, Choices, SearchSpace
from tuning.strategies._process import LibraryProcess
from tuning.strategies._space import space_to_search
from tuning.strategies._strategy import Asked, Strategy, check_whole
from tuning.strategies._warm_start import WarmStart


@dataclasses.dataclass(frozen=True)
class Suggesting(Strategy):
    """One trial after the other; ids count them.

    Attributes:
      budget: number of points.
      space: what it searches.
      seed: of its own randomness.
      warm_start: what it is given before it begins.
    """

    called: ClassVar[str]
    process: ClassVar[LibraryProcess]

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    seed: int = 0
    warm_start: WarmStart | None = None

    def __post_init__(self) -> None:
        check_whole(self, budget=1, seed=0)
        if self.warm_start is not None:
            self.warm_start.check(self.space)

    @property
    def title(self) -> str:
        return self.called if self.warm_start is None else f"{self.called}, warm start"

    def check_installed(self) -> None:
        self.process.require_installed()

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What its library is told beside the space, the seed and the history."""

    def of_workload(self, workload: str) -> Strategy:
        if self.warm_start is None or not self.warm_start.told:
            return self
        here = self.warm_start.told.get(workload, ())
        start = WarmStart(self.warm_start.first, {workload: here}) if here or self.warm_start.first else None
        return dataclasses.replace(self, warm_start=start)

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        for number, trial in enumerate(told):
            if trial.point.id != str(number):
                raise ValueError(f"told of point {trial.point.id} where point {number} was expected")
        number = len(told)
        if number >= self.budget:
            return ()
        first = self.warm_start.first if self.warm_start else ()
        if number < len(first):
            return (Point(str(number), first[number]),)
        earlier = self.warm_start.told if self.warm_start else {}
        if len(earlier) > 1:
            raise ValueError(f"warm_start is of {', '.join(earlier)}; say of which with of_workload")
        return (Point(str(number), self.suggest([*next(iter(earlier.values()), ()), *told])),)

    def suggest(self, told: Sequence[Told]) -> dict[str, float]:
        """The library's next suggestion, a deterministic function of this strategy and what it is told.

        Args:
          told: all trials so far, in order; those without a value are told as diverged.

        Returns:
          Name -> value, checked: every dimension is there, finite, and within its bounds.

        Raises:
          ValueError: the extra is not installed, the space has nothing to search, or the history does not belong to it.
          RuntimeError: the library failed, or its suggestion is no point of the space.
        """
        self.process.require_installed()
        if len({trial.minimize for trial in told}) > 1:
            raise ValueError(
                f"{self.process.library}: some trials are to be minimised and others maximised; must all agree"
            )
        minimize = told[0].minimize if told else True  # the first suggestion does not depend on it
        searched, history = self.searched(), self.history(told)
        request = {"space": searched, "seed": self.seed, "minimize": minimize, "history": history}
        return self.checked(self.process.ask(request | self.settings()), len(told))

    def searched(self) -> dict[str, Any]:
        """The space that the library searches, in AlgoPerf's JSON form: dimensions with more than a single choice.

        Raises:
          ValueError: there is none.
        """
        fixed = self._fixed()
        searched = {name: entry for name, entry in self.space.to_json().items() if name not in fixed}
        if not searched:
            raise ValueError(
                f"{self.process.library}: every dimension of the search space has a single choice; nothing to search"
            )
        return searched

    def history(self, told: Sequence[Told]) -> list[dict[str, Any]]:
        """Trials as the library is told of them: {"hyperparameters": those that it searches, "value": or None}.

        Raises:
          ValueError: a point is not of the space.
        """
        for trial in told:
            self.space.check(trial.point)
        return [
            {"hyperparameters": self.told_of(trial.point.hyperparameters), "value": trial.value}
            for trial in told
        ]

    def told_of(self, hyperparameters: Mapping[str, float]) -> dict[str, float]:
        """The hyperparameters that the library searches."""
        fixed = self._fixed()
        return {name: hyperparameters[name] for name in self.space.names if name not in fixed}

    def checked(self, answer: Mapping[str, float], number: int) -> dict[str, float]:
        """A suggestion of the library with what it does not search, if that is a point of the space.

        Args:
          answer: what it searches.
          number: of the suggestion.

        Raises:
          RuntimeError: a dimension is missing, not finite, or out of its bounds, or is none.
        """
        every = {**answer, **self._fixed()}
        try:
            values = {name: every[name] for name in self.space.names}
            point = Point(str(number), values)
            self.space.check(point)
            if surplus := set(every) - set(self.space.names):
                raise ValueError(f"{', '.join(sorted(surplus))} is not in the search space")
        except (KeyError, ValueError) as error:
            # Seen of Vizier in float32: a NaN coordinate, dropped on the way, left a parameter out.
            raise RuntimeError(
                f"{self.process.library} suggested {dict(answer)}, which is no point of the space: {error}"
            ) from None
        return dict(point.hyperparameters)

    def _fixed(self) -> dict[str, float]:
        return {
            name: dimension.feasible_points[0]
            for name, dimension in self.space.dimensions
            if isinstance(dimension, Choices) and len(set(dimension.feasible_points)) == 1
        }

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        space = space_to_search(asked)
        more = {name: value for name, value in asked.options.items() if name != "space"}
        if "warm_start" in more:
            more["warm_start"] = more["warm_start"].in_words_of(space)
        return cls(asked.budget, space, asked.seed, **more)
