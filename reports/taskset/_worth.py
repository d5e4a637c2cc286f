"""What a list is worth in trials of random search, on tasks that it did not learn from: table and figure.

Reference: Metz et al. 2020, arXiv:2002.11887, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

import lists
from lists import TaskCosts
from reports.figures import drawing as draw
from reports.taskset._experiments import trial_counts
from reports.taskset._task_figures import COLOURS, title_above

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = 200  # of the tasks, each left out in turn: what more would cost buys nothing


def worth_of_lists(
    sets: Sequence[TaskCosts],
    *,
    sizes: Sequence[int] | None = None,
    size: int = 10,
    leave_out: bool = False,
    confidence: float = 0.95,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """How many trials random search needs to equal a learnt list, by the length of the list, in each set of points.

    Lists that choose from the points of all sets together are set against a search of each.

    Args:
      sets: costs of the points of each. Those of other tasks than the first's, or judged on another split, have no part
        in lists from all sets.
      sizes: lengths; by default 1, 2, 3, 5, 10, ... up to a tenth of the points, as for longer lists a search among so
        few points says nothing of the space, and `size`; with `leave_out`, `size` alone.
      size: this length in any case, or all points where there are fewer.
      leave_out: learn on all tasks but one, or but one of `PARTS` parts where there are more tasks, in place of halves.
      confidence: of the intervals over tasks.
      resamplings: random halves of the tasks.
      seed: determines everything.

    Returns:
      Columns chosen_from (the set of the list's points, or all sets joined by +), learnt_on (tasks that built a list),
      set (that is searched), trials (of the list), list and random (mean normalised loss of the list and of a search of
      as many trials, on tasks that did not build the list), equal (trials of random search that equal the list), low,
      high (interval), most (points that are searched; a `high` of so many may be more).
    """
    alike = [
        costs
        for costs in sets
        if (costs.tasks, costs.judging_split) == (sets[0].tasks, sets[0].judging_split)
    ]
    pairs = [(costs, [costs]) for costs in sets]
    if len(alike) > 1:
        pairs.append((lists.together(alike), alike))
    parts = []
    for costs, searched in pairs:
        tasks = len(costs.tasks)
        fewest = min(len(of_set.points) for of_set in searched)
        shorter = () if leave_out else trial_counts(max(1, fewest // 10))
        lengths = tuple(sizes or sorted({*shorter, min(size, fewest)}))
        splits = (
            lists.leave_out_splits(tasks, min(tasks, PARTS))
            if leave_out
            else lists.task_splits(tasks, resamplings, seed)
        )
        experiment = lists.split_experiment(
            costs.costs, lengths, judged=costs.judging, splits=splits, seed=seed
        )
        of_lists = [lists.held_out_costs(experiment, costs.judging, length).mean() for length in lengths]
        for of_set in searched:
            found = [
                lists.equal_trials(
                    experiment,
                    costs.judging,
                    length,
                    search=of_set.judging,
                    confidence=confidence,
                    seed=seed,
                )
                for length in lengths
            ]
            parts.append(
                pl.DataFrame(
                    {
                        "chosen_from": costs.optimizer_set,
                        "learnt_on": max(len(split.train) for split in splits),
                        "set": of_set.optimizer_set,
                        "trials": lengths,
                        "list": list(map(float, of_lists)),
                        "random": lists.expected_best(of_set.judging, np.array(lengths)).mean(axis=1),
                        "equal": [one.trials for one in found],
                        "low": [one.low for one in found],
                        "high": [one.high for one in found],
                        "most": [one.most for one in found],
                    }
                )
            )
    return pl.concat(parts)


def figure_worth(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Trials of random search that equal a learnt list, by the length of the list.

    Args:
      df: columns chosen_from, set, trials, equal, low, high, most, from `worth_of_lists`.
      width: inches.

    Returns:
      The figure: a line with its interval for every set that is searched and every choice of points, the line of equal
      numbers dashed, and the number of points dotted.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    columns = ("trials", "equal", "low", "high", "most")
    names = dict.fromkeys(("chosen_from", "set"), pl.String)
    df = draw.typed(df, {**names, **dict.fromkeys(columns, pl.Int64)}, "figure_worth")
    alone = pl.col("chosen_from") == pl.col("set")
    df = df.with_columns(
        series=pl.when(alone).then("set").otherwise(pl.lit("points of all sets, against ") + pl.col("set"))
    )
    sets = df["series"].unique(maintain_order=True).to_list()
    top = 0.3 + (0.21 * draw.key_lines(sets, width - 0.08) if len(sets) > 1 else 0.0)
    figure = draw.new_figure(width, 2.8 + top)
    axes = draw.add_axes(figure, 0.55, 0.3, 0.48, top)
    trials = df["trials"].unique().sort().to_list()
    most = df["most"].max()
    assert isinstance(most, int)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(trials[0], max(trials[-1], trials[0] + 1))
    axes.set_ylim(0.9 * trials[0], 1.3 * most)
    axes.plot(trials, trials, color=draw.MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
    for points in df["most"].unique():
        axes.axhline(points, color=draw.MUTED, linewidth=1.0, linestyle=(0, (1, 1.5)))
    marks = []
    for i, name in enumerate(sets):
        colour, rows = COLOURS[i % len(COLOURS)], df.filter(pl.col("series") == name)
        x = rows["trials"].to_list()
        axes.fill_between(
            x, rows["low"].to_list(), rows["high"].to_list(), color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(
            x, rows["equal"].to_list(), color=colour, linewidth=2.0, marker="o", markersize=3.5, clip_on=False
        )
        marks.append((draw.plain(name, 60), colour, "o", 5.0))
    axes.set_xticks(trials, [f"{count:,}" for count in trials])
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if 0.9 * trials[0] <= t <= 1.3 * most]
    axes.set_yticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    axes.grid(False, axis="x")
    draw.axis_label(axes, "trials of the list")
    title_above(axes, "trials of random search that find as much")
    if len(sets) > 1:
        draw.key(figure, marks, 0.08)
    return figure
