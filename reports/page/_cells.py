"""What a table shows in each cell: one rule for the page and for Markdown."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import polars as pl

from reports._words import duration, number
from reports.page._report import LATE, Column, Table
from workloads.shown import plain

MISSED = "missed"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
      text: as shown.
      show: how, see `Column.show`.
      best: the best of its column.
      tint: 0 (none) to 1, how dark.
      spread: least and greatest of what the value is the median of, as shown; empty if there is none.
    """

    text: str
    show: str
    best: bool = False
    tint: float = 0.0
    spread: str = ""

    @property
    def numeric(self) -> bool:
        """Whether the cell is set flush right."""
        return self.show in ("number", "fraction", "share", "score", "integer", "seconds", "duration")


def header(table: Table) -> list[tuple[str, str]]:
    """Title and note of every column."""
    columns = [(name, table.columns.get(name, Column())) for name in shown_columns(table)]
    return [
        (plain(column.title if column.title is not None else name), column.note or "")
        for name, column in columns
    ]


def shown_columns(table: Table) -> list[str]:
    """Names of the columns that stand by themselves: a spread is shown with what it is the spread of."""
    spreads = [c.spread for name, c in table.columns.items() if c.spread and name in table.data.columns]
    within = {name for spread in spreads for name in spread}
    within |= {name for name, column in table.columns.items() if column.hidden}
    return [name for name in table.data.columns if name not in within]


def cells(table: Table) -> list[list[Cell]]:
    """The rows of a table as shown, without those beyond `rows_shown`."""
    shown = table.data.head(table.rows_shown)
    by_column = []
    for name in shown_columns(table):
        column = table.columns.get(name, Column())
        values = shown[name].to_list()
        spreads = _spreads(shown, column)
        show = column.show or _show_of(shown.schema[name])
        compared = [value for row, value in enumerate(values) if row not in table.muted_rows]
        best = _best(compared, column.best)
        by_column.append(
            [
                Cell(
                    text=column.absent if value is None else show_value(value, show),
                    show=show,
                    best=best is not None and value == best and row not in table.muted_rows,
                    tint=_tint(value) if column.shade else 0.0,
                    spread=spreads[row],
                )
                for row, value in enumerate(values)
            ]
        )
    return [list(row) for row in zip(*by_column, strict=True)]


def show_value(value: Any, show: str) -> str:
    """A value in words.

    Example:
      >>> show_value(0.73889, "fraction"), show_value(float("inf"), "fraction")
      ('0.739', 'missed')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return plain(str(value))
    if math.isinf(value):
        return MISSED if show in ("fraction", "share", "seconds") else ("∞" if value > 0 else "−∞")
    if math.isnan(value):
        return "–"
    match show:
        case "fraction":
            return f"{value:.3f}"
        case "share":
            return f"{value:.3f}{LATE if value > 1.0 else ''}"
        case "score":
            return f"{value:.4f}"
        case "integer":
            return f"{value:,.0f}"
        case "seconds":
            return f"{value:,.0f}"
        case "duration":
            return duration(value)
        case "number":
            return number(value)
    return str(value)


def _spreads(shown: pl.DataFrame, column: Column) -> list[str]:
    """The spread of every cell of a column, in words; one without width says nothing."""
    if column.spread is None or not set(column.spread) <= set(shown.columns):
        return [""] * shown.height
    low, high = (shown[name].to_list() for name in column.spread)
    show = column.show or "number"
    return [
        "" if a is None or b is None or a == b else f"{show_value(a, show)}–{show_value(b, show)}"
        for a, b in zip(low, high, strict=True)
    ]


def _show_of(kind: pl.DataType) -> str:
    return "integer" if kind.is_integer() else "number" if kind.is_numeric() else "text"


def _best(values: list[Any], best: str | None) -> float | None:
    present = [value for value in values if value is not None and math.isfinite(value)] if best else []
    if len(values) < 2:  # the only row is not the best of anything
        return None
    return (min if best == "min" else max)(present) if present else None


def _tint(value: Any) -> float:
    """Darker for a smaller fraction; nothing for a missed target or no value."""
    if value is None or not math.isfinite(value):
        return 0.0
    return round(0.06 + 0.34 * (1.0 - min(max(value, 0.0), 1.0)), 3)
