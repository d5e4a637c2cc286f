"""Results: the one shape in which every report sees trials, whoever ran them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import polars as pl

from results.studies import STATUSES
from workloads.benchmarks import Ruleset

RULESETS = get_args(Ruleset)

TRIAL_COLUMNS: Mapping[str, pl.DataType] = {
    "trial_id": pl.Int64(),
    "benchmark": pl.String(),
    "submission": pl.String(),
    "repeat": pl.Int64(),
    "workload": pl.String(),
    "trial": pl.Int64(),
    "point": pl.String(),
    "framework": pl.String(),
    "hyperparameters": pl.String(),
    "metric": pl.String(),
    "minimize": pl.Boolean(),
    "validation_target": pl.Float64(),
    "test_target": pl.Float64(),
    "step_hint": pl.Float64(),
    "max_runtime_seconds": pl.Float64(),
    "status": pl.String(),
    "data": pl.String(),
}
EVAL_COLUMNS: Mapping[str, pl.DataType] = {
    "trial_id": pl.Int64(),
    "eval_index": pl.Int64(),
    "global_step": pl.Int64(),
    "submission_seconds": pl.Float64(),
    "validation_metric": pl.Float64(),
    "test_metric": pl.Float64(),
    "train_metric": pl.Float64(),
}
# Columns that a table of trials may leave out; null then.
OPTIONAL_COLUMNS: Mapping[str, pl.DataType] = {"ruleset": pl.String()}
NULLABLE = {
    *("benchmark", "ruleset", "framework", "validation_target", "test_target"),
    *("step_hint", "max_runtime_seconds", "data"),
    *("submission_seconds", "validation_metric", "test_metric", "train_metric"),
}


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """Something in a source that was not used, and why."""

    path: str  # file, folder or place in a table
    reason: str  # one line: what is wrong, what follows

    def to_json(self) -> dict[str, str]:
        """Its JSON object in the answers of commands."""
        return {"path": self.path, "reason": self.reason}


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """Trials and their evaluations.

    Attributes:
      trials: one row per trial, columns `TRIAL_COLUMNS` and `ruleset`. `trial_id` is unique; `benchmark` is null
        outside AlgoPerf; `ruleset` is "external" or "self-tuning" in AlgoPerf's logs, else null; `repeat` is which
        of the equally made trials, the study number of AlgoPerf's logs; `trial` counts from 1; `point` names the
        hyperparameters within a submission; `hyperparameters` is JSON with sorted keys; `step_hint` in steps and
        `max_runtime_seconds` are that trial's own budgets, with the ruleset's factor; `status` is one of
        `STATUSES`; `data` says where the training data came from.
      evals: one row per evaluation, columns `EVAL_COLUMNS`, sorted by trial and index. `submission_seconds`
        is training time only, null where trials shared a clock. Metrics are the workload's target metric;
        null where the value was not a finite number, so that NaN never travels.
      left_out: what the source holds that is not in the tables, or cannot be.
      source: where it was read.
      kind: what the source was.
      about: facts about the source for people, by topic.
      warnings: one line each about what is used but should be read with care.

    Raises:
      ValueError: a column is missing, has another type or a null where none may be; a trial_id repeats; an
        evaluation belongs to no trial; a status or a ruleset outside the vocabulary; a value that cannot be, such
        as negative seconds or a budget of 0.
    """

    trials: pl.DataFrame
    evals: pl.DataFrame
    left_out: tuple[LeftOut, ...]
    source: str
    kind: Literal["study", "algoperf-logs", "algoperf-parquet"]
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        absent = [name for name in OPTIONAL_COLUMNS if name not in self.trials.columns]
        trials = self.trials.with_columns(pl.lit(None, OPTIONAL_COLUMNS[name]).alias(name) for name in absent)
        trials = _conform(trials, {**TRIAL_COLUMNS, **OPTIONAL_COLUMNS}, "trials")
        evals = _conform(self.evals, EVAL_COLUMNS, "evals").sort("trial_id", "eval_index")
        metrics = pl.col("validation_metric", "test_metric", "train_metric")
        evals = evals.with_columns(pl.when(metrics.is_finite()).then(metrics))
        if trials["trial_id"].n_unique() != len(trials):
            raise ValueError("trials: trial_id repeats; every trial needs its own")
        strays = evals.join(trials, on="trial_id", how="anti")["trial_id"]
        if len(strays):
            raise ValueError(
                f"evals: {len(strays)} rows of trials that do not exist, such as trial_id {strays[0]}"
            )
        for name, allowed in (("status", STATUSES), ("ruleset", RULESETS)):
            unknown = set(trials[name].drop_nulls().unique()) - set(allowed)
            if unknown:
                raise ValueError(f"trials: unknown {name} {sorted(unknown)}; allowed: {', '.join(allowed)}")
        for name in trials["workload"].unique():
            if name == "*" or (name.startswith("^") and name.endswith("$")):
                raise ValueError(f"{self.source}: workload {name!r} is a pattern, not a name")
        for table, where in ((trials, "trials"), (evals, "evals")):
            check_possible(table, f"{self.source}: {where}")
        object.__setattr__(self, "trials", trials)
        object.__setattr__(self, "evals", evals)

    @property
    def benchmarks(self) -> tuple[str | None, ...]:
        """The benchmark versions present, sorted; None stands for trials outside AlgoPerf."""
        names = self.trials["benchmark"].unique().to_list()
        return tuple(sorted(names, key=lambda name: (name is not None, name)))

    @property
    def rulesets(self) -> tuple[str | None, ...]:
        """The rulesets present, sorted; None stands for trials that ran under none of AlgoPerf's."""
        names = self.trials["ruleset"].unique().to_list()
        return tuple(sorted(names, key=lambda name: (name is not None, name)))

    def of_ruleset(self, ruleset: str | None) -> Results:
        """Only the trials of one ruleset, with their evaluations.

        Raises:
          ValueError: no trial of that ruleset.
        """
        if ruleset not in self.rulesets:
            present = ", ".join(map(str, self.rulesets)) or "none"
            raise ValueError(f"{self.source}: no trials of the ruleset {ruleset}; present: {present}")
        return self._keep(pl.col("ruleset").eq_missing(pl.lit(ruleset, pl.String)))

    def comparable(self) -> dict[tuple[str | None, str | None], Results]:
        """(Benchmark version, ruleset) -> its trials: what may be compared with each other, in that order."""
        return {
            (version, ruleset): part.of_ruleset(ruleset)
            for version in self.benchmarks
            for part in (self.of_benchmark(version),)
            for ruleset in part.rulesets
        }

    @property
    def submissions(self) -> tuple[str, ...]:
        """Names of the submissions present, sorted."""
        return tuple(sorted(self.trials["submission"].unique().to_list()))

    def of_benchmark(self, version: str | None) -> Results:
        """Only the trials of one benchmark version, with their evaluations.

        Raises:
          ValueError: no trial of that version.
        """
        if version not in self.benchmarks:
            present = ", ".join(map(str, self.benchmarks)) or "none"
            raise ValueError(f"{self.source}: no trials of benchmark {version}; present: {present}")
        return self._keep(pl.col("benchmark").eq_missing(pl.lit(version, pl.String)))

    def of_submissions(self, names: Sequence[str]) -> Results:
        """Only the trials of the named submissions, with their evaluations.

        Raises:
          ValueError: a name that is not there.
        """
        if unknown := [name for name in names if name not in self.submissions]:
            present = ", ".join(self.submissions)
            raise ValueError(f"{self.source}: no submission {', '.join(unknown)}; present: {present}")
        return self._keep(pl.col("submission").is_in(list(names)))

    def judged_by(self, targets: Mapping[str, float | None]) -> Results:
        """The same trials, judged by these validation targets instead of those that they were recorded with.

        Args:
          targets: workload -> target, None where it has none; others keep theirs.
        """
        judged = pl.col("workload").replace_strict(
            dict(targets), default=pl.col("validation_target"), return_dtype=pl.Float64
        )
        return dataclasses.replace(self, trials=self.trials.with_columns(validation_target=judged))

    def _keep(self, condition: pl.Expr) -> Results:
        trials = self.trials.filter(condition)
        evals = self.evals.join(trials, on="trial_id", how="semi", maintain_order="left")
        return dataclasses.replace(self, trials=trials, evals=evals)


