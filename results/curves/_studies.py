"""Curves of our own studies, as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl

from results import studies
from results._read_studies import unchecked
from results._results import LeftOut
from results.curves._table import SCHEMA, check_table
from submissions.taskset_grids import GRIDS
from workloads.data import reading

METRIC = "loss"
# Role of a trial's columns -> split of the released curves.
SPLIT_OF_ROLE = {
    "train": "train",
    "inner_validation": "valid_inner",
    "validation": "valid_outer",
    "test": "test",
}


def curves_of_studies(
    path: Path, parameters: Mapping[str, int] | None = None
) -> tuple[pl.DataFrame, tuple[LeftOut, ...]]:
    """The curves of a study, or of every study in a folder.

    A workload taskset/mlp_family_seed12 becomes the task mlp_family_seed12, a point an optimizer, a repeat a replica.
    Points that are named as in TaskSet, such as nadamw_grid_seed3, belong to the set nadamw_grid; others to a set with
    the name of their study. Losses are rounded to float32, as in released curves; what a diverged trial did not
    reach is NaN.

    Args:
      path: the study, or a folder of studies.
      parameters: workload or task -> number of parameters of its model, where it is known.

    Returns:
      A table with the columns of `SCHEMA`, and what was left out: workloads that are not judged by a loss, or whose
      trials are not all run yet, since curves of other points cannot stand in for those that are missing; and what
      was read without a checksum.

    Raises:
      FileNotFoundError: no study there.
      ValueError: no workload has all of its curves.
    """
    folders = studies.find_studies(path)
    if not folders:
        raise FileNotFoundError(f"{path}: no study here (no study.json)")
    parts, left_out = [], []
    for folder in folders:
        spec = studies.read_spec(folder)
        trials, unsealed = studies.read_checked(folder)
        left_out += unchecked(folder, trials, unsealed)
        for workload in spec.workloads:
            rows = trials.filter(pl.col("workload") == workload) if len(trials) else trials
            asked = len((spec.points or {}).get(workload, ())) * spec.repeats
            reason = _unusable(rows, asked)
            if reason:
                left_out.append(LeftOut(f"{folder}: {workload}", reason))
                continue
            task = workload.removeprefix("taskset/")
            size = (parameters or {}).get(workload, (parameters or {}).get(task))
            parts.append(_curves(rows, spec.name, task, size))
    if not parts:
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in left_out[:3])
        raise ValueError(f"{path}: no workload has all of its curves ({reasons})")
    return check_table(pl.concat(parts)), tuple(left_out)


def read_parameters(path: Path) -> dict[str, int]:
    """Workload -> number of parameters, from what `shortlist workloads --json` printed.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not that JSON.
    """
    data = reading.read_json(path, f"no such file; 'shortlist workloads --json > {path}' makes it")
    try:
        facts = msgspec.convert(data, _Facts).workloads
    except msgspec.ValidationError as error:
        raise ValueError(f"{path}: is not what 'shortlist workloads --json' prints: {error}") from None
    return {fact.name: fact.parameters for fact in facts if fact.parameters is not None}


class _Fact(msgspec.Struct):
    name: str
    parameters: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None


class _Facts(msgspec.Struct):
    workloads: list[_Fact]


def _unusable(rows: pl.DataFrame, asked: int) -> str | None:
    """Why the trials of a workload make no set of curves; None if they do."""
    if not len(rows):
        return "no trials yet"
    if f"validation/{METRIC}" not in rows.columns or rows[f"validation/{METRIC}"].null_count():
        return f"has no validation/{METRIC}"
    if asked and len(rows) < asked:
        return f"{asked - len(rows)} of {asked} trials are not run yet"
    if rows["global_step"].n_unique() > 1:
        return "its trials were evaluated at different steps, or some were stopped early"
    if rows[f"validation/{METRIC}"].list.first().null_count() == len(rows):
        return "no trial has a finite loss at its first evaluation, so there is nothing to normalise by"
    return None


def _curves(rows: pl.DataFrame, study: str, task: str, parameters: int | None) -> pl.DataFrame:
    """The rows of one workload with the columns of `SCHEMA`."""
    grids = {_grid(point) for point in rows["point"]}
    optimizer_set = grids.pop() if len(grids) == 1 else None
    losses = {
        split: pl.col(f"{role}/{METRIC}").list.eval(pl.element().cast(pl.Float32).fill_null(float("nan")))
        if f"{role}/{METRIC}" in rows.columns
        else pl.lit(None, pl.List(pl.Float32))
        for role, split in SPLIT_OF_ROLE.items()
    }
    return rows.select(
        task=pl.lit(task),
        set=pl.lit(optimizer_set or study),
        optimizer="point",
        replica=pl.col("repeat").cast(pl.Int32),
        step=pl.col("global_step").cast(pl.List(pl.Int64)),
        **losses,
        hyperparameters="hyperparameters",
        update_rule="optimizer",
        provenance=pl.format("study {}, trained here; data: {}", pl.lit(study), pl.col("data")),
        parameters=pl.lit(parameters, pl.Int64),
        seconds=pl.col("cohort_seconds").cast(pl.Float64) / pl.len().over("cohort"),
    ).select(list(SCHEMA))


def _grid(point: str) -> str | None:
    """The set of TaskSet that a point is named after, if any."""
    sampled = re.fullmatch(r"(.+)_seed\d+", point)
    return next((g for g, row in GRIDS.items() if (sampled and sampled[1] == g) or point in row.fixed), None)
