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


def worth_of_lists(
    sets: Sequence[TaskCosts],
    *,
    sizes: Sequence[int] | None = None,
    size: int = 10,
    confidence: float = 0.95,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
) -> pl.DataFrame:
    """How many trials random search needs to equal a learnt list, by the length of the list, in each set of points.

    Args:
      sets: costs of the points of each.
      sizes: lengths; by default 1, 2, 3, 5, 10, ... up to a tenth of the points, as for longer lists a search among so
        few points says nothing of the space; and `size`.
      size: this length in any case, or all points where there are fewer.
      confidence: of the intervals over tasks.
      resamplings: splits of the tasks.
      seed: determines everything.

    Returns:
      Columns set, trials (of the list), list and random (mean normalised loss of the list and of a search of as many
      trials, on tasks that did not build the list), equal (trials of random search that equal the list), low, high
      (interval), most (points there are; a `high` of so many may be more).
    """
    parts = []
    for costs in sets:
        points = len(costs.points)
        lengths = tuple(sizes or sorted({*trial_counts(max(1, points // 10)), min(size, points)}))
        experiment = lists.split_experiment(
            costs.costs, lengths, judged=costs.judging, resamplings=resamplings, seed=seed
        )
        found = [
            lists.equal_trials(experiment, costs.judging, length, confidence=confidence, seed=seed)
            for length in lengths
        ]
        of_lists = [lists.held_out_costs(experiment, costs.judging, length).mean() for length in lengths]
        parts.append(
            pl.DataFrame(
                {
                    "set": costs.optimizer_set,
                    "trials": lengths,
                    "list": list(map(float, of_lists)),
                    "random": lists.expected_best(costs.judging, np.array(lengths)).mean(axis=1),
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
      df: columns set, trials, equal, low, high, most, from `worth_of_lists`.
      width: inches.

    Returns:
      The figure: a line with its interval for every set, the line of equal numbers dashed, and the number of points
      dotted.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    columns = ("trials", "equal", "low", "high", "most")
    df = draw.typed(df, {"set": pl.String, **dict.fromkeys(columns, pl.Int64)}, "figure_worth")
    sets = df["set"].unique(maintain_order=True).to_list()
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
        colour, rows = COLOURS[i % len(COLOURS)], df.filter(pl.col("set") == name)
        x = rows["trials"].to_list()
        axes.fill_between(
            x, rows["low"].to_list(), rows["high"].to_list(), color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(
            x, rows["equal"].to_list(), color=colour, linewidth=2.0, marker="o", markersize=3.5, clip_on=False
        )
        marks.append((draw.plain(name, 46), colour, "o", 5.0))
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
