"""The report of the protocol metz2020: the paper's figures on our sweep, its numbers beside ours, and the transfer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

import lists
from reports.page import Column, Note, Prose, Report, Section, Table
from reports.taskset._experiments import tuned_rate
from reports.taskset._published import published_and_ours, published_numbers
from reports.taskset._report import curves_report, horizons_of, rates_of
from reports.taskset._transfer import transfer_section
from results import Curves, read_curves
from results.studies import find_studies


def metz_report(
    curves: Path,
    transfer: Path | None = None,
    *,
    optimizer_set: str | None = None,
    size: int = 10,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """The report of metz2020 on a sweep.

    Args:
      curves: what `read_curves` reads.
      transfer: folder of the studies in which lists and Adam were trained on other workloads; None or empty shows none.
      optimizer_set, size, resamplings, seed, progress: see `curves_report`.

    Raises:
      ValueError: what `curves_report` refuses.
    """
    read = read_curves(curves)
    content = curves_report(
        read, optimizer_set=optimizer_set, size=size, resamplings=resamplings, seed=seed, progress=progress
    )
    sets = lists.task_costs(read, horizons=horizons_of(read))
    costs = lists.choose_set(sets, optimizer_set)
    detail: list[str] = []
    sections = [_published_section(read, sets, costs, resamplings, seed)]
    if transfer is not None and find_studies(transfer):
        sentence, section = transfer_section(transfer)
        detail.append(sentence)
        sections.append(section)
    worth = next((table.data for table in content.tables if table.name == "worth"), None)
    finding = content.finding
    if worth is not None:
        finding = _worth_in_words(worth, size, len(costs.tasks))
        detail.insert(0, content.finding)
    return dataclasses.replace(
        content,
        title=f"metz2020 · lists learnt on {len(costs.tasks)} tasks",
        finding=finding,
        detail=(*detail, *content.detail),
        sections=(*sections[:1], *content.sections[:2], *sections[1:], *content.sections[2:]),
    )


def _published_section(
    curves: Curves, sets: Sequence[lists.TaskCosts], costs: lists.TaskCosts, resamplings: int, seed: int
) -> Section:
    tuned = None
    for other in sets:
        rates = rates_of(other, curves.hyperparameters)
        if rates is not None and other.tasks == costs.tasks:
            tuned = tuned_rate(other, rates)
    known = all(curves.hyperparameters.get(point) for point in costs.points)
    table = published_and_ours(
        costs,
        repeats=next(iter(curves.read(costs.tasks[0]))).replicas,
        hyperparameters=curves.hyperparameters if known else None,
        tuned=tuned,
        resamplings=resamplings,
        seed=seed,
    )
    columns = {"what": Column(title=""), "ours": Column(absent="cannot be said")}
    return Section(
        "The paper's numbers, and ours",
        (
            Prose(
                f"What the text of {published_numbers()['source']} says in numbers, beside the same on these curves. "
                "Other tasks, shorter training and other data make other numbers; what can agree is the order."
            ),
            Table("published_and_ours", table, "Published, ours.", columns),
            Note("Within 5 % is our reading of when a curve of the paper is flat."),
        ),
    )


def _worth_in_words(worth: pl.DataFrame, size: int, tasks: int) -> str:
    """The finding: what lists of the report's size equal where all tasks but one build them, else the longest."""
    learnt_on = worth["learnt_on"].max()
    worth = worth.filter(pl.col("learnt_on") == learnt_on)
    said = []
    for _, of_lists in worth.group_by("chosen_from", maintain_order=True):
        equals = []
        for (name,), rows in of_lists.group_by("set", maintain_order=True):
            of_size = rows.filter(pl.col("trials") == size)
            row = (of_size if of_size.height else rows).row(-1, named=True)
            more = " or more" if row["high"] == row["most"] else ""
            equals.append(
                f"{row['equal']} trials in {name} (95 % interval over tasks {row['low']} to {row['high']}{more})"
            )
        of_all = "" if len(equals) == 1 else " that chooses from the points of all sets"
        said.append(
            f"a list of {of_lists['trials'].max()}{of_all} equals random search of {' and of '.join(equals)}"
        )
    return f"On {tasks} tasks, judged where it did not learn ({learnt_on} build it), {', and '.join(said)}."
