"""Figures of TaskSet's experiments: each is one function of a table; see `reports.taskset`.

Reference: Metz et al. 2020, arXiv:2002.11887.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from reports.figures import drawing as draw
from reports.taskset._experiments import BOX, INNER_BOX, LIST, RANDOM, TUNED_RATE
from reports.taskset._task_figures import COLOURS, COST_NAMES, blend, title_above

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COST = "normalised loss on other tasks, mean over curves and tasks"
_QUARTILES = {"median": pl.Float64, "lower": pl.Float64, "upper": pl.Float64}
_SPREAD = {"trials": pl.Int64, **_QUARTILES}
_RAMP = ("#9cc3e0", "#0a3d62")  # light to dark, for what has an order


def figure_lists(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Learnt lists (solid) and random search (dashed) by number of trials, for each set of optimizers.

    Args:
      df: columns set, series, trials, median, lower, upper, from `lists_by_set`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, {"set": pl.String, "series": pl.String, **_SPREAD}, "figure_lists")
    sets = df["set"].unique(maintain_order=True).to_list()
    lines = []
    for i, name in enumerate(sets):
        short = name.removesuffix("_1k").removesuffix("_wide_grid").removesuffix("_grid")
        styles = {
            LIST: (f"{short}, list", "-", COLOURS[i % len(COLOURS)]),
            RANDOM: (f"{short}, random", (0, (4, 2)), COLOURS[i % len(COLOURS)]),
            TUNED_RATE: (f"{short}, rate tuned per task", (0, (1, 1.5)), draw.INK),
        }
        for series, (label, style, colour) in styles.items():
            rows = df.filter((pl.col("set") == name) & (pl.col("series") == series))
            if rows.height:
                lines.append(
                    _Line(label, rows, colour, style, bold=series == LIST, band=series != TUNED_RATE)
                )
    return _curves(lines, "trials", "trials", width)


def figure_task_count(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists by the number of tasks they were learnt on: on other tasks (solid) and on those (dotted).

    Args:
      df: columns size, part, tasks, median, lower, upper, from `lists_by_task_count`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"size": pl.Int64, "part": pl.String, "tasks": pl.Int64, **_QUARTILES}
    df = draw.typed(df, types, "figure_task_count")
    lines = []
    for i, size in enumerate(df["size"].unique(maintain_order=True)):
        colour = COLOURS[i % len(COLOURS)]
        for part, style in (("other tasks", "-"), ("training tasks", (0, (1, 1.5)))):
            rows = df.filter((pl.col("size") == size) & (pl.col("part") == part))
            if not rows.height:
                continue
            label = f"list of {size}, {part}"
            lines.append(_Line(label, rows, colour, style, bold=part == "other tasks", band=style == "-"))
    return _curves(
        lines, "tasks", "tasks that the list was learnt on", width, "normalised loss, mean over tasks"
    )


def figure_horizons(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists learnt from the beginnings of curves, the lighter the shorter, judged by whole ones.

    Args:
      df: columns series, trials, median, lower, upper, from `lists_by_horizon`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, {"series": pl.String, **_SPREAD}, "figure_horizons")
    series = [name for name in df["series"].unique(maintain_order=True) if name != RANDOM]
    lines = [
        _Line(
            name, _of(df, name), _shade(i, len(series)), "-", bold=name == series[-1], band=name == series[-1]
        )
        for i, name in enumerate(series)
    ]
    return _curves([*lines, _random(df)], "trials", "trials", width)


def figure_candidates(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists by the number of candidates they were chosen from; random search of as many trials dashed.

    Args:
      df: columns size, series, candidates, median, lower, upper, from `lists_by_candidates`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"size": pl.Int64, "series": pl.String, "candidates": pl.Int64, **_QUARTILES}
    df = draw.typed(df, types, "figure_candidates")
    lines = []
    for i, size in enumerate(df["size"].unique(maintain_order=True)):
        colour = COLOURS[i % len(COLOURS)]
        trials = f"{size} trial{'' if size == 1 else 's'}"
        for series, label, style in (
            (LIST, f"list of {size}", "-"),
            (RANDOM, f"random, {trials}", (0, (4, 2))),
            (TUNED_RATE, "Adam, rate tuned per task", (0, (1, 1.5))),
        ):
            rows = df.filter((pl.col("size") == size) & (pl.col("series") == series))
            if rows.height:
                own = draw.INK if series == TUNED_RATE else colour
                lines.append(_Line(label, rows, own, style, bold=series == LIST, band=series == LIST))
    return _curves(lines, "candidates", "points that the list was chosen from", width)


def figure_costs(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Lists learnt from alternative costs, all judged by the paper's.

    Args:
      df: columns series, trials, median, lower, upper, from `lists_by_cost`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, {"series": pl.String, **_SPREAD}, "figure_costs")
    series = [name for name in df["series"].unique(maintain_order=True) if name != RANDOM]
    lines = [
        _Line(
            COST_NAMES.get(str(name), str(name)),
            _of(df, name),
            COLOURS[i % len(COLOURS)],
            "-",
            bold=i == 0,
            band=i == 0,
        )
        for i, name in enumerate(series)
    ]
    return _curves([*lines, _random(df)], "trials", "trials", width)


def figure_search_spaces(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """A learnt list beside random search in all of the space and in smaller ones learnt from the same tasks.

    Args:
      df: columns series, trials, median, lower, upper, points, from `search_spaces`.
      width: inches.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, {"series": pl.String, "points": pl.Int64, **_SPREAD}, "figure_search_spaces")
    styles: dict[str, tuple[str, Any]] = {
        LIST: (draw.LIST, "-"),
        RANDOM: (draw.MUTED, (0, (4, 2))),
        BOX: (draw.OTHERS[0], (0, (4, 2))),
        INNER_BOX: (draw.OTHERS[1], (0, (4, 2))),
    }
    lines = []
    for name, (colour, style) in styles.items():
        rows = _of(df, name)
        if rows.height:
            label = name if name == LIST else f"{name}, {rows['points'][0]:,} points"
            lines.append(_Line(label, rows, colour, style, bold=name == LIST))
    return _curves(lines, "trials", "trials", width)


