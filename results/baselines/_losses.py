"""Training losses of whatever holds some, as a row per trial."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from results import studies
from results._packed import is_packed
from results._pool import choose_benchmark, choose_ruleset
from results._read_studies import unchecked
from results._results import LeftOut, Results
from results._sources import read_source
from results.curves._archives import archive_paths
from results.curves._curves import Curves, read_curves
from results.curves._table import REQUIRED

LOSS = "loss"
SCHEMA = {
    "contender": pl.String,
    "workload": pl.String,
    "point": pl.String,
    "repeat": pl.Int64,
    "place": pl.Int64,
    "drawn": pl.Boolean,
    "optimizer": pl.String,
    "data": pl.String,
    "step": pl.List(pl.Int64),
    "loss": pl.List(pl.Float64),
}


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingLosses:
    """Training losses at evaluations.

    Attributes:
      table: a row per trial: contender (a study's name, a submission, a set of curves), workload, point, repeat, place
        (of the point, in the order in which they were tried), drawn (whether points are draws from a space), optimizer
        and data (null where not known), step and loss (lists; null where a loss was not finite).
      left_out: what has none, and why.
    """

    table: pl.DataFrame
    left_out: tuple[LeftOut, ...] = ()


def training_losses(path: Path) -> TrainingLosses:
    """The training losses of a study, a folder of studies, curves as TaskSet has them, packed results, or logs.

    Studies hold the loss of every workload. Packed results and AlgoPerf's logs keep the target metric alone: what is
    judged by another is left out.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: nothing of these kinds, a damaged file, or no training losses at all.
    """
    path = Path(path)
    if path.is_dir() and (folders := studies.find_studies(path)):
        found = _of_studies(folders)
    elif _holds_curves(path):
        found = _of_curves(read_curves(path))
    else:
        results = read_source(path)
        if not isinstance(results, Results):
            raise ValueError(
                f"{path}: a table of fractions has no losses; give the studies that it was made of"
            )
        found = _of_results(choose_ruleset(choose_benchmark(results, None), None))
    if found.table.is_empty():
        reasons = "; ".join(f"{item.path}: {item.reason}" for item in found.left_out[:3]) or "no trials"
        raise ValueError(f"{path}: no training losses ({reasons})")
    return found


def _holds_curves(path: Path) -> bool:
    if path.is_dir():
        return bool(archive_paths(path))
    if path.suffix == ".npz":
        return path.is_file()
    if path.suffix != ".parquet" or not path.is_file() or is_packed(path):
        return False
    try:
        return set(REQUIRED) <= set(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError):
        return False  # told by who reads it


def _of_studies(folders: tuple[Path, ...]) -> TrainingLosses:
    parts, left_out = [], []
    for folder in folders:
        spec = studies.read_spec(folder)
        trials, unsealed = studies.read_checked(folder)
        left_out += unchecked(folder, trials, unsealed)
        asked = {w: len(points) * spec.repeats for w, points in (spec.points or {}).items()}
        for workload in spec.workloads:
            rows = trials.filter(pl.col("workload") == workload) if len(trials) else trials
            if reason := _unusable(rows, asked.get(workload, 0)):
                left_out.append(LeftOut(f"{folder}: {workload}", reason))
                continue
            whole = rows.filter(pl.col("status") != "stopped")
            if len(whole) < len(rows):
                reason = f"{len(rows) - len(whole)} of {len(rows)} trials were stopped before their end"
                left_out.append(LeftOut(f"{folder}: {workload}", reason))
            parts.append(_rows(whole, spec))
    return TrainingLosses(_together(parts), tuple(left_out))


def _unusable(rows: pl.DataFrame, asked: int) -> str | None:
    if not len(rows):
        return "no trials yet"
    if f"train/{LOSS}" not in rows.columns or rows[f"train/{LOSS}"].null_count():
        return f"has no train/{LOSS}"
    if len(rows) < asked:
        return f"{asked - len(rows)} of {asked} trials are not run yet"
    return None


def _rows(rows: pl.DataFrame, spec: studies.StudySpec) -> pl.DataFrame:
    return rows.select(
        contender=pl.lit(spec.name),
        workload="workload",
        point="point",
        repeat=pl.col("repeat").cast(pl.Int64),
        place=_order(rows),
        drawn=pl.lit(spec.draws in ("independent", "quasi-random")),
        optimizer=pl.lit(spec.optimizer),
        data="data",
        step=pl.col("global_step").cast(pl.List(pl.Int64)),
        loss=f"train/{LOSS}",
    )


def _order(rows: pl.DataFrame) -> pl.Series:
    """The place of each row's point among the points, by first row."""
    places = {point: place for place, point in enumerate(rows["point"].unique(maintain_order=True))}
    return rows["point"].replace_strict(places, return_dtype=pl.Int64)


def _of_curves(curves: Curves) -> TrainingLosses:
    parts, left_out = [], list(curves.left_out)
    rules = dict(curves.points.select("optimizer", "update_rule").unique("optimizer").iter_rows())
    data = dict(curves.facts.select("task", "provenance").iter_rows())
    for archive in curves:
        if not archive.has("train"):
            left_out.append(LeftOut(f"{curves.source}: {archive.task}", "its training losses were not kept"))
            continue
        losses = archive.losses("train").astype(np.float64)
        rows = [
            (
                archive.optimizer_set, archive.task, name, repeat, place,
                not name.startswith("adam_lr_"), rules.get(name), data.get(archive.task), archive.xs.tolist(),
                [value if np.isfinite(value) else None for value in losses[place, repeat].tolist()],
            )
            for place, name in enumerate(archive.optimizers)
            for repeat in range(archive.replicas)
        ]  # fmt: skip
        parts.append(pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    return TrainingLosses(_together(parts), tuple(left_out))


def _of_results(results: Results) -> TrainingLosses:
    trials = results.trials.filter(pl.col("metric") == LOSS)
    others = results.trials.filter(pl.col("metric") != LOSS)
    left_out = [
        LeftOut(f"{results.source}: {workload}", f"is judged by {metric}, and only that metric is kept here")
        for workload, metric in others.select("workload", "metric").unique(maintain_order=True).iter_rows()
    ]
    curves = (
        results.evals.filter(pl.col("train_metric").is_not_null().any().over("trial_id"))
        .group_by("trial_id", maintain_order=True)
        .agg(step="global_step", loss="train_metric")
    )
    about = results.about.get("studies", {})
    drawn = [n for n, said in about.items() if said.get("draws") in ("independent", "quasi-random")]
    rules = {name: said.get("optimizer") for name, said in about.items()}
    table = trials.join(curves, on="trial_id", how="inner", maintain_order="left")
    if table.is_empty():
        return TrainingLosses(_together([]), tuple(left_out))
    order = pl.col("trial").min().over("submission", "workload", "point")
    table = table.select(
        contender="submission",
        workload="workload",
        point="point",
        repeat="repeat",
        place=order.rank("dense").over("submission", "workload").cast(pl.Int64) - 1,
        drawn=pl.col("submission").is_in(drawn),
        optimizer=pl.col("submission").replace_strict(rules, default=None, return_dtype=pl.String),
        data="data",
        step="step",
        loss="loss",
    )
    return TrainingLosses(_together([table]), tuple(left_out))


def _together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([part.cast(SCHEMA) for part in parts]) if parts else pl.DataFrame(schema=SCHEMA)  # type: ignore[arg-type]
