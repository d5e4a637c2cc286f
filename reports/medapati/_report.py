"""The report on a reproduction of Medapati et al.: every table and figure of theirs, published and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

import lists
from reports._contenders import Contender, hyperparameters_of
from reports._list_sections import fraction_columns
from reports._words import capital, count
from reports.bands import EqualBudget
from reports.figures import figure_list_sizes
from reports.figures.drawing import NARROW, OTHERS
from reports.medapati import _tables as tables
from reports.medapati._agreement import (
    LONGEST,
    Statement,
    constructions,
    in_words,
    penalties,
    statement_table,
    statements,
)
from reports.medapati._measured import (
    BASELINES,
    LEFT_OUT,
    METHODS,
    OF_SEARCH,
    OWN,
    RANDOM,
    SEARCH,
    VARIANTS,
    Measured,
    measured,
    trained_at_random,
)
from reports.medapati._published import PublishedNumbers, published_numbers
from reports.page import Block, Column, Note, Picture, Prose, Report, Section, Table, draw_picture
from reports.study._facts import rank, study_facts
from reports.study._record import Settings, record_section
from reports.study._search import search_section
from reports.study._spread import fractions_picture, spread_in_words
from results import Fractions, Results

Progress = Callable[[str, int, int], None]
CANDIDATES = "medapati-candidates"  # the strategy whose points are the paper's own


def medapati_report(
    studies: Path | Results,
    *,
    penalty: float = lists.PENALTY,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """The report on a folder of studies that repeat the protocol of Medapati et al. 2025, arXiv:2503.03986.

    Studies are found by their names; any may be missing, then its rows are said to be missing. `quasirandom` holds the
    200 candidates on the base workloads, `leave-one-out` and `leave-one-out-exact` the left-out lists trained anew (of
    5 greedy and 4 exact points), `final-list` and `final-list-variants` the list of all base workloads there and on the
    variants; `lr-sweep-wd-0.5`, `lr-sweep-wd-0.0001`, `vizier` (10 trials, the first 5 are Vizier with 5),
    `metz2020-appendix_f` and `random` are baselines, and `medapati2025` is the paper's own list.

    Args:
      studies: the folder, or what `results.read_studies` read of it.
      penalty: tau of the cost C_tau, at least 1.
      seed: of the simulation that calibrates bands of up to 100 trials.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      FileNotFoundError, ValueError: the folder cannot be read; it holds no such study on a workload of the paper, or
        one workload at two scales; or a penalty out of range.
    """
    numbers = published_numbers()
    found = measured(studies, numbers, penalty)
    curves, budgets = _curves(found, numbers, seed, progress)
    made = statements(found, numbers, budgets)
    sections = [
        _agreement(made, found),
        _workloads(found, numbers),
        _reach(found, numbers),
        _unseen(found, numbers),
        *([curves] if curves else []),
        _construction(found, numbers),
        _final(found, numbers),
        _not_here(found, numbers),
        record_section(found.studies, Settings(found.size, penalty, numbers.equal_budget.confidence)),
    ]
    return Report(
        title="Medapati et al. 2025, reproduced",
        finding=_finding(found, numbers, made),
        detail=_detail(found, numbers),
        facts=_headline(found, made),
        opening=_opening(found, numbers),
        sections=tuple(sections),
        caveats=_caveats(found, numbers),
    )


# The opening


def _finding(found: Measured, numbers: PublishedNumbers, made: Sequence[Statement]) -> str:
    printed = _printed(numbers, LEFT_OUT)
    theirs = f"{printed.trained(numbers.names)} of {len(numbers.names)}"
    told = [one for one in made if one.agrees is not None]
    held = sum(one.agrees == "yes" for one in told)
    agreed = f"of {count(len(told), 'statement')} that can be compared, {held} {'holds' if held == 1 else 'hold'} here"
    if found.hero is None:
        return f"In the paper lists train {theirs} workloads that they have not seen; ours are not there; {agreed}."
    hero = found.rows[found.hero]
    names = [name for name in _judged(found.studies.judged, found.names) if name in hero.fractions]
    return (
        f"Lists train {hero.trained(names)} of {len(names)} workloads that they have not seen here, {theirs} in the "
        f"paper; {agreed}."
    )


def _detail(found: Measured, numbers: PublishedNumbers) -> tuple[str, ...]:
    said = [
        f"Published: {numbers.source}, on AlgoPerf's workloads.",
        f"Ours: {count(len(found.names), 'workload')} of the same kinds; data: {found.data}.",
    ]
    if found.hero == OF_SEARCH:
        said.append(
            "The same trainings build and judge our lists; training the points anew is a harder test."
        )
    return tuple(said)


def _caveats(found: Measured, numbers: PublishedNumbers) -> tuple[str, ...]:
    wrong = ", ".join(f"{cell.row} on {cell.workload}" for cell in numbers.contradictions)
    said = [
        "Step fractions and metrics are of other workloads than the paper's, to other targets: what can agree is who "
        "reaches a target and in which order, not a number.",
        f"{len(numbers.contradictions)} cells of Tables 5 and 6 contradict Table 2: a step fraction is printed although "
        f"the metric misses the target ({wrong}).",
    ]
    if absent := _absent(found):
        said.insert(0, absent)
    return tuple(said)


def _absent(found: Measured) -> str:
    """What has no rows of ours, in words; empty if nothing is missing."""
    by_reason: dict[str, list[str]] = {}
    for name, why in found.missing.items():
        label = "the search" if name == SEARCH else METHODS[name].label
        by_reason.setdefault(why, []).append(label)
    if not by_reason:
        return ""
    reasons = [f"{', '.join(labels)} ({why})" for why, labels in by_reason.items()]
    return f"Without rows of ours: {'; '.join(reasons)}."


def _headline(found: Measured, made: Sequence[Statement]) -> tuple[tuple[str, str], ...]:
    told = [one for one in made if one.agrees is not None]
    facts = []
    if told:
        held, part = (sum(one.agrees == verdict for one in told) for verdict in ("yes", "in part"))
        facts.append((f"{held} of {len(told)}", f"statements of the paper hold here, {part} more in part"))
    there = _complete(found, BASELINES)
    if found.hero is not None:
        names = _judged(found.studies.judged, found.names)
        hero = found.rows[found.hero]
        facts.append((f"{hero.trained(names)} of {len(names)}", "workloads trained without having seen them"))
        if there:
            best = min(there, key=lambda row: rank(row, tuple(names), found.penalty))
            facts.append((f"{best.trained(names)} of {len(names)}", f"by the best baseline, {best.label}"))
    facts.append((f"{found.studies.results.trials.height:,}", "trials of ours"))
    return tuple(facts)


def _opening(found: Measured, numbers: PublishedNumbers) -> Picture | None:
    names = _judged(found.studies.judged, found.names)
    if found.hero is None or not names:
        return None
    hero, printed = found.rows[found.hero], _printed(numbers, LEFT_OUT)
    theirs = Contender("the paper's, on AlgoPerf's", printed.fractions, {})
    others = [found.rows[name] for name in (*BASELINES, "vizier-10", RANDOM, OWN) if name in found.rows]
    others.sort(key=lambda row: rank(row, tuple(names), found.penalty))
    drawn = [hero, theirs, *others[: len(OTHERS) - 1]]
    caption = f" Ours: {found.data}. The second row of marks is printed in Table 5, of AlgoPerf's workloads."
    return fractions_picture(drawn, names, caption)


# Sections


def _agreement(made: Sequence[Statement], found: Measured) -> Section:
    blocks: list[Block] = [Prose(text) for text in in_words(made)]
    if absent := _absent(found):
        blocks.append(Note(absent))
    blocks.append(
        Table(
            "agreement",
            statement_table(made),
            f"What the paper's numbers say, and whether ours ({found.data}) say the same; – where that cannot be told "
            "yet. In part: no contradiction, or more than half of what is counted.",
            {
                "where": Column(title="in the paper"),
                "published": Column(title="published"),
                "agrees": Column(title="holds here"),
            },
        )
    )
    return Section("What agrees and what does not", tuple(blocks))


def _workloads(found: Measured, numbers: PublishedNumbers) -> Section:
    trials = found.studies.results.trials.unique("workload", maintain_order=True)
    steps = dict(trials.select("workload", "step_hint").iter_rows())
    named = {**found.names, **{w.variant.name: found.variants[w.name] for w in numbers.workloads if w.name in found.variants}}  # fmt: skip
    ours = {
        name: (found.studies.metrics[w][0], found.studies.metrics[w][2], int(steps[w]))
        for name, w in named.items()
    }
    return Section(
        "The workloads (Tables 2, 3 and 11)",
        (
            Table(
                "table_2_3_11",
                tables.workload_table(numbers, ours),
                f"{_beside(found)} Each base workload and its variant, which trains for as many steps.",
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


def _reach(found: Measured, numbers: PublishedNumbers) -> Section:
    ours = None if found.candidates is None else _in_their_words(found)
    points = "no" if ours is None else len(ours.points)
    table = tables.reach_table(numbers, ours)
    return Section(
        "How many points reach a target (Table 4)",
        (
            Table(
                "table_4",
                table,
                f"{_beside(found)} Candidate points that reach each target, and those of other workloads too: published "
                f"of {numbers.reach.points}, ours of {points}.",
                {
                    "reaches": Column(title="points that reach"),
                    "numbers": Column(title=""),
                    **_named(numbers),
                },
                muted_rows=_printed_rows(table),
            ),
        ),
    )


def _unseen(found: Measured, numbers: PublishedNumbers) -> Section:
    rows = (
        LEFT_OUT,
        "lr-sweep-wd-0.5",
        "lr-sweep-wd-0.0001",
        "vizier-5",
        "vizier-10",
        "metz2020-appendix_f",
        RANDOM,
    )
    pairs = [_pair(found, numbers, name) for name in rows]
    pairs += [
        (found.rows[name].label, None, found.rows[name]) for name in (OF_SEARCH, OWN) if name in found.rows
    ]
    # The paper prints no step fractions of random search.
    fractions = [(label, row if row and row.fractions else None, ours) for label, row, ours in pairs]
    blocks: list[Block] = [
        Prose(
            "A list of five is built on seven workloads and tried on the eighth, against others with five trials (one of "
            "Vizier's has ten). A point's step fraction is the median over its repeats, and a row's is that of its best "
            f"point. {spread_in_words([ours for _, _, ours in pairs if ours is not None])}"
        ),
        _fraction_block("table_5", fractions, found, numbers, "Table 5."),
        _metric_block("table_6", pairs, found, numbers, "Table 6."),
    ]
    if (chances := trained_at_random(found)) is not None:
        blocks.append(Prose(_random_in_words(chances, found)))
    return Section("On workloads not seen (Tables 5 and 6)", tuple(blocks))


def _random_in_words(chances: np.ndarray, found: Measured) -> str:
    cumulated = np.cumsum(chances)
    low, middle, high = (int(np.searchsorted(cumulated, q, side="left")) for q in (0.25, 0.5, 0.75))
    n = len(chances) - 1
    points = found.studies.about[METHODS[RANDOM].study].get("budget")
    said = (
        f"Random search of {found.size} trains {middle} of {n} workloads in the median of all subsets of {found.size} of "
        f"its {points} points (quartiles {low} to {high})"
    )
    if found.hero is None:
        return f"{said}."
    names = [name for name in _judged(found.studies.judged, found.names)]
    mine = found.rows[found.hero].trained(names)
    return (
        f"{said}; {100 * float(chances[mine:].sum()):.0f} % of them train at least {mine}, as the lists do."
    )


def _curves(
    found: Measured, numbers: PublishedNumbers, seed: int, progress: Progress | None
) -> tuple[Section | None, Mapping[str, EqualBudget]]:
    """Figure 1: tuning curves of the candidates, with the list that has not seen the workload."""
    if SEARCH not in found.studies.about:
        return None, {}
    kept = [name for name in (SEARCH, LEFT_OUT) if name in found.studies.about]
    facts = study_facts(
        found.studies.results.of_submissions(kept), list_size=found.size, penalty=found.penalty
    )
    confidence = numbers.equal_budget.confidence
    section, budgets = search_section(facts, confidence=confidence, seed=seed, progress=progress)
    if section is None:
        return None, {}
    said = (
        f"{_beside(found)} Published: lists of {numbers.equal_budget.size} equal random search of at least "
        f"{numbers.equal_budget.least_trials} trials on most workloads, and of their own budget on "
        f"{' and '.join(numbers.equal_budget.equal_only)}; the curves themselves are not among the published numbers."
    )
    return Section("Against random search (Figure 1)", (Prose(said), *section.blocks)), budgets


def _construction(found: Measured, numbers: PublishedNumbers) -> Section:
    left = found.lists_of("greedy", LONGEST)
    anew = []
    names = _judged(found.studies.judged, found.names)
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
        shown = {
            f"{what}_{series}": Column(title=series.removeprefix("ours, "), note=note, show=show)
            for series in wide_series(sizes)
            for what, note, show in (("trained", "trained", None), ("cost", "cost", "fraction"))
        }
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
            f"{_beside(found)} Table 12: left-out workloads trained by lists of {numbers.penalties.size}, by the penalty "
            "of a missed target. Ours by the search's trainings.",
            {"numbers": Column(title="penalty")},
            muted_rows=(0,),
        )
    )
    blocks.append(
        Table(
            "table_13",
            tables.construction_pairs(numbers, *constructions(found, numbers)),
            f"{_beside(found)} Table 13: left-out workloads trained by lists of {numbers.constructions.size} points.",
            {
                "construction": Column(title="lists"),
                "search": Column(title="ours", note="search's trainings"),
                "anew": Column(title="ours", note="trained anew"),
            },
        )
    )
    return Section("How lists are built (Figure 2, Tables 12 and 13)", tuple(blocks))


def wide_series(sizes: pl.DataFrame) -> list[str]:
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
    names = _judged(found.studies.judged, found.names)
    last = sizes.filter(pl.col("series") == wide_series(sizes)[0]).sort("points")
    return draw_picture(
        "figure_2",
        figure_list_sizes,
        sizes,
        f"Workloads trained by lists that have not seen them, and the cost there, by the points in the list. Ours: "
        f"{found.data}. Of the published figure one point is known: all {len(numbers.names)} of AlgoPerf's workloads "
        f"are trained from {numbers.list_sizes.all_trained_from} points on.",
        f"Left-out workloads trained by list length: {wide_series(sizes)[0]} "
        f"{', '.join(map(str, last['trained'].to_list()))}.",
        narrow=NARROW,
        workloads=max(len(names), len(numbers.names)),
        penalty=found.penalty,
    )


def _final(found: Measured, numbers: PublishedNumbers) -> Section:
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
            f"{_beside(found)} Table 10: the list learnt on all base workloads, first to try first.{said}",
            {
                "place": Column(title=""),
                "numbers": Column(title=""),
                "point": Column(show="code"),
                "shared": Column(title="in both"),
            },
            muted_rows=_printed_rows(table),
        )
    )
    base = [_pair(found, numbers, "final-list")]
    base += [(found.rows[OWN].label, None, found.rows[OWN])] if OWN in found.rows else []
    on_variants = [_pair(found, numbers, VARIANTS)]
    blocks += [
        _fraction_block(
            "table_9_14",
            base,
            found,
            numbers,
            "Tables 9 and 14 (which repeats it): on the workloads that built it.",
        ),
        _metric_block(
            "final_list_metrics", base, found, numbers, "The same by best metric; the paper prints none."
        ),
        _fraction_block("table_7", on_variants, found, numbers, "Table 7: on the variants.", variants=True),
        _metric_block("table_8", on_variants, found, numbers, "Table 8: on the variants.", variants=True),
    ]
    return Section("The list of all eight (Tables 7 to 10 and 14)", tuple(blocks))


def _own_list(found: Measured) -> list[tuple[str, Mapping[str, object]]]:
    """Ids and hyperparameters of the greedy list on all base workloads."""
    if found.candidates is None:
        return []
    chosen = lists.greedy(found.candidates.values, found.size, found.penalty, places=found.candidates.places)
    known = hyperparameters_of(found.studies.results.trials.filter(submission=SEARCH))
    return [(point, known[point]) for point in (found.candidates.points[p] for p in chosen.points)]


def _not_here(found: Measured, numbers: PublishedNumbers) -> Section:
    blocks: list[Block] = [
        Prose(
            f"{_listed(numbers.not_known)} of the paper are not drawn: what they show is not among the numbers "
            "that this page has, and nothing is drawn in their name."
        ),
        Prose(
            "Vizier was the internal service there and is its open-source package here. Which of the two orders of Metz' "
            "list was used there is not stated; here it is that of its Appendix F. What the learning-rate sweeps hold "
            "fixed is not stated either."
        ),
    ]
    if absent := _absent(found):
        blocks.append(Note(absent))
    return Section("What is not here", tuple(blocks))


# Tables of contenders


def _pair(found: Measured, numbers: PublishedNumbers, name: str) -> tables.Pair:
    return METHODS[name].label, numbers.row(name), found.rows.get(name)


def _fraction_block(
    name: str,
    pairs: Sequence[tables.Pair],
    found: Measured,
    numbers: PublishedNumbers,
    caption: str,
    *,
    variants: bool = False,
) -> Table:
    table = tables.fraction_pairs(pairs, numbers.names, found.penalty)
    columns = fraction_columns(numbers.names, found.penalty)
    columns["numbers"] = Column(title="")
    if variants:
        columns |= {w.name: _titled(columns[w.name], w.variant.name) for w in numbers.workloads}
    return Table(
        name,
        table,
        f"{_beside(found)} {caption} Share of the step budget at which the target is first reached.",
        columns,
        muted_rows=_printed_rows(table),
    )


def _metric_block(
    name: str,
    pairs: Sequence[tables.Pair],
    found: Measured,
    numbers: PublishedNumbers,
    caption: str,
    *,
    variants: bool = False,
) -> Table:
    table = tables.metric_pairs(pairs, numbers.names)
    columns = {"contender": Column(title=""), "numbers": Column(title=""), "spread": Column(hidden=True)}
    for w in numbers.workloads:
        columns[w.name] = Column(
            title=w.variant.name if variants else w.name, note=f"{w.metric} {'↓' if w.minimize else '↑'}", show="number",
            best="min" if w.minimize else "max", spread=(f"{w.name} low", f"{w.name} high"),
        )  # fmt: skip
    return Table(
        name,
        table,
        f"{_beside(found)} {caption} Best validation metric: median over repeats of each point's best evaluation, then "
        "the best point.",
        columns,
        muted_rows=_printed_rows(table),
    )


def _titled(column: Column, title: str) -> Column:
    return Column(**{**vars(column), "title": title})


def _beside(found: Measured) -> str:
    """What every table of published and own numbers says first."""
    return f"Published (grey): AlgoPerf's workloads. Ours: data {found.data}."


def _printed_rows(table: pl.DataFrame) -> tuple[int, ...]:
    return tuple(row for row, whose in enumerate(table["numbers"]) if whose == tables.PUBLISHED)


def _named(numbers: PublishedNumbers) -> dict[str, Column]:
    return {name: Column(title=name) for name in numbers.names}


def _printed(numbers: PublishedNumbers, name: str) -> Contender:
    row = numbers.row(name)
    assert row is not None, name
    return row


def _judged(judged: Sequence[str], names: Mapping[str, str]) -> list[str]:
    return [name for name, workload in names.items() if workload in judged]


def _complete(found: Measured, rows: Sequence[str]) -> list[Contender]:
    names = set(_judged(found.studies.judged, found.names))
    return [found.rows[row] for row in rows if row in found.rows and names <= set(found.rows[row].fractions)]


def _in_their_words(found: Measured) -> Fractions:
    """Fractions of the candidates under the paper's names of workloads."""
    candidates = found.candidates
    assert candidates is not None
    names = {workload: name for name, workload in found.names.items()}
    return Fractions(
        candidates.points, tuple(names[w] for w in candidates.workloads), candidates.values, candidates.places
    )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else capital("".join(names))
