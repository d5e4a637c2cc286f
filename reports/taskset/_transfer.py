"""A list that was learnt on tasks, tried on workloads of another kind: beside a published one, and Adam's rates.

Reference: Metz et al. 2020, arXiv:2002.11887, section 6.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

import lists
from reports import _tables as tables
from reports._list_sections import fraction_columns, workload_columns
from reports._words import count
from reports.figures import figure_step_fractions
from reports.figures.drawing import NARROW
from reports.page import Block, Note, Prose, Section, Table, draw_picture
from reports.study._facts import Studies, contender, read_facts
from results import Results, fractions, read_studies

HEADING = "The list on workloads of another kind"


def trained_by_trials(results: Results, unordered: str | None = None) -> pl.DataFrame:
    """How many workloads each study's points train, by how many of them are tried.

    Args:
      results: studies of lists, whose points are tried in order.
      unordered: name of a study whose points have no order, such as learning rates: of it the mean over all orders.

    Returns:
      Columns contender, trials, trained (workloads that have a target), of (how many these are).
    """
    studies = read_facts(results)
    rows = []
    for name in _ordered(studies, unordered):
        label = contender(studies, name).label
        judged = studies.hits.filter(
            (pl.col("submission") == name) & pl.col("workload").is_in(studies.judged)
        )
        if judged.is_empty():
            continue
        missed = (~np.isfinite(fractions(judged).values)).astype(np.float64)
        trials = np.arange(1, len(missed) + 1)
        left = lists.expected_best(missed, trials) if name == unordered else np.minimum.accumulate(missed)
        rows += [
            (label, int(n), float(missed.shape[1] - gone), missed.shape[1])
            for n, gone in zip(trials, left.sum(axis=1), strict=True)
        ]
    schema = {"contender": pl.String, "trials": pl.Int64, "trained": pl.Float64, "of": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def transfer_section(
    folder: Path, *, unordered: str = "adam", penalty: float = lists.PENALTY
) -> tuple[str, Section]:
    """What the report says of the transfer: a sentence, and the section.

    Args:
      folder: of the studies; each is a contender, and all have as many points.
      unordered: name of the study of learning rates.
      penalty: tau of the cost.
    """
    results = read_studies(folder)
    studies = read_facts(results)
    found = [contender(studies, name) for name in _ordered(studies, unordered)]
    by_trials = trained_by_trials(results, unordered)
    picture = draw_picture(
        "transfer", figure_step_fractions, tables.contender_rows(found, studies.judged),
        "The share of the step budget at which each reaches the target, by the best of its points.",
        "Step fractions of a list learnt on TaskSet, a published one, and Adam's learning rates.", narrow=NARROW,
    )  # fmt: skip
    blocks: list[Block] = [
        Prose(
            "Section 6 of the paper: the list is tried on workloads that are nothing like those that it was learnt on, "
            "beside Adam with a learning rate that is tuned with as many trials. All are trained by the list's own "
            "update rule, of which Adam is a special case, and for the whole step hint."
        ),
        picture,
        Table(
            "transfer_fractions",
            tables.fraction_table(found, studies.judged, penalty),
            "Step fraction to target, the best of all points of each.",
            fraction_columns(studies.judged, penalty),
        ),
        Table(
            "transfer_trained",
            by_trials.drop("of").pivot("trials", index="contender", values="trained"),
            "Workloads trained by the first 1, 2, ... points of each; of learning rates, which have no order, the mean "
            "over all orders.",
        ),
        Table(
            "transfer_metrics",
            tables.best_metric_table(found, studies.workloads),
            "The best validation metric of each.",
            workload_columns(studies.workloads, show="number"),
        ),
        *_notes(studies),
    ]
    said = ", ".join(f"{one.trained(studies.judged)} by {one.label}" for one in found)
    points, workloads = by_trials["trials"].max(), count(len(studies.judged), "workload")
    return (
        f"Of {workloads} of another kind, {points} trials each train: {said}.",
        Section(HEADING, tuple(blocks)),
    )


def _notes(studies: Studies) -> list[Block]:
    notes = []
    if studies.hits["repeat"].n_unique() == 1:
        notes.append(
            "Every point was trained once: differences of one workload are within the noise of a rerun."
        )
    if without := [w for w in studies.workloads if w not in studies.judged]:
        notes.append(f"Without a target, and so in the last table alone: {', '.join(without)}.")
    return [Note(text) for text in notes]


def _ordered(studies: Studies, last: str | None) -> list[str]:
    """Names of the studies: lists first, learning rates last."""
    return sorted(studies.about, key=lambda name: (name == last, name))
