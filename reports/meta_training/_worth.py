"""What weights were worth over outer steps, and beside other trainings of the same workloads: tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from results import LeftOut
from results.baselines import training_losses
from results.meta_trainings import CAP

MIDDLE = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


@dataclasses.dataclass(frozen=True, eq=False)
class References:
    """What other trainings reached at the horizons at which weights were evaluated.

    Attributes:
      losses: a row per repeat: reference (in words), workload, steps, repeat, loss (inf where it is none), data. Of
        several points the best of every repeat.
      left_out: what cannot stand beside the evaluations, and why.
    """

    losses: pl.DataFrame
    left_out: tuple[LeftOut, ...] = ()


REFERENCE = {
    "reference": pl.String,
    "workload": pl.String,
    "steps": pl.Int64,
    "repeat": pl.Int64,
    "loss": pl.Float64,
    "data": pl.String,
}


def read_references(studies: Sequence[Path], evaluations: pl.DataFrame) -> References:
    """The training losses of studies on the evaluated workloads, where trainings ended at an evaluated horizon.

    Args:
      studies: what `results.baselines.training_losses` reads.
      evaluations: see `results.meta_trainings.EVALUATION`.

    Raises:
      FileNotFoundError, ValueError: one cannot be read.
    """
    wanted = evaluations.select("workload", "steps").unique(maintain_order=True)
    parts, left_out = [], []
    for path in studies:
        table = training_losses(Path(path)).table.with_columns(
            steps=pl.col("step").list.last(), loss=pl.col("loss").list.last().fill_null(math.inf)
        )
        found = table.join(wanted, on=["workload", "steps"], how="semi")
        for name in table["contender"].unique(maintain_order=True):
            of_it = found.filter(contender=name)
            if of_it.is_empty():
                left_out.append(LeftOut(f"{path}: {name}", _why_not(table.filter(contender=name), wanted)))
                continue
            points = of_it.group_by("workload").agg(pl.col("point").n_unique())["point"]
            most = int(points.max())  # type: ignore[arg-type]
            said = name if most == 1 else f"{name}, best of {most}"
            parts.append(of_it.with_columns(reference=pl.lit(said)))
    if not parts:
        return References(pl.DataFrame(schema=REFERENCE), tuple(left_out))
    together = pl.concat(parts).group_by(
        "reference", "workload", "steps", "repeat", maintain_order=True
    ).agg(pl.col("loss").min(), pl.col("data").first())  # fmt: skip
    return References(together.select(list(REFERENCE)), tuple(left_out))


def _why_not(table: pl.DataFrame, wanted: pl.DataFrame) -> str:
    common = table.join(wanted, on="workload", how="semi")
    if common.is_empty():
        return "trained none of the evaluated workloads"
    trained = sorted(common["steps"].unique().to_list())
    return (
        f"trained them for {', '.join(f'{n:,}' for n in trained)} steps, evaluations are of "
        f"{', '.join(f'{n:,}' for n in sorted(wanted['steps'].unique().to_list()))}"
    )


def of_workloads(evaluations: pl.DataFrame) -> pl.DataFrame:
    """Training loss at the end, over seeds: a row per workload, horizon and outer step.

    Returns:
      Columns workload, steps, outer_step, seeds, value (median; inf where most diverged), low and high (the range),
      relative (median of losses relative to those of fresh parameters, at most `CAP`), metric, validation (median of
      the validation metric; null where none), diverged (trainings).
    """
    return (
        evaluations.with_columns(loss=pl.col("train_loss").fill_null(math.inf), relative=_relative())
        .group_by("workload", "steps", "outer_step", maintain_order=True)
        .agg(
            seeds=pl.len().cast(pl.Int64),
            value=pl.col("loss").median(),
            low=pl.col("loss").min(),
            high=pl.col("loss").max(),
            relative=pl.col("relative").median(),
            metric=pl.col("metric").first(),
            validation=pl.col("validation_metric").median(),
            diverged=(pl.col("status") == "diverged").sum().cast(pl.Int64),
        )
    )


def newest_of_all(evaluations: pl.DataFrame) -> int:
    """The newest outer step whose weights have been evaluated on as many workloads and horizons as any."""
    found = evaluations.group_by("outer_step").agg(made=pl.struct("workload", "steps").n_unique())
    return int(found.filter(pl.col("made") == pl.col("made").max())["outer_step"].max())  # type: ignore[arg-type]


def together(evaluations: pl.DataFrame) -> pl.DataFrame:
    """The mean over workloads of losses relative to those of fresh parameters, over seeds.

    Outer steps whose weights have not been evaluated on all workloads of a horizon are left out: their mean would be of
    others.

    Returns:
      Columns steps, outer_step, workloads, seeds (that all workloads have), value (median over seeds), low, high.
    """
    schema = {"steps": pl.Int64, "outer_step": pl.Int64, "workloads": pl.Int64, "seeds": pl.Int64, **MIDDLE}
    counted = evaluations.with_columns(relative=_relative()).drop_nulls("relative")
    workloads = counted.group_by("steps").agg(workloads=pl.col("workload").n_unique())
    by_seed = (
        counted.group_by("steps", "outer_step", "seed", maintain_order=True)
        .agg(found=pl.col("workload").n_unique(), relative=pl.col("relative").mean())
        .join(workloads, on="steps")
        .filter(pl.col("found") == pl.col("workloads"))
    )
    return (
        by_seed.group_by("steps", "outer_step", "workloads")
        .agg(
            seeds=pl.len(),
            value=pl.col("relative").median(),
            low=pl.col("relative").min(),
            high=pl.col("relative").max(),
        )
        .select(list(schema))
        .cast(schema)  # type: ignore[arg-type]
        .sort("steps", "outer_step")
    )


def reference_together(references: References, evaluations: pl.DataFrame) -> pl.DataFrame:
    """What `together` says of weights, of references: relative to what fresh parameters have in the evaluations.

    Returns:
      Columns reference, steps, value: means over the same workloads; of references that have all of them.
    """
    initial = evaluations.group_by("workload", "steps").agg(initial=pl.col("initial_loss").median().abs())
    initial = initial.filter(pl.col("initial") > 0)
    workloads = initial.group_by("steps").agg(workloads=pl.len())
    by_repeat = (
        references.losses.join(initial, on=["workload", "steps"])
        .with_columns(relative=(pl.col("loss") / pl.col("initial")).clip(upper_bound=CAP))
        .group_by("reference", "steps", "repeat", maintain_order=True)
        .agg(found=pl.len(), relative=pl.col("relative").mean())
        .join(workloads, on="steps")
        .filter(pl.col("found") == pl.col("workloads"))
    )
    return by_repeat.group_by("reference", "steps", maintain_order=True).agg(
        value=pl.col("relative").median()
    )


def beside(references: References, evaluations: pl.DataFrame, outer_step: int) -> pl.DataFrame:
    """The weights of an outer step beside the references, workload by workload.

    Returns:
      Columns reference, workload, steps, weights (median training loss over seeds), weights low, weights high, loss
      (of the reference, likewise over repeats), loss low, loss high, ahead (how often a training with the weights ends
      lower than one of the reference; ties count half).
    """
    mine = evaluations.filter(outer_step=outer_step)
    rows = []
    for (reference, workload, steps), group in references.losses.group_by(
        "reference", "workload", "steps", maintain_order=True
    ):
        ours = mine.filter(workload=workload, steps=steps)["train_loss"].fill_null(math.inf).to_list()
        theirs = group["loss"].to_list()
        if ours:
            pairs = [(a < b) + 0.5 * (a == b) for a in ours for b in theirs]
            rows.append((reference, workload, steps, *_three(ours), *_three(theirs), sum(pairs) / len(pairs)))
    schema = {"reference": pl.String, "workload": pl.String, "steps": pl.Int64}
    numbers = ("weights", "weights low", "weights high", "loss", "loss low", "loss high", "ahead")
    return pl.DataFrame(rows, schema={**schema, **dict.fromkeys(numbers, pl.Float64)}, orient="row")


def _three(values: list[float]) -> tuple[float, float, float]:
    """Median, least and greatest."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return median, ordered[0], ordered[-1]


def _relative() -> pl.Expr:
    """A training's loss relative to that of fresh parameters; null where the workload has no training loss."""
    counted = pl.col("relative_loss").clip(upper_bound=CAP)
    return pl.when(pl.col("status") == "diverged").then(CAP).otherwise(counted)
