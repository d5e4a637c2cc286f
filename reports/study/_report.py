"""The report on our own studies: does a list train a workload that it has not seen?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

import lists
from reports import _tables as tables
from reports._contenders import Contender
from reports._list_sections import fraction_columns
from reports._words import capital, count, duration, number
from reports.figures.drawing import OTHERS, short_names
from reports.page import Block, Column, Note, Picture, Prose, Report, Section, Table
from reports.study._candidates import candidate_studies, one_search
from reports.study._draws import twin_of
from reports.study._facts import StudyFacts, rank, study_facts, trainings_in_words
from reports.study._list_parts import list_parts, unlearnt_anew
from reports.study._record import Settings, data_in_words, devices, record_section
from reports.study._rivals import rivals
from reports.study._rivals_report import drawn_of, rivals_report
from reports.study._search import Budgets, Progress, search_section
from reports.study._spread import (
    ONE_RUN,
    ONE_STUDY,
    fractions_picture,
    fractions_table,
    overlap,
    spread_in_words,
)
from results import Results


def study_report(
    results: Results,
    *,
    list_size: int | None = None,
    penalty: float = lists.PENALTY,
    confidence: float = 0.7,
    seed: int = 0,
    submission: str | None = None,
    title: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report on one study or several merged ones.

    Several studies of candidates (of different optimizers, spaces or strategies) are compared; `submission` chooses
    one of them, and leaves the others out.

    What there is decides what is shown: without a study of candidates there are no lists and no tuning
    curves, with a single workload nothing is left out, and workloads without a target are compared by their
    best metric alone.

    Args:
      results: of studies; `about["studies"]` says what each was for.
      list_size: points in a list; None takes that of the leave-one-out study, else 5.
      penalty: tau of the cost C_tau, at least 1.
      confidence: of the bands around tuning curves.
      seed: of the simulation that calibrates the bands.
      submission: name of the study whose candidates are meant; None compares all.
      title: of the page.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      ValueError: no trials, or a size, penalty or confidence out of range; no such study; or several that cannot be
        compared and none chosen.
    """
    everything = results
    if submission is not None:
        results = one_search(results, submission)
    elif len(candidate_studies(results)) > 1:
        return rivals_report(
            results, list_size=list_size, penalty=penalty, confidence=confidence, seed=seed, title=title,
            progress=progress,
        )  # fmt: skip
    facts = study_facts(results, list_size=list_size, penalty=penalty)
    twin = twin_of(everything, facts.search)
    search, budgets = search_section(facts, confidence=confidence, seed=seed, twin=twin, progress=progress)
    sections = [
        _comparison(facts),
        *(list_parts(facts, facts.candidates) if facts.candidates is not None else ()),
        *((search,) if search else ()),
        record_section(facts, Settings(facts.size, penalty, confidence, submission)),
    ]
    return Report(
        title=title or f"Shortlist report · {count(len(facts.workloads), 'workload')}",
        finding=_finding(facts),
        detail=_detail(facts, budgets),
        caveats=_caveats(facts),
        facts=_headline(facts),
        opening=_opening(facts),
        sections=tuple(sections),
    )


# 1. The opening


def _finding(facts: StudyFacts) -> str:
    """One sentence, computed: what the list trains, beside the best of the others."""
    hero, n = facts.hero, len(facts.judged)
    if hero is None:
        trials = count(facts.results.trials.height, "trial")
        return f"{trials} on {count(len(facts.workloads), 'workload')} without a target: best metrics only."
    rivals = sorted(facts.others, key=lambda c: rank(c, facts.judged, facts.penalty))
    if not facts.unseen:
        return _best_of_all(facts, hero, rivals)
    k = hero.trained(facts.judged)
    opening = f"A list of {count(facts.size, 'point')} trains {k} of {n} workloads that it has not seen"
    if not rivals:
        return f"{opening}."
    rival = rivals[0]
    b = rival.trained(facts.judged)
    if k > b:
        return f"{opening}; the best baseline, {rival.label}, trains {b}."
    if k < b:
        return f"{opening}, fewer than the best baseline, {rival.label}, which trains {b}."
    mine, its = hero.cost(facts.judged, facts.penalty), rival.cost(facts.judged, facts.penalty)
    if mine is None or its is None or mine == its:
        return f"{opening}, as many as the best baseline, {rival.label}."
    return (
        f"{opening}, as many as the best baseline, {rival.label}, and at a "
        f"{'lower' if mine < its else 'higher'} cost: {mine:.2f} against {its:.2f}."
    )


