"""The report on a reproduction of Medapati et al.: every table and figure of theirs, published and ours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import lists
from reports._contenders import Contender
from reports._words import capital, count
from reports.figures.drawing import OTHERS
from reports.medapati._agreement import Statement, in_words, statement_table, statements
from reports.medapati._measured import (
    BASELINES,
    LEFT_OUT,
    METHODS,
    OF_SEARCH,
    OWN,
    RANDOM,
    SEARCH,
    Measured,
    measured,
)
from reports.medapati._published import PublishedNumbers, published_numbers
from reports.medapati._sections import (
    construction_section,
    curve_section,
    final_section,
    reach_section,
    unseen_section,
    workload_section,
)
from reports.medapati._sureness import Sureness, interval_words, sureness, sureness_section
from reports.page import Block, Column, Note, Picture, Prose, Report, Section, Table
from reports.study._facts import rank
from reports.study._record import record_section
from reports.study._search import Progress
from reports.study._spread import fractions_picture
from results import Results


def medapati_report(
    studies: Path | str | Results,
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
      studies: a folder of studies, that of a protocol with its `studies` and `final`, or what `shortlist pack` made of
        studies; or what was read of these.
      penalty: tau of the cost C_tau, at least 1.
      seed: of the simulation that calibrates bands of up to 100 trials.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      FileNotFoundError, ValueError: it cannot be read; it holds no such study on a workload of the paper, or
        one workload at two scales; or a penalty out of range.
    """
    numbers = published_numbers()
    found = measured(studies, numbers, penalty)
    curves, budgets = curve_section(found, numbers, seed, progress)
    sure = sureness(found, seed)
    made = statements(found, numbers, budgets, sure)
    how_sure = sureness_section(sure, found)
    sections = [
        _agreement(made, found),
        workload_section(found, numbers),
        reach_section(found, numbers),
        unseen_section(found, numbers),
        *([how_sure] if how_sure else []),
        *([curves] if curves else []),
        construction_section(found, numbers),
        final_section(found, numbers),
        _not_here(found, numbers),
        record_section(
            found.studies,
            f"lists of {count(found.size, 'point')}, penalty {penalty:g}, confidence of bands "
            f"{numbers.equal_budget.confidence:g}",
        ),
    ]
    return Report(
        title="Medapati et al. 2025, reproduced",
        finding=_finding(found, numbers, made),
        detail=_detail(found, numbers),
        facts=_headline(found, made, sure),
        opening=_opening(found, numbers),
        sections=tuple(sections),
        caveats=_caveats(found, numbers),
    )


# The opening


def _finding(found: Measured, numbers: PublishedNumbers, made: Sequence[Statement]) -> str:
    printed = numbers.printed(LEFT_OUT)
    theirs = f"{printed.trained(numbers.names)} of {len(numbers.names)}"
    told = [one for one in made if one.agrees is not None]
    held = sum(one.agrees == "yes" for one in told)
    agreed = f"of {count(len(told), 'statement')} that can be compared, {held} {'holds' if held == 1 else 'hold'} here"
    if not told:
        agreed = "nothing can be compared yet"
    if found.hero is None:
        return f"In the paper lists train {theirs} workloads that they have not seen; ours are not there; {agreed}."
    hero = found.rows[found.hero]
    names = [name for name in found.judged if name in hero.fractions]
    return (
        f"Lists train {hero.trained(names)} of {len(names)} workloads that they have not seen here, {theirs} in the "
        f"paper; {agreed}."
    )


def _detail(found: Measured, numbers: PublishedNumbers) -> tuple[str, ...]:
    said = [
        f"Published: {numbers.source}, on AlgoPerf's workloads.",
        f"Ours: {count(len(found.names), 'workload')} of the same kinds; data: {found.data}.",
    ]
    if found.studies.results.left_out:
        said.append("Not everything that was asked for is here: see the end of the page.")
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
        f"{len(numbers.contradictions)} cells of Tables 5 and 6 contradict Table 2: a step fraction is printed though "
        f"the metric misses the target ({wrong}).",
    ]
    if untold := [numbers.short(name) for name in found.names if name not in found.judged]:
        said.insert(0, f"No target is recorded for {', '.join(untold)}: only best metrics can be told there.")
    if absent := _absent(found):
        said.insert(0, absent)
    return tuple(said)


