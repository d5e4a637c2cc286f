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
        finding, intervals = _worth_in_words(worth, size, len(costs.tasks))
        detail = [intervals, content.finding, *detail]
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


def _worth_in_words(worth: pl.DataFrame, size: int, tasks: int) -> tuple[str, str]:
    """The finding, what lists of a size (or the longest below) equal where the most tasks build them; and intervals."""
    most = pl.col("learnt_on").max().over("chosen_from", "set")
    worth = worth.filter(pl.col("learnt_on") == most)
    rows = worth.filter(pl.col("trials") <= size).group_by("chosen_from", "set", maintain_order=True).last()
    alone, longest = pl.col("chosen_from") == pl.col("set"), rows["trials"].max()

    def trials(of: pl.DataFrame) -> str:
        # A set of fewer points has a shorter list.
        return " and ".join(
            f"{equal} trials in {name}{'' if length == longest else f' by one of {length}'}"
            for name, equal, length in of.select("set", "equal", "trials").iter_rows()
        )

    finding = f"a list of {longest} equals random search of {trials(rows.filter(alone))}"
    if (of_all := rows.filter(~alone)).height:
        finding += f"; one that chooses from all sets together, of {trials(of_all)}"
    intervals = [
        f"{low} to {high}{' or more' if high == points else ''} ({'itself' if name == chosen_from else 'all sets'} "
        f"against {name})"
        for chosen_from, name, low, high, points in rows.select(
            "chosen_from", "set", "low", "high", "most"
        ).iter_rows()
    ]
    return (
        f"On tasks that did not build it, {finding}.",
        f"{worth['learnt_on'][0]} of {tasks} tasks build a list. 95 % intervals over tasks: {', '.join(intervals)}.",
    )
