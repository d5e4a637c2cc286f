"""The report on several searches for candidates: which optimizer, space or strategy is better, and by how much."""

from __future__ import annotations

import dataclasses
import math

from reports._contenders import Contender, Spread
from reports._words import capital, count, duration
from reports.figures.drawing import OTHERS
from reports.page import (
    Picture,
    Report,
    Section,
    Table,
    file_stem,
)
from reports.study._list_parts import list_parts
from reports.study._record import Settings, data_in_words, devices, record_section
from reports.study._rivals import (
    Compared,
    Rivals,
    Verdict,
    in_words,
    rivals,
)
from reports.study._search import Progress
from reports.study._side_by_side import curves_section, side_by_side
from reports.study._spread import ONE_RUN, ONE_STUDY, fractions_picture
from results import Results


def rivals_report(
    results: Results,
    *,
    list_size: int | None,
    penalty: float,
    confidence: float,
    seed: int,
    title: str | None,
    progress: Progress | None,
) -> Report:
    """The report that holds all searches for candidates against each other; arguments as `study_report` has them.

    Raises:
      ValueError: they cannot be compared; or an argument out of range.
    """
    found = rivals(results, list_size=list_size, penalty=penalty)
    curves = curves_section(found, confidence=confidence, seed=seed, progress=progress)
    sections = [side_by_side(found), curves]
    for place, one in enumerate(found.compared, 1):
        if one.facts.candidates is not None:
            parts = list_parts(one.facts, one.facts.candidates)
            sections += [_of_search(section, one, place) for section in parts]
    sections.append(record_section(found.studies, Settings(found.size, penalty, confidence)))
    n = len(found.studies.workloads)
    return Report(
        title=title
        or f"Shortlist report · {len(found.compared)} searches compared on {count(n, 'workload')}",
        finding=_finding(found),
        detail=_detail(found),
        facts=_headline(found),
        opening=_opening(found),
        sections=tuple(sections),
        caveats=_caveats(found),
    )


# 1. The opening


def _finding(found: Rivals) -> str:
    """One sentence: which is better and by how much, or that it cannot be told."""
    first = found.verdicts[0]
    a, b = first.first, first.second
    more = len(found.compared) > 2
    if not found.judged:
        n = len(found.studies.workloads)
        return (
            f"Whether {a.label} or {b.label} is better cannot be told by steps: none of "
            f"{count(n, 'workload')} has a target; best metrics stand below."
        )
    amount = _amount(found, first)
    if not first.told:
        among = f", the first two of {len(found.compared)}," if more else ""
        why = (
            first.reason
            if first.chance is None
            else f"chance alone would give as much {in_words(first.chance)}"
        )
        return f"It cannot be told whether {a.label} or {b.label}{among} is better: {amount}, but {why}."
    seen = " on workloads that its list has not seen" if found.unseen else ""
    beside = f"the best of {len(found.compared)}, ahead of {b.label}" if more else f"better than {b.label}"
    return f"{a.label} is {beside}{seen}: {amount}."


def _amount(found: Rivals, verdict: Verdict) -> str:
    """By how much, with its spread: over repeats where there are several, else over workloads."""
    a, b = verdict.first.ranked, verdict.second.ranked
    judged, penalty = found.judged, found.penalty
    n = len(judged)
    trained = [one.trained(judged) for one in (a, b)]
    said = f"{verdict.first.label} trains {trained[0]} of {n} workloads, {verdict.second.label} {trained[1]}"
    costs = [one.cost(judged, penalty) for one in (a, b)]
    if costs[0] is None or costs[1] is None:
        return said
    shown = [
        f"{cost:.3f}{_range(one.cost_spread(judged, penalty))}"
        for cost, one in zip(costs, (a, b), strict=True)
        if cost is not None
    ]
    said += f", at a cost of {shown[0]} against {shown[1]}"
    fewer = _fewer(a, b, judged)
    return f"{said} ({fewer})" if fewer else said


def _range(spread: Spread | None) -> str:
    return "" if spread is None else f" ({spread[0]:.3f} to {spread[1]:.3f})"


def _fewer(a: Contender, b: Contender, workloads: tuple[str, ...]) -> str:
    """Steps of `a` in those of `b` where both reach the target, from the best workload to the worst."""
    both = [(a.fractions[w], b.fractions[w]) for w in workloads]
    ratios = sorted(x / y for x, y in both if math.isfinite(x) and math.isfinite(y))
    if not ratios:
        return ""
    where = "where both get there, " if len(ratios) < len(workloads) else ""
    least, most = _as_change(ratios[0]), _as_change(ratios[-1])
    if least == most:
        return f"{where}{'on each workload ' if len(ratios) > 1 else ''}{least}"
    return f"{where}by workload from {least} to {most}"