def _absent(found: Measured) -> str:
    """What has no rows of ours, in words; empty if nothing is missing."""
    by_reason: dict[str, list[str]] = {}
    for name, why in found.missing.items():
        label = "the search for candidates" if name == SEARCH else METHODS[name].label
        by_reason.setdefault(why, []).append(label)
    if not by_reason:
        return ""
    reasons = [f"{', '.join(labels)} ({why})" for why, labels in by_reason.items()]
    return f"Without rows of ours: {'; '.join(reasons)}."


def _headline(found: Measured, made: Sequence[Statement], sure: Sureness) -> tuple[tuple[str, str], ...]:
    told = [one for one in made if one.agrees is not None]
    facts = []
    if told:
        held, part = (sum(one.agrees == verdict for one in told) for verdict in ("yes", "in part"))
        facts.append((f"{held} of {len(told)}", f"statements of the paper hold here, {part} more in part"))
    there = found.complete(BASELINES).values()
    if found.hero is not None:
        hero = found.rows[found.hero]
        names = [name for name in found.judged if name in hero.fractions]
        unseen = f"workloads trained without having seen them{_in_single_repeats(hero, names)}"
        facts.append((f"{hero.trained(names)} of {len(names)}", unseen))
        if there:
            judged = found.judged
            best = min(there, key=lambda row: rank(row, judged, found.penalty))
            facts.append(
                (
                    f"{best.trained(judged)} of {len(judged)}",
                    f"by the best baseline, {best.label}{_in_single_repeats(best, judged)}",
                )
            )
    if (cost := sure.costs.get(LEFT_OUT)) is not None:
        said = [f"{interval_words(cost.over[over])} over {over}" for over in cost.over if cost.over[over]]
        facts.append((f"{cost.value:.2f}", f"cost of these lists ({'; '.join(said)})"))
    facts.append((f"{found.studies.results.trials.height:,}", "trials of ours"))
    return tuple(facts)


def _in_single_repeats(row: Contender, names: Sequence[str]) -> str:
    """How many of the workloads its best points train in one repeat alone, in words; empty where there is one."""
    by_repeat = [row.by_repeat.get(name, ()) for name in names]
    if min(map(len, by_repeat), default=0) < 2:
        return ""
    trained = [sum(map(math.isfinite, one)) for one in zip(*by_repeat, strict=False)]
    return f" ({min(trained)} to {max(trained)} in single repeats)"


def _opening(found: Measured, numbers: PublishedNumbers) -> Picture | None:
    names = found.judged
    if found.hero is None or not names:
        return None
    hero, printed = found.rows[found.hero], numbers.printed(LEFT_OUT)
    theirs = Contender("the paper's, on AlgoPerf's", printed.fractions, {})
    others = [found.rows[name] for name in (*BASELINES, "vizier-10", RANDOM, OWN) if name in found.rows]
    others.sort(key=lambda row: rank(row, names, found.penalty))
    drawn = [hero, theirs, *others[: len(OTHERS) - 1]]
    caption = f" Ours: {found.data}. The paper's are printed in Table 5, of AlgoPerf's own workloads."
    return fractions_picture(
        [_short(row, numbers) for row in drawn], [numbers.short(n) for n in names], caption
    )


def _short(row: Contender, numbers: PublishedNumbers) -> Contender:
    """Step fractions and their spread under the short titles of workloads."""
    fields = ("fractions", "by_repeat", "searches")
    return dataclasses.replace(
        row, **{f: {numbers.short(name): value for name, value in getattr(row, f).items()} for f in fields}
    )


# What agrees, and what is not here


def _agreement(made: Sequence[Statement], found: Measured) -> Section:
    blocks: list[Block] = [Prose(text) for text in in_words(made)]
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


def _not_here(found: Measured, numbers: PublishedNumbers) -> Section:
    blocks: list[Block] = [
        Prose(
            f"{_listed(numbers.not_known)} of the paper are not drawn: what they show is not among the numbers "
            "that this page has, and nothing is drawn in their name."
        ),
        Prose(
            "Vizier was the internal service there and is its open-source package here. Which of the two orders of "
            "Metz' list was used there is not stated; here it is that of its Appendix F. What the learning-rate sweeps "
            "hold fixed is not stated either."
        ),
    ]
    if absent := _absent(found):
        blocks.append(Note(absent))
    return Section("What is not here", tuple(blocks))


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else capital("".join(names))
