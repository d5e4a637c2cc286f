"""A report as data: what it says, in which order; and the folder it becomes.

    out/index.html       one page, complete in itself
    out/tables/*.csv     every table in full precision; *.md as shown
    out/figures/*.svg    every figure; *.png
    out/report.json      marks the folder as a report and names its files

Builders (`study_report`, `logs_report`) make a `Report`; `write_report` renders it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKER = "report.json"
FORMAT = "shortlist-report/1"
_FILE_STEM = re.compile(r"[a-z0-9][a-z0-9_-]*")

Show = Literal["text", "code", "number", "fraction", "score", "integer", "seconds", "duration", "badge"]


@dataclasses.dataclass(frozen=True)
class Column:
    """How a table shows one column; the CSV keeps the values as they are.

    Attributes:
      title: header; None shows the column's name.
      note: second line of the header, such as a metric and its target.
      show: `fraction` writes 3 decimals and inf as "missed"; `score` 4 decimals; `number` 4 significant
        digits; `seconds` whole seconds; `duration` seconds in words; `code` an id or a command; `badge` data
        provenance. None follows the type.
      best: mark the least or the greatest value.
      shade: tint cells, the darker the smaller the fraction.
      absent: what stands for null.
    """

    title: str | None = None
    note: str | None = None
    show: Show | None = None
    best: Literal["min", "max"] | None = None
    shade: bool = False
    absent: str = "–"


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


@dataclasses.dataclass(frozen=True)
class Picture:
    """A figure with its caption and a text for those who cannot see it.

    Attributes:
      name: stem of its files.
      figure: as drawn for a page; saved as SVG and PNG.
      caption: one or two sentences.
      alt: what the figure shows, in words.
      narrow: the same figure drawn for a phone, if the wide one would be too small there.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    narrow: Figure | None = None


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

    Raises:
      ValueError: two tables or two figures of one name, or a name that is no file stem.
    """

    title: str
    finding: str
    detail: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    opening: Picture | None = None
    sections: tuple[Section, ...] = ()

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


def write_report(content: Report, out: Path, *, overwrite: bool = False) -> Path:
    """Writes a report as a folder, all of it or nothing.

    The folder is made beside its place and renamed. An existing folder is replaced only if a report wrote
    every file in it and `overwrite` is set; anything else is never touched.

    Args:
      content: what to write.
      out: folder to make; missing parents are made too.
      overwrite: replace an earlier report at the same place.

    Returns:
      The path of `index.html`.

    Raises:
      FileExistsError: something is at `out` that may not be replaced.
    """
    from reports.figures._drawing import as_png, as_svg
    from reports.page._markdown import markdown_table
    from reports.page._page import render_page

    out = Path(os.path.realpath(out))
    _check_free(out, overwrite)

    figures = {picture.name: as_svg(picture.figure) for picture in content.pictures}
    narrow = {picture.name: as_svg(picture.narrow) for picture in content.pictures if picture.narrow}
    files: dict[str, bytes] = {"index.html": render_page(content, figures, narrow).encode()}
    for table in content.tables:
        files[f"tables/{table.name}.csv"] = table.data.write_csv().encode()
        files[f"tables/{table.name}.md"] = markdown_table(table).encode()
    for picture in content.pictures:
        files[f"figures/{picture.name}.svg"] = figures[picture.name].encode()
        files[f"figures/{picture.name}.png"] = as_png(picture.figure)
    marker = {"format": FORMAT, "title": content.title, "finding": content.finding, "files": sorted(files)}
    files[MARKER] = json.dumps(marker, indent=1, ensure_ascii=False).encode() + b"\n"

    beside = out.with_name(f".{out.name}.{uuid.uuid4().hex}.tmp")
    try:
        for name, data in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        _put_in_place(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out / "index.html"


def _check_free(out: Path, overwrite: bool) -> None:
    """Raises FileExistsError unless `out` may be written."""
    if not out.exists():
        return
    if not out.is_dir():
        raise FileExistsError(f"{out}: is a file; a report is a folder, choose another path")
    present = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    if not present:
        return
    try:
        marker = json.loads((out / MARKER).read_text())
        ours = {*marker["files"], MARKER} if marker["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError):
        ours = None
    if ours is None:
        raise FileExistsError(f"{out}: not empty and not a report of this version; choose another folder")
    foreign = sorted(present - ours)
    if foreign:
        raise FileExistsError(
            f"{out}: holds {foreign[0]!r}, which no report wrote; move it or choose another folder"
        )
    if not overwrite:
        raise FileExistsError(
            f"{out}: holds an earlier report; overwrite it (--overwrite) or choose another folder"
        )


def _put_in_place(beside: Path, out: Path) -> None:
    """Renames a finished folder to its place; an earlier one steps aside first and comes back on failure."""
    aside = beside.with_suffix(".old")
    earlier = out.exists()
    if earlier:
        os.replace(out, aside)
    try:
        os.replace(beside, out)
    except OSError:
        if earlier:
            os.replace(aside, out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
