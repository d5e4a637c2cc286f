"""AlgoPerf's published logs as two Parquet tables: trials.parquet and evals.parquet."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from results._parquet import checked, read_parquet
from results._results import LeftOut, Results
from results.algoperf import _checks as _log_checks
from workloads.benchmarks import BENCHMARKS, benchmark

FILES = ("trials.parquet", "evals.parquet")

_TRIALS = {
    "trial_id": pl.Int64,
    "leaderboard": pl.String,
    "submission": pl.String,
    "study": pl.Int64,
    "workload": pl.String,
    "trial": pl.Int64,
    "framework": pl.String,
    "hparams": pl.String,
    "meta_validation_target": pl.Float64,
    "step_hint": pl.Float64,
    "max_allowed_runtime_sec": pl.Float64,
    "eval_period_sec": pl.Float64,
    "source_path": pl.String,
}
_EVALS = {
    "trial_id": pl.Int64,
    "eval_index": pl.Int64,
    "global_step": pl.Int64,
    "accumulated_submission_time": pl.Float64,
    "validation_metric": pl.Float64,
    "test_metric": pl.Float64,
    "train_metric": pl.Float64,
    "validation_loss": pl.Float64,
}

# What a trial may not have recorded, and an evaluation not have measured.
_NULLABLE = frozenset(
    {
        *("hparams", "meta_validation_target", "step_hint", "max_allowed_runtime_sec", "eval_period_sec"),
        *(
            "accumulated_submission_time",
            "validation_metric",
            "test_metric",
            "train_metric",
            "validation_loss",
        ),
    }
)


def read_algoperf_parquet(folder: Path) -> Results:
    """Reads the tables of published external-tuning logs.

    A trial's own budgets are kept; where it recorded none, its benchmark version's are taken. Metrics and
    targets are the benchmark's, as in scoring.

    Args:
      folder: holds trials.parquet and evals.parquet.

    Raises:
      FileNotFoundError: one of the tables is missing.
      ValueError: not Parquet, a column missing or of another kind, an unknown benchmark version or workload.
    """
    folder = Path(folder)
    trials = _read(folder / FILES[0], _TRIALS)
    evals = _read(folder / FILES[1], _EVALS)
    if unknown := sorted(set(trials["leaderboard"].unique()) - set(BENCHMARKS)):
        allowed = ", ".join(BENCHMARKS)
        raise ValueError(f"{folder / FILES[0]}: leaderboard is {unknown[0]!r}; must be one of {allowed}")
    trials = _with_budgets(trials, folder / FILES[0])
    # The loss is NULL, not NaN, where the target metric is the loss.
    finite = pl.col("validation_loss").is_null() | pl.col("validation_loss").is_finite()
    evals = evals.with_columns(submission_seconds="accumulated_submission_time", loss_is_finite=finite)
    trials = trials.join(_log_checks.statuses(trials, evals), on="trial_id")
    without = trials.join(evals, on="trial_id", how="anti")
    return Results(
        trials=trials,
        evals=evals,
        left_out=tuple(LeftOut(path, _log_checks.NO_EVALS) for path in without["source_path"].sort()),
        source=str(folder),
        kind="algoperf-parquet",
        about={"benchmarks": trials["benchmark"].unique().sort().to_list()},
        warnings=tuple(_log_checks.warnings(trials, evals)),
    )


def _read(path: Path, columns: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    table = read_parquet(path, f"no such file; a folder of AlgoPerf tables holds {' and '.join(FILES)}")
    return checked(table, columns, path, _NULLABLE).select(list(columns))


def _with_budgets(trials: pl.DataFrame, path: Path) -> pl.DataFrame:
    present = trials.select(version="leaderboard", workload="workload").unique().sort("version", "workload")
    for version, name in present.iter_rows():
        if name not in benchmark(version).workloads:
            raise ValueError(f"{path}: workload {name!r} is not part of AlgoPerf {version}")
    facts = _log_checks.workload_facts(present.iter_rows())
    return (
        trials.rename({"leaderboard": "benchmark", "study": "repeat"})
        .join(facts, on=["benchmark", "workload"])
        .with_columns(
            point=(pl.col("trial") - 1).cast(pl.String),
            hyperparameters=pl.col("hparams").fill_null("{}"),
            recorded_validation_target="meta_validation_target",
            step_hint=pl.coalesce("step_hint", "default_step_hint"),
            max_runtime_seconds=pl.coalesce("max_allowed_runtime_sec", "default_max_runtime_seconds"),
            eval_period_seconds=pl.coalesce("eval_period_sec", "default_eval_period_seconds"),
            data=pl.lit("real: recorded in AlgoPerf's published runs"),
        )
    )
