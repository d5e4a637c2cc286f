"""What merged studies hold, worked out once for every section of their report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

import lists
from reports._bands import median_of_best
from reports._contenders import Contender, best_fractions, best_metrics, trials_in_words
from results import Fractions, Results, fractions, hits

DEFAULT_SIZE = 5  # points in a list, where nothing else is known: the paper's


@dataclasses.dataclass(frozen=True)
class StudyFacts:
    """Merged studies, judged.

    Attributes:
      results: as read.
      hits: one row per trial, what it reached.
      about: study name -> what was asked, with at least role and title.
      workloads: all, in order of first appearance.
      judged: those with a target.
      metrics: workload -> (metric, minimize, target or None).
      candidates: fractions of all candidate points on the judged workloads, if there was a search for them.
      hero: the contender that stands first: the list that has not seen the workload, else the best there is.
      unseen: the hero has not seen the workloads it is judged on.
      rerun: the hero's points were trained anew to judge it.
      others: contenders that it is fair to compare the hero with.
      extras: rows for context, which saw the workloads or had a larger budget.
      size: points in a list.
      penalty: tau.
    """

    results: Results
    hits: pl.DataFrame
    about: Mapping[str, Mapping[str, Any]]
    workloads: tuple[str, ...]
    judged: tuple[str, ...]
    metrics: Mapping[str, tuple[str, bool, float | None]]
    candidates: Fractions | None
    hero: Contender | None
    unseen: bool
    rerun: bool
    others: tuple[Contender, ...]
    extras: tuple[Contender, ...]
    size: int
    penalty: float

    def of_role(self, role: str) -> tuple[str, ...]:
        """Names of the studies of one role."""
        return tuple(name for name, facts in self.about.items() if facts["role"] == role)

    def candidate_values(self, workload: str) -> np.ndarray:
        """Best metric of every candidate on a workload, first repeat; the worst value where there is none."""
        if not (search := self.of_role("candidates")):
            return np.empty(0)
        rows = self.hits.filter((pl.col("submission") == search[0]) & (pl.col("workload") == workload))
        rows = rows.filter(pl.col("repeat") == rows["repeat"].min())
        worst = math.inf if self.metrics[workload][1] else -math.inf
        return rows["best_metric"].fill_null(worst).to_numpy()


def study_facts(results: Results, *, list_size: int | None, penalty: float) -> StudyFacts:
    """Judges merged studies; see `StudyFacts`.

    Raises:
      ValueError: no trials, or a list size below 1.
    """
    if results.trials.is_empty():
        raise ValueError(f"{results.source}: no finished trials, so there is nothing to report")
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    all_hits = hits(results)
    about = _about(results)
    metrics = {
        workload: (metric, minimize, target)
        for workload, metric, minimize, target in results.trials.unique("workload", maintain_order=True)
        .select("workload", "metric", "minimize", "validation_target")
        .iter_rows()
    }
    judged = tuple(w for w, (_, _, target) in metrics.items() if target is not None)
    facts = StudyFacts(
        results, all_hits, about, tuple(metrics), judged, metrics,
        candidates=None, hero=None, unseen=False, rerun=False, others=(), extras=(),
        size=list_size or DEFAULT_SIZE, penalty=penalty,
    )  # fmt: skip

    left_out = facts.of_role("leave-one-out")
    if list_size is None and left_out:
        rows = all_hits.filter(pl.col("submission").is_in(left_out))
        size = rows.group_by("workload").agg(pl.col("point").n_unique())["point"].max()
        facts = dataclasses.replace(facts, size=int(size))  # type: ignore[arg-type]
    facts = dataclasses.replace(facts, candidates=_candidates(facts))
    if facts.candidates is not None:
        facts = dataclasses.replace(facts, size=min(facts.size, len(facts.candidates.points)))
    return _with_contenders(facts)


def _about(results: Results) -> dict[str, dict[str, Any]]:
    """What was asked of each study. One without a role counts as a baseline; alone, as the candidates."""
    known = results.about.get("studies", {})
    names = results.trials["submission"].unique(maintain_order=True).to_list()
    role = "candidates" if len(names) == 1 else "baseline"
    return {name: {"role": role, "title": name, **known.get(name, {})} for name in names}


def _candidates(facts: StudyFacts) -> Fractions | None:
    search = facts.of_role("candidates")
    if not search:
        return None
    rows = facts.hits.filter((pl.col("submission") == search[0]) & pl.col("workload").is_in(facts.judged))
    if rows.is_empty():
        return None
    found = fractions(rows, by="steps", submission=search[0])
    # Workloads stand in one order on the whole page.
    order = [found.workloads.index(w) for w in facts.judged if w in found.workloads]
    return Fractions(found.points, tuple(found.workloads[w] for w in order), found.values[:, order])


def _with_contenders(facts: StudyFacts) -> StudyFacts:
    left = [_contender(facts, name) for name in facts.of_role("leave-one-out")]
    final = [_contender(facts, name, sees=True) for name in facts.of_role("final-list")]
    baselines = [_contender(facts, name) for name in facts.of_role("baseline")]
    rerun = bool(left)
    if not left and facts.candidates is not None and len(facts.candidates.workloads) > 1:
        left = [_left_out_by_candidates(facts, facts.candidates)]
    random, every = _search(facts)
    if left:
        hero, others, extras = left[0], [*left[1:], *baselines, *random], [*final, *every]
    else:
        # With no list that has not seen the workload, the best of what there is stands first.
        ranked = sorted([*baselines, *final] or every, key=lambda c: rank(c, facts.judged, facts.penalty))
        hero = ranked[0] if ranked and facts.judged else None
        others = [c for c in (*baselines, *random) if c is not hero]
        extras = [c for c in (*final, *every) if c is not hero]
    return dataclasses.replace(
        facts, hero=hero, unseen=bool(left), rerun=rerun, others=tuple(others), extras=tuple(extras)
    )


def rank(contender: Contender, workloads: tuple[str, ...], penalty: float) -> tuple[float, float]:
    """Sorts contenders: more workloads trained first, then lower cost."""
    cost = contender.cost(workloads, penalty)
    return -contender.trained(workloads), math.inf if cost is None else cost


def _contender(facts: StudyFacts, name: str, *, sees: bool = False) -> Contender:
    titles = [str(about["title"]) for about in facts.about.values()]
    title = str(facts.about[name]["title"])
    label = title if titles.count(title) == 1 else f"{title} ({name})"
    rows = facts.hits.filter(pl.col("submission") == name)
    reached = rows.filter(pl.col("workload").is_in(facts.judged))
    found = best_fractions(fractions(reached, by="steps", submission=name)) if len(reached) else {}
    return Contender(label, found, best_metrics(rows), trials_in_words(rows), sees)


def _left_out_by_candidates(facts: StudyFacts, candidates: Fractions) -> Contender:
    """The left-out lists judged by the very trainings that built the other columns."""
    left = lists.leave_one_out(candidates.values, facts.size, facts.penalty)
    found = dict(zip(candidates.workloads, left.held_out[:, -1].tolist(), strict=True))
    rows = facts.hits.filter(pl.col("submission") == facts.of_role("candidates")[0])
    best = {}
    for workload, chosen in zip(candidates.workloads, left.lists, strict=True):
        points = [candidates.points[p] for p in chosen.points]
        best |= best_metrics(rows.filter((pl.col("workload") == workload) & pl.col("point").is_in(points)))
    return Contender("leave-one-out list", found, best, str(facts.size))


def _search(facts: StudyFacts) -> tuple[list[Contender], list[Contender]]:
    """Random search with a list's budget, by its median; and all candidates together."""
    search = facts.of_role("candidates")
    if not search:
        return [], []
    rows = facts.hits.filter(pl.col("submission") == search[0])
    medians: dict[str, float] = {}
    if facts.candidates is not None:
        for w, workload in enumerate(facts.candidates.workloads):
            medians[workload] = median_of_best(facts.candidates.values[:, w], facts.size, minimize=True)
    best = {}
    for workload in rows["workload"].unique(maintain_order=True):
        values = facts.candidate_values(workload)
        best[workload] = median_of_best(values, facts.size, minimize=facts.metrics[workload][1])
    count = rows["point"].n_unique()
    random = Contender(f"random search of {facts.size} (median)", medians, best, str(facts.size))
    title = f"all {count} candidates"
    reached = best_fractions(facts.candidates) if facts.candidates is not None else {}
    every = Contender(title, reached, best_metrics(rows), trials_in_words(rows), sees=True)
    return [random] if count > facts.size else [], [every]
