"""Figure of what becomes of optimizers along an axis: a function of a DataFrame.

figure_along(df)    a line per series, with the spread over repeats
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from reports.figures import drawing as draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MARKED = 16  # places of a line with marks
LEAST_RANGE = 4  # greatest over least y of a logarithmic axis


def figure_along(
    df: pl.DataFrame,
    *,
    along: str = "steps",
    label: str = "training loss",
    width: float = draw.WIDE,
) -> Figure:
    """Lines of several series along one axis.

    The horizontal axis is logarithmic where all is above 0, the other one where it spans a few times its least, too.

    Args:
      df: columns series, x, y; where there are columns low and high, a line reaches from the one to the other. A place
        without a y, or with one that is not finite, is left out. The first series is set off.
      along: what x is.
      label: what y is.
      width: inches.

    Returns:
      The figure.

    Raises:
      ValueError: a column is missing, or there are no rows with a y.

    Example:
      >>> df = pl.DataFrame({"series": ["celo"] * 2, "x": [8.0, 64.0], "y": [4000.0, 5000.0]})
      >>> figure_along(df, along="examples in a batch").axes[0].get_xscale()
      'log'
    """
    extra = [name for name in ("low", "high") if name in df.columns]
    types = {"series": pl.String, **dict.fromkeys(["x", "y", *extra], pl.Float64)}
    df = draw.typed(df, types, "figure_along").filter(pl.col("y").is_finite())
    draw.check_columns(df, set(types), "figure_along")
    names = df["series"].unique(maintain_order=True).to_list()
    entries = [(draw.plain(name), *draw.look(i), 5.5) for i, name in enumerate(names)]
    top = 0.21 * draw.key_lines([text for text, *_ in entries], width - 0.08) + 0.3
    figure = draw.new_figure(width, top + (2.6 if width > draw.SMALL else 1.9) + 0.48)
    axes = draw.add_axes(figure, 0.62, 0.14, 0.48, top)
    if df["x"].min() > 0:  # type: ignore[operator]
        axes.set_xscale("log", base=2 if _powers(df["x"].to_list()) else 10)
    if 0 < LEAST_RANGE * df["y"].min() < df["y"].max():  # type: ignore[operator]
        axes.set_yscale("log")
        axes.set_yticks(*_ticks(df["y"].min(), df["y"].max()))  # type: ignore[arg-type]
    elif df["y"].max() >= 10_000:  # type: ignore[operator]
        axes.yaxis.set_major_formatter("{x:,.0f}")
    if axes.get_xscale() == "log":
        marked = _marked(sorted(set(df["x"].to_list())))
        axes.set_xticks(marked, [f"{x:,.0f}" for x in marked])
    axes.minorticks_off()
    draw.axis_label(axes, along)
    axes.set_title(label, fontsize=draw.SMALL_TEXT, color=draw.MUTED, loc="left", x=-0.01, pad=5)
    for i, name in enumerate(names):
        colour, marker = draw.look(i)
        rows = df.filter(pl.col("series") == name).sort("x")
        shown = marker if len(rows) <= MOST_MARKED else ""
        axes.plot(
            rows["x"], rows["y"], color=colour, linewidth=1.6 if i == 0 else 1.1, markersize=4.5,
            markeredgecolor="white", markeredgewidth=0.5, marker=shown, zorder=20 - i,
        )  # fmt: skip
        for row in rows.iter_rows(named=True) if extra == ["low", "high"] else ():
            ends = [row["low"], row["high"]]
            if None not in ends and all(map(math.isfinite, ends)):
                axes.plot([row["x"]] * 2, ends, color=colour, linewidth=1.8, alpha=0.4, zorder=9)
    draw.key(figure, entries, 0.08)
    return figure


def _marked(places: list[float]) -> list[float]:
    """All places where they are few, else some that stand about evenly on a logarithmic axis."""
    if len(places) <= 9:
        return places
    aims = [places[0] * (places[-1] / places[0]) ** (i / 5) for i in range(6)]
    return sorted({min(places, key=lambda place: abs(math.log(place / aim))) for aim in aims})


def _powers(xs: list[float]) -> bool:
    return all(x > 0 and math.log2(x).is_integer() for x in xs)


def _ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """1, 2, 5 times powers of ten from below the least to above the greatest, or fewer where they are many."""
    digits = (1, 2, 5) if high < 30 * low else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [d * 10.0**p for p in range(first, last + 1) for d in digits]
    inside = [x for x in found if low / 1.1 <= x <= high * 1.1] or [low, high]
    inside = inside[:: -(-len(inside) // 7)]
    return inside, [f"{x:,.4g}" for x in inside]
