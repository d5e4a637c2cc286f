"""Tables as CSV that a spreadsheet shows and does not run."""

from __future__ import annotations

import re

import polars as pl

# What makes a spreadsheet take a cell for a formula, in any width of letter; after blanks too, which some drop.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv_bytes(table: pl.DataFrame) -> bytes:
    """A table as CSV in UTF-8: numbers in full precision, text that a spreadsheet would run with a ' before it.

    Names in results come from logs, and logs come from anywhere. Text that is a number, such as -1, stays as it is.

    Example:
      >>> csv_bytes(pl.DataFrame({"name": ["=1+1", "-1", "plain"], "score": [-0.5, 1.0, None]})).decode().split()
      ['name,score', "'=1+1,-0.5", '-1,1.0', 'plain,']
    """
    # Series by series, since a column's name may look like a pattern of names.
    columns = {_quoted(name): _safe(table[name]) for name in table.columns}
    if len(columns) < table.width:
        raise ValueError(f"columns {table.columns}: two would have the same name in CSV")
    return pl.DataFrame(columns).write_csv().encode()


def _safe(column: pl.Series) -> pl.Series:
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return column
    return pl.Series([None if text is None else _quoted(text) for text in column], dtype=pl.String)


def _quoted(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
