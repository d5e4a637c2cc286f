"""Results on stdout: one JSON object for machines, tables for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from workloads.shown import plain

if TYPE_CHECKING:
    from results import LeftOut

SHOWN = 5  # of what was left out; all of it is in the JSON and in the report


def echo(text: str) -> None:
    """Prints a line on stdout, whatever names it holds."""
    typer.echo(plain(text))


def echo_left_out(items: Sequence[LeftOut]) -> None:
    """Prints a line on what a source holds that was not used, and why; at most `SHOWN` of them."""
    for item in items[:SHOWN]:
        echo(f"left out: {item.path}: {item.reason}")
    if len(items) > SHOWN:
        echo(f"left out: {len(items) - SHOWN} more; --json lists all")


def print_json(result: dict[str, Any]) -> None:
    """Prints one JSON object. What JSON cannot say, a missed target's inf, becomes null."""
    print(json.dumps(_plain(result), indent=1, allow_nan=False))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    marks: Mapping[tuple[int, str], str] | None = None,
) -> None:
    """Prints a table; numbers are right-aligned, inf reads as a missed target.

    Args:
      title: above it.
      columns: names.
      rows: values, as many as there are columns.
      marks: (row, column) -> sign to set behind the cell, to be explained below the table.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    marks = marks or {}
    table = Table(header_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float)) or row[index] is None for row in rows)
        align = "right" if numeric and rows else "left"
        # As text: a heading may be a name, whose brackets are not markup.
        table.add_column(Text(plain(name)), justify=align, overflow="fold", no_wrap=index == 0)
    columnwise = [_decimals(row[index] for row in rows) for index in range(len(columns))]
    # Where any cell of a column is marked, the others leave room, so that digits stand below each other.
    room = {name: max(map(len, of_column)) for name in columns if (of_column := _of_column(marks, name))}
    for number, row in enumerate(rows):
        cells = (
            _cell(value, decimals) + marks.get((number, name), "").ljust(room.get(name, 0))
            for value, decimals, name in zip(row, columnwise, columns, strict=True)
        )
        table.add_row(*map(Text, cells))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)  # piped output is not cut to a terminal's width
    console.print(Text(plain(title), style="bold"))
    console.print(table)
    console.print()


def _of_column(marks: Mapping[tuple[int, str], str], name: str) -> list[str]:
    return [mark for (_, column), mark in marks.items() if column == name]


def _decimals(values: Iterable[object]) -> int:
    """Four decimals for fractions and metrics, none for columns of seconds or steps."""
    finite = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v)]
    return 0 if finite and max(finite) >= 1000 else 4


def _cell(value: object, decimals: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "missed" if math.isinf(value) else f"{value:,.{decimals}f}"
    return plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
