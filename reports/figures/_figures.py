"""Figures of contenders, lists and submissions: each is one function of a DataFrame, usable in a notebook.

figure_step_fractions(df)        who trains what, and how soon
figure_cost_by_length(df)        what each further point of a list brings
figure_performance_profile(df)   AlgoPerf's comparison of submissions
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANE = 0.072  # inches between marks of one row that would touch


def figure_step_fractions(
    df: pl.DataFrame, *, label: str = "step fraction at which the target is reached", width: float = draw.WIDE
) -> Figure:
    """One row per workload, one mark per contender at its fraction of the budget, with its spread; misses stand at
    the right edge.

    Args:
      df: columns workload, row (the contender), fraction (of the budget; inf = missed, null = not run), as
        `reports.contenders` gives them; where there are columns low and high, a line reaches from the one to the
        other (null = no spread). The first contender is set off. Order of both is kept.
      label: of the horizontal axis.
      width: inches; below 5 the names stand above their rows.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.

    Example:
      >>> df = pl.DataFrame({"workload": ["wmt", "wmt"], "row": ["list", "sweep"], "fraction": [0.3, 0.9]})
      >>> figure_step_fractions(df).axes[0].get_xlabel()
      'step fraction at which the target is reached'
    """
    numbers = [
        name
        for name in ("fraction", "low", "high")
        if name == "fraction" or {"low", "high"} <= set(df.columns)
    ]
    types = {"workload": pl.String, "row": pl.String, **dict.fromkeys(numbers, pl.Float64)}
    df = draw.typed(df, types, "figure_step_fractions")
    workloads = df["workload"].unique(maintain_order=True).to_list()
    rows = df["row"].unique(maintain_order=True).to_list()
    names = {w: draw.plain(n, 28) for w, n in draw.short_names(workloads).items()}
    narrow = width < 5
    left = 0.16 if narrow else max(draw.text_width(n) for n in names.values()) + 0.22
    legend = [draw.plain(row) for row in rows]
    top = 0.21 * draw.key_lines(legend, width - 0.08) + 0.26
    limit = max(
        [1.0, *(value for name in numbers for value in df[name].drop_nulls() if math.isfinite(value))]
    )
    slot = 0.036 * limit * (1.4 if narrow else 1.0)
    start = limit * 1.03
    end = start + slot * (len(rows) + 1)
    found = {w: _of_workload(df, w, rows, numbers) for w in workloads}
    shown = {
        w: {i: [start + slot * (i + 1) if math.isinf(x) else x for x in ends] for i, ends in of_it.items()}
        for w, of_it in found.items()
    }
    lanes = {w: _lanes(of_it, 0.018 * end) for w, of_it in shown.items()}
    deepest = max((lane for of_it in lanes.values() for lane in of_it.values()), default=0)
    row_height = (0.60 if narrow else 0.44) + LANE * max(0, deepest - 2)
    below = max(0.55, (0.1 + LANE * max(lanes[workloads[-1]].values(), default=0)) / row_height)  # in rows
    figure = draw.new_figure(width, top + row_height * (len(workloads) - 0.55 + below) + 0.45)
    axes = draw.add_axes(figure, left, 0.08, 0.45, top)
    axes.set_xlim(0, end)
    axes.set_ylim(len(workloads) - 1 + below, -0.78 if narrow else -0.55)
    axes.axvspan(start, end, color=draw.BAND, linewidth=0, zorder=0)
    axes.text(
        (start + end) / 2,
        axes.get_ylim()[1] - 0.05,
        "missed",
        ha="center",
        va="bottom",
        fontsize=draw.SMALL_TEXT,
        color=draw.MUTED,
    )
    axes.set_xticks(_fraction_ticks(limit))
    axes.set_yticks(range(len(workloads)), [""] * len(workloads))
    axes.grid(False, axis="x")
    draw.axis_label(axes, label)

    marks = [_mark(i) for i in range(len(rows))]
    for y, workload in enumerate(workloads):
        axes.annotate(
            names[workload], (0, y), xycoords=("axes fraction", "data"),
            xytext=(-4, 21) if narrow else (-10, 0), textcoords="offset points",
            ha="left" if narrow else "right", va="center", fontsize=draw.TEXT, color=draw.INK,
            annotation_clip=False,
        )  # fmt: skip
        for i, (fraction, *_) in found[workload].items():
            colour, marker, size = marks[i]
            missed = math.isinf(fraction)
            lane = lanes[workload][i]
            height = y + (0.035 + LANE * lane) / row_height if lane else y
            x, *ends = shown[workload][i]
            if ends and ends[0] < ends[1]:
                axes.plot(
                    ends, [height] * 2, color=colour, linewidth=2.6 if i == 0 else 1.6, alpha=0.45,
                    solid_capstyle="butt", zorder=19 - i,
                )  # fmt: skip
            axes.plot(
                [x], [height],
                marker=marker, markersize=size, color="none" if missed else colour,
                markeredgecolor=colour if missed else "white", markeredgewidth=1.1 if missed else 0.6,
                linestyle="none", clip_on=False, zorder=20 - i,
            )  # fmt: skip
            if i == 0 and not missed:
                axes.annotate(
                    f"{fraction:.2f}", (fraction, y), xytext=(0, 8.5), textcoords="offset points",
                    ha="center", va="center", fontsize=7.0, color=colour, fontweight="bold", zorder=21,
                )  # fmt: skip
    draw.key(figure, [(text, *mark) for text, mark in zip(legend, marks, strict=True)], 0.08)
    return figure


def figure_cost_by_length(df: pl.DataFrame, *, penalty: float = 2.0, width: float = draw.WIDE) -> Figure:
    """Cost of a list against its length, one curve per way of building or judging it.

    Args:
      df: columns points (length of the list), series, cost (C_tau, a fraction of the budget), as
        `reports.cost_by_length` gives them. A series with one row is drawn as a mark. Order of series is kept; the
        first is set off.
      penalty: tau, for the label.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.
    """
    types = {"points": pl.Int64, "series": pl.String, "cost": pl.Float64}
    df = draw.typed(df, types, "figure_cost_by_length")
    series = df["series"].unique(maintain_order=True).to_list()
    labels = {name: draw.plain(str(_SERIES.get(name, name))) for name in series}
    curves = [name for name, rows in df.group_by("series", maintain_order=True).len().iter_rows() if rows > 1]
    right = max((draw.text_width(labels[name], draw.SMALL_TEXT) for name in curves), default=0.0) * 1.08 + 0.2
    figure = draw.new_figure(width, 2.9)
    axes = draw.add_axes(figure, 0.42, min(right, width * 0.5), 0.48, 0.22)
    longest = int(df["points"].max())  # type: ignore[arg-type]
    axes.set_xlim(0.8, longest + (0.2 if longest > 1 else 0.8))
    costs = df.filter(pl.col("cost").is_finite())["cost"]
    low, high = float(costs.min() or 0.0), float(costs.max() or 1.0)  # type: ignore[arg-type]
    margin = 0.08 * max(high - low, 0.05)
    axes.set_ylim(max(0.0, low - margin), high + margin)
    axes.set_xticks(_integer_ticks(longest))
    axes.grid(False, axis="x")
    # Not as a formula: matplotlib's parser of mathematics takes longer to load than the figure to draw.
    axes.set_title(
        f"cost, a miss counts {penalty:g}", fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01,
        pad=5,
    )  # fmt: skip
    draw.axis_label(axes, "points in the list")

    ends = []
    for i, name in enumerate(series):
        curve = df.filter(pl.col("series") == name).sort("points")
        colour = draw.LIST if i == 0 else draw.OTHERS[(i - 1) % len(draw.OTHERS)]
        style = ("-", "--", "-", "-.")[i % 4] if curve.height > 1 else "none"
        axes.plot(
            curve["points"].to_list(), curve["cost"].to_list(), color=colour, linestyle=style, clip_on=False,
            linewidth=2.0 if i == 0 else 1.5, marker="o" if curve.height > 1 else "D",
            markersize=4.0 if curve.height > 1 else 6.5, markeredgecolor="white", markeredgewidth=0.6,
            zorder=5 - i,
        )  # fmt: skip
        if curve.height == 1:
            axes.annotate(
                labels[name], (curve["points"][0], curve["cost"][0]), xytext=(7, 6),
                textcoords="offset points", fontsize=draw.SMALL_TEXT, color=colour, va="bottom",
            )  # fmt: skip
        elif math.isfinite(curve["cost"][-1]):
            ends.append((curve["cost"][-1], labels[name], colour, i == 0))
    draw.label_ends(axes, ends)
    return figure


def figure_performance_profile(df: pl.DataFrame, *, width: float = draw.WIDE) -> Figure:
    """Share of workloads trained within tau times the fastest submission, one curve per submission.

    Args:
      df: columns submission, tau (ratio to the fastest, from 1), rho (share of workloads, 0 to 1), as
        `reports.performance_profiles` gives them. Order of submissions is kept: colours follow it.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows.

    Reference: Dahl et al. 2023, arXiv:2306.07179, section 4.
    """
    types = {"submission": pl.String, "tau": pl.Float64, "rho": pl.Float64}
    df = draw.typed(df, types, "figure_performance_profile")
    submissions = df["submission"].unique(maintain_order=True).to_list()
    labels = {name: draw.plain(name, 26 if width > 5 else 20) for name in submissions}
    right = max(draw.text_width(text, draw.SMALL_TEXT) for text in labels.values()) * 1.08 + 0.2
    figure = draw.new_figure(width, max(3.3, 0.9 + 0.17 * len(submissions)))
    axes = draw.add_axes(figure, 0.42, min(right, width * 0.5), 0.48, 0.28)
    end = float(df["tau"].max())  # type: ignore[arg-type]
    axes.set_xlim(1, end if end > 1 else 4)
    axes.set_ylim(-0.01, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_title(
        "workloads trained", fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01, pad=6
    )
    axes.set_xticks(range(1, math.floor(end) + 1), [f"{t}×" for t in range(1, math.floor(end) + 1)])
    draw.axis_label(axes, "time, as a multiple of the fastest submission's")
    colours = (draw.LIST, *draw.OTHERS)
    ends = []
    for i, name in enumerate(submissions):
        curve = df.filter(pl.col("submission") == name).sort("tau")
        colour = colours[i % len(colours)]
        axes.step(
            curve["tau"].to_list(), curve["rho"].to_list(), where="post", color=colour, clip_on=False,
            linestyle=("-", (0, (4, 1.5)))[i // len(colours) % 2], linewidth=2.2 if i == 0 else 1.4,
            zorder=len(submissions) - i + 2,
        )  # fmt: skip
        ends.append((curve["rho"][-1], labels[name], colour, i == 0))
    draw.label_ends(axes, ends)
    return figure


_SERIES = {"exact": "exact optimum"}


def _mark(i: int) -> tuple[str, str, float]:
    """Colour, marker and size of the i-th contender."""
    if i == 0:
        return draw.LIST, "o", 9.5
    marker, size = draw.MARKERS[(i - 1) % len(draw.MARKERS)]
    return draw.OTHERS[(i - 1) % len(draw.OTHERS)], marker, size


def _of_workload(
    df: pl.DataFrame, workload: str, rows: list[str], numbers: list[str]
) -> dict[int, list[float]]:
    """Fraction of each contender that was run on a workload, then both ends of its spread where it has one."""
    found = {row: values for row, *values in df.filter(workload=workload).select("row", *numbers).iter_rows()}
    ran = {i: found[row] for i, row in enumerate(rows) if row in found and found[row][0] is not None}
    return {i: values if None not in values else values[:1] for i, values in ran.items()}


def _lanes(shown: dict[int, list[float]], near: float) -> dict[int, int]:
    """Below its row, the first lane in which a mark and its spread touch no earlier one: ties and overlaps are common,
    and none may hide."""
    taken: dict[int, list[tuple[float, float]]] = {}
    lanes = {}
    for i, values in shown.items():
        low, high = min(values) - near / 2, max(values) + near / 2
        lane = 0
        while any(low < end and start < high for start, end in taken.get(lane, ())):
            lane += 1
        taken.setdefault(lane, []).append((low, high))
        lanes[i] = lane
    return lanes


def _fraction_ticks(limit: float) -> list[float]:
    step = 0.25 if limit <= 1.3 else 0.5 if limit <= 2.6 else math.ceil(limit / 5)
    return [step * i for i in range(math.floor(limit / step) + 1)]


def _integer_ticks(longest: int) -> list[int]:
    step = max(1, math.ceil(longest / 10))
    return list(range(1, longest + 1, step))
