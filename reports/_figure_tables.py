"""What the figures of a report are drawn from, by itself: for notebooks."""

from __future__ import annotations

import polars as pl

import lists
from reports import _tables as tables
from reports._fractions_report import contenders_of_fractions
from reports._list_sections import LONGEST
from reports.study import contenders_of_studies
from results import Fractions, Results


def contenders(
    source: Results | Fractions,
    *,
    size: int | None = None,
    penalty: float = lists.PENALTY,
    submission: str | None = None,
) -> pl.DataFrame:
    """Who trains what, and how soon: what `figure_step_fractions` draws.

    Args:
      source: of studies, or a table of fractions.
      size: points in a list; None as `study_report` has it.
      penalty: tau of the cost C_tau by which lists are built.
      submission: the study of candidates that is meant; None compares all.

    Returns:
      Columns workload, row (the contender), fraction (of the budget; inf = missed, null = not run), low, high (of the
      fraction, over what spread says; null where it was measured once), spread; by how soon the first contender trains
      a workload.

    Raises:
      ValueError: AlgoPerf's logs, see `score`; or what `study_report` refuses.
    """
    if isinstance(source, Fractions):
        return contenders_of_fractions(source, list_size=size, penalty=penalty)
    if source.kind != "study":
        raise ValueError(
            f"{source.source}: contenders are of studies; reports.score compares the submissions of logs"
        )
    return contenders_of_studies(source, list_size=size, penalty=penalty, submission=submission)


def cost_by_length(
    fractions: Fractions, *, longest: int | None = None, penalty: float = lists.PENALTY
) -> pl.DataFrame:
    """Cost of lists of 1, 2, ... points, built and judged in different ways: what `figure_cost_by_length` draws.

    Args:
      fractions: of all candidate points.
      longest: points in the longest list; None takes 10, or as many as there are.
      penalty: tau.

    Returns:
      Columns points, series ("leave-one-out", on the workload left out; "greedy" and "exact", on the workloads that
      built it), cost, trained (workloads reached).
    """
    most = min(len(fractions.points), LONGEST) if longest is None else longest
    return tables.cost_by_length_table(fractions, most, penalty)
