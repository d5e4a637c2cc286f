"""Lists: points that somebody chose, tried in their order."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from submissions.points import Point
from tuning.strategies._space import SPACE, given_space
from tuning.strategies._strategy import Asked, Defaults, Option, Parallel, Row


@dataclasses.dataclass(frozen=True)
class Listed(Parallel):
    """Points that somebody chose, in their order; their ids are kept.

    Attributes:
      points: at least one, ids unique.
      list: what the list is called.
    """

    points: tuple[Point, ...]
    list: str = "unnamed"

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

    @property
    def title(self) -> str:
        return f"list {self.list}"

    def all_points(self) -> tuple[Point, ...]:
        return self.points

    @classmethod
    def defaults(cls, options: Mapping[str, Any]) -> Defaults:
        return Defaults(budget=len(options["points"]))

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        points = tuple(asked.options["points"])
        if asked.budget > len(points):
            raise ValueError(
                f"--budget {asked.budget}: the list has {len(points)} points; ask for so many or fewer"
            )
        chosen = points[: asked.budget]
        if (bounds := given_space(asked)) is not None:
            for point in chosen:
                bounds.check(point)
        return cls(chosen, asked.options.get("list_name") or asked.study)


ROW = Row(
    Listed,
    asks="parallel",
    role="baseline",
    takes=(
        Option(
            "points",
            str,
            "NAME|FILE",
            "published name or file.",
            flag="--list",
            needed="a published name, or a list file",
        ),
        Option("list_name", None, "NAME", "What the list is called; default: as the study."),
        SPACE,
    ),
    reference="arXiv:2503.03986, section 2.6",
)