def _best_of_all(facts: StudyFacts, hero: Contender, rivals: Sequence[Contender]) -> str:
    """The finding where no list was judged on a workload it had not seen."""
    k, n = hero.trained(facts.judged), len(facts.judged)
    if n > 1:
        ahead = rivals and rivals[0].trained(facts.judged) < k
        return f"{capital(hero.label)} trains {k} of {n} workloads{', more than any other' if ahead else ''}."
    workload = facts.judged[0]
    name = short_names(facts.judged)[workload]
    soonest = f"{hero.fractions.get(workload, math.inf):.2f} of the step budget"
    if facts.candidates is not None and not facts.of_role("baseline"):
        hits = int(np.isfinite(facts.candidates.values).sum())
        reach = f"{hits} of {count(len(facts.candidates.points), 'point')} reach{'es' if hits == 1 else ''}"
        return f"{reach} the target of {name}{f', the soonest at {soonest}' if hits else ''}."
    reached = f"reaches the target of {name} at {soonest}" if k else f"misses the target of {name}"
    return f"{capital(hero.label)} {reached}."


def _detail(facts: StudyFacts, budgets: Budgets) -> tuple[str, ...]:
    """A few sentences that support or limit the finding."""
    said = []
    hero = facts.hero
    if hero is not None and facts.unseen:
        said.append("Each workload was left out in turn and a list was built on the others.")
        said.append(
            "Its points were then trained anew, with fresh seeds, on the one left out."
            if facts.rerun
            else "The same trainings build and judge the lists; training the points anew is a harder test."
        )
        absent = [short_names(facts.workloads)[w] for w in facts.judged if w not in hero.fractions]
        if absent:
            said.append(f"Not run yet, and so counted as missed: {', '.join(absent)}.")
    if budgets:
        trials = sorted(math.inf if b.trials is None else b.trials for b in budgets.values())
        middle, most = trials[(len(trials) - 1) // 2], next(iter(budgets.values())).run
        equal = count(int(middle), "trial") if math.isfinite(middle) else f"more than {most} trials"
        spread = _range(trials, most)
        said.append(
            f"By best metric the list matches random search of {equal} on the median workload{spread}."
        )
    said.append(data_in_words(facts))
    if facts.results.left_out:
        said.append("Not everything that was asked for is here: see the end of the page.")
    return tuple(said)


def _caveats(facts: StudyFacts) -> tuple[str, ...]:
    """What the ranks on this page rest on."""
    if facts.hero is None:
        return ()
    said = []
    reruns = len(facts.of_role("leave-one-out"))
    if reruns > 1:
        said.append(f"Of {reruns} studies of left-out lists the best one stands first, {facts.hero.label}.")
    if lucky := unlearnt_anew(facts):
        said.append(lucky)
    rivals = sorted(facts.others, key=lambda c: rank(c, facts.judged, facts.penalty))
    measured = [c for c in (facts.hero, *facts.others) if c.by_repeat]
    once = [c for c in measured if c.repeats == 1]
    if once and len(once) == len(measured):
        said.append(ONE_RUN)
    elif once:
        names = ", ".join(c.label for c in once)
        said.append(f"Trained once per point, so that a rank rests on one run: {names}.")
    if facts.rerun and rivals:
        mine, its = (c.cost_spread(facts.judged, facts.penalty) for c in (facts.hero, rivals[0]))
        if mine and its and overlap(mine, its):
            said.append(
                f"Over repeats the cost of {facts.hero.label} is {mine[0]:.2f} to {mine[1]:.2f}, that of "
                f"{rivals[0].label} {its[0]:.2f} to {its[1]:.2f}: their order cannot be told from these runs."
            )
    if len(measured) > len(once):
        said.append(ONE_STUDY)
    return tuple(said)


def _range(trials: Sequence[float], most: int) -> str:
    if len(trials) < 2 or trials[0] == trials[-1]:
        return ""
    high = f"{trials[-1]:.0f}" if math.isfinite(trials[-1]) else f"more than {most}"
    return f" ({trials[0]:.0f} to {high} by workload)"


def _headline(facts: StudyFacts) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    hero = facts.hero
    if hero is not None and facts.judged:
        what = (
            "workloads trained without having seen them"
            if facts.unseen
            else f"workloads trained by {hero.label}"
        )
        found.append((f"{hero.trained(facts.judged)} of {len(facts.judged)}", what))
        cost = hero.cost(facts.judged, facts.penalty)
        if cost is not None:
            ends = hero.cost_spread(facts.judged, facts.penalty)
            # Medians of fractions can cost less than every single repeat, or more: say what the range is of.
            over = "" if ends is None else f"; its repeats alone cost {ends[0]:.3f} to {ends[1]:.3f}"
            what = f"cost: geometric mean of step fractions, a miss counts {facts.penalty:g}{over}"
            found.append((f"{cost:.3f}", what))
    found.append((f"{facts.results.trials.height:,}", _trial_kinds(facts)))
    seconds = sum(float(about.get("seconds") or 0.0) for about in facts.about.values())
    if seconds:
        found.append((duration(seconds), f"of training, added up over cohorts, on {devices(facts)}"))
    return tuple(found)


def _trial_kinds(facts: StudyFacts) -> str:
    diverged = int((facts.results.trials["status"] == "diverged").sum())
    said = f"trials, {diverged:,} of which diverged" if diverged else "trials, none of which diverged"
    if not any(about.get("trainings") for about in facts.about.values()):
        return said
    stopped = int((facts.results.trials["status"] == "stopped").sum())
    return f"{said}; {stopped:,} were stopped early"


def _opening(facts: StudyFacts) -> Picture | None:
    if facts.hero is None or not facts.judged:
        return None
    caption = " The list was built without the workload of its row." if facts.unseen else ""
    if len(facts.others) > len(OTHERS):
        caption += f" Shown are the {len(OTHERS)} best of {len(facts.others)} others."
    return fractions_picture(_drawn(facts), facts.judged, caption)


def _drawn(facts: StudyFacts) -> list[Contender]:
    """Who the main figure shows: the hero, and the best of the others."""
    others = sorted(facts.others, key=lambda c: rank(c, facts.judged, facts.penalty))
    return [c for c in (facts.hero, *others[: len(OTHERS)]) if c is not None]


def contenders_of_studies(
    results: Results, *, list_size: int | None, penalty: float, submission: str | None
) -> pl.DataFrame:
    """The table of the main figure of `study_report`; see `reports.contenders`."""
    if submission is not None:
        results = one_search(results, submission)
    elif len(candidate_studies(results)) > 1:
        found = rivals(results, list_size=list_size, penalty=penalty)
        return fractions_table(drawn_of(found), found.judged)
    facts = study_facts(results, list_size=list_size, penalty=penalty)
    return fractions_table(_drawn(facts), facts.judged)


# 2. Against the baselines


def _comparison(facts: StudyFacts) -> Section:
    blocks: list[Block] = []
    compared = [c for c in (facts.hero, *facts.others) if c is not None]
    if facts.judged:
        blocks.append(
            Prose(
                "For each workload, a point's step fraction is the median over its repeats, and a "
                "contender's is that of its best point. Cost is the geometric mean over workloads, in which "
                f"a missed target counts {facts.penalty:g}. {spread_in_words([*compared, *facts.extras])}"
            )
        )
        table = tables.fraction_table([*compared, *facts.extras], facts.judged, facts.penalty)
        caption = "Share of the step budget at which the target is first reached."
        columns = fraction_columns(facts.judged, facts.penalty)
        blocks.append(
            _compared("leave_one_out" if facts.unseen else "step_fractions", table, columns, caption, facts)
        )
    blocks += [Note(text) for text in _disagreeing_targets(facts)]
    blocks += [Note(text) for text in _by_steps(facts)]
    without = [w for w in facts.workloads if w not in facts.judged]
    if without:
        names = ", ".join(short_names(facts.workloads)[w] for w in without)
        blocks.append(Note(f"No target is set for {names}: only best metrics can be compared there."))

    titles = short_names(facts.workloads)
    columns = {"contender": Column(title=""), "spread": Column(hidden=True)}
    for workload, (metric, minimize, target) in facts.metrics.items():
        goal = f", target {number(target)}" if target is not None else ""
        note = f"{metric.replace('_', ' ')} {'↓' if minimize else '↑'}{goal}"
        columns[workload] = Column(
            title=titles[workload], note=note, show="number", best="min" if minimize else "max",
            spread=tables.spread_columns(workload),
        )  # fmt: skip
    table = tables.best_metric_table([*compared, *facts.extras], facts.workloads)
    caption = (
        "Best validation metric: median over repeats of each point's best evaluation, then the best point."
    )
    blocks.append(_compared("best_metrics", table, columns, caption, facts))
    if not facts.rerun and facts.unseen:
        blocks.append(
            Note(
                "The left-out lists were not trained anew: a point's fraction on the workload left out is "
                "that of the search, one training per point. Run a leave-one-out study to judge them with "
                "fresh seeds."
            )
        )
    return Section("Against the baselines" if facts.others else "What was reached", tuple(blocks))


def _by_steps(facts: StudyFacts) -> list[str]:
    """What to compare by where a study stopped trials."""
    stopping = [about for about in facts.about.values() if about.get("trainings")]
    if not stopping:
        return []
    each = "; ".join(f"{about['title']}: {trainings_in_words(about['trainings'])}" for about in stopping)
    return [
        f"Where trials were stopped early, compare by steps and not by trials. Full trainings' worth of steps, on each "
        f"workload and in each repeat: {each}. A contender without such a number took one for every trial."
    ]


def _disagreeing_targets(facts: StudyFacts) -> list[str]:
    """Studies made at different times may hold different targets of one workload."""
    targets = facts.results.trials.group_by("workload", maintain_order=True).agg(
        pl.col("validation_target").unique().sort()
    )
    said = []
    for workload, of_it in targets.iter_rows():
        if len(of_it) > 1:
            values = ", ".join("none" if target is None else number(target) for target in of_it)
            said.append(
                f"Studies disagree on the target of {workload} ({values}): each trial is judged by its own, "
                "so rows cannot be compared there."
            )
    return said


def _compared(
    name: str, table: pl.DataFrame, columns: Mapping[str, Column], caption: str, facts: StudyFacts
) -> Table:
    """A table of contenders: the hero set off, those for context in grey."""
    context = len(facts.extras)
    fair = table.height - context
    if fair > 1:
        caption += " Bold: best of its column."
    if context and fair:
        caption += " Grey, for context: contenders that saw the workloads or had a larger budget."
    lead = (0,) if facts.hero is not None and fair > 1 else ()
    return Table(
        name,
        table,
        caption,
        columns,
        lead_rows=lead,
        muted_rows=tuple(range(fair, table.height)) if fair else (),
    )
