"""The list that a study of candidates gives, for the report on it."""

from __future__ import annotations

import math

import polars as pl

import lists
from reports._contenders import best_fractions, hyperparameters_of
from reports._list_sections import length_section, list_section
from reports._words import count
from reports.figures.drawing import short_names
from reports.page import Note, Section
from reports.study._facts import StudyFacts
from results import Fractions, fractions


def list_parts(facts: StudyFacts, candidates: Fractions) -> list[Section]:
    """The list of one search, and how long it should be."""
    searched = facts.results.trials.filter(submission=facts.search)
    hero = facts.hero if facts.rerun else None
    again = hero.cost(facts.judged, facts.penalty) if hero else None
    notes = [note for note in (_other_points(facts, candidates), unlearnt_anew(facts)) if note]
    return [
        list_section(
            candidates,
            hyperparameters_of(searched),
            facts.size,
            facts.penalty,
            anew=hero.fractions if hero else None,
            others=[Note(note) for note in notes],
        ),
        length_section(
            candidates, facts.size, facts.penalty, anew=None if again is None else (facts.size, again)
        ),
    ]


def _other_points(facts: StudyFacts, candidates: Fractions) -> str | None:
    """Says so if the points that were trained anew are not the lists that the candidates give."""
    reruns = facts.of_role("leave-one-out")
    if not facts.rerun or len(reruns) != 1 or len(candidates.workloads) < 2:
        return None  # of several, none need be the list shown here
    left = lists.leave_one_out(candidates.values, facts.size, facts.penalty, places=candidates.places)
    rows = facts.hits.filter(pl.col("submission") == reruns[0])
    differ = []
    for workload, chosen in zip(candidates.workloads, left.lists, strict=True):
        ran = set(rows.filter(pl.col("workload") == workload)["point"])
        if ran and ran != {candidates.points[p] for p in chosen.points}:
            differ.append(workload)
    if not differ:
        return None
    return (
        f"On {', '.join(differ)} the points that were trained anew are not those of the list shown here: it "
        f"was built with another size, penalty, tie rule or set of trials than {count(facts.size, 'point')} and "
        f"penalty {facts.penalty:g}."
    )


def unlearnt_anew(facts: StudyFacts) -> str | None:
    """Says so where a left-out list trained anew gets there only by points that add nothing on the other workloads."""
    reruns, candidates = facts.of_role("leave-one-out"), facts.candidates
    if facts.hero is None or candidates is None or len(reruns) != 1 or len(candidates.workloads) < 2:
        return None
    left = lists.leave_one_out(candidates.values, facts.size, facts.penalty, places=candidates.places)
    rows = facts.hits.filter(pl.col("submission") == reruns[0])
    lucky = []
    for workload, chosen in zip(candidates.workloads, left.lists, strict=True):
        adding = {candidates.points[p] for p in chosen.points[: chosen.adds]}
        ran = rows.filter(pl.col("workload") == workload)
        if math.isinf(facts.hero.fractions.get(workload, math.inf)) or not adding <= set(ran["point"]):
            continue  # missed; or built in another way, so that nobody knows which points were meant to add
        kept = ran.filter(pl.col("point").is_in(adding))
        if kept.is_empty() or math.isinf(best_fractions(fractions(kept, by="steps"))[workload]):
            lucky.append(workload)
    if not lucky:
        return None
    titles = short_names(facts.workloads)
    trained = facts.hero.trained(facts.judged)
    return (
        f"Of the {trained} workloads trained, {', '.join(titles[w] for w in lucky)} "
        f"{'is' if len(lucky) == 1 else 'are'} reached only by points that add nothing on the workloads that built "
        f"the list: the tie rule chose them, so that it was not learnt. Points that add train {trained - len(lucky)}."
    )
