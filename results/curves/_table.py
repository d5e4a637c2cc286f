"""Curves as a Parquet table: one row per task, optimizer and replica.

| column | type | meaning |
|---|---|---|
| task | string | such as mlp_family_seed12 |
| set | string | the optimizers it belongs to, such as adam8p_wide_grid_1k |
| optimizer | string | name of the point, such as adam8p_wide_grid_seed0 |
| replica | int | 0, 1, ... |
| step | list of int | steps evaluated |
| train, valid_inner, valid_outer, test | list of float32 | losses at those steps; null where a split was not kept |
| hyperparameters | string | JSON object; null where not known |
| update_rule | string | what the hyperparameters are for; null where not known |
| provenance | string | where the curve comes from |
| parameters | int | of the task's model; null where not known |
| seconds | float | that training took, its share of a cohort with all compiling; null where not known |

An archive becomes a table and comes back to the last bit, NaN included.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from results._parquet import fits, read_parquet
from results.curves._archives import SPLITS, CurveArchive
from submissions.points import Point
from submissions.taskset_grids import GRIDS, grid_point
from workloads.data import reading
from workloads.data.files import write_atomically

SCHEMA: dict[str, pl.DataType] = {
    "task": pl.String(),
    "set": pl.String(),
    "optimizer": pl.String(),
    "replica": pl.Int32(),
    "step": pl.List(pl.Int64),
    **{split: pl.List(pl.Float32) for split in SPLITS},
    "hyperparameters": pl.String(),
    "update_rule": pl.String(),
    "provenance": pl.String(),
    "parameters": pl.Int64(),
    "seconds": pl.Float64(),
}
REQUIRED = ("task", "set", "optimizer", "replica", "step", *SPLITS)


def archives_to_table(
    archives: Iterable[CurveArchive],
    provenance: str,
    hyperparameters: Mapping[str, Mapping[str, float]] | None = None,
) -> pl.DataFrame:
    """The curves of archives as a table.

    Args:
      archives: any number, of any tasks and sets.
      provenance: where they come from, in a sentence.
      hyperparameters: optimizer -> its hyperparameters; None asks TaskSet's own samplers, whose names they bear.

    Returns:
      A table with the columns of `SCHEMA`, in the order of the archives.
    """
    parts = []
    for archive in archives:
        points, replicas, steps, _ = archive.ys.shape
        known = [_hyperparameters(name, hyperparameters) for name in archive.optimizers]
        rules = [known_rule(name) for name in archive.optimizers]
        rows = points * replicas
        part: dict[str, object] = {
            "task": [archive.task] * rows,
            "set": [archive.optimizer_set] * rows,
            "optimizer": np.repeat(archive.optimizers, replicas).tolist(),
            "replica": np.tile(np.arange(replicas), points),
            "step": pl.Series([archive.xs.tolist()] * rows, dtype=pl.List(pl.Int64)),
            "hyperparameters": [text for text in known for _ in range(replicas)],
            "update_rule": [rule for rule in rules for _ in range(replicas)],
            "provenance": [provenance] * rows,
            "parameters": [None] * rows,
            "seconds": [None] * rows,
        }
        for split in SPLITS:
            if archive.has(split):
                curves = np.ascontiguousarray(archive.losses(split)).reshape(rows, steps)
                part[split] = pl.Series(curves, dtype=pl.Array(pl.Float32, steps)).cast(pl.List(pl.Float32))
            else:
                part[split] = [None] * rows
        parts.append(pl.DataFrame({name: part[name] for name in SCHEMA}, schema=SCHEMA))
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def table_to_archives(table: pl.DataFrame) -> tuple[CurveArchive, ...]:
    """The archives of a table: one per task and set, in order of appearance.

    Raises:
      ValueError: columns missing, curves of one task and set of different steps, a point without all replicas.
    """
    check_table(table)
    archives = []
    for (task, optimizer_set), rows in table.group_by("task", "set", maintain_order=True):
        where = f"task {task}, set {optimizer_set}"
        optimizers = tuple(rows["optimizer"].unique(maintain_order=True))
        replicas = int(rows["replica"].max()) + 1  # type: ignore[arg-type]
        place = {name: i for i, name in enumerate(optimizers)}
        rows = rows.with_columns(row=pl.col("optimizer").replace_strict(place, return_dtype=pl.Int64))
        rows = rows.sort("row", "replica")
        expected = np.tile(np.arange(replicas), len(optimizers))
        if rows.height != expected.size or (rows["replica"].to_numpy() != expected).any():
            raise ValueError(
                f"{where}: {rows.height} rows for {len(optimizers)} optimizers of {replicas} replicas; each must "
                "have every replica once"
            )
        xs = rows["step"][0].to_numpy()
        if rows["step"].n_unique() != 1:
            raise ValueError(f"{where}: curves were evaluated at different steps; one archive needs the same")
        ys = np.full((len(optimizers), replicas, len(xs), len(SPLITS)), np.nan, np.float32)
        for k, split in enumerate(SPLITS):
            _fill(ys[..., k], rows[split], where)
        archives.append(CurveArchive(task, optimizer_set, optimizers, xs.astype(np.int64), ys))  # type: ignore[arg-type]
    return tuple(archives)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a table as Parquet, whole or not at all."""
    buffer = io.BytesIO()
    check_table(table).write_parquet(buffer, compression="zstd", compression_level=12)
    write_atomically(path, buffer.getvalue())


