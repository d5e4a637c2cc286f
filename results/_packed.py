"""All trials of a source as one Parquet file, to keep or to hand on: whatever reads the source reads the file.

A row is a trial: the columns of `Results.trials`, and its evaluations as lists. What else the source says (who was
asked for what, what was left out) is in the file's seal, by which every later change of the file is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from results._parquet import checked, read_parquet
from results._results import EVAL_COLUMNS, NULLABLE, TRIAL_COLUMNS, LeftOut, Results
from results._seal import ACCOUNT, sealed, unsealed
from workloads.data import reading
from workloads.data.files import write_atomically

KEY = "results"  # in the account
FORMAT = 1
_CURVES = tuple(name for name in EVAL_COLUMNS if name != "trial_id")


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a source says beside its tables."""

    format: int
    kind: str
    about: dict[str, Any]
    left_out: list[LeftOut]
    warnings: list[str]


def write_packed(results: Results, path: Path, overwrite: bool = False) -> None:
    """Writes results as one file, whole or not at all.

    Args:
      results: of any source.
      path: must end in .parquet.
      overwrite: replace a file that is there.

    Raises:
      FileExistsError: the file is there and overwrite is off.
      ValueError: the path ends in something else.
    """
    if path.suffix != ".parquet":
        raise ValueError(f"{path}: results are packed as Parquet; give a name that ends in .parquet")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path}: is there already; choose another name, or remove it")
    curves = results.evals.group_by("trial_id", maintain_order=True).agg(*_CURVES)
    table = results.trials.join(curves, on="trial_id", how="left", maintain_order="left")
    said = _Said(FORMAT, results.kind, dict(results.about), list(results.left_out), list(results.warnings))
    # The same bytes for the same results: sets have no order of their own.
    account = msgspec.to_builtins(said, enc_hook=_plain, order="deterministic")
    write_atomically(path, sealed(table, {KEY: account}, compression="zstd", compression_level=19))


def is_packed(path: Path) -> bool:
    """Whether a file is one of `write_packed`; False too for what is no Parquet at all."""
    try:
        return path.suffix == ".parquet" and f'"{KEY}": ' in pl.read_parquet_metadata(path).get(ACCOUNT, "")
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return False


def read_packed(path: Path) -> Results:
    """Reads what `write_packed` wrote.

    Raises:
      FileNotFoundError: no such file.
      ValueError: changed since it was written, of another format, or another kind of file; the message begins with the
        path.
    """
    reading.check_file(path, "no such file")
    try:
        account = unsealed(path.read_bytes())
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"{path}: {error}; pack its source again") from None
    if account is None or KEY not in account:
        raise ValueError(f"{path}: not packed results; shortlist pack SOURCE --out FILE makes them")
    try:
        said = msgspec.convert(account[KEY], _Said)
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: what the file says of itself cannot be read: {error}") from None
    if said.format != FORMAT:
        raise ValueError(f"{path}: packed in format {said.format}; this version reads format {FORMAT}")
    columns = {**TRIAL_COLUMNS, **{name: pl.List(EVAL_COLUMNS[name]) for name in _CURVES}}
    table = checked(read_parquet(path), columns, path, frozenset({*NULLABLE, *_CURVES}))
    for one in said.about.get("studies", {}).values():
        if "workloads" in one:
            one["workloads"] = set(one["workloads"])
    evals = table.filter(pl.col(_CURVES[0]).list.len() > 0).select("trial_id", *_CURVES).explode(*_CURVES)
    return Results(
        trials=table.drop(*_CURVES), evals=evals, left_out=tuple(said.left_out), source=str(path),
        kind=said.kind, about=said.about, warnings=tuple(said.warnings),  # type: ignore[arg-type]
    )  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    # As msgspec asks of such a hook.
    raise NotImplementedError(f"{type(value).__name__} in what results say of themselves")
