"""TaskSet's experiments on lists, each one function that gives the table behind one figure.

Costs are means over tasks of the normalised loss; medians and quartiles (lower, upper) are over resamplings of the
split of the tasks. Lists are chosen on the choosing split and judged on the judging one, on other tasks.

Reference: Metz et al. 2020, arXiv:2002.11887, sections 2 to 4 and appendix A.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float

import lists
from lists import TaskCosts
from reports.taskset._tasks import alternatives

LIST, RANDOM = "learnt list", "random search"
TUNED_RATE = "Adam, its own learning rate for every task"
BOX, INNER_BOX = "random search, bounding box", "random search, 5–95 % box"
RATES = 10.0 ** np.linspace(-7, 1, 17)  # half orders of magnitude, TaskSet's adam_lr_-7.00 to adam_lr_1.00


def trial_counts(most: int) -> tuple[int, ...]:
    """1, 2, 3, 5, 10, ... up to `most`, which is the last.

    Example:
      >>> trial_counts(64)
      (1, 2, 3, 5, 10, 20, 30, 50, 64)
    """
    counts = (digit * 10**k for k in range(6) for digit in (1, 2, 3, 5))
    return (*(count for count in counts if count < most), most)


def lists_by_set(
    sets: Sequence[TaskCosts],
    *,
    sizes: Sequence[int] | None = None,
    rates: Mapping[str, Sequence[float]] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Learnt lists and random search by number of trials, for each set of optimizers.

    Args:
      sets: costs of each, normalised together.
      sizes: numbers of trials; by default up to 100 or all points.
      rates: set -> the learning rate of each point, for a set that has no other hyperparameter; adds what a sweep
        of half orders of magnitude finds when every task picks the best of its 17 learning rates.

    Returns:
      Columns set, series, trials, median, lower, upper.
    """
    parts = []
    for costs in sets:
        counts = _sizes(costs, sizes)
        experiment = lists.split_experiment(
            costs.costs, counts, judged=costs.judging, resamplings=resamplings, seed=seed
        )
        series = {LIST: experiment.test, RANDOM: experiment.random}
        if rates and costs.optimizer_set in rates:
            tuned = tuned_rate(costs, rates[costs.optimizer_set])
            each = np.array([tuned[list(split.test)].mean() for split in experiment.splits])
            series[TUNED_RATE] = np.repeat(each[:, None], len(counts), axis=1)
        parts += [
            _curve(values, "trials", counts, series=name).with_columns(set=pl.lit(costs.optimizer_set))
            for name, values in series.items()
        ]
    return pl.concat(parts).select("set", "series", "trials", "median", "lower", "upper")


def tuned_rate(costs: TaskCosts, rates: Sequence[float]) -> Float[np.ndarray, " task"]:
    """What each task costs with the best of 17 learning rates, half an order of magnitude apart, for that task.

    TaskSet sweeps 1e-7, 10^-6.5, ..., 10; of a set of random learning rates the nearest to each is taken.

    Args:
      costs: of a set that has no hyperparameter but the learning rate.
      rates: of each point.
    """
    return costs.judging[lists.nearest_points(np.asarray(rates, dtype=np.float64), RATES)].min(axis=0)


