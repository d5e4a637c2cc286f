"""The one way to read a Parquet file, and the one check of its columns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from workloads.data import reading


def read_parquet(path: Path, absent: str = "no such file") -> pl.DataFrame:
    """A table.

    Args:
      path: of the file; glob characters in it are only characters.
      absent: said of a path where nothing is.

    Raises:
      FileNotFoundError: no such file.
      ValueError: it is none, or no Parquet, or damaged; the message begins with the path.
    """
    reading.check_file(path, absent)
    try:
        # The whole path, without patterns: Polars would expand a tilde and brackets.
        return pl.read_parquet(os.path.abspath(path), glob=False)
    except (pl.exceptions.PolarsError, OSError, ValueError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: not a readable parquet table: {reason}") from None


def checked(
    table: pl.DataFrame, columns: Mapping[str, Any], path: Path | str, nullable: frozenset[str] = frozenset()
) -> pl.DataFrame:
    """The table with these columns in the types that they must have; others stay as they are.

    A type fits that holds the same values: whole numbers of another width, numbers for floats, and a column without
    values for one that may have nulls.

    Args:
      table: as it was read.
      columns: name -> type.
      path: begins every error message.
      nullable: columns that may have nulls.

    Raises:
      ValueError: a column is missing, of another type, or has nulls; the message says what was found and expected.
    """
    if missing := [name for name in columns if name not in table.columns]:
        there = ", ".join(table.columns[:12]) or "no columns"
        more = ", …" if len(table.columns) > 12 else ""
        wanted = ", ".join(f"{name} ({_named(columns[name])})" for name in missing[:3])
        raise ValueError(f"{path}: no column {wanted}; it has {there}{more}")
    for name, dtype in columns.items():
        found, wanted = table.schema[name], _instance(dtype)
        if not fits(found, wanted):
            raise ValueError(f"{path}: column {name} has the type {found}; must be {_named(wanted)}")
        if name not in nullable and (nulls := table[name].null_count()):
            raise ValueError(f"{path}: column {name} has {nulls} nulls; every row needs a value")
    try:
        return table.with_columns(pl.col(name).cast(dtype) for name, dtype in columns.items())
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None


def fits(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a column of one type holds values of another."""
    if found in (wanted, pl.Null):
        return True
    if isinstance(wanted, pl.List):
        return isinstance(found, pl.List) and fits(_instance(found.inner), _instance(wanted.inner))
    if wanted.is_integer():
        return found.is_integer()
    return wanted.is_float() and (found.is_integer() or found.is_float())


def _instance(dtype: Any) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


def _named(dtype: Any) -> str:
    return str(_instance(dtype))
