"""Figure of speed-ups over a baseline: a function of a DataFrame.

figure_speedups(df)    scores over workloads, each contender's sorted
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1 / 8  # of the axis, as long as no score lies between it and 0


def figure_speedups(
    df: pl.DataFrame,
    *,
    label: str = "steps that the baseline needs, over those taken",
    width: float = draw.WIDE,
) -> Figure:
    """Scores over workloads, each contender's from its worst to its best, on a logarithmic axis with 0 at its foot.

    Args:
      df: columns contender, workload, score; where there are columns low and high, a line reaches from the one to the
        other (null = no spread); where there is a column limit, a hollow mark is a score that stands at it. The first
        contender is set off.
      label: of the scores.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.

    Example:
      >>> df = pl.DataFrame({"contender": ["velo"] * 2, "workload": ["mlp", "conv"], "score": [2.0, 0.5]})
      >>> figure_speedups(df).axes[0].get_yscale()
      'log'
    """
    extra = [name for name in ("low", "high", "limit") if name in df.columns]
    types = {"contender": pl.String, "workload": pl.String, **dict.fromkeys(["score", *extra], pl.Float64)}
    df = draw.typed(df, types, "figure_speedups")
    names = df["contender"].unique(maintain_order=True).to_list()
    entries = [(draw.plain(name), *draw.look(i), 5.5) for i, name in enumerate(names)]
    top = 0.21 * draw.key_lines([text for text, *_ in entries], width - 0.08) + 0.3
    figure = draw.new_figure(width, top + 2.6 + 0.48)
    axes = draw.add_axes(figure, 0.46, 0.14, 0.48, top)
    drawn = [
        x for column in ("score", "low", "high") if column in df.columns for x in df[column].drop_nulls()
    ]
    positive = [x for x in drawn if x > 0]
    low = 2.0 ** math.floor(math.log2(min([*positive, 2 * FLOOR])))
    high = 2.0 ** math.ceil(math.log2(max([*positive, 1.0])) + 0.2)
    foot = low / 2  # where scores of 0 stand
    axes.set_yscale("log", base=2)
    axes.set_ylim(foot / 1.3, high)
    powers = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    powers = powers[:: max(1, -(-len(powers) // 8))]
    axes.set_yticks(
        [foot, *(2.0**p for p in powers)], ["0", *(f"1/{2**-p}" if p < 0 else f"{2**p}" for p in powers)]
    )
    axes.yaxis.set_minor_locator(_none())
    axes.axhline(1.0, color=draw.MUTED, linewidth=0.9, zorder=2)
    most = max(df.group_by("contender").len()["len"])
    axes.set_xlim(-0.6, most - 0.4)
    axes.set_xticks([])
    axes.grid(False, axis="x")
    draw.axis_label(axes, f"{most} workloads, each contender's sorted by score")
    axes.set_title(label, fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01, pad=5)
    for i, name in enumerate(names):
        rows = df.filter(pl.col("contender") == name).sort("score", "workload")
        colour, marker = draw.look(i)
        # Contenders of one workload stand beside each other.
        shift = 0.0 if len(names) == 1 else 0.5 * (i / (len(names) - 1) - 0.5)
        for place, row in enumerate(rows.iter_rows(named=True)):
            x = (place + 0.5) * most / len(rows) - 0.5 + shift
            if row.get("low") is not None and row.get("high") is not None:
                ends = [max(row["low"], foot), max(row["high"], foot)]
                axes.plot(
                    [x, x], ends, color=colour, linewidth=1.8, alpha=0.4, solid_capstyle="butt", zorder=9
                )
            at_limit = row.get("limit") is not None and row["score"] >= row["limit"]
            axes.plot(
                [x], [max(row["score"], foot)], marker=marker, markersize=5.5 if most <= 40 else 3.5, linestyle="none",
                color="none" if at_limit else colour, markeredgecolor=colour if at_limit else "white",
                markeredgewidth=1.1 if at_limit else 0.5, clip_on=False, zorder=20 - i,
            )  # fmt: skip
    draw.key(figure, entries, 0.08)
    return figure


def _none():
    from matplotlib.ticker import NullLocator

    return NullLocator()
