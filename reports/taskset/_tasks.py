"""What costs say of the tasks themselves, and costs of each other; each function gives the table behind one figure.

Reference: Metz et al. 2020, arXiv:2002.11887, section 2 and appendix A.4.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from lists import TaskCosts
from results.curves import family

PERCENTILES = (5, 25, 50, 75, 95)


def task_embedding(costs: TaskCosts, *, seed: int = 0) -> pl.DataFrame:
    """Tasks as points of a plane: near each other where the same points do well.

    t-SNE of the vectors of costs of all points, perplexity 30 or a third of the tasks; exact up to 500 tasks, by
    Barnes and Hut's approximation beyond.

    Returns:
      Columns task, family, x, y (no unit).

    Raises:
      ValueError: fewer than 4 tasks.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tasks = len(costs.tasks)
    if tasks < 4:
        raise ValueError(f"{tasks} tasks; an embedding needs at least 4")
    perplexity = min(30.0, (tasks - 1) / 3)
    method = "exact" if tasks <= 500 else "barnes_hut"
    # One thread: several add up in an order of their own, and the same tasks would give another picture.
    with threadpool_limits(1):
        plane = TSNE(perplexity=perplexity, init="pca", method=method, random_state=seed).fit_transform(
            costs.costs.T
        )
    return pl.DataFrame(
        {
            "task": costs.tasks,
            "family": [family(task) for task in costs.tasks],
            "x": plane[:, 0].astype(np.float64),
            "y": plane[:, 1].astype(np.float64),
        }
    )


def task_difficulty(
    costs: TaskCosts, facts: pl.DataFrame | None = None, *, levels: int = 101
) -> pl.DataFrame:
    """How large a part of the points ever gets so low, on easy and on hard tasks; and how large and slow these are.

    r(level, task) = share of points whose lowest normalised loss is at most the level; percentiles over tasks.

    Args:
      facts: columns task, parameters, seconds (of one training; null where unknown), as curves have them.
      levels: evenly from 0 to 1.

    Returns:
      Columns level (0 to 1), p5, p25, p50, p75, p95 (shares); with facts a row more per task, and its columns task,
      parameters and seconds. What a row is not about is null.
    """
    lowest = np.sort(costs.choosing["minimum"], axis=0)
    at = np.linspace(0.0, 1.0, levels)
    by_task = np.stack([np.searchsorted(column, at, side="right") for column in lowest.T]) / len(lowest)
    found = np.percentile(by_task, PERCENTILES, axis=0)
    shares = {f"p{p}": row for p, row in zip(PERCENTILES, found, strict=True)}
    table = pl.DataFrame({"level": at, **shares})
    if facts is None:
        return table
    return pl.concat([table, facts.select("task", "parameters", "seconds")], how="diagonal")


def families(costs: TaskCosts) -> dict[str, str]:
    """Task -> family, those with the most tasks first."""
    named = [family(task) for task in costs.tasks]
    rank = {name: i for i, (name, _) in enumerate(Counter(named).most_common())}
    pairs = sorted(zip(costs.tasks, named, strict=True), key=lambda pair: rank[pair[1]])
    return dict(pairs)


def sizes_of_models(costs: TaskCosts, facts: pl.DataFrame, parts: int = 3) -> dict[str, str]:
    """Task -> which part of the tasks it belongs to when these are ordered by their number of parameters.

    Args:
      facts: columns task, parameters.
      parts: 3 makes thirds.

    Returns:
      Names such as "39–2,410", smallest models first; tasks of unknown size are absent.

    Raises:
      ValueError: fewer than two tasks per part have a known size.
    """
    known = facts.filter(pl.col("task").is_in(costs.tasks) & pl.col("parameters").is_not_null())
    if known.height < 2 * parts:
        raise ValueError(
            f"the number of parameters is known for {known.height} tasks; {2 * parts} are needed"
        )
    ordered = known.sort("parameters", "task")
    groups = {}
    for part in np.array_split(np.arange(ordered.height), parts):
        rows = ordered[part.tolist()]
        name = f"{rows['parameters'][0]:,}–{rows['parameters'][-1]:,}"
        groups |= dict.fromkeys(rows["task"], name)
    return groups


def cost_correlations(costs: TaskCosts) -> pl.DataFrame:
    """How alike the alternative costs are to the paper's.

    Pearson's correlation over all pairs of task and point (our reading of appendix A.4), of point by point within
    a task, averaged over the tasks in which both vary.

    Returns:
      Columns cost, correlation, within_tasks.
    """
    rows = []
    for name in alternatives(costs):
        other = costs.choosing[name]
        within = [_correlation(a, b) for a, b in zip(costs.costs.T, other.T, strict=True)]
        known = [value for value in within if value is not None]
        rows.append(
            (name, _correlation(costs.costs.ravel(), other.ravel()), np.mean(known) if known else None)
        )
    return pl.DataFrame(
        rows, schema={"cost": pl.String, "correlation": pl.Float64, "within_tasks": pl.Float64}, orient="row"
    )


def cost_pairs(costs: TaskCosts, *, most: int = 2000, seed: int = 0) -> pl.DataFrame:
    """The paper's cost beside each alternative, for random pairs of task and point.

    Returns:
      Columns cost, mean (the paper's), other, correlation (of the two costs over all pairs, see `cost_correlations`).
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(costs.costs.size)[:most])
    mean = costs.costs.ravel()[chosen]
    parts = [
        pl.DataFrame({"cost": name, "mean": mean, "other": costs.choosing[name].ravel()[chosen]})
        for name in alternatives(costs)
    ]
    over_all = cost_correlations(costs).select("cost", "correlation")
    return pl.concat(parts).join(over_all, on="cost", how="left", maintain_order="left")


def alternatives(costs: TaskCosts) -> list[str]:
    """The costs beside the paper's, without those of curves cut short."""
    return [name for name in costs.choosing if name != "mean" and not name.startswith("first ")]


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's; None where one of the two does not vary."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
