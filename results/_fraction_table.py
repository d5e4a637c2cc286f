"""A table of fractions from somewhere else: columns point, workload, fraction, as CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from results._fractions import Fractions
from results._parquet import read_parquet
from workloads.data import reading

COLUMNS = ("point", "workload", "fraction")
SUFFIXES = (".csv", ".parquet")
# Tables of lists and reports have a column per workload beside these.
TAKEN = {
    "adds", "contender", "cost", "highest", "lowest", "order", "penalty", "point", "points", "reaches", "repeat",
    "row", "series", "submission", "trained", "trials", "workload",
}  # fmt: skip


def read_fraction_table(path: Path) -> Fractions:
    """Reads the share of the budget at which each point first reaches each target.

    One row per point and workload; a missed target is written as inf, one that held before training as the share of
    one step. Points and workloads keep the order
    of their first rows, which is the order that decides ties. Other columns are ignored.

    Args:
      path: a .csv or .parquet file with the columns `point`, `workload`, `fraction`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another format, a damaged file, a missing column, no rows, a name that is missing, a
        fraction that is missing, NaN, not a number or not positive, a pair given twice or not at all.
    """
    path = Path(path)
    reading.check_file(path, f"no such file; give a table with the columns {', '.join(COLUMNS)}")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: a table of fractions ends in {' or '.join(SUFFIXES)}")
    table = _read(path)
    if missing := [name for name in COLUMNS if name not in table.columns]:
        shown = ", ".join(table.columns[:8])
        raise ValueError(f"{path}: no column {', '.join(missing)}; it has {shown}")
    if not len(table):
        raise ValueError(f"{path}: no rows; one is needed per point and workload")
    for name in COLUMNS:
        dtype = table.schema[name]
        if not (dtype.is_numeric() or dtype in (pl.String, pl.Categorical, pl.Enum)):
            raise ValueError(f"{path}: column {name} has type {dtype}; must be text or numbers")
    # Row 2 is the first below the header of a CSV file; a Parquet row counts from 1.
    names = table.select(pl.col("point", "workload").cast(pl.String, strict=False))
    names = names.with_row_index("row", offset=2 if path.suffix == ".csv" else 1)
    rows = names.with_columns(text=table["fraction"].cast(pl.String, strict=False))
    rows = rows.with_columns(fraction=table["fraction"].cast(pl.Float64, strict=False))
    _check(rows, path)
    points = rows["point"].unique(maintain_order=True).to_list()
    workloads = rows["workload"].unique(maintain_order=True).to_list()
    values = np.full((len(points), len(workloads)), np.nan)
    place_of_point = {name: p for p, name in enumerate(points)}
    place_of_workload = {name: w for w, name in enumerate(workloads)}
    for _, point, workload, _, fraction in rows.iter_rows():
        values[place_of_point[point], place_of_workload[workload]] = fraction
    if np.isnan(values).any():
        p, w = np.argwhere(np.isnan(values))[0]
        raise ValueError(
            f"{path}: no row for point {points[p]!r} on workload {workloads[w]!r} "
            f"({np.isnan(values).sum()} pairs are missing); a missed target is written as inf"
        )
    return Fractions(tuple(points), tuple(workloads), values)


def _read(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return read_parquet(path)
    content = reading.read_text(path).encode()
    try:
        return pl.read_csv(content, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise ValueError(f"{path}: not a readable {path.suffix[1:]} table: {reason}") from error


def _check(rows: pl.DataFrame, path: Path) -> None:
    for name in rows["workload"].drop_nulls().unique(maintain_order=True):
        if name in TAKEN or not name.strip() or name == "*" or (name.startswith("^") and name.endswith("$")):
            why = (
                "a column of lists and reports is called so"
                if name in TAKEN
                else "it reads as a pattern, or blank"
            )
            raise ValueError(f"{path}: a workload is named {name!r}; {why}, so give it another name")
    fraction = pl.col("fraction")
    problems = (
        (pl.col("point").is_null() | pl.col("workload").is_null(), "point and workload must both be given"),
        (fraction.is_null() | fraction.is_nan(), "must be a number; a missed target is written as inf"),
        (
            fraction <= 0,
            "must be positive: the share of the budget spent at the first hit; a target that held before training "
            "counts as reached with the first step",
        ),
        (
            fraction.is_infinite() & ~pl.col("text").str.to_lowercase().str.contains("inf", literal=True),
            "is beyond what a number can hold; a missed target is written as inf",
        ),
        (pl.struct("point", "workload").is_duplicated(), "this point has another row for this workload"),
    )
    for condition, what in problems:
        wrong = rows.filter(condition)
        if len(wrong):
            row, point, workload, text, _ = wrong.row(0)
            count = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
            raise ValueError(
                f"{path}: row {row}: fraction of point {point} on workload {workload} is {text}; "
                f"{what}{count}"
            )
