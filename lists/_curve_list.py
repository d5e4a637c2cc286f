"""A list learnt from curves, as a file that can be trained."""

from __future__ import annotations

import dataclasses
from importlib import metadata
from typing import Any

import polars as pl

from lists._greedy import ChosenList
from lists._list_file import HyperparameterList
from lists._normalised_lists import exact_normalised, greedy_normalised, normalised_floor
from lists._task_costs import Progress, TaskCosts, choose_set, task_costs
from results.curves import Curves
from submissions.points import Point


@dataclasses.dataclass(frozen=True, eq=False)
class CurveList:
    """A list learnt from curves, with what it was learnt from.

    Attributes:
      costs: of all points there were to choose from.
      chosen: rows in order, and the cost after each.
      floor: bound below which no list of so many points costs.
      method: greedy or exact.
      cost: the cost by which it was chosen, a key of `lists.COSTS`.
      source: where the curves were read from.
      update_rule: what the hyperparameters are for; None where it is not known.
      hyperparameters: point -> its hyperparameters, where they are known.
    """

    costs: TaskCosts
    chosen: ChosenList
    floor: tuple[float, ...]
    method: str
    cost: str
    source: str
    update_rule: str | None
    hyperparameters: dict[str, dict[str, float]]

    @property
    def points(self) -> tuple[str, ...]:
        """Names of the points, first to try first."""
        return tuple(self.costs.points[p] for p in self.chosen.points)

    def table(self) -> pl.DataFrame:
        """Columns order, point, cost (of the list so far), floor (no list of so many points is below)."""
        return pl.DataFrame(
            {
                "order": range(1, len(self.points) + 1),
                "point": self.points,
                "cost": self.chosen.costs,
                "floor": self.floor,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist curves list --json`."""
        return {
            "source": self.source,
            "set": self.costs.optimizer_set,
            "method": self.method,
            "cost": self.cost,
            "tasks": list(self.costs.tasks),
            "candidates": len(self.costs.points),
            "points": list(self.points),
            "costs": list(self.chosen.costs),
            "floor": list(self.floor),
            "hyperparameters": [self.hyperparameters.get(point, {}) for point in self.points],
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
            made_by={
                "shortlist": metadata.version("shortlist"),
                "cost": f"normalised loss, {self.cost}, mean over tasks",
                "costs": ", ".join(f"{cost:.6g}" for cost in self.chosen.costs),
            },
        )


def list_from_curves(
    curves: Curves,
    *,
    size: int = 10,
    method: str = "greedy",
    cost: str = "mean",
    optimizer_set: str | None = None,
    progress: Progress | None = None,
) -> CurveList:
    """Learns a list from all tasks of a source of curves, on the split that chooses hyperparameters.

    Args:
      curves: what `read_curves` gives.
      size: points in the list.
      method: "greedy"; or "exact", on at most 16 tasks.
      cost: how a curve becomes a cost, a key of `COSTS`.
      optimizer_set: which set to choose from; by default the only one, or the one with the most tasks.
      progress: called as progress("reading curves", tasks done, tasks).

    Raises:
      ValueError: an unknown method, cost or set; what `lists.greedy_normalised` or `exact_normalised` refuses.
    """
    builders = {"greedy": greedy_normalised, "exact": exact_normalised}
    if method not in builders:
        raise ValueError(f"method is {method!r}; must be one of {', '.join(builders)}")
    found = choose_set(task_costs(curves, costs=(cost,), progress=progress), optimizer_set)
    table = found.choosing[cost]
    chosen = builders[method](table, size)
    rules = curves.points.filter(pl.col("set") == found.optimizer_set)["update_rule"].drop_nulls().unique()
    return CurveList(
        costs=found,
        chosen=chosen,
        floor=normalised_floor(table, chosen),
        method=method,
        cost=cost,
        source=curves.source,
        update_rule=rules[0] if len(rules) == 1 else None,
        hyperparameters=curves.hyperparameters,
    )
