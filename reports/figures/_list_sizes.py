"""Figure of lists judged on workloads that they have not seen, by their length: a function of a DataFrame.

figure_list_sizes(df)    workloads trained, and cost, against the points in a list
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure_list_sizes(
    df: pl.DataFrame, *, workloads: int = 8, penalty: float = 2.0, width: float = draw.WIDE
) -> Figure:
    """Left-out workloads trained and the cost there against the points in the list, a curve per series.

    Args:
      df: columns points (length of the list), series, trained (workloads), cost (C_tau; null where it is not known). A
        series with one row is drawn as a mark. Order of series is kept; the first is set off.
      workloads: left out in turn; the end of the axis.
      penalty: tau, for the label.
      width: inches; below 5 the two parts stand below each other.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"points": pl.Int64, "series": pl.String, "trained": pl.Int64, "cost": pl.Float64}
    df = draw.typed(df, types, "figure_list_sizes")
    series = df["series"].unique(maintain_order=True).to_list()
    entries = [(draw.plain(name, 34), *_look(i)[:2], 5.5) for i, name in enumerate(series)]
    narrow = width < 5
    top = 0.21 * draw.key_lines([text for text, *_ in entries], width - 0.08) + 0.34
    part = 1.75
    height = top + (2 * part + 0.85 if narrow else part) + 0.48
    figure = draw.new_figure(width, height)
    if narrow:
        left = draw.add_axes(figure, 0.42, 0.12, height - top - part, top)
        right = draw.add_axes(figure, 0.42, 0.12, 0.48, height - 0.48 - part)
    else:
        left = draw.add_axes(figure, 0.42, width / 2 + 0.14, 0.48, top)
        right = draw.add_axes(figure, width / 2 + 0.36, 0.12, 0.48, top)
    _part(left, df, series, "trained", f"workloads trained, of {workloads}")
    left.set_ylim(-0.03 * workloads, workloads * 1.04)
    left.set_yticks(range(0, workloads + 1, max(1, workloads // 4)))
    _part(right, df, series, "cost", f"cost, a miss counts {penalty:g}")
    draw.key(figure, entries, 0.08)
    return figure


def _part(axes: Axes, df: pl.DataFrame, series: list[str], column: str, title: str) -> None:
    longest = int(df["points"].max())  # type: ignore[arg-type]
    axes.set_xlim(0.6, longest + 0.4)
    axes.set_xticks(range(1, longest + 1, max(1, -(-longest // 10))))
    axes.grid(False, axis="x")
    axes.set_title(title, fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01, pad=5)
    draw.axis_label(axes, "points in the list")
    for i, name in enumerate(series):
        curve = df.filter(pl.col("series") == name).drop_nulls(column).sort("points")
        colour, marker, style = _look(i)
        at = curve["points"].to_list(), curve[column].to_list()
        if curve.height == 1:  # hollow and on top: a mark may stand on a curve
            axes.plot(
                *at, color="none", marker=marker, linestyle="none", clip_on=False, zorder=20, markersize=10.0,
                markeredgecolor=colour, markeredgewidth=1.6,
            )  # fmt: skip
            continue
        axes.plot(
            *at, color=colour, marker=marker, linestyle=style, clip_on=False, linewidth=2.0 if i == 0 else 1.5,
            zorder=9 - i, markersize=4.5, markeredgecolor="white", markeredgewidth=0.6,
        )  # fmt: skip


def _look(i: int) -> tuple[str, str, str]:
    """Colour, marker and line of the i-th series."""
    if i == 0:
        return draw.LIST, "o", "-"
    return draw.OTHERS[(i - 1) % len(draw.OTHERS)], draw.MARKERS[(i - 1) % len(draw.MARKERS)][0], "--"
