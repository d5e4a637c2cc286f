"""A list learnt from curves, as a file that can be trained."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float

from lists._greedy import ChosenList
from lists._list_file import HyperparameterList
from lists._normalised_lists import exact_normalised, greedy_normalised, normalised_floor
from lists._notes import adds_of, curve_repeats_note, padding_note
from lists._repeats import normalised_by_repeat
from lists._task_costs import Progress, TaskCosts, choose_set, task_costs
from lists._ties import MERIT
from results import LeftOut
from results.curves import Curves
from submissions.points import Point


@dataclasses.dataclass(frozen=True, eq=False)
class CurveList:
    """A list learnt from curves, with what it was learnt from.

    Attributes:
      costs: of all points there were to choose from.
      chosen: rows in order, the cost after each, and how many of them lower it.
      asked: how many points were asked for; `chosen` has fewer where it stops once nothing lowers the cost.
      floor: bound below which no list of so many points costs.
      method: greedy or exact.
      ties: the tie rule, a key of `TIES`.
      cost: the cost by which it was chosen, a key of `lists.COSTS`.
      source: where the curves were read from.
      update_rule: what the hyperparameters are for; None where it is not known.
      hyperparameters: point -> its hyperparameters, where they are known.
      left_out: of the source, see `Curves`.
    """

    costs: TaskCosts
    chosen: ChosenList
    asked: int
    floor: tuple[float, ...]
    method: str
    ties: str
    cost: str
    source: str
    update_rule: str | None
    hyperparameters: dict[str, dict[str, float]]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def points(self) -> tuple[str, ...]:
        """Names of the points, first to try first."""
        return tuple(self.costs.points[p] for p in self.chosen.points)

    @property
    def adds(self) -> int:
        """How many of the points, the first ones, lower the cost of those before them."""
        return adds_of(self.chosen)

    def notes(self) -> tuple[str, ...]:
        """What must be said beside the table, a sentence each."""
        padded = padding_note(self.asked, len(self.points), self.adds, self.ties, of_curves=True)
        several = self.costs.by_repeat
        repeated = None if several is None else curve_repeats_note(several.shape[2])
        return tuple(filter(None, (padded, repeated)))

    def repeat_costs(self) -> Float[np.ndarray, "length repeat"] | None:
        """Cost of its first 1, 2, ... points in each repeat; None where nothing was repeated."""
        return repeat_costs(self.costs, self.chosen)

    def table(self) -> pl.DataFrame:
        """The list in order.

        Returns:
          Columns order, point, adds (whether it lowers the cost), cost (of the list so far), lowest, highest (of the
          costs in the single repeats, where there are several), floor (no list of so many points is below).
        """
        columns: dict[str, Any] = {
            "order": range(1, len(self.points) + 1),
            "point": self.points,
            "adds": [place < self.adds for place in range(len(self.points))],
            "cost": self.chosen.costs,
        }
        if (repeated := self.repeat_costs()) is not None:
            columns |= {"lowest": repeated.min(axis=1), "highest": repeated.max(axis=1)}
        return pl.DataFrame(columns | {"floor": self.floor})

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist curves list --json`."""
        repeated = self.repeat_costs()
        return {
            "source": self.source,
            "set": self.costs.optimizer_set,
            "method": self.method,
            "cost": self.cost,
            "ties": self.ties,
            "tasks": list(self.costs.tasks),
            "candidates": len(self.costs.points),
            "asked": self.asked,
            "adds": self.adds,
            "points": list(self.points),
            "costs": list(self.chosen.costs),
            "repeat_costs": None if repeated is None else repeated.tolist(),
            "floor": list(self.floor),
            "hyperparameters": [self.hyperparameters.get(point, {}) for point in self.points],
            "notes": list(self.notes()),
            "left_out": [item.to_json() for item in self.left_out],
        }

    def as_list(self, name: str) -> HyperparameterList:
        """The list as a list file holds it.

        Args:
          name: of the list.

        Raises:
          ValueError: the update rule or a point's hyperparameters are not known.
        """
        if self.update_rule is None:
            raise ValueError(
                f"{self.source}: does not say which update rule {self.costs.optimizer_set} is for"
            )
        unknown = [point for point in self.points if not self.hyperparameters.get(point)]
        if unknown:
            raise ValueError(f"{self.source}: the hyperparameters of {unknown[0]} are not known")
        tasks = self.costs.tasks
        return HyperparameterList(
            name=name,
            update_rule=self.update_rule,
            source=f"{self.method} list of {len(self.points)} out of {len(self.costs.points)} points of "
            f"{self.costs.optimizer_set} by normalised losses on {len(tasks)} tasks, from {self.source}",
            method=self.method,
            penalty=None,
            workloads=tuple(task if "/" in task else f"taskset/{task}" for task in tasks),
            points=tuple(Point(point, self.hyperparameters[point]) for point in self.points),
            costs=(),  # those of a list file are C_tau
            asked=self.asked,
            adds=self.adds,
            ties=self.ties,
            made_by={
                "shortlist": metadata.version("shortlist"),
                "cost": f"normalised loss, {self.cost}, mean over tasks",
                "costs": ", ".join(f"{cost:.6g}" for cost in self.chosen.costs),
            },
        )


def repeat_costs(costs: TaskCosts, chosen: ChosenList) -> Float[np.ndarray, "length repeat"] | None:
    """Cost of a list's first 1, 2, ... points in each repeat, by the cost that was kept so; None without repeats."""
    if costs.by_repeat is None:
        return None
    rows = costs.by_repeat[list(chosen.points)]
    return np.stack([normalised_by_repeat(rows[:k]) for k in range(1, len(rows) + 1)])


def list_from_curves(
    curves: Curves,
    *,
    size: int = 10,
    method: str = "greedy",
    cost: str = "mean",
    ties: str = MERIT,
    stop_when_covered: bool = False,
    optimizer_set: str | None = None,
    progress: Progress | None = None,
) -> CurveList:
    """Learns a list from all tasks of a source of curves, on the split that chooses hyperparameters.

    Args:
      curves: what `read_curves` gives.
      size: points in the list.
      method: "greedy"; or "exact".
      cost: how a curve becomes a cost, a key of `COSTS`.
      ties: the tie rule; see `greedy_normalised`.
      stop_when_covered: leave out the points that add nothing, so that the list may be shorter than asked.
      optimizer_set: which set to choose from; by default the only one, or the one with the most tasks.
      progress: called as progress("reading curves", tasks done, tasks).

    Raises:
      ValueError: an unknown method, cost or set; what `lists.greedy_normalised` or `exact_normalised` refuses.
    """
    builders = {"greedy": greedy_normalised, "exact": exact_normalised}
    if method not in builders:
        raise ValueError(f"method is {method!r}; must be one of {', '.join(builders)}")
    found = choose_set(task_costs(curves, costs=(cost,), by_repeat=cost, progress=progress), optimizer_set)
    table = found.choosing[cost]
    chosen = builders[method](table, size, ties=ties)
    chosen = chosen.covered() if stop_when_covered else chosen
    rules = curves.points.filter(pl.col("set") == found.optimizer_set)["update_rule"].drop_nulls().unique()
    return CurveList(
        costs=found,
        chosen=chosen,
        asked=size,
        floor=normalised_floor(table, chosen),
        method=method,
        ties=ties,
        cost=cost,
        source=curves.source,
        update_rule=rules[0] if len(rules) == 1 else None,
        hyperparameters=curves.hyperparameters,
        left_out=curves.left_out,
    )