def lists_by_task_count(
    costs: TaskCosts,
    *,
    sizes: Sequence[int] = (1, 10, 100),
    counts: Sequence[int] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Lists learnt on few and on many tasks, on the tasks that built them and on others.

    Returns:
      Columns size, part ("training tasks" or "other tasks"), tasks, median, lower, upper.
    """
    sizes = [size for size in sizes if size <= len(costs.points)]
    counts = counts or trial_counts(len(costs.tasks) // 2)
    experiments = lists.by_task_count(
        costs.costs, counts, sizes, judged=costs.judging, resamplings=resamplings, seed=seed
    )
    parts = []
    for k, size in enumerate(sizes):
        for part, field in (("training tasks", "train"), ("other tasks", "test")):
            values = np.stack([getattr(each, field)[:, k] for each in experiments], axis=1)
            parts.append(_curve(values, "tasks", counts, size=size, part=part))
    return pl.concat(parts)


def lists_by_group(
    costs: TaskCosts,
    groups: Mapping[str, str],
    *,
    size: int = 10,
    most: int = 12,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Lists learnt on one group of tasks and judged on another.

    Args:
      groups: task -> group, in the order in which groups are to be shown; tasks that are not in it take no part,
        nor do groups of a single task.
      size: points in the lists, or all where there are fewer.
      most: only so many groups, those with the most tasks.

    Returns:
      Columns learnt (a group, "all others", "all", or "random search"), judged, median, lower, upper, tasks (in the
      group that judges).

    Raises:
      ValueError: fewer than two groups of at least two tasks.
    """
    members = Counter(groups[task] for task in costs.tasks if task in groups)
    largest = [name for name, tasks in members.most_common(most) if tasks > 1]
    kept = [name for name in dict.fromkeys(groups.values()) if name in largest]
    if len(kept) < 2:
        raise ValueError(
            f"{len(kept)} group of at least 2 tasks; comparing groups needs 2 (found: {dict(members)})"
        )
    columns = [t for t, task in enumerate(costs.tasks) if groups.get(task) in kept]
    names = [groups[costs.tasks[t]] for t in columns]
    result = lists.transfer(
        costs.costs[:, columns], names, min(size, len(costs.points)), judged=costs.judging[:, columns],
        resamplings=resamplings, seed=seed,
    )  # fmt: skip
    rows = []
    for learnt in (*kept, lists.ALL_OTHERS, lists.ALL, RANDOM):
        for judged in kept:
            column = result.judged.index(judged)
            if learnt == RANDOM:
                values = result.random[:, column]
            else:
                values = result.costs[:, result.learnt.index(learnt), column]
            rows.append((learnt, judged, *map(float, lists.spread(values)), members[judged]))
    schema = ("learnt", "judged", "median", "lower", "upper", "tasks")
    return pl.DataFrame(rows, schema=schema, orient="row")


def lists_by_horizon(
    costs: TaskCosts,
    *,
    sizes: Sequence[int] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Lists learnt from the beginnings of curves, judged by whole ones.

    Returns:
      Columns series ("first 200 steps", ..., "whole curves", random search), trials, median, lower, upper.

    Raises:
      ValueError: the costs hold no horizons.
    """
    if not costs.horizons():
        raise ValueError("no horizons; give some to task_costs, such as (200, 1000)")
    names = {f"first {steps:,} steps": f"first {steps} steps" for steps in costs.horizons()}
    return _lists_by_cost(costs, names | {"whole curves": "mean"}, sizes, resamplings, seed)


def lists_by_candidates(
    costs: TaskCosts,
    *,
    sizes: Sequence[int] = (1, 10, 100),
    pools: Sequence[int] | None = None,
    tuned: Float[np.ndarray, " task"] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Lists of several sizes by the number of random points they were chosen from.

    Args:
      tuned: what each task costs with a learning rate of its own, for comparison; see `tuned_rate`.

    Returns:
      Columns size, series (learnt list, random search, and Adam's tuned rate under size 1), candidates, median,
      lower, upper. Random search draws as many trials as the list has, whatever the number of candidates.
    """
    counts = pools or trial_counts(len(costs.points))
    parts = []
    for size in sizes:
        own = [count for count in counts if size <= count <= len(costs.points)]
        if not own:
            continue
        found = lists.by_pool_size(
            costs.costs, own, size, judged=costs.judging, resamplings=resamplings, seed=seed
        )
        for series, field in ((LIST, "test"), (RANDOM, "random")):
            values = np.stack([getattr(each, field)[:, 0] for each in found], axis=1)
            parts.append(_curve(values, "candidates", own, size=size, series=series))
    if tuned is not None:
        each = [tuned[list(split.test)].mean() for split in found[0].splits]
        parts.append(
            _curve(
                np.repeat([each], 2, axis=0).T,
                "candidates",
                counts[:: len(counts) - 1],
                size=1,
                series=TUNED_RATE,
            )
        )
    return pl.concat(parts)


def lists_by_cost(
    costs: TaskCosts,
    *,
    sizes: Sequence[int] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """Lists learnt from alternative costs, all judged by the paper's.

    Returns:
      Columns series (a cost, random search), trials, median, lower, upper.
    """
    names = {name: name for name in ("mean", *alternatives(costs))}
    return _lists_by_cost(costs, names, sizes, resamplings, seed)


def search_spaces(
    costs: TaskCosts,
    hyperparameters: Mapping[str, Mapping[str, float]],
    *,
    sizes: Sequence[int] | None = None,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """A learnt list beside random search in all of the space and in boxes around each training task's best point.

    A box is learnt from the training tasks alone. Where it holds fewer points than trials, all of them are tried.

    Args:
      hyperparameters: point -> its hyperparameters; those that all points have make the box.

    Returns:
      Columns series, trials, median, lower, upper, points (median number that the search draws from).

    Raises:
      ValueError: a point without hyperparameters.
    """
    counts = _sizes(costs, sizes)
    unknown = [name for name in costs.points if not hyperparameters.get(name)]
    if unknown:
        raise ValueError(f"the hyperparameters of {len(unknown)} points are not known, such as {unknown[0]}")
    names = [
        name
        for name in hyperparameters[costs.points[0]]
        if all(name in hyperparameters[point] for point in costs.points)
    ]
    table = np.array([[float(hyperparameters[point][name]) for name in names] for point in costs.points])
    experiment = lists.split_experiment(
        costs.costs, counts, judged=costs.judging, resamplings=resamplings, seed=seed
    )
    best = costs.costs.argmin(axis=0)
    total = len(costs.points)
    parts = [
        _curve(experiment.test, "trials", counts, series=LIST, points=total),
        _curve(experiment.random, "trials", counts, series=RANDOM, points=total),
    ]
    for series, share in ((BOX, 1.0), (INNER_BOX, 0.9)):
        values, left = [], []
        for split in experiment.splits:
            inside = np.flatnonzero(lists.inside_box(table, best[list(split.train)], share))
            left.append(len(inside))
            # A 5-95 % box in many dimensions can be empty; such a search finds nothing.
            pool = costs.judging[inside][:, split.test]
            values.append(
                lists.expected_best(pool, np.minimum(counts, len(pool))).mean(axis=1)
                if len(pool)
                else np.ones(len(counts))
            )
        parts.append(_curve(np.array(values), "trials", counts, series=series, points=int(np.median(left))))
    return pl.concat(parts).select("series", "trials", "median", "lower", "upper", "points")


def _lists_by_cost(
    costs: TaskCosts, names: Mapping[str, str], sizes: Sequence[int] | None, resamplings: int, seed: int
) -> pl.DataFrame:
    """Lists learnt from each of `costs.choosing[names[series]]`, judged by the paper's cost."""
    counts = _sizes(costs, sizes)
    parts = []
    for series, name in names.items():
        experiment = lists.split_experiment(
            costs.choosing[name], counts, judged=costs.judging, resamplings=resamplings, seed=seed
        )
        parts.append(_curve(experiment.test, "trials", counts, series=series))
        if name == "mean":
            random = _curve(experiment.random, "trials", counts, series=RANDOM)
    return pl.concat([*parts, random])


def _curve(values: np.ndarray, axis: str, at: Sequence[int], **labels: str | int) -> pl.DataFrame:
    """Median and quartiles of [resampling, place] along an axis."""
    found = lists.spread(values)
    columns = {name: [value] * len(at) for name, value in labels.items()}
    return pl.DataFrame(columns | {axis: list(at)} | found._asdict())


def _sizes(costs: TaskCosts, sizes: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(sizes) if sizes else trial_counts(min(100, len(costs.points)))
