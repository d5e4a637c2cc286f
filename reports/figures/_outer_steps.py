"""Figure of a meta-training over its outer steps: a function of a DataFrame.

figure_outer_steps(df)    curves with bands, lines of references, and where something was changed
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from reports._words import number
from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKED = 40  # points of a curve up to which each has a mark


def figure_outer_steps(
    df: pl.DataFrame, *, title: str = "", label: str = "", width: float = draw.WIDE
) -> Figure:
    """Something of a meta-training against its outer steps.

    Args:
      df: columns outer_step, series, value; where there are columns low and high, a band reaches from the one to the
        other. Order of series is kept: colours follow it; beyond seven all but the first are thin and grey. Values of
        inf stand at the upper edge. A row without outer_step is a line across, in the colour of its series, and a
        column reference names it; a row without series is a dotted line upright, where something was changed.
      title: of the figure.
      label: what the values are.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.

    Example:
      >>> df = pl.DataFrame({"outer_step": [0, 10], "series": ["all"] * 2, "value": [1.0, 0.01]})
      >>> figure_outer_steps(df).axes[0].get_yscale()
      'log'
    """
    numbers = ["value", *(name for name in ("low", "high") if name in df.columns)]
    texts = ["series", *(name for name in ("reference",) if name in df.columns)]
    types = {"outer_step": pl.Int64, **dict.fromkeys(texts, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    df = draw.typed(df, types, "figure_outer_steps")
    names = df["series"].drop_nulls().unique(maintain_order=True).to_list()
    many = len(names) > 1 + len(draw.OTHERS)
    looks = {name: _look(i, many) for i, name in enumerate(names)}
    entries = [(draw.plain(name, 34), looks[name][0], "s", 5.0) for name in names[: 1 if many else None]]
    if many:
        entries.append((f"{len(names) - 1} others", draw.MUTED, "s", 5.0))
    shown = entries if len(names) > 1 else []
    lines = draw.key_lines([text for text, *_ in shown], width - 0.08) if shown else 0
    figure = draw.new_figure(width, (0.74 * width if width < 5 else 3.1) + 0.21 * lines)
    axes = draw.add_axes(figure, 0.55, 0.14, 0.44, 0.30 + 0.21 * lines)
    low, high = _limits(df, numbers)
    _axes(axes, df, low, high)
    for name in names:
        _draw_series(axes, df.filter(series=name).with_columns(pl.col(numbers).clip(low, high)), *looks[name])
    for at in df.filter(pl.col("series").is_null())["outer_step"].drop_nulls():
        axes.axvline(at, color=draw.MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    height = figure.get_size_inches()[1]
    figure.text(
        0.10 / width, 1 - 0.14 / height, draw.plain(title, 40 if width < 5 else 80), fontsize=draw.TITLE,
        fontweight="bold", color=draw.INK, va="center",
    )  # fmt: skip
    draw.axis_label(axes, f"outer steps  ·  {label}" if label else "outer steps")
    if shown:
        draw.key(figure, shown, 0.10, below=0.24)
    return figure


def _look(i: int, many: bool) -> tuple[str, float]:
    """Colour and line width of the i-th series."""
    if i and many:
        return "#b5b5b5", 0.8
    return (draw.LIST, *draw.OTHERS)[i % (1 + len(draw.OTHERS))], 1.6


def _draw_series(axes: Axes, rows: pl.DataFrame, colour: str, line: float) -> None:
    curve = rows.drop_nulls(["outer_step", "value"]).sort("outer_step")
    steps = curve["outer_step"].to_list()
    if {"low", "high"} <= set(curve.columns):
        band = curve.drop_nulls(["low", "high"])
        axes.fill_between(
            band["outer_step"].to_list(), band["low"].to_list(), band["high"].to_list(), color=colour, alpha=0.18,
            linewidth=0,
        )  # fmt: skip
        if len(band) == 1:
            axes.plot(steps * 2, [band["low"][0], band["high"][0]], color=colour, alpha=0.4, linewidth=2)
    mark = "o" if len(steps) <= MARKED and line > 1 else "none"
    axes.plot(steps, curve["value"].to_list(), color=colour, linewidth=line, marker=mark, markersize=3.2, zorder=9 if
              line > 1 else 5)  # fmt: skip
    for row in rows.filter(pl.col("outer_step").is_null()).drop_nulls("value").iter_rows(named=True):
        axes.axhline(row["value"], color=colour, linewidth=1.1, linestyle=(0, (4, 2)), zorder=4)
        if row.get("reference"):
            axes.annotate(
                draw.plain(row["reference"], 30), (1, row["value"]), xycoords=("axes fraction", "data"),
                xytext=(-1, 2), textcoords="offset points", ha="right", va="bottom", fontsize=7.0, color=colour,
            )  # fmt: skip


def _limits(df: pl.DataFrame, numbers: list[str]) -> tuple[float, float]:
    """Of the values: all that is finite, and of bands what is near the curves."""
    values = [value for value in df["value"].drop_nulls() if math.isfinite(value)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    span = high - low or abs(high) * 0.1 or 1.0
    ends = [value for name in numbers[1:] for value in df[name].drop_nulls()]
    near = [value for value in ends if low - span <= value <= high + span]
    bottom, top = min([low - 0.05 * span, *near]), max([high + 0.05 * span, *near])
    return (0.9 * low if low > 0 >= bottom else bottom), top


def _axes(axes: Axes, df: pl.DataFrame, low: float, high: float) -> None:
    """Scales and few ticks with plain numbers on both axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    log = low > 0 and high / low > 8
    axes.set_yscale("log" if log else "linear")
    axes.set_ylim(low, high)
    steps = df["outer_step"].drop_nulls().to_list() or [0]
    axes.set_xlim(min(steps) if min(steps) < max(steps) else min(steps) - 1, max(max(steps), min(steps) + 1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6) if log else MaxNLocator(5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: number(y)))
    axes.yaxis.set_minor_formatter(NullFormatter())
