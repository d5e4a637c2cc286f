"""What the paper on TaskSet says in numbers, beside what other curves say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import msgspec
import numpy as np
import polars as pl

import lists
from lists import TaskCosts
from reports.taskset import _experiments as experiments
from reports.taskset._tasks import cost_correlations

NEAR = 1.05  # "within 5 %"
SIZE = 10

Hyperparameters = Mapping[str, Mapping[str, float]]


def published_numbers() -> dict[str, Any]:
    """The paper's numbers: `source`, and `numbers`, name -> what, published (in words), where, and value if one."""
    return msgspec.json.decode(resources.files("reports.taskset").joinpath("published.json").read_bytes())


def published_and_ours(
    costs: TaskCosts,
    *,
    repeats: int,
    hyperparameters: Hyperparameters | None = None,
    tuned: np.ndarray | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Every number of the paper's text that costs can answer, theirs and ours.

    Args:
      costs: of all points on all tasks.
      repeats: trainings of every point.
      hyperparameters: point -> its hyperparameters, for the boxes; None where they are not known.
      tuned: what each task costs with a learning rate of its own; see `tuned_rate`.
      resamplings, seed: of the splits.

    Returns:
      Columns what, published, ours (both in words; null where these curves cannot say), where (in the paper).
    """
    size = min(SIZE, len(costs.points))
    how: dict[str, Any] = {"resamplings": resamplings, "seed": seed}
    correlation = dict(cost_correlations(costs).select("cost", "correlation").iter_rows())

    def number(name: str) -> str | None:
        value = correlation.get(name)
        return None if value is None else f"{value:.3f}"

    def tasks_needed() -> str:
        # Twice as often as at the usual counts: the question is from which on.
        counts = sorted({max(1, round(len(costs.tasks) / 2 * part / 10)) for part in range(1, 11)})
        table = experiments.lists_by_task_count(costs, sizes=(size,), counts=counts, **how)
        of_others = table.filter(pl.col("part") == "other tasks")
        return _enough(of_others["tasks"].to_list(), of_others["median"].to_list())

    def candidates_needed() -> str:
        table = experiments.lists_by_candidates(costs, sizes=(size,), **how)
        of_list = table.filter(pl.col("series") == experiments.LIST)
        return _enough(of_list["candidates"].to_list(), of_list["median"].to_list())

    def first_against_rate() -> str | None:
        if tuned is None:
            return None
        split = lists.split_experiment(costs.costs, (1,), judged=costs.judging, **how)
        first = float(np.median(split.test[:, 0]))
        rate = float(np.median([tuned[list(one.test)].mean() for one in split.splits]))
        word = "lower" if first < rate else "higher"
        return f"{word}: {first:.3f} against {rate:.3f}, from {len(costs.points):,} candidates"

    def shortest() -> str:
        table = experiments.lists_by_horizon(costs, sizes=(size,), **how)
        cut, random = table.row(0, named=True), table.row(-1, named=True)
        said = "yes" if cut["median"] < random["median"] else "no"
        return f"{said}, from the {cut['series']}: {cut['median']:.3f} against {random['median']:.3f}"

    def box(series: str) -> str | None:
        if hyperparameters is None:
            return None
        table = experiments.search_spaces(costs, hyperparameters, sizes=(1,), **how)
        left = table.filter(pl.col("series") == series)["points"][0]
        return f"{left:,} of {len(costs.points):,}"

    ours: dict[str, Callable[[], str | None]] = {
        "tasks": lambda: f"{len(costs.tasks):,}",
        "points": lambda: f"{len(costs.points):,}",
        "repeats": lambda: f"{repeats}",
        "minimum": lambda: number("minimum"),
        "final_95": lambda: number("final_95"),
        "tasks_needed": tasks_needed,
        "candidates_needed": candidates_needed,
        "first_against_rate": first_against_rate,
        "shortest": shortest,
        "box": lambda: box(experiments.INNER_BOX),
        "whole_box": lambda: box(experiments.BOX),
    }
    rows = []
    for name, theirs in published_numbers()["numbers"].items():
        try:
            found = ours[name]()
        except ValueError:  # these curves do not allow it, as the report's last table says of the figure
            found = None
        rows.append((theirs["what"], theirs["published"], found, theirs["where"]))
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("what", "published", "ours", "where"), pl.String), orient="row"
    )


def _enough(counts: list[int], costs: list[float]) -> str:
    """The least count from which on every cost is near the last."""
    near = [cost <= NEAR * costs[-1] for cost in costs]
    first = next(i for i in range(len(near)) if all(near[i:]))
    return f"{counts[first]:,} of {counts[-1]:,}"