@dataclasses.dataclass(frozen=True, eq=False)
class _Line:
    """One curve of a figure: its label, table, colour, dashes, and whether its quartiles are drawn."""

    label: str
    rows: pl.DataFrame
    colour: str
    style: Any
    bold: bool = False
    band: bool = True


def _of(df: pl.DataFrame, series: str) -> pl.DataFrame:
    return df.filter(pl.col("series") == series)


def _random(df: pl.DataFrame) -> _Line:
    return _Line(RANDOM, _of(df, RANDOM), draw.MUTED, (0, (4, 2)))


def _curves(lines: Sequence[_Line], axis: str, label: str, width: float, title: str = COST) -> Figure:
    """Medians with quartiles over a logarithmic count; labels stand at the ends of the curves."""
    names = [draw.plain(line.label, 46) for line in lines]
    narrow = width < 5
    widest = max(draw.text_width(name, draw.SMALL_TEXT) for name in names) * 1.1
    top = 0.21 * draw.key_lines(names, width - 0.08) + 0.34 if narrow else 0.26
    right = 0.12 if narrow else min(widest + 0.2, width * 0.42)
    figure = draw.new_figure(width, 3.1 + (top if narrow else 0.0))
    axes = draw.add_axes(figure, 0.42, right, 0.48, top)
    counts = sorted({count for line in lines for count in line.rows[axis].to_list()})
    axes.set_xscale("log")
    axes.set_xlim(counts[0], max(counts[-1], counts[0] + 1))
    round_ones = [count for count in counts if str(count).strip("0") in ("1", "2", "5")]
    ticks = round_ones if len(counts) > 5 else counts
    axes.set_xticks(ticks, [f"{count:,}" for count in ticks])
    axes.grid(False, axis="x")
    for order, line in enumerate(lines):
        x = line.rows[axis].to_list()
        if line.band:
            low, high = line.rows["lower"].to_list(), line.rows["upper"].to_list()
            axes.fill_between(x, low, high, color=line.colour, alpha=0.13, linewidth=0)
        axes.plot(
            x, line.rows["median"].to_list(), color=line.colour, linestyle=line.style, clip_on=False,
            linewidth=2.0 if line.bold else 1.4, zorder=10 - order,
            marker="o" if len(x) == 1 else None, markersize=4.0,
        )  # fmt: skip
    _cost_axis(axes, lines)
    axes.minorticks_off()
    draw.axis_label(axes, label)
    title_above(axes, title if not narrow else title.split(",")[0])
    if narrow:
        draw.key(figure, [(n, line.colour, "s", 5.0) for n, line in zip(names, lines, strict=True)], 0.08)
    else:
        ends = [
            (line.rows["median"][-1], name, line.colour, line.bold)
            for name, line in zip(names, lines, strict=True)
        ]
        draw.label_ends(axes, ends)
    return figure


def _cost_axis(axes: Axes, lines: Sequence[_Line]) -> None:
    """Costs on a logarithmic axis where they differ by much, on a plain one else."""
    drawn = [
        cost
        for line in lines
        for column in (("median", "lower", "upper") if line.band else ("median",))
        for cost in line.rows[column].to_list()
    ]
    low, high = min(drawn), max(drawn)
    if low > 0 and high / low > 2.5:
        axes.set_yscale("log")
        axes.set_ylim(0.93 * low, 1.07 * high)
        ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0) if low <= t <= high]
        axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    else:
        margin = 0.06 * (high - low or 0.1)
        axes.set_ylim(max(0.0, low - margin), high + margin)


def _shade(i: int, of: int) -> str:
    """The i-th of so many shades, light to dark."""
    return blend(*_RAMP, (i + 0.5) / of)
