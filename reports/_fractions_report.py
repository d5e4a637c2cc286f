"""The report on a bare table of fractions: a list, and whether it works on a workload it has not seen."""

from __future__ import annotations

import math

import polars as pl

import lists
from reports import _tables as tables
from reports._contenders import Contender, best_fractions
from reports._list_sections import fraction_columns, length_section, list_section
from reports._words import count
from reports.figures import figure_step_fractions
from reports.figures.drawing import NARROW, short_names
from reports.page import Block, Note, Picture, Prose, Report, Section, Table, draw_picture
from results import Fractions


def fractions_report(
    fractions: Fractions,
    *,
    source: str = "a table",
    list_size: int | None = None,
    penalty: float = lists.PENALTY,
    title: str | None = None,
) -> Report:
    """The report on a table of fractions of points on workloads, whoever measured them.

    Args:
      fractions: point x workload.
      source: where they were read, for people.
      list_size: points in a list; None means 5, or as many as there are.
      penalty: tau of the cost C_tau, at least 1.
      title: of the page.

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      ValueError: a size or penalty out of range.
    """
    size = list_size if list_size is not None else min(5, len(fractions.points))
    workloads = fractions.workloads
    n = len(workloads)
    rows = _contenders(fractions, size, penalty)
    trained = rows[0].trained(workloads)
    finding = f"{count(size, 'point')} out of {len(fractions.points)} train {trained} of {n} workloads."
    if n > 1:
        finding = f"A list of {count(size, 'point')} trains {trained} of {n} workloads that it has not seen."
    shown = tables.fraction_table(rows, workloads, penalty)
    blocks: list[Block] = [
        Table(
            "leave_one_out" if n > 1 else "fractions",
            shown,
            "Fraction of the budget at which the target is first reached. Grey, for context: contenders "
            "that saw the workloads.",
            fraction_columns(workloads, penalty, best=False),
            lead_rows=(0,) if n > 1 else (),
            muted_rows=(1, 2) if n > 1 else (),
        )
    ]
    if n > 1:
        blocks.append(
            Note("The same measurements build and judge these lists; trained anew, they may do worse.")
        )
    return Report(
        title=title or f"Shortlist report · {count(n, 'workload')}",
        finding=finding,
        detail=(
            f"Fractions of {count(len(fractions.points), 'point')}, read from {source}; lists of "
            f"{count(size, 'point')} (--size), penalty {penalty:g} (--penalty).",
        ),
        facts=(
            (f"{trained} of {n}", f"workloads trained by the {rows[0].label}"),
            (
                f"{rows[0].cost(workloads, penalty):.3f}",
                f"cost: geometric mean of fractions, a miss counts {penalty:g}",
            ),
            (
                f"{sum(map(math.isfinite, fractions.values.flat)):,}",
                f"hits among {fractions.values.size:,} fractions",
            ),
        ),
        opening=_opening(rows, workloads),
        caveats=(
            "A table holds one fraction for each point and workload: ranks rest on it, whatever it was made of.",
        ),
        sections=(
            Section(
                "What was reached", (Prose("A contender's fraction is that of its best point."), *blocks)
            ),
            list_section(fractions, {}, size, penalty),
            length_section(fractions, size, penalty),
        ),
    )


def contenders_of_fractions(fractions: Fractions, *, list_size: int | None, penalty: float) -> pl.DataFrame:
    """The table of the main figure of `fractions_report`; see `reports.contenders`."""
    size = list_size if list_size is not None else min(5, len(fractions.points))
    return _table(_contenders(fractions, size, penalty), fractions.workloads)


def _contenders(fractions: Fractions, size: int, penalty: float) -> list[Contender]:
    workloads = fractions.workloads
    values = (
        lists.greedy(fractions.values, size, penalty, places=fractions.places).best(fractions.values).tolist()
    )
    built = Contender("list built on all", dict(zip(workloads, values, strict=True)), {}, str(size))
    every = Contender("all points", best_fractions(fractions), {}, str(len(fractions.points)))
    if len(workloads) == 1:
        return [built, every]
    held_out = (
        lists.leave_one_out(fractions.values, size, penalty, places=fractions.places).held_out[:, -1].tolist()
    )
    return [
        Contender("leave-one-out list", dict(zip(workloads, held_out, strict=True)), {}, str(size)),
        *(built, every),
    ]


def _table(rows: list[Contender], workloads: tuple[str, ...]) -> pl.DataFrame:
    return tables.contender_rows(rows, sorted(workloads, key=lambda w: rows[0].fractions[w]))


def _opening(rows: list[Contender], workloads: tuple[str, ...]) -> Picture:
    data = _table(rows, workloads)
    order = data["workload"].unique(maintain_order=True).to_list()
    names = short_names(order)
    said = ", ".join(f"{names[w]} {rows[0].fractions[w]:.2f}".replace(" inf", " missed") for w in order)
    label = "fraction of the budget at which the target is reached"
    return draw_picture(
        "fractions",
        figure_step_fractions,
        data,
        "Further left is sooner; hollow marks never reached the target.",
        f"Fraction to target by workload. {rows[0].label}: {said}.",
        narrow=NARROW,
        label=label,
    )
