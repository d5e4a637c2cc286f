"""AlgoPerf's published logs as two Parquet tables: trials.parquet and evals.parquet."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from results._parquet import checked, read_parquet
from results._results import LeftOut, Results, check_possible
from results.algoperf import _checks as _log_checks
from workloads.benchmarks import BENCHMARKS, benchmark

# What tells the ruleset, the first that a table has and that says something.
RULESET_COLUMNS = ("ruleset", "tuning_ruleset_flag")
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
        *(
            "leaderboard",
            "hparams",
            "meta_validation_target",
            "step_hint",
            "max_allowed_runtime_sec",
            "eval_period_sec",
        ),
        *(
            "accumulated_submission_time",
            "validation_metric",
            "test_metric",
            "train_metric",
            "validation_loss",
        ),
    }
)


def read_algoperf_parquet(folder: Path, benchmark_version: str | None = None) -> Results:
    """Reads the tables of published logs.

    A trial's own budgets are kept, times the factor of its ruleset; where it recorded none, its benchmark version's
    are taken. Metrics and targets are the benchmark's, as in scoring. Trials of an unknown version, ruleset or
    workload are left out with the reason.

    Args:
      folder: holds trials.parquet and evals.parquet. A column `ruleset` ("external" or "self-tuning", which AlgoPerf
        spells "self") says under which rules each trial ran, or else `tuning_ruleset_flag`.
      benchmark_version: only this version's trials, such as "v0.5"; what others hold is then not looked at.

    Raises:
      FileNotFoundError: one of the tables is missing.
      ValueError: not Parquet, a column missing or of another kind, no trial of a known version, a trial twice, or a
        value that cannot be.
    """
    folder = Path(folder)
    path = folder / FILES[0]
    trials = _read(path, _TRIALS, optional=RULESET_COLUMNS)
    evals = _read(folder / FILES[1], _EVALS)
    strays = evals.join(trials, on="trial_id", how="anti")["trial_id"]
    if len(strays):
        raise ValueError(
            f"{folder / FILES[1]}: {len(strays)} rows of trials that {path.name} does not hold, such as trial_id "
            f"{strays[0]}"
        )
    trials, left_out, notes = _known(trials, path, benchmark_version)
    trials = _with_budgets(trials)
    evals = evals.join(trials, on="trial_id", how="semi", maintain_order="left")
    _check_rows(trials, path, evals, folder / FILES[1])
    # The loss is NULL, not NaN, where the target metric is the loss.
    finite = pl.col("validation_loss").is_null() | pl.col("validation_loss").is_finite()
    evals = evals.with_columns(submission_seconds="accumulated_submission_time", loss_is_finite=finite)
    trials = trials.join(_log_checks.statuses(trials, evals), on="trial_id")
    without = trials.join(evals, on="trial_id", how="anti")
    return Results(
        trials=trials,
        evals=evals,
        left_out=(
            *left_out,
            *(LeftOut(where, _log_checks.NO_EVALS) for where in without["source_path"].sort()),
        ),
        source=str(folder),
        kind="algoperf-parquet",
        about={"benchmarks": trials["benchmark"].unique().sort().to_list()},
        warnings=(*notes, *_log_checks.warnings(trials, evals)),
    )


def _known(
    trials: pl.DataFrame, path: Path, version: str | None
) -> tuple[pl.DataFrame, list[LeftOut], list[str]]:
    """The trials of known versions, workloads and rulesets, with the column `ruleset`; what else there is; notes."""
    if version is not None:
        present = ", ".join(sorted(map(str, trials["leaderboard"].unique()))) or "none"
        trials = trials.filter(pl.col("leaderboard") == version)
        if trials.is_empty() and version in BENCHMARKS:
            raise ValueError(f"{path}: no trials of benchmark {version}; present: {present}")
    told = [pl.col(name) for name in RULESET_COLUMNS if name in trials.columns]
    trials = trials.with_columns(stated=pl.coalesce(*told, pl.lit(None, pl.String)))
    no_label = pl.col("leaderboard").fill_null("")
    versions = pl.DataFrame({"leaderboard": BENCHMARKS}).with_columns(
        allowed=pl.Series([list(benchmark(name).workloads) for name in BENCHMARKS])
    )
    trials = trials.join(versions, on="leaderboard", how="left", maintain_order="left")
    wrong = trials.with_columns(
        problem=pl.when(pl.col("allowed").is_null())
        .then(pl.format(f"leaderboard is '{{}}'; must be one of {', '.join(BENCHMARKS)}", no_label))
        .when(~pl.col("workload").is_in(pl.col("allowed")).fill_null(False))
        .then(pl.format("workload '{}' is not part of AlgoPerf {}", "workload", "leaderboard"))
        .when(pl.col("stated").is_not_null() & ~pl.col("stated").is_in(list(_log_checks.RULESETS)))
        .then(pl.format(f"ruleset is '{{}}'; must be one of {', '.join(_log_checks.RULESETS)}", "stated"))
    )
    trials = wrong.filter(pl.col("problem").is_null())
    left_out = [
        LeftOut(str(path), f"{count} trials: {problem}")
        for problem, count in wrong.drop_nulls("problem")
        .group_by("problem")
        .len()
        .sort("problem")
        .iter_rows()
    ]
    if trials.is_empty():
        reason = "; ".join(item.reason for item in left_out[:3]) or "no rows"
        raise ValueError(f"{path}: no trial that can be read: {reason}")
    found, notes = _log_checks.told_rulesets(
        trials["stated"].to_list(),
        trials["hparams"].is_not_null().to_list(),
        list(trials.select("leaderboard", "submission").iter_rows()),
    )
    return trials.with_columns(ruleset=pl.Series(found, dtype=pl.String)), left_out, notes


def _check_rows(trials: pl.DataFrame, path: Path, evals: pl.DataFrame, evals_path: Path) -> None:
    """Raises ValueError for a row that is there twice, or a value that cannot be."""
    for table, keys, where in (
        (trials, ("benchmark", "ruleset", "submission", "repeat", "workload", "trial"), path),
        (evals, ("trial_id", "eval_index"), evals_path),
    ):
        twice = table.filter(pl.struct(keys).is_duplicated())
        if len(twice):
            said = ", ".join(
                f"{key} {value}" for key, value in zip(keys, twice.select(keys).row(0), strict=True)
            )
            raise ValueError(f"{where}: more than one row of {said}")
    check_possible(trials, str(path))
    check_possible(evals.rename({"accumulated_submission_time": "submission_seconds"}), str(evals_path))


def _read(path: Path, columns: dict[str, type[pl.DataType]], optional: tuple[str, ...] = ()) -> pl.DataFrame:
    table = read_parquet(path, f"no such file; a folder of AlgoPerf tables holds {' and '.join(FILES)}")
    columns = columns | {name: pl.String for name in optional if name in table.columns}
    return checked(table, columns, path, _NULLABLE | set(optional)).select(list(columns))


def _with_budgets(trials: pl.DataFrame) -> pl.DataFrame:
    present = trials.select(version="leaderboard", workload="workload").unique().sort("version", "workload")
    facts = _log_checks.workload_facts(present.iter_rows())
    factors = {
        (version, ruleset): _log_checks.runtime_factor(version, ruleset)
        for version, ruleset in trials.select("leaderboard", "ruleset").unique().iter_rows()
    }
    factor = pl.Series([factors[pair] for pair in trials.select("leaderboard", "ruleset").iter_rows()])
    trials = trials.with_columns(factor=factor)
    return (
        trials.rename({"leaderboard": "benchmark", "study": "repeat"})
        .join(facts, on=["benchmark", "workload"])
        .with_columns(
            point=(pl.col("trial") - 1).cast(pl.String),
            hyperparameters=pl.col("hparams").fill_null("{}"),
            recorded_validation_target="meta_validation_target",
            step_hint=pl.coalesce("step_hint", "default_step_hint"),
            max_runtime_seconds=pl.coalesce("max_allowed_runtime_sec", "default_max_runtime_seconds")
            * pl.col("factor"),
            eval_period_seconds=pl.coalesce("eval_period_sec", "default_eval_period_seconds"),
            data=pl.lit("real: recorded in AlgoPerf's published runs"),
        )
    )
