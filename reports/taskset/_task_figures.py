"""Figures of TaskSet's tasks and costs: each is one function of a table. See `reports.taskset._figures`.

Reference: Metz et al. 2020, arXiv:2002.11887.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from reports.figures import drawing as draw
from reports.taskset._experiments import RANDOM
from reports.taskset._tasks import PERCENTILES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (draw.LIST, *draw.OTHERS)
COST_NAMES = {
    "mean": "mean of the curve (the paper's)",
    "mean_initial": "mean, one start for all",
    "minimum": "lowest of the curve",
    "final": "end of the curve",
    "final_95": "mean, 1 = 95th percentile",
}


def figure_task_embedding(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Tasks as points of a plane, in the colour and mark of their family.

    Args:
      df: columns task, family, x, y.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"task": pl.String, "family": pl.String, "x": pl.Float64, "y": pl.Float64}
    df = draw.typed(df, types, "figure_task_embedding")
    families = df.group_by("family").len().sort("len", "family", descending=[True, False])["family"].to_list()
    labels = [_tidy(name) for name in families]
    top = 0.21 * draw.key_lines(labels, width - 0.08) + 0.12
    side = min(width - 0.16, 4.6)
    figure = draw.new_figure(width, side + top + 0.08)
    axes = draw.add_axes(figure, 0.08, 0.08, 0.08, top)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("#fafafa")
    marks = [_family_mark(i) for i in range(len(families))]
    for name, (colour, marker, size) in zip(families, marks, strict=True):
        rows = df.filter(pl.col("family") == name)
        axes.plot(
            rows["x"].to_list(), rows["y"].to_list(), marker=marker, markersize=size * 0.8, color=colour,
            linestyle="none", markeredgecolor="white", markeredgewidth=0.5, alpha=0.9,
        )  # fmt: skip
    axes.margins(0.06)
    draw.key(figure, [(text, *mark) for text, mark in zip(labels, marks, strict=True)], 0.08)
    return figure


def figure_tasks(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """How hard tasks are, and where it is known how large and how slow.

    Args:
      df: columns level and p5, p25, p50, p75, p95, from `task_difficulty`; and parameters and seconds of tasks, where
        it was given facts. There is a panel for each that is known for two tasks or more.
      width: inches.

    Returns:
      The figure: the share of points that get at least so low, for the median task (line), the middle half and the
      middle nine tenths of the tasks (bands); histograms beside or below it.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    columns = {"level": pl.Float64, **{f"p{p}": pl.Float64 for p in PERCENTILES}}
    labels = {"parameters": "parameters of the model", "seconds": "seconds of training"}
    df = draw.typed(df, columns | {name: pl.Float64 for name in labels if name in df.columns}, "figure_tasks")
    histograms = []
    for name, label in labels.items():
        values = [v for v in df.get_column(name, default=pl.Series()).drop_nulls().to_list() if v > 0]
        if len(values) > 1:
            histograms.append((values, label))
    df = df.filter(pl.col("level").is_not_null())
    panels = 1 + len(histograms)
    across = panels if width >= 5 else 1
    down = panels // across if panels % across == 0 else panels
    each = width / across
    height = 2.7 if width >= 5 else 2.4
    figure = draw.new_figure(width, height * down)

    def panel(number: int) -> Axes:
        left = (number % across) * each
        return draw.add_axes(
            figure, left + 0.5, width - left - each + 0.15, height * (down - 1 - number // across) + 0.45,
            height * (number // across) + 0.32,
        )  # fmt: skip

    axes = panel(0)
    level = df["level"].to_list()
    for low, high, colour in (("p5", "p95", "#dceaf4"), ("p25", "p75", "#b5d3e8")):
        axes.fill_between(level, df[low].to_list(), df[high].to_list(), color=colour, linewidth=0)
    axes.plot(level, df["p50"].to_list(), color=draw.LIST, linewidth=1.8)
    least = min(value for value in df["p5"].to_list() if value > 0)
    axes.set_yscale("log")
    axes.set_ylim(least * 0.8, 1.15)
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g} %")
    axes.minorticks_off()
    title_above(axes, "share of points that get so low")
    draw.axis_label(axes, "lowest normalised loss of the curve")
    for number, (values, label) in enumerate(histograms, 1):
        axes = panel(number)
        low, high = math.log10(min(values)), math.log10(max(values))
        bins = max(5, min(24, round(3 * math.sqrt(len(values)))))
        edges = [10 ** (low + (high - low or 1.0) * i / bins) for i in range(bins + 1)]
        edges[-1] *= 1 + 1e-9
        axes.hist(values, bins=edges, color=draw.LIST, edgecolor="white", linewidth=0.5)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.grid(False, axis="x")
        title_above(axes, "tasks")
        draw.axis_label(axes, label)
    return figure


def figure_families(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists learnt on one family of tasks (rows), judged on another (columns).

    Args:
      df: columns learnt, judged, median, tasks, from `lists_by_group`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    return _matrix(df, width, "learnt on ↓   judged on →   (tasks)", "figure_families")


def figure_model_sizes(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists learnt on models of one size (rows), judged on another (columns).

    Args:
      df: columns learnt, judged, median, tasks, from `lists_by_group` with groups by size.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    return _matrix(df, width, "parameters: learnt on ↓   judged on →   (tasks)", "figure_model_sizes")


def figure_cost_pairs(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Alternative costs against the paper's: one panel each, one dot per pair of task and point.

    Args:
      df: columns cost, mean, other, correlation (null where there is none), from `cost_pairs`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"cost": pl.String, "mean": pl.Float64, "other": pl.Float64, "correlation": pl.Float64}
    df = draw.typed(df, types, "figure_cost_pairs")
    names = df["cost"].unique(maintain_order=True).to_list()
    across = min(len(names), 4 if width >= 5 else 2)
    down = math.ceil(len(names) / across)
    each = (width - 0.1) / across
    height = each + 0.42
    figure = draw.new_figure(width, height * down)
    for i, name in enumerate(names):
        left, line = (i % across) * each, i // across
        axes = draw.add_axes(
            figure, left + 0.42, width - left - each + 0.04, height * (down - 1 - line) + 0.42,
            height * line + 0.38,
        )  # fmt: skip
        rows = df.filter(pl.col("cost") == name)
        axes.plot([0, 1], [0, 1], color=draw.MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.plot(
            rows["mean"].to_list(), rows["other"].to_list(), marker=".", markersize=2.6, linestyle="none",
            color=draw.LIST, alpha=0.35, markeredgewidth=0, rasterized=False,
        )  # fmt: skip
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
        correlation = rows["correlation"][0]
        ending = "" if correlation is None else f"\ncorrelation {correlation:.3f}"
        axes.set_title(
            draw.plain(COST_NAMES.get(str(name), str(name)), 30) + ending, fontsize=draw.SMALL_TEXT, color=draw.INK,
            loc="left", x=-0.02, pad=4,
        )  # fmt: skip
        if line == down - 1:
            draw.axis_label(axes, "mean of the curve")
    return figure


def _matrix(df: pl.DataFrame, width: float, corner: str, function: str) -> Figure:
    """A table as coloured cells: each column from white, random search, to blue, its best.

    Where the figure is narrow, columns bear the numbers of the rows instead of names.
    """
    from matplotlib.patches import Rectangle

    types = {"learnt": pl.String, "judged": pl.String, "median": pl.Float64, "tasks": pl.Int64}
    df = draw.typed(df, types, function)
    rows = df["learnt"].unique(maintain_order=True).to_list()
    columns = df["judged"].unique(maintain_order=True).to_list()
    value = {(row, column): cost for row, column, cost in df.select("learnt", "judged", "median").iter_rows()}
    tasks = dict(df.select("judged", "tasks").iter_rows())
    numbered = width < 5
    size = 6.5 if numbered and len(columns) > 6 else 7.0 if len(columns) > 8 else draw.SMALL_TEXT
    if numbered:
        names = [f"{columns.index(row) + 1}  {_tidy(row)}" if row in columns else _tidy(row) for row in rows]
        heads, lean = [str(i + 1) for i in range(len(columns))], 0
    else:
        names, heads, lean = [_tidy(row) for row in rows], [f"{_tidy(c)} ({tasks[c]})" for c in columns], 40
    last = draw.text_width(heads[-1], size)
    top = max(draw.text_width(head, size) for head in heads) * math.sin(math.radians(lean)) + 0.42
    left = max(draw.text_width(name, size) for name in names) + 0.2
    overhang = 0.06 if numbered else max(0.1, last * math.cos(math.radians(lean)) - 0.2)
    cell = min((width - left - overhang) / len(columns), 1.1)
    figure = draw.new_figure(width, top + 0.27 * len(rows) + 0.1)
    axes = draw.add_axes(figure, left, width - left - cell * len(columns), 0.1, top)
    axes.spines["bottom"].set_visible(False)
    axes.grid(False)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([i + 0.5 for i in range(len(rows))], names, fontsize=size)
    axes.set_xticks([])
    for j, judged in enumerate(columns):
        random, best = value[(RANDOM, judged)], min(value[(row, judged)] for row in rows)
        axes.annotate(
            heads[j], (j + 0.5, 0), xytext=(0, 4), textcoords="offset points", rotation=lean, va="bottom",
            ha="center" if numbered else "left", rotation_mode="anchor", fontsize=size, color=draw.MUTED,
            annotation_clip=False,
        )  # fmt: skip
        for i, learnt in enumerate(rows):
            cost = value[(learnt, judged)]
            gain = max(0.0, (random - cost) / (random - best)) if random > best else 0.0
            colour = blend("#ffffff", draw.LIST, 0.75 * gain)
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor=colour, edgecolor="white"))
            axes.text(
                j + 0.5, i + 0.52, f"{cost:.2f}".removeprefix("0"), ha="center", va="center", fontsize=size,
                color="white" if gain > 0.75 else draw.INK, fontweight="bold" if learnt == judged else "normal",
            )  # fmt: skip
    axes.axhline(len(columns), color=draw.MUTED, linewidth=0.8)
    y = 1 - 0.12 / figure.get_size_inches()[1]
    figure.text(0.06 / width, y, corner, fontsize=draw.SMALL_TEXT, color=draw.MUTED, va="center")
    return figure


def _tidy(name: str) -> str:
    return draw.plain(name.removesuffix("_family").replace("_", " "), 30)


def title_above(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01, pad=6)


def _family_mark(i: int) -> tuple[str, str, float]:
    """Colour, marker and size of the i-th family: every colour with the first marker, then with the next."""
    marker, size = (("o", 6.5), *draw.MARKERS)[i // len(COLOURS) % (1 + len(draw.MARKERS))]
    return COLOURS[i % len(COLOURS)], marker, size


def blend(a: str, b: str, share: float) -> str:
    mixed = (round(int(a[k : k + 2], 16) * (1 - share) + int(b[k : k + 2], 16) * share) for k in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in mixed)
