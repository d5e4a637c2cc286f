"""The hand that draws every figure: colours, type, axes, labels, and files that are always the same bytes.

Figures use matplotlib's object interface (no pyplot, no global state), imported where it is used: reading
results must not wait for it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import polars as pl

from workloads.shown import plain as shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 7.2  # inches: the page's text width at 96 px per inch
NARROW = 3.7  # a phone's
SMALL = 3.45  # two of them stand side by side on a page

INK, MUTED, GRID, BAND = "#1a1a1a", "#666666", "#e3e3e3", "#f3f3f3"
# Okabe and Ito's palette, told apart with any colour vision; yellow is left out (too pale on white).
LIST = "#0072B2"
OTHERS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1a1a1a")
# Marker and size: of equal weight to the eye.
MARKERS = (("s", 6.2), ("^", 7.4), ("D", 6.0), ("v", 7.4), ("P", 7.4), ("X", 7.4))

TEXT, SMALL_TEXT, TITLE = 9.0, 8.0, 10.0  # points


def look(i: int) -> tuple[str, str]:
    """Colour and marker of the i-th of several, of which the first is set off."""
    if i == 0:
        return LIST, "o"
    return OTHERS[(i - 1) % len(OTHERS)], MARKERS[(i - 1) % len(MARKERS)][0]


def check_columns(df: pl.DataFrame, columns: set[str], function: str) -> None:
    """Raises ValueError unless a table has these columns and a row."""
    missing = sorted(columns - set(df.columns))
    if missing:
        raise ValueError(
            f"{function}: no column {missing[0]!r}; needs {', '.join(sorted(columns))}, got {df.columns}"
        )
    if df.is_empty():
        raise ValueError(f"{function}: the table has no rows, so there is nothing to draw")


def typed(df: pl.DataFrame, columns: Mapping[str, type[pl.DataType]], function: str) -> pl.DataFrame:
    """A table with these columns in these types, whatever a CSV file made of them: names may look like numbers, and a
    column without a value has no type.

    Raises:
      ValueError: a column is missing, there are no rows, or a value is none of the type.
    """
    check_columns(df, set(columns), function)
    try:
        return df.cast(dict(columns))  # type: ignore[arg-type]
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{function}: a column of numbers holds something else: {said}") from None


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def add_axes(figure: Figure, left: float, right: float, bottom: float, top: float) -> Axes:
    """Axes with the given margins in inches: thin grid, no frame but the base line."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.spines["bottom"].set_linewidth(0.6)
    axes.tick_params(which="both", length=0, labelsize=SMALL_TEXT, labelcolor=MUTED, color=MUTED, pad=4)
    axes.grid(True, which="major", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def plain(text: str, limit: int = 40) -> str:
    """Text that matplotlib shows as it is: no mathematics between dollars, no control characters."""
    text = shown(text)
    if len(text) > limit:
        text = text[: limit - limit // 3 - 1] + "…" + text[len(text) - limit // 3 :]
    return text.replace("$", r"\$")


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names without the folder before the last slash, where they stay unique.

    Example:
      >>> short_names(["algoperf/mnist", "taskset/mlp"])
      {'algoperf/mnist': 'mnist', 'taskset/mlp': 'mlp'}
    """
    last = [name.rsplit("/", 1)[-1] for name in names]
    return {
        name: short if short and last.count(short) == 1 else name
        for name, short in zip(names, last, strict=True)
    }


def text_width(text: str, size: float = TEXT) -> float:
    """Width of a text in inches, in the font that figures are laid out with."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    with _any_script():
        width, _, _ = TextToPath().get_text_width_height_descent(
            text.replace(r"\$", "$"), FontProperties(size=size), ismath=False
        )
    return width / 72


def axis_label(axes: Axes, text: str) -> None:
    """The label of the horizontal axis, flush left below it."""
    axes.set_xlabel(text, fontsize=SMALL_TEXT, color=MUTED, loc="left", labelpad=5)


def key(
    figure: Figure, entries: Sequence[tuple[str, str, str, float]], left: float, below: float = 0.0
) -> float:
    """A key of (text, colour, marker, marker size) in the figure's top margin, wrapped to its width, so many inches
    below the edge.

    Returns:
      Height used, in inches.
    """
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    x, line = left, 0
    for text, colour, marker, size in entries:
        need = 0.17 + text_width(text) + 0.24
        if x > left and x + need > width + 0.2:
            x, line = left, line + 1
        y = 1 - (below + 0.11 + 0.21 * line) / height
        figure.add_artist(
            Line2D([(x + 0.05) / width], [y], marker=marker, color=colour, markersize=size, linestyle="none",
                   markeredgecolor="white", markeredgewidth=0.5)
        )  # fmt: skip
        figure.text((x + 0.17) / width, y, text, color=colour, fontsize=TEXT, va="center_baseline")
        x += need
    return 0.21 * (line + 1)


def key_lines(entries: Sequence[str], width: float) -> int:
    """Lines that a key needs, to size the figure before it is drawn."""
    x, lines = 0.0, 1
    for text in entries:
        need = 0.41 + text_width(text)
        if x > 0 and x + need > width + 0.2:
            x, lines = 0.0, lines + 1
        x += need
    return lines


def label_ends(axes: Axes, labels: Sequence[tuple[float, str, str, bool]], gap_points: float = 11.0) -> None:
    """Writes (y, text, colour, bold) right of the axes, as near the end of its curve as there is room."""
    if not labels:
        return
    figure: Any = axes.figure
    height_points = axes.get_position().height * figure.get_size_inches()[1] * 72
    to_axes = axes.transData + axes.transAxes.inverted()
    x_end = axes.get_xlim()[1]
    wanted = [
        (float(to_axes.transform((x_end, y))[1]), text, colour, bold) for y, text, colour, bold in labels
    ]
    wanted.reverse()  # of curves that end at one height, the first is to stand on top
    wanted.sort(key=lambda item: round(item[0], 9))
    gap = gap_points / height_points
    # None falls below the axes, where the ticks are labelled.
    places = [max(at, i * gap) for i, at in enumerate(spread([item[0] for item in wanted], gap))]
    for place, (_, text, colour, bold) in zip(places, wanted, strict=True):
        axes.annotate(
            text, (1.0, place), xycoords="axes fraction", xytext=(7, 0), textcoords="offset points",
            color=colour, fontsize=SMALL_TEXT, va="center", fontweight="bold" if bold else "normal",
            annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Moves ascending places apart to at least `gap`, each group centred on where its members wanted to be.

    Example:
      >>> spread([0.0, 1.0, 1.0], 0.5)
      [0.0, 0.75, 1.25]
    """
    groups: list[tuple[float, int]] = []  # (wanted centre, members)
    for place in places:
        centre, size = place, 1
        while groups and centre - (size - 1) * gap / 2 < groups[-1][0] + (groups[-1][1] + 1) * gap / 2 - 1e-9:
            other, count = groups.pop()
            centre, size = (centre * size + other * count) / (size + count), size + count
        groups.append((centre, size))
    return [centre + (i - (size - 1) / 2) * gap for centre, size in groups for i in range(size)]


def as_svg(figure: Figure) -> str:
    """A figure as SVG with its text as text; the same figure gives the same bytes."""
    import matplotlib

    buffer = io.StringIO()
    with _any_script(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "shortlist"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def as_png(figure: Figure, dots_per_inch: int = 200) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with _any_script():
        figure.savefig(
            buffer, format="png", dpi=dots_per_inch, metadata={"Software": None},
            pil_kwargs={"compress_level": 1},  # a third of the time of drawing is packing, for a seventh of the size
        )  # fmt: skip
    return buffer.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """Lays out names in any script without a warning per letter: a reader's own fonts will show them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield
