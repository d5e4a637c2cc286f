"""How a meta-training went, and how fast: sections of its report."""

from __future__ import annotations

import polars as pl

from reports._words import count, duration, number
from reports.figures import figure_outer_steps
from reports.figures.drawing import NARROW, SMALL
from reports.page import Block, Column, Gallery, Picture, Prose, Section, Table, draw_picture
from results.meta_trainings import MetaTrainingRecord

ALL = "all tasks"


def with_changes(df: pl.DataFrame, record: MetaTrainingRecord) -> pl.DataFrame:
    """What a figure draws, and a row for every outer step at which something was changed."""
    steps = record.changes["outer_step"].unique(maintain_order=True)
    return pl.concat([df, pl.DataFrame({"outer_step": steps})], how="diagonal")


def meta_loss_picture(record: MetaTrainingRecord) -> Picture:
    """The meta-loss over outer steps, of all tasks and by workload."""
    of_all = record.rows.select("outer_step", pl.lit(ALL).alias("series"), value="meta_loss")
    by_workload = record.workloads.select("outer_step", series="workload", value="meta_loss")
    several = by_workload["series"].n_unique() > 1
    curves = pl.concat([of_all, by_workload]) if several else of_all
    return draw_picture(
        "meta-loss",
        figure_outer_steps,
        with_changes(curves.select("outer_step", "series", "value"), record),
        "Mean meta-loss of every interval of outer steps"
        + (", and of its tasks of each workload." if several else ".")
        + (" Dotted lines: something was changed." if len(record.changes) else ""),
        "Meta-loss over outer steps.",
        narrow=NARROW,
        title="Meta-loss",
        label="meta-loss ↓",
    )


def training_section(record: MetaTrainingRecord, meta_loss: bool) -> Section:
    """Meta-loss, gradients, and what was changed.

    Args:
      record: of the meta-training.
      meta_loss: draw it; else it stands elsewhere.
    """
    rows = record.rows
    first, last = rows.row(0, named=True), rows.row(-1, named=True)
    blocks: list[Block] = [meta_loss_picture(record)] if meta_loss else []
    gallery = [
        _small(record, "gradient-norm", "Gradient before the clip", "Euclidean norm", ["gradient_norm"]),
        _small(record, "distance", "Weights' distance moved", "from those at the beginning", ["distance"]),
        _small(record, "gradients", "Gradients", "per interval", ["accepted", "refused"]),
        _small(record, "staleness", "Staleness of accepted gradients", "outer steps", ["staleness"]),
        _small(record, "workers", "Workers", "at the end of an interval", ["workers"]),
    ]
    shown = tuple(picture for picture in gallery if picture is not None)
    if shown:
        blocks.append(Gallery(shown, "Means over intervals of outer steps, as they were recorded."))
    if _has(rows, "accepted"):
        accepted, refused = int(rows["accepted"].sum()), int(rows["refused"].sum() or 0)
        of_all = f" ({100 * refused / (accepted + refused):.1f} %)" if accepted + refused else ""
        blocks.append(Prose(f"{count(accepted, 'gradient')} accepted, {refused:,} refused{of_all}."))
    if len(record.changes):
        blocks.append(
            Table(
                "changes",
                record.changes,
                "What was changed while it ran, by the outer steps made before.",
                {
                    "outer_step": Column("outer step"),
                    **dict.fromkeys(("before", "after"), Column(show="code")),
                },
            )
        )
    losses = record.workloads.group_by("workload", maintain_order=True).agg(
        intervals=pl.len().cast(pl.Int64), first=pl.col("meta_loss").first(), last=pl.col("meta_loss").last()
    )
    blocks.append(
        Table(
            "trained_on",
            losses,
            "Meta-losses of the workloads trained on, in the first and the last interval in which each was drawn. "
            f"Over all: {number(first['meta_loss'])} and {number(last['meta_loss'])}.",
            {"first": Column("first meta-loss"), "last": Column("last meta-loss")},
            rows_shown=30,
        )
    )
    blocks.append(Table("record", rows, "The record, an interval of outer steps a row.", rows_shown=5))
    return Section("How it was trained", tuple(blocks))


def speed_section(record: MetaTrainingRecord) -> Section:
    """Steps per second, compiling, and what evaluations took."""
    rows = record.rows
    seconds, compiling = float(rows["seconds"].sum()), float(rows["compile_seconds"].sum())
    steps, outer = int(rows["inner_steps"].max() or 0), int(rows["outer_step"].max() or 0)  # type: ignore[arg-type]
    said = (
        f"{steps:,} training steps of tasks, either sign counted, in {duration(seconds)}: {steps / seconds:,.0f} a "
        f"second, {outer / seconds:.2g} outer steps a second. Compiling took {duration(compiling)}"
    )
    said += (
        f", {100 * compiling / seconds:.0f} % of it."
        if compiling <= seconds
        else ", of all workers together."
    )
    pictures = [
        _small(record, "rate", "Training steps of tasks", "per second", ["inner_steps_per_second"]),
        _small(record, "compiling", "Compiling", "seconds per interval", ["compile_seconds"]),
    ]
    blocks: list[Block] = [
        Prose(said),
        Gallery(tuple(p for p in pictures if p is not None), "By interval of outer steps."),
    ]
    if len(record.evaluations):
        # Seconds are those of all seeds that were trained together.
        made = record.evaluations.unique(["outer_step", "workload", "steps", "seconds"])
        blocks.append(
            Prose(
                f"Evaluations took {duration(float(made['seconds'].sum()))}, and "
                f"{duration(float(made['compile_seconds'].sum()))} of compiling."
            )
        )
    return Section("How fast", tuple(blocks))


def _small(
    record: MetaTrainingRecord, name: str, title: str, label: str, columns: list[str]
) -> Picture | None:
    """A small figure of columns of the record; None where it has none of them, or nothing ever happened."""
    there = [column for column in columns if _has(record.rows, column)]
    if not there or (name == "workers" and record.rows[name].max() == 1):
        return None
    parts = [
        record.rows.select("outer_step", pl.lit(column).alias("series"), pl.col(column).cast(pl.Float64).alias("value"))
        for column in there
    ]  # fmt: skip
    return draw_picture(
        name, figure_outer_steps, with_changes(pl.concat(parts), record), f"{title}, {label}.",
        f"{title} over outer steps.", title=title, label=label, width=SMALL,
    )  # fmt: skip


def _has(rows: pl.DataFrame, column: str) -> bool:
    return column in rows.columns and rows[column].drop_nulls().len() > 0