def read_table(path: Path) -> pl.DataFrame:
    """Reads a table of curves.

    Raises:
      FileNotFoundError: no such file.
      ValueError: no Parquet, or a column is missing or of another type; the message begins with the path.
    """
    table = read_parquet(path)
    try:
        return check_table(table)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_table(table: pl.DataFrame) -> pl.DataFrame:
    """The table with exactly the columns of `SCHEMA`: optional ones that are absent become null.

    Raises:
      ValueError: a column is missing, unknown or of a type that cannot hold the same values; nulls where there may be
        none.
    """
    for name in table.columns:
        if name not in SCHEMA:
            raise ValueError(f"unknown column {name!r} (allowed: {', '.join(SCHEMA)})")
    for name in REQUIRED:
        if name not in table.columns:
            raise ValueError(f"no column {name!r}; a table of curves needs {', '.join(REQUIRED)}")
    for name in ("task", "set", "optimizer", "replica", "step"):
        if table[name].null_count():
            raise ValueError(f"column {name!r} has {table[name].null_count()} nulls; must have none")
    if table.is_empty():
        raise ValueError("the table has no rows")
    for name in table.columns:
        if not fits(table.schema[name], SCHEMA[name]):
            raise ValueError(f"column {name!r} has the type {table.schema[name]}; must be {SCHEMA[name]}")
    absent = {name: pl.lit(None, SCHEMA[name]) for name in SCHEMA if name not in table.columns}
    try:
        table = table.with_columns(**absent).select(list(SCHEMA)).cast(SCHEMA)  # type: ignore[arg-type]
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"a column has the wrong type: {str(error).splitlines()[0]}") from None
    _check_facts(table)
    return table


def _check_facts(table: pl.DataFrame) -> None:
    """Raises ValueError for what no training can have, in the columns beside the curves."""
    for name in ("parameters", "seconds"):
        wrong = table.filter(~(pl.col(name).is_finite() & (pl.col(name) >= 0)))[name]
        if len(wrong):
            raise ValueError(f"column {name!r} has {wrong[0]:g}; must be 0 or more, or null where not known")
    for text in table["hyperparameters"].drop_nulls().unique(maintain_order=True):
        try:
            Point("of a row", reading.parse_json(text.encode(), "column 'hyperparameters'"))
        except ValueError as error:
            said = str(error).removeprefix("point of a row: ").removeprefix("column 'hyperparameters': ")
            raise ValueError(
                f"column 'hyperparameters' has {text[:60]!r}: {said}; must be a JSON object of numbers"
            ) from None


def hyperparameters_of(table: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Optimizer -> its hyperparameters, for those of which they are known."""
    known = table.select("optimizer", "hyperparameters").drop_nulls().unique(maintain_order=True)
    return {name: json.loads(text) for name, text in known.iter_rows()}


@functools.cache
def known_hyperparameters(optimizer: str) -> str | None:
    """The hyperparameters, as JSON, of an optimizer that TaskSet's samplers know by name; else None.

    Example:
      >>> known_hyperparameters("adam_lr_-3.00"), known_hyperparameters("17")
      ('{"learning_rate": 0.001}', None)
    """
    try:
        return json.dumps({name: float(value) for name, value in grid_point(optimizer).items()})
    except ValueError:
        return None


def known_rule(optimizer: str) -> str | None:
    """The update rule of an optimizer that TaskSet's samplers know by name; else None.

    Example:
      >>> known_rule("nadamw_grid_seed3"), known_rule("adam_lr_-3.00")
      ('nadamw_metz_code', 'adam1p')
    """
    if known_hyperparameters(optimizer) is None:
        return None
    sampled = optimizer.rpartition("_seed")[0]
    return next(grid.optimizer for name, grid in GRIDS.items() if name == sampled or optimizer in grid.fixed)


def _hyperparameters(name: str, given: Mapping[str, Mapping[str, float]] | None) -> str | None:
    if given is None:
        return known_hyperparameters(name)
    return json.dumps(dict(given[name])) if name in given else None


def _fill(out: np.ndarray, column: pl.Series, where: str) -> None:
    """Writes curves into [point, replica, step]; null curves stay NaN."""
    present = column.is_not_null().to_numpy()
    curves = column.drop_nulls()
    if not len(curves):
        return
    if (curves.list.len() != out.shape[-1]).any():
        raise ValueError(
            f"{where}: a curve of {column.name} has not one loss for each of {out.shape[-1]} steps"
        )
    values = curves.explode().cast(pl.Float32).fill_null(float("nan")).to_numpy()
    flat = out.reshape(-1, out.shape[-1])
    flat[present] = values.reshape(-1, out.shape[-1])
    out[...] = flat.reshape(out.shape)
