"""Tables as Markdown, safe for names that hold Markdown or HTML of their own."""

from __future__ import annotations

import re

from reports.page._cells import Cell, cells, header
from reports.page._report import Table
from workloads.shown import plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~$&])")


def markdown_table(table: Table) -> str:
    """A table in GitHub's Markdown, its caption below; the best values bold, lead rows as they come.

    Example:
      >>> import polars as pl
      >>> print(markdown_table(Table("t", pl.DataFrame({"point": ["4"], "C_2": [0.92657]}), "Costs.")))
      | point | C\\_2 |
      | :-- | --: |
      | 4 | 0.9266 |
      <BLANKLINE>
      Costs.
      <BLANKLINE>
    """
    rows = cells(table)
    heads = [
        f"{_escape(title)} ({_escape(note)})" if note else _escape(title) for title, note in header(table)
    ]
    numeric = [all(row[i].numeric for row in rows) and bool(rows) for i in range(len(heads))]
    lines = [_line(heads), _line(["--:" if right else ":--" for right in numeric])]
    for row in rows:
        lines.append(_line([_cell(cell) for cell in row]))
    hidden = table.data.height - len(rows)
    if hidden:
        lines += ["", f"… and {hidden:,} more rows in {table.name}.csv"]
    return "\n".join([*lines, "", _escape(table.caption), ""])


def _cell(cell: Cell) -> str:
    text = f"**{_escape(cell.text)}**" if cell.best else _escape(cell.text)
    return f"{text} ({_escape(cell.spread)})" if cell.spread else text


def _line(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: a line break would end the row, and the table with it."""
    return _SPECIAL.sub(r"\\\1", plain(text))