def _as_change(ratio: float) -> str:
    change = round(100 * (ratio - 1))
    return f"{abs(change)} % {'fewer' if change < 0 else 'more'} steps" if change else "as many steps"


def _detail(found: Rivals) -> tuple[str, ...]:
    said = []
    if found.verdicts[0].chance is not None:
        said.append(f"{capital(found.verdicts[0].reason)}.")
    if found.unseen:
        said.append(
            f"For each search, each workload was left out in turn and a list of {count(found.size, 'point')} was built "
            "on the others."
        )
        said.append(
            "Its points were then trained anew, with fresh seeds, on the one left out."
            if found.rerun
            else "The same trainings build and judge the lists; training the points anew is a harder test."
        )
    elif found.judged:
        said.append("Searches are compared by the best of their points.")
    said.append(data_in_words(found.studies))
    if found.studies.results.left_out:
        said.append("Not everything that was asked for is here: see the end of the page.")
    return tuple(said)


def _caveats(found: Rivals) -> tuple[str, ...]:
    said = []
    repeats = {one.label: one.ranked.repeats for one in found.compared if one.ranked.by_repeat}
    once = [label for label, times in repeats.items() if times == 1]
    if once and len(once) == len(repeats):
        said.append(ONE_RUN)
    elif once:
        said.append(f"Trained once per point, so that a rank rests on one run: {', '.join(once)}.")
    if len(once) < len(repeats):
        said.append(ONE_STUDY)
    if len({one.points for one in found.compared}) > 1:
        budgets = ", ".join(f"{one.label} {one.points}" for one in found.compared)
        said.append(f"The searches had different numbers of points to choose from: {budgets}.")
    return tuple(said)


def _headline(found: Rivals) -> tuple[tuple[str, str], ...]:
    """Of each search what it trains and at which cost, and how many trials that took."""
    shown: list[tuple[str, str]] = []
    if found.judged:
        for one in found.compared:
            cost = one.ranked.cost(found.judged, found.penalty)
            at = "" if cost is None else f", at a cost of {cost:.3f}"
            what = "workloads trained unseen by the" if found.unseen else "workloads trained by the"
            shown.append(
                (
                    f"{one.ranked.trained(found.judged)} of {len(found.judged)}",
                    f"{what} {one.ranked.label}{at}",
                )
            )
    trials = found.studies.results.trials
    for one in found.compared:
        own = trials.filter(submission=one.name)
        diverged = int((own["status"] == "diverged").sum())
        what = f"trials of {one.label}, {f'{diverged:,}' if diverged else 'none'} of which diverged"
        shown.append((f"{own.height:,}", what))
    rest = trials.height - sum(trials.filter(submission=one.name).height for one in found.compared)
    if rest:
        shown.append((f"{rest:,}", "trials of baselines and reruns"))
    seconds = sum(float(about.get("seconds") or 0.0) for about in found.studies.about.values())
    if seconds:
        shown.append((duration(seconds), f"of training, added up over cohorts, on {devices(found.studies)}"))
    return tuple(shown)


def _opening(found: Rivals) -> Picture | None:
    if not found.judged:
        return None
    count_of_all = len(found.compared) + len(found.others)
    caption = " Each list was built without the workload of its row." if found.unseen else ""
    if count_of_all > len(drawn := drawn_of(found)):
        caption += f" Shown are the first {len(drawn)} of {count_of_all}."
    return fractions_picture(drawn, found.judged, caption)


def drawn_of(found: Rivals) -> list[Contender]:
    """Who the main figure shows: what each search is ranked by, and others while colours last."""
    return [*(one.ranked for one in found.compared), *found.others][: 1 + len(OTHERS)]


# 2. The lists


def _of_search(section: Section, one: Compared, place: int) -> Section:
    """A section of one search under a heading and with names of its own."""
    stem = f"{place}-{file_stem(one.label)}"[:60]
    blocks = tuple(
        dataclasses.replace(block, name=f"{block.name}_{stem}")
        if isinstance(block, Table | Picture)
        else block
        for block in section.blocks
    )
    return Section(f"{one.label}: {section.heading[:1].lower()}{section.heading[1:]}", blocks)
