"""The sections of the report on a reproduction of Medapati et al., in the order of the paper's tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

import lists
from reports._contenders import hyperparameters_of
from reports._list_sections import unlearnt_notes
from reports._words import count
from reports.bands import EqualBudget
from reports.figures import figure_list_sizes
from reports.figures.drawing import NARROW
from reports.medapati import _tables as tables
from reports.medapati._agreement import LONGEST, constructions, penalties
from reports.medapati._blocks import beside, fraction_block, metric_block, named_columns, pair, printed_rows
from reports.medapati._measured import (
    LEFT_OUT,
    OF_SEARCH,
    OWN,
    RANDOM,
    SEARCH,
    VARIANTS,
    Measured,
    trained_at_random,
)
from reports.medapati._published import PublishedNumbers
from reports.page import Block, Column, Note, Picture, Prose, Section, Table, draw_picture
from reports.study._list_parts import unlearnt_anew
from reports.study._search import Progress, search_section
from reports.study._spread import spread_in_words
from results import Fractions

CANDIDATES = "medapati-candidates"  # the strategy whose points are the paper's own


def workload_section(found: Measured, numbers: PublishedNumbers) -> Section:
    """Targets and budgets."""
    trials = found.studies.results.trials.unique("workload", maintain_order=True)
    steps = dict(trials.select("workload", "step_hint").iter_rows())
    changed = {w.variant.name: found.variants[w.name] for w in numbers.workloads if w.name in found.variants}
    ours = {
        name: (found.studies.metrics[w][0], found.studies.metrics[w][2], int(steps[w]))
        for name, w in {**found.names, **changed}.items()
    }
    return Section(
        "The workloads (Tables 2, 3 and 11)",
        (
            Table(
                "table_2_3_11",
                tables.workload_table(numbers, ours),
                f"{beside(found)} Each base workload and its variant, which trains for as many steps.",
                {
                    "workload": Column(show="code"),
                    "metric": Column(note="published"),
                    "target": Column(note="published", show="number"),
                    "steps": Column(note="published"),
                    "our_metric": Column(title="metric", note="ours"),
                    "our_target": Column(title="target", note="ours", show="number"),
                    "our_steps": Column(title="steps", note="ours"),
                },
            ),
        ),
    )


def reach_section(found: Measured, numbers: PublishedNumbers) -> Section:
    """How far single points carry."""
    ours = None if found.candidates is None else _in_their_words(found)
    points = "no" if ours is None else len(ours.points)
    table = tables.reach_table(numbers, ours)
    return Section(
        "How many points reach a target (Table 4)",
        (
            Table(
                "table_4",
                table,
                f"{beside(found)} Candidate points that reach each target, and those of other workloads too: "
                f"published of {numbers.reach.points}, ours of {points}.",
                {
                    "reaches": Column(title="points that reach"),
                    "numbers": Column(title=""),
                    **named_columns(numbers),
                },
                muted_rows=printed_rows(table),
            ),
        ),
    )


def unseen_section(found: Measured, numbers: PublishedNumbers) -> Section:
    """Left-out lists against baselines of five trials."""
    rows = (
        LEFT_OUT,
        "lr-sweep-wd-0.5",
        "lr-sweep-wd-0.0001",
        "vizier-5",
        "vizier-10",
        "metz2020-appendix_f",
        RANDOM,
    )
    pairs = [pair(found, numbers, name) for name in rows]
    pairs += [
        (found.rows[name].label, None, found.rows[name]) for name in (OF_SEARCH, OWN) if name in found.rows
    ]
    measured_rows = [ours for _, _, ours in pairs if ours is not None]
    blocks: list[Block] = [
        Prose(
            "A list is built on all workloads but one and tried on that, against others with as many trials (one of "
            "Vizier's has ten). A point's step fraction is the median over its repeats, a row's that of its best "
            f"point. {spread_in_words(measured_rows, where='Small, below a cost')} Spreads of single workloads are "
            "drawn above and stand in the CSV."
        ),
        fraction_block("table_5", pairs, found, numbers, "Table 5."),
        metric_block("table_6", pairs, found, numbers, "Table 6."),
    ]
    if (drawn := trained_at_random(found)) is not None:
        blocks.append(Prose(_random_in_words(*drawn, found)))
    if found.hero == LEFT_OUT and found.searched and (note := unlearnt_anew(found.searched)):
        blocks.append(Note(note))
    left = found.lists_of("greedy", found.size)
    if found.hero == OF_SEARCH and left is not None and found.candidates is not None:
        blocks += unlearnt_notes(found.candidates, left)
    return Section("On workloads not seen (Tables 5 and 6)", tuple(blocks))


def _random_in_words(points: int, chances: np.ndarray, found: Measured) -> str:
    cumulated = np.cumsum(chances)
    low, middle, high = (int(np.searchsorted(cumulated, q, side="left")) for q in (0.25, 0.5, 0.75))
    said = (
        f"Random search of {found.size}, tried on all workloads alike, trains {middle} of {len(chances) - 1} in the "
        f"median of all subsets of {found.size} of {points} points (quartiles {low} to {high}); its row above has the "
        "median of every workload by itself."
    )
    if found.hero is None:
        return said
    mine = found.rows[found.hero].trained(found.judged)
    return f"{said} {100 * float(chances[mine:].sum()):.0f} % of the subsets train at least {mine}, as the lists do."


def curve_section(
    found: Measured, numbers: PublishedNumbers, seed: int, progress: Progress | None
) -> tuple[Section | None, Mapping[str, EqualBudget]]:
    """Figure 1: tuning curves of the candidates, with the list that has not seen the workload."""
    if found.searched is None:
        return None, {}
    confidence = numbers.equal_budget.confidence
    section, budgets = search_section(found.searched, confidence=confidence, seed=seed, progress=progress)
    if section is None:
        return None, {}
    said = (
        f"{beside(found)} Published: lists of {numbers.equal_budget.size} equal random search of at least "
        f"{numbers.equal_budget.least_trials} trials on most workloads, and of their own budget on "
        f"{' and '.join(numbers.equal_budget.equal_only)}; the curves themselves are not among the published numbers."
    )
    return Section("Against random search (Figure 1)", (Prose(said), *section.blocks)), budgets


def construction_section(found: Measured, numbers: PublishedNumbers) -> Section:
    """Length, penalty and method of lists."""
    left = found.lists_of("greedy", LONGEST)
    anew = []
    names = found.judged
    for k in range(1, found.size + 1) if found.hero == LEFT_OUT else ():
        row = found.anew(LEFT_OUT, k)
        if row is not None and set(names) <= set(row.fractions):
            anew.append((k, row.trained(names), row.cost(names, found.penalty)))
    sizes = tables.list_size_table(numbers, left, anew)
    blocks: list[Block] = [Prose(_built_in_words(found))]
    if left is not None or anew:
        blocks.append(_size_picture(sizes, found, numbers))
        wide = sizes.filter(pl.col("series") != "published").pivot(
            "series", index="points", values=["trained", "cost"]
        )
        shown: dict[str, Column] = {}
        for series in _series(sizes):
            title = series.removeprefix("ours, ")
            shown[f"trained_{series}"] = Column(title=title, note="trained")
            shown[f"cost_{series}"] = Column(title=title, note="cost", show="fraction")
        blocks.append(
            Table(
                "figure_2",
                wide.sort("points").select("points", *shown),
                f"Ours ({found.data}): left-out workloads trained, of {len(names)}, and the cost there (a miss counts "
                f"{found.penalty:g}). Published: all {len(numbers.names)} from {numbers.list_sizes.all_trained_from} "
                "points on.",
                shown,
            )
        )
    table = tables.penalty_pairs(numbers, penalties(found, numbers))
    blocks.append(
        Table(
            "table_12",
            table,
            f"{beside(found)} Table 12: left-out workloads trained by lists of {numbers.penalties.size}, by the "
            "penalty of a missed target. Ours by the search's trainings.",
            {"numbers": Column(title="penalty")},
            muted_rows=(0,),
        )
    )
    blocks.append(
        Table(
            "table_13",
            tables.construction_pairs(numbers, *constructions(found, numbers)),
            f"{beside(found)} Table 13: left-out workloads trained by lists of {numbers.constructions.size} points.",
            {
                "construction": Column(title="lists"),
                "search": Column(title="ours", note="search's trainings"),
                "anew": Column(title="ours", note="trained anew"),
            },
        )
    )
    return Section("How lists are built (Figure 2, Tables 12 and 13)", tuple(blocks))


def _series(sizes: pl.DataFrame) -> list[str]:
    """The series of ours, in order."""
    return [name for name in sizes["series"].unique(maintain_order=True) if name != "published"]


def _built_in_words(found: Measured) -> str:
    if found.candidates is None:
        return "Without a search of ours nothing can be said about how lists are built here."
    return (
        f"Ours are built from {count(len(found.candidates.points), 'candidate')} on "
        f"{count(len(found.candidates.workloads), 'workload')}. By the search's trainings: what built the lists of the "
        "others also judges them on the workload left out. Of points that serve a list equally well, it takes "
        f"{lists.TIES['merit']}; Algorithm 1 states no rule."
    )


def _size_picture(sizes: pl.DataFrame, found: Measured, numbers: PublishedNumbers) -> Picture:
    names = found.judged
    last = sizes.filter(pl.col("series") == _series(sizes)[0]).sort("points")
    return draw_picture(
        "figure_2",
        figure_list_sizes,
        sizes,
        f"Workloads trained by lists that have not seen them, and the cost there, by the points in the list. Ours: "
        f"{found.data}. Of the published figure one point is known: all {len(numbers.names)} of AlgoPerf's workloads "
        f"are trained from {numbers.list_sizes.all_trained_from} points on.",
        f"Left-out workloads trained by list length: {_series(sizes)[0]} "
        f"{', '.join(map(str, last['trained'].to_list()))}.",
        narrow=NARROW,
        workloads=max(len(names), len(numbers.names)),
        penalty=found.penalty,
    )


def final_section(found: Measured, numbers: PublishedNumbers) -> Section:
    """The list of all base workloads, there and on variants."""
    blocks: list[Block] = []
    own = _own_list(found)
    searched = found.studies.about.get(SEARCH, {})
    # Ids are rows of the paper's candidates where the search was of these.
    table = tables.list_pairs(
        [(point.id, point.hyperparameters) for point in numbers.points.points],
        own,
        candidates=searched.get("strategy") == CANDIDATES,
    )
    shared = table.filter(pl.col("numbers") == tables.OURS)["shared"].sum() if own else None
    said = (
        f" {count(int(shared or 0), 'point')} of ours {'is' if shared == 1 else 'are'} in theirs too."
        if own
        else ""
    )
    blocks.append(
        Table(
            "table_10",
            table,
            f"{beside(found)} Table 10: the list learnt on all base workloads, first to try first.{said}",
            {
                "place": Column(title=""),
                "numbers": Column(title=""),
                "point": Column(show="code"),
                "shared": Column(title="in both"),
            },
            muted_rows=printed_rows(table),
        )
    )
    base = [pair(found, numbers, "final-list")]
    base += [(found.rows[OWN].label, None, found.rows[OWN])] if OWN in found.rows else []
    on_variants = [pair(found, numbers, VARIANTS)]
    if there := found.complete([OWN]):
        theirs, ours = there[OWN], found.complete(["final-list"]).get("final-list")
        beside_ours = "" if ours is None else f", ours, built on these, {ours.trained(found.judged)}"
        blocks.append(
            Prose(
                f"On our workloads, which it has not seen, the paper's own list trains {theirs.trained(found.judged)} "
                f"of {len(found.judged)}{beside_ours}."
            )
        )
    blocks += [
        fraction_block(
            "table_9_14",
            base,
            found,
            numbers,
            "Tables 9 and 14 (which repeats it): on the workloads that built it.",
        ),
        metric_block(
            "final_list_metrics", base, found, numbers, "The same by best metric; the paper prints none."
        ),
        fraction_block("table_7", on_variants, found, numbers, "Table 7: on the variants.", variants=True),
        metric_block("table_8", on_variants, found, numbers, "Table 8: on the variants.", variants=True),
    ]
    return Section("The list of all eight (Tables 7 to 10 and 14)", tuple(blocks))


def _own_list(found: Measured) -> list[tuple[str, Mapping[str, object]]]:
    """Ids and hyperparameters of the greedy list on all base workloads."""
    if found.candidates is None:
        return []
    chosen = lists.greedy(found.candidates.values, found.size, found.penalty, places=found.candidates.places)
    known = hyperparameters_of(found.studies.results.trials.filter(submission=SEARCH))
    return [(point, known[point]) for point in (found.candidates.points[p] for p in chosen.points)]


def _in_their_words(found: Measured) -> Fractions:
    """Fractions of the candidates under the paper's names of workloads."""
    candidates = found.candidates
    assert candidates is not None
    names = {workload: name for name, workload in found.names.items()}
    return Fractions(
        candidates.points, tuple(names[w] for w in candidates.workloads), candidates.values, candidates.places
    )