def check_possible(table: pl.DataFrame, where: str) -> None:
    """Raises ValueError for a value that no trial can have, such as negative seconds or a budget of 0.

    Args:
      table: any of the columns of `POSSIBLE`, of trials or of evaluations.
      where: begins the message.
    """
    for name, (possible, what) in POSSIBLE.items():
        if name not in table.columns:
            continue
        wrong = table.filter(~possible(pl.col(name)))
        if len(wrong):
            count = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
            raise ValueError(
                f"{where}: {name} is {wrong[name][0]:g} in trial_id {wrong['trial_id'][0]}; must be {what}{count}"
            )


def _positive(value: pl.Expr) -> pl.Expr:
    return value.is_finite() & (value > 0)


def _not_negative(value: pl.Expr) -> pl.Expr:
    return value.is_finite() & (value >= 0)


POSSIBLE = {
    "step_hint": (_positive, "positive"),
    "max_runtime_seconds": (_positive, "positive"),
    "eval_period_seconds": (_positive, "positive"),
    "validation_target": (pl.Expr.is_finite, "a finite number"),
    "test_target": (pl.Expr.is_finite, "a finite number"),
    "eval_index": (_not_negative, "0 or more"),
    "global_step": (_not_negative, "0 or more"),
    "submission_seconds": (_not_negative, "0 or more"),
}


def _conform(table: pl.DataFrame, columns: Mapping[str, pl.DataType], what: str) -> pl.DataFrame:
    """The columns asked for, in order; extra ones are dropped."""
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"{what}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    table = table.select(list(columns))
    for name, dtype in columns.items():
        if table.schema[name] != dtype:
            raise ValueError(f"{what}: column {name} has type {table.schema[name]}; must be {dtype}")
        if name not in NULLABLE and table[name].null_count():
            raise ValueError(
                f"{what}: column {name} has {table[name].null_count()} nulls; every row needs a value"
            )
    return table
