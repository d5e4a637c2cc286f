"""Figures of random search by number of trials: each is one function of a DataFrame, usable in a notebook.

figure_tuning_curve(df)    one search with its band, and what a list reached beside it
figure_tuning_curves(df)   several searches side by side
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from reports._words import number
from reports.bands import EqualBudget, equal_budget
from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_DRAWN = 1000  # numbers of trials of a tuning curve, which then takes 40 kB of a page
_CURVE = {"trials": pl.Int64, "lower": pl.Float64, "median": pl.Float64, "upper": pl.Float64}


def figure_tuning_curve(
    df: pl.DataFrame,
    *,
    title: str = "",
    metric: str = "metric",
    minimize: bool = True,
    result: float | None = None,
    result_label: str = "list",
    budget: EqualBudget | None = None,
    target: float | None = None,
    width: float = draw.SMALL,
) -> Figure:
    """Best metric of random search against its number of trials, with band; a list's result as a line.

    Args:
      df: what `tuning_curve` returns: columns trials, lower, median, upper.
      title: name of the workload.
      metric: name of the metric, for the label.
      minimize: whether smaller is better.
      result: what the list reached, in the metric's unit.
      result_label: how to call it.
      budget: random search that equals it; its interval is drawn along the line. None works it out from the curve,
        see `equal_budget`.
      target: the workload's target, a dotted line.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, _CURVE, "figure_tuning_curve")
    if budget is None and result is not None and math.isfinite(result):
        budget = equal_budget(df, result, minimize=minimize)
    df = _as_drawn(df)
    figure = draw.new_figure(width, width * 0.74)
    axes = draw.add_axes(figure, 0.50, 0.12, 0.44, 0.50)
    trials = df["trials"].to_list()
    height = figure.get_size_inches()[1]
    low, high = _curve_axes(figure, axes, df, title, metric, minimize, result, target)

    clipped = df.with_columns(pl.col("lower", "upper", "median").clip(low, high))
    axes.fill_between(
        trials, clipped["lower"].to_list(), clipped["upper"].to_list(), color="#dcdcdc", linewidth=0
    )
    axes.plot(trials, clipped["median"].to_list(), color=draw.INK, linewidth=1.4, solid_capstyle="butt")
    _draw_target(axes, target, minimize)
    if result is not None and math.isfinite(result):
        axes.axhline(result, color=draw.LIST, linewidth=1.4)
        said = f"{draw.plain(result_label, 34)}: {number(result)}"
        if budget is not None:
            last = trials[-1]
            least, most = (last if edge is None else edge for edge in (budget.least, budget.most))
            axes.plot(
                [least, most], [result, result], color=draw.LIST, linewidth=5, alpha=0.35,
                solid_capstyle="butt", clip_on=False,
            )  # fmt: skip
            if budget.trials is not None:
                axes.plot(
                    [budget.trials], [result], "o", color=draw.LIST, markersize=6, markeredgecolor="white",
                    markeredgewidth=0.8, zorder=6, clip_on=False,
                )  # fmt: skip
            said += f" ≈ {budget}"
        figure.text(
            0.10 / width, 1 - 0.335 / height, said, fontsize=draw.SMALL_TEXT, color=draw.LIST, va="center"
        )
    return figure


