"""A report as data: what it says, in which order. Builders make it, `write_report` renders it."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LATE = "†"  # behind a share above 1
LATE_LEGEND = f"{LATE}: reached, but only after the whole budget; counts as trained."

_FILE_STEM = re.compile(r"[a-z0-9][a-z0-9_-]*")

Show = Literal[
    "text", "code", "number", "fraction", "share", "score", "integer", "seconds", "duration", "badge"
]


@dataclasses.dataclass(frozen=True)
class Column:
    """How a table shows one column; the CSV keeps the values as they are.

    Attributes:
      title: header; None shows the column's name.
      note: second line of the header, such as a metric and its target.
      show: `fraction` writes 3 decimals and inf as "missed"; `share` the same of a budget, with a sign where it is
        above 1, which the caption then explains; `score` 4 decimals; `number` 4 significant digits; `seconds` whole
        seconds; `duration` seconds in words; `code` an id or a command; `badge` data
        provenance. None follows the type.
      best: mark the least or the greatest value.
      shade: tint cells, the darker the smaller the fraction.
      absent: what stands for null.
      spread: names of two more columns, shown with this one, small, and not by themselves, where the table has them:
        the least and the greatest of what the value is the median of.
      hidden: only in the CSV.
    """

    title: str | None = None
    note: str | None = None
    show: Show | None = None
    best: Literal["min", "max"] | None = None
    shade: bool = False
    absent: str = "–"
    spread: tuple[str, str] | None = None
    hidden: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: data, caption, and how its columns are shown.

    Attributes:
      name: stem of its files; small letters, digits, hyphens and underscores.
      data: the values; the first column names the rows.
      caption: one or two sentences.
      columns: column name -> how to show it; others follow their type.
      lead_rows: rows to set off.
      muted_rows: rows for context, in grey, which take no part in `best`.
      rows_shown: at most so many on the page; files hold all.
    """

    name: str
    data: pl.DataFrame
    caption: str
    columns: Mapping[str, Column] = dataclasses.field(default_factory=dict)
    lead_rows: tuple[int, ...] = ()
    muted_rows: tuple[int, ...] = ()
    rows_shown: int = 60

    def __post_init__(self) -> None:
        shares = [name for name, column in self.columns.items() if column.show == "share"]
        values = (value for name in shares if name in self.data.columns for value in self.data[name])
        if (
            any(value is not None and 1.0 < value < math.inf for value in values)
            and LATE_LEGEND not in self.caption
        ):
            object.__setattr__(self, "caption", f"{self.caption} {LATE_LEGEND}")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure with its caption and a text for those who cannot see it.

    Attributes:
      name: stem of its files.
      figure: as drawn for a page; saved as SVG and PNG.
      caption: one or two sentences.
      alt: what the figure shows, in words.
      narrow: the same figure drawn for a phone, if the wide one would be too small there.
      data: the table that it was drawn from, saved as CSV beside it.
      drawn_by: name of the public function that draws it from that table.
      options: keyword arguments of that function; JSON values.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    narrow: Figure | None = None
    data: pl.DataFrame | None = None
    drawn_by: str = ""
    options: Mapping[str, str | float | bool | None] = dataclasses.field(default_factory=dict)


def draw_picture(
    name: str,
    function: Callable[..., Figure],
    data: pl.DataFrame,
    caption: str,
    alt: str,
    *,
    narrow: float | None = None,
    **options: str | float | bool | None,
) -> Picture:
    """A picture that can be drawn again from the files of its report.

    Args:
      name, caption, alt: see `Picture`.
      function: a public figure function.
      data: its table.
      narrow: width in inches of the figure for phones; None draws none.
      options: its other arguments, as JSON has them.
    """
    rooms = [part for part in function.__module__.split(".") if not part.startswith("_")]
    return Picture(
        name, function(data, **options), caption, alt,
        narrow=None if narrow is None else function(data, width=narrow, **options),
        data=data, drawn_by=".".join([*rooms, function.__name__]), options=options,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Small pictures side by side, as many per row as fit."""

    pictures: tuple[Picture, ...]
    caption: str


@dataclasses.dataclass(frozen=True)
class Prose:
    """A paragraph of plain text."""

    text: str


@dataclasses.dataclass(frozen=True)
class Note:
    """A caveat, shown beside the claim it limits."""

    text: str


@dataclasses.dataclass(frozen=True)
class Code:
    """Commands, shown as typed."""

    text: str


Block = Prose | Note | Code | Table | Picture | Gallery


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclasses.dataclass(frozen=True)
class Report:
    """All that a report says.

    Attributes:
      title: what kind of report on what; the page's title.
      finding: the one sentence to remember, computed from the data.
      detail: a few sentences that support or limit it.
      facts: headline numbers as (number, what it counts).
      opening: the figure that stands first.
      sections: the rest, in reading order.
      caveats: what the finding rests on and does not show, a sentence each; stands right below it.

    Raises:
      ValueError: two tables or two figures of one name, or a name that is no file stem.
    """

    title: str
    finding: str
    detail: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    opening: Picture | None = None
    sections: tuple[Section, ...] = ()
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = {"tables": [t.name for t in self.tables], "figures": [p.name for p in self.pictures]}
        for kind, of_kind in names.items():
            for name in of_kind:
                if not _FILE_STEM.fullmatch(name):
                    raise ValueError(
                        f"{kind}: name {name!r} must be small letters, digits, hyphens and underscores"
                    )
                if of_kind.count(name) > 1:
                    raise ValueError(f"{kind}: the name {name!r} occurs twice; one file would hide the other")

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables in reading order."""
        return tuple(block for block in self._blocks() if isinstance(block, Table))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All pictures in reading order, those of galleries included."""
        found: list[Picture] = [self.opening] if self.opening else []
        for block in self._blocks():
            if isinstance(block, Picture):
                found.append(block)
            elif isinstance(block, Gallery):
                found += block.pictures
        return tuple(found)

    def _blocks(self) -> Iterator[Block]:
        for section in self.sections:
            yield from section.blocks


def file_stem(text: str) -> str:
    """A file stem for any text: small letters, digits, hyphens and underscores.

    Example:
      >>> file_stem("taskset/mlp_family seed12")
      'taskset-mlp_family-seed12'
    """
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[:80] or "unnamed"
