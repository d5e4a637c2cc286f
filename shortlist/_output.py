"""Results on stdout: one JSON object for machines, tables for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(result: dict[str, Any]) -> None:
    """Prints one JSON object. What JSON cannot say, a missed target's inf, becomes null."""
    print(json.dumps(_plain(result), indent=1, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a table; numbers are right-aligned, inf reads as a missed target."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [tuple(row) for row in rows]
    table = Table(header_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float)) or row[index] is None for row in rows)
        align = "right" if numeric and rows else "left"
        table.add_column(name, justify=align, overflow="fold", no_wrap=index == 0)
    columnwise = [_decimals(row[index] for row in rows) for index in range(len(columns))]
    for row in rows:
        cells = (_cell(value, decimals) for value, decimals in zip(row, columnwise, strict=True))
        table.add_row(*map(Text, cells))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=200)  # piped output is not cut to a terminal's width
    console.print(Text(title, style="bold"))
    console.print(table)
    console.print()


def _decimals(values: Iterable[object]) -> int:
    """Four decimals for fractions and metrics, none for columns of seconds or steps."""
    finite = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v)]
    return 0 if finite and max(finite) >= 1000 else 4


def _cell(value: object, decimals: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return "missed" if math.isinf(value) else f"{value:,.{decimals}f}"
    return str(value)


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
