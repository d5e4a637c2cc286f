"""Our own studies as `Results`: the same two tables that AlgoPerf's logs give."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from results import studies
from results._results import LeftOut, Results


def read_studies(path: Path) -> Results:
    """Reads one study, or every study in a folder.

    A study's name becomes `submission`. Times are null: the trials of a population share one
    clock, so our studies are judged by steps.

    Raises:
      FileNotFoundError: no study there.
      ValueError: two studies share a name, or a file is damaged.
    """
    folders = studies.find_studies(path)
    if not folders:
        raise FileNotFoundError(
            f"{path}: no study here (no study.json); 'shortlist tune --study {path}' makes one"
        )
    trials, evals, left_out, about = [], [], [], {}
    next_id = 0
    for folder in folders:
        spec = studies.read_spec(folder)
        if spec.name in about:
            raise ValueError(
                f"{folder}: a second study named {spec.name!r} below {path}; point at one of them"
            )
        rows = studies.read_trials(folder)
        about[spec.name] = _about(folder, spec, rows)
        expected = (
            sum(len(p) for p in spec.points.values()) * spec.repeats if spec.points is not None else None
        )
        if expected is not None and len(rows) < expected:
            reason = f"{expected - len(rows)} of {expected} trials are not run yet; 'shortlist tune' resumes the study"
            left_out.append(LeftOut(str(folder), reason))
        if not len(rows):
            continue
        rows = rows.with_columns(trial_id=pl.int_range(next_id, next_id + len(rows), dtype=pl.Int64))
        next_id += len(rows)
        trials.append(_trials(rows, spec.name))
        evals += [_evals(part) for _, part in rows.group_by("metric", maintain_order=True)]
    if not trials:
        raise ValueError(f"{path}: no finished trials; 'shortlist tune --study {path}' trains them")
    all_trials = pl.concat(trials)
    data = dict(all_trials.select("workload", "data").unique(maintain_order=True).iter_rows())
    return Results(
        trials=all_trials,
        evals=pl.concat(evals).sort("trial_id", "eval_index"),
        left_out=tuple(left_out),
        source=str(path),
        kind="study",
        about={"studies": about, "data": data},
    )


def _trials(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.select(
        "trial_id",
        benchmark=pl.lit(None, pl.String),
        submission=pl.lit(name),
        repeat=pl.col("repeat").cast(pl.Int64),
        workload="workload",
        trial=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("workload", "repeat"),
        point="point",
        framework=pl.lit("jax"),
        hyperparameters="hyperparameters",
        metric="metric",
        minimize="minimize",
        validation_target="validation_target",
        test_target="test_target",
        step_hint=pl.col("steps").cast(pl.Float64),
        max_runtime_seconds=pl.lit(None, pl.Float64),
        status="status",
        data="data",
    )


def _evals(rows: pl.DataFrame) -> pl.DataFrame:
    metric = rows["metric"][0]
    curves = {f"{role}_metric": f"{role}/{metric}" for role in ("validation", "test", "train")}
    return (
        rows.select("trial_id", "global_step", **curves)
        .explode("global_step", *curves)
        .with_columns(
            eval_index=pl.int_range(pl.len(), dtype=pl.Int64).over("trial_id"),
            global_step=pl.col("global_step").cast(pl.Int64),
            submission_seconds=pl.lit(None, pl.Float64),
        )
        .select("trial_id", "eval_index", "global_step", "submission_seconds", *curves)
    )


def _about(folder: Path, spec: studies.StudySpec, rows: pl.DataFrame) -> dict[str, object]:
    cohorts = rows.unique(["workload", "cohort"]) if len(rows) else rows
    return {
        "role": spec.role,
        "title": spec.title,
        "strategy": spec.strategy.get("name", ""),
        "draws": spec.draws,
        "budget": max((len(p) for p in spec.points.values()), default=0) if spec.points is not None else None,
        "seed": spec.seed,
        "repeats": spec.repeats,
        "optimizer": spec.optimizer,
        "device": rows["device"][0] if len(rows) else None,
        "versions": msgspec.json.decode(rows["versions"][0]) if len(rows) else {},
        "commands": "\n".join(rows["command"].drop_nulls().unique(maintain_order=True))
        if len(rows)
        else None,
        "seconds": float(cohorts["cohort_seconds"].sum()) if len(rows) else 0.0,
        "folder": folder.name,
    }
