"""What was tried and what happened, as tables to work on: a row per trial, a row per evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from results._fractions import Fractions
from results._hits import hits
from results._results import Results
from results._sources import read_source


def trials(source: Path | str | Results) -> pl.DataFrame:
    """The trials of a source, one row each.

    Args:
      source: what `read_source` reads, or what it returned.

    Returns:
      Columns trial_id, benchmark (AlgoPerf version, null elsewhere), submission (of our studies the name), workload,
      point, repeat, status, metric, minimize, target, best_metric (of all evaluations, null if none was finite),
      steps_to_target and seconds_to_target (of training, at the first evaluation at or past the target; null where it
      was missed, or there is no target, or no clock), step_fraction and time_fraction (of the budget; inf = missed,
      null = cannot be told), step_budget, seconds_budget, and a column per hyperparameter, null where a point has none
      of that name. One whose name is taken by another column is called "<name> (hyperparameter)".

    Raises:
      FileNotFoundError, ValueError: the source cannot be read, or is a table of fractions.

    Example:
      >>> trials("studies/first").group_by("workload").agg(pl.col("best_metric").min())  # doctest: +SKIP
    """
    results = _results(source)
    found = hits(results).select(
        "trial_id", "hit_step", "hit_seconds", "step_fraction", "time_fraction", "best_metric"
    )
    table = results.trials.join(found, on="trial_id", how="left", maintain_order="left").select(
        *(
            "trial_id",
            "benchmark",
            "submission",
            "workload",
            "point",
            "repeat",
            "status",
            "metric",
            "minimize",
        ),
        pl.col("validation_target").alias("target"),
        "best_metric",
        pl.col("hit_step").alias("steps_to_target"),
        pl.col("hit_seconds").alias("seconds_to_target"),
        *("step_fraction", "time_fraction"),
        pl.col("step_hint").alias("step_budget"),
        pl.col("max_runtime_seconds").alias("seconds_budget"),
    )
    return table.with_columns(*_hyperparameters(results.trials["hyperparameters"], table.columns))


def evaluations(source: Path | str | Results) -> pl.DataFrame:
    """The evaluations of a source in long form: a row per trial, evaluation and split.

    Args:
      source: as for `trials`.

    Returns:
      Columns trial_id (that of `trials`), submission, workload, point, repeat, global_step (steps), seconds (of
      training, null without a clock), split ("train", "validation", "test"), metric (its name), value. A value that was
      not finite, or not evaluated, has no row. Ordered by trial, step and split.

    Raises:
      FileNotFoundError, ValueError: as `trials`.
    """
    results = _results(source)
    named = results.trials.select("trial_id", "submission", "workload", "point", "repeat", "metric")
    splits = ("train", "validation", "test")
    # In the wide table a metric of a split is a column of its name.
    wide = results.evals.rename({f"{split}_metric": split for split in splits})
    long = wide.unpivot(
        list(splits), index=["trial_id", "eval_index", "global_step", "submission_seconds"],
        variable_name="split", value_name="value",
    ).filter(pl.col("value").is_not_null())  # fmt: skip
    order = pl.col("split").replace_strict({split: place for place, split in enumerate(splits)})
    return (
        long.sort("trial_id", "eval_index", order)
        .join(named, on="trial_id", how="left", maintain_order="left")
        .select(
            *("trial_id", "submission", "workload", "point", "repeat", "global_step"),
            pl.col("submission_seconds").alias("seconds"),
            *("split", "metric", "value"),
        )
    )


def _results(source: Path | str | Results) -> Results:
    read = source if isinstance(source, Results) else read_source(Path(source))
    if isinstance(read, Fractions):
        raise ValueError(
            f"{source}: a table of fractions holds no trials; read_fraction_table reads what it holds"
        )
    return read


def _hyperparameters(texts: pl.Series, taken: list[str]) -> list[pl.Series]:
    """A column per hyperparameter: numbers where all values are numbers, else text."""
    known: dict[str, dict[str, Any]] = {text: msgspec.json.decode(text) for text in texts.unique()}
    names = sorted({name for values in known.values() for name in values})
    columns = []
    for name in names:
        values = [known[text].get(name) for text in texts]
        numbers = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)
        column = f"{name} (hyperparameter)" if name in taken else name
        if numbers:
            columns.append(pl.Series(column, [None if v is None else float(v) for v in values], pl.Float64))
        else:
            columns.append(pl.Series(column, [None if v is None else str(v) for v in values], pl.String))
    return columns