def figure_tuning_curves(
    df: pl.DataFrame,
    *,
    title: str = "",
    metric: str = "metric",
    minimize: bool = True,
    target: float | None = None,
    width: float = draw.SMALL,
) -> Figure:
    """Best metric of several random searches against their number of trials, each with its band.

    Args:
      df: what `tuning_curve` returns, one below the other, with a column series: whose curve. Order of series is kept:
        colours follow it.
      title: name of the workload.
      metric: name of the metric, for the label.
      minimize: whether smaller is better.
      target: the workload's target, a dotted line.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    df = draw.typed(df, {"series": pl.String, **_CURVE}, "figure_tuning_curves")
    series = df["series"].unique(maintain_order=True).to_list()
    names = [draw.plain(name, 34) for name in series]
    lines = draw.key_lines(names, width - 0.08)
    figure = draw.new_figure(width, width * 0.74 + 0.21 * lines)
    axes = draw.add_axes(figure, 0.50, 0.12, 0.44, 0.30 + 0.21 * lines)
    low, high = _curve_axes(figure, axes, df, title, metric, minimize, None, target)
    marks = []
    for i, name in enumerate(series):
        curve = df.filter(series=name).with_columns(pl.col("lower", "upper", "median").clip(low, high))
        trials, colour = curve["trials"].to_list(), (draw.LIST, *draw.OTHERS)[i % (1 + len(draw.OTHERS))]
        axes.fill_between(
            trials, curve["lower"].to_list(), curve["upper"].to_list(), color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(trials, curve["median"].to_list(), color=colour, linewidth=1.6, zorder=9 - i,
                  linestyle="-" if i == 0 else (0, (4, 1.5)))  # fmt: skip
        marks.append((names[i], colour, "s", 5.0))
    _draw_target(axes, target, minimize)
    draw.key(figure, marks, 0.10, below=0.24)
    return figure


def _curve_axes(
    figure: Figure,
    axes: Axes,
    df: pl.DataFrame,
    title: str,
    metric: str,
    minimize: bool,
    result: float | None,
    target: float | None,
) -> tuple[float, float]:
    """Scales, ticks, title and label of tuning curves; returns the limits of the metric."""
    last = int(df["trials"].max())  # type: ignore[arg-type]
    low, high = _value_limits(df, result, target)
    log = minimize and low > 0 and high / low > 8
    axes.set_yscale("log" if log else "linear")
    axes.set_ylim(low, high)
    axes.set_xscale("log")
    axes.set_xlim(1, max(last, 2))
    _plain_ticks(axes, last, log)
    width, height = figure.get_size_inches()
    figure.text(
        0.10 / width, 1 - 0.14 / height, draw.plain(title, 36), fontsize=draw.TITLE, fontweight="bold",
        color=draw.INK, va="center",
    )  # fmt: skip
    said = f"{draw.plain(metric.replace('_', ' '), 30)} {'↓' if minimize else '↑'}"
    draw.axis_label(axes, f"trials of random search  ·  {said}")
    return low, high


def _draw_target(axes: Axes, target: float | None, minimize: bool) -> None:
    if target is None:
        return
    axes.axhline(target, color=draw.MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.annotate(
        "target", (1, target), xycoords=("axes fraction", "data"), xytext=(-1, 3 if minimize else -3),
        textcoords="offset points", ha="right", va="bottom" if minimize else "top", fontsize=7.0,
        color=draw.MUTED,
    )  # fmt: skip


def _as_drawn(df: pl.DataFrame) -> pl.DataFrame:
    """The rows of a long curve that a picture can show: its axis is logarithmic and some 300 pixels wide."""
    if df.height <= MOST_DRAWN:
        return df
    rows = np.geomspace(1, df.height, MOST_DRAWN // 2).round().astype(int) - 1
    return df[np.unique(rows).tolist()]


def _value_limits(df: pl.DataFrame, result: float | None, target: float | None) -> tuple[float, float]:
    """Limits of the metric's axis: the median curve, the list's result, the target, the nearby band."""
    medians = [value for value in df["median"].to_list() if math.isfinite(value)]
    anchors = medians + [value for value in (result, target) if value is not None and math.isfinite(value)]
    if not anchors:
        return 0.0, 1.0
    low, high = min(anchors), max(anchors)
    span = high - low or abs(high) * 0.1 or 1.0
    # A band reaches the end of the support where few trials say nothing, or where nothing better can be
    # excluded: it is followed only a little beyond the curve.
    edges = [value for column in ("lower", "upper") for value in df[column].to_list()]
    inside = [value for value in edges if low - 0.15 * span <= value <= high + 0.15 * span]
    bottom, top = min([low - 0.06 * span, *inside]), max([high + 0.06 * span, *inside])
    return (max(bottom, 0.9 * low) if low > 0 else bottom), top


def _plain_ticks(axes: Axes, trials: int, log: bool) -> None:
    """Few ticks with plain numbers on both axes."""
    from matplotlib.ticker import (
        FixedLocator,
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullFormatter,
        NullLocator,
    )

    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if t <= trials]
    if trials > 1.6 * ticks[-1]:
        ticks.append(trials)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if log else MaxNLocator(4))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))
    axes.yaxis.set_minor_formatter(NullFormatter())
