"""Tables of contenders, published and ours, as the page shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import polars as pl

from reports._list_sections import fraction_columns
from reports._tables import spread_columns
from reports.medapati import _tables as tables
from reports.medapati._measured import METHODS, Measured
from reports.medapati._published import PaperWorkload, PublishedNumbers
from reports.page import Column, Table


def pair(found: Measured, numbers: PublishedNumbers, name: str) -> tables.Pair:
    """A row of the paper's, published and ours."""
    return METHODS[name].label, numbers.row(name), found.rows.get(name)


def fraction_block(
    name: str,
    pairs: Sequence[tables.Pair],
    found: Measured,
    numbers: PublishedNumbers,
    caption: str,
    *,
    variants: bool = False,
) -> Table:
    """Step fractions of contenders, published and ours."""
    table = tables.fraction_pairs(pairs, numbers.names, found.penalty)
    columns = fraction_columns(numbers.names, found.penalty)
    columns |= {"numbers": Column(title=""), "trials": Column(hidden=True)}
    for w in numbers.workloads:
        note = w.variant.title if variants else None
        columns[w.name] = dataclasses.replace(columns[w.name], title=w.short, note=note, spread=None)
    columns |= _hidden(numbers)
    return Table(
        name,
        table,
        f"{beside(found)} {caption} Share of the step budget at which the target is first reached.",
        columns,
        muted_rows=printed_rows(table),
    )


def metric_block(
    name: str,
    pairs: Sequence[tables.Pair],
    found: Measured,
    numbers: PublishedNumbers,
    caption: str,
    *,
    variants: bool = False,
) -> Table:
    """Best metrics of contenders, published and ours."""
    table = tables.metric_pairs(pairs, numbers.names)
    columns = {"contender": Column(title=""), "numbers": Column(title=""), "spread": Column(hidden=True)}
    columns |= _hidden(numbers)
    for w in numbers.workloads:
        columns[w.name] = Column(
            title=w.short, note=_metric(w, variants), show="number",
            best="min" if w.minimize else "max",
        )  # fmt: skip
    return Table(
        name,
        table,
        f"{beside(found)} {caption} Best validation metric: median over repeats of each point's best evaluation, then "
        "the best point.",
        columns,
        muted_rows=printed_rows(table),
    )


def _hidden(numbers: PublishedNumbers) -> dict[str, Column]:
    """Spreads on single workloads, for which a page of eight has no room: they stand in the CSV."""
    return {end: Column(hidden=True) for name in numbers.names for end in spread_columns(name)}


def _metric(workload: PaperWorkload, variant: bool) -> str:
    said = f"{workload.metric} {'↓' if workload.minimize else '↑'}"
    return f"{workload.variant.title}, {said}" if variant else said


def beside(found: Measured) -> str:
    """What every table of published and own numbers says first."""
    return f"Published numbers are of AlgoPerf's workloads; ours: data: {found.data}."


def printed_rows(table: pl.DataFrame) -> tuple[int, ...]:
    """The rows of a table that are published."""
    return tuple(row for row, whose in enumerate(table["numbers"]) if whose == tables.PUBLISHED)


def named_columns(numbers: PublishedNumbers) -> dict[str, Column]:
    """Columns of workloads under their short titles."""
    return {name: Column(title=numbers.short(name)) for name in numbers.names}
