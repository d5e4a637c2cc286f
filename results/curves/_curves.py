"""Curves from any source, task by task."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from results import studies
from results._results import LeftOut
from results.curves._archives import (
    CurveArchive,
    archive_paths,
    holds_replica_means,
    read_archive,
    read_replica_means,
)
from results.curves._studies import curves_of_studies
from results.curves._table import archives_to_table, hyperparameters_of, read_table, table_to_archives


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """Curves from any source, task by task.

    Attributes:
      tasks: names.
      read: task -> its archives, one per set of optimizers; reads files only then.
      points: columns set, optimizer, hyperparameters (JSON), update_rule; the last two null where not known.
      facts: columns task, parameters, seconds (per training), provenance; one row per task.
      source: where they were read from.
      left_out: what of the source has no curves here, and why.
    """

    tasks: tuple[str, ...]
    read: Callable[[str], tuple[CurveArchive, ...]]
    points: pl.DataFrame
    facts: pl.DataFrame
    source: str
    left_out: tuple[LeftOut, ...] = ()

    @property
    def hyperparameters(self) -> dict[str, dict[str, float]]:
        """Optimizer -> its hyperparameters, where they are known."""
        return hyperparameters_of(self.points)

    def __iter__(self) -> Iterator[CurveArchive]:
        """All archives, task by task."""
        for task in self.tasks:
            yield from self.read(task)


def read_curves(path: str | os.PathLike[str], parameters: Mapping[str, int] | None = None) -> Curves:
    """Curves from a table (.parquet), a folder of released archives, a file of replica means (.npz), or studies.

    A folder with one such file stands for it.

    Args:
      path: where they are.
      parameters: task or workload -> number of parameters; what the source itself says comes first.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: nothing of these kinds, or a damaged file.
    """
    path = Path(path)
    if path.suffix == ".npz" and path.is_file():
        archives = read_replica_means(path) if holds_replica_means(path) else (read_archive(path),)
        return _in_memory(archives_to_table(archives, f"read from {path.name}"), archives, path, parameters)
    if path.is_file():
        table = read_table(path)
        return _in_memory(table, table_to_archives(table), path, parameters)
    if studies.find_studies(path):
        table, left_out = curves_of_studies(path, parameters)
        curves = _in_memory(table, table_to_archives(table), path, parameters)
        return dataclasses.replace(curves, left_out=left_out)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    files = archive_paths(path)
    if not files and path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.suffix in (".parquet", ".npz"))
        if len(inside) == 1:
            return read_curves(inside[0], parameters)
        if inside:
            names = ", ".join(file.name for file in inside)
            raise ValueError(f"{path}: holds {len(inside)} files of curves; give one of them ({names})")
    if not files:
        raise FileNotFoundError(
            f"{path}: no curves here; give a table (.parquet), a folder with <task>/<set>_<steps>_replica<n>.npz, "
            "or a study"
        )
    one_of_each = {found.name: read_archive(found) for paths in files.values() for found in paths[:1]}
    firsts = (dataclasses.replace(archive, ys=archive.ys[:, :1]) for archive in one_of_each.values())
    provenance = f"released files in {path.name}"
    facts = pl.DataFrame(
        {"task": list(files), "parameters": None, "seconds": None, "provenance": provenance}, schema=_FACTS
    )
    return Curves(
        tuple(files),
        lambda task: tuple(read_archive(found, task) for found in files[task]),
        _points(archives_to_table(firsts, provenance)),
        with_parameters(facts, parameters),
        str(path),
    )


_FACTS = {"task": pl.String, "parameters": pl.Int64, "seconds": pl.Float64, "provenance": pl.String}


def _in_memory(
    table: pl.DataFrame, archives: Sequence[CurveArchive], path: Path, parameters: Mapping[str, int] | None
) -> Curves:
    by_task: dict[str, list[CurveArchive]] = {}
    for archive in archives:
        by_task.setdefault(archive.task, []).append(archive)
    facts = table.group_by("task", maintain_order=True).agg(
        pl.col("parameters").drop_nulls().first(),
        pl.col("seconds").mean(),
        pl.col("provenance").drop_nulls().first(),
    )
    return Curves(
        tuple(by_task),
        lambda task: tuple(by_task[task]),
        _points(table),
        with_parameters(facts, parameters),
        str(path),
    )


def _points(table: pl.DataFrame) -> pl.DataFrame:
    kept = ("set", "optimizer", "hyperparameters", "update_rule")
    return table.select(kept).unique(["set", "optimizer"], keep="first", maintain_order=True)


def with_parameters(facts: pl.DataFrame, parameters: Mapping[str, int] | None) -> pl.DataFrame:
    """A table with the columns task and parameters, with numbers that the source does not say filled in."""
    known = {name.removeprefix("taskset/"): count for name, count in (parameters or {}).items()}
    if not known:
        return facts
    given = pl.col("task").replace_strict(known, default=None, return_dtype=pl.Int64)
    return facts.with_columns(parameters=pl.coalesce("parameters", given))
