"""What merged studies hold, worked out once for every section of their report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

import lists
from reports._contenders import Contender, best_fractions, best_metrics, trials_in_words
from reports.bands import median_of_best
from results import Fractions, Results, fractions, hits

DEFAULT_SIZE = 5  # points in a list, where nothing else is known: the paper's


@dataclasses.dataclass(frozen=True)
class Studies:
    """Merged studies: what was asked of each, and what every trial reached.

    Attributes:
      results: as read.
      hits: one row per trial, what it reached.
      about: study name -> what was asked, with at least role and title.
      metrics: workload -> (metric, minimize, target or None), in order of first appearance.
    """

    results: Results
    hits: pl.DataFrame
    about: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, tuple[str, bool, float | None]]

    @property
    def workloads(self) -> tuple[str, ...]:
        """All, in order of first appearance."""
        return tuple(self.metrics)

    @property
    def judged(self) -> tuple[str, ...]:
        """Those with a target."""
        return tuple(w for w, (_, _, target) in self.metrics.items() if target is not None)

    def of_role(self, role: str) -> tuple[str, ...]:
        """Names of the studies of one role."""
        return tuple(name for name, facts in self.about.items() if facts["role"] == role)

    def searched(self) -> pl.DataFrame:
        """What the trials of the search for candidates reached; no rows if there was no search."""
        return self.hits.filter(pl.col("submission").is_in(self.of_role("candidates")[:1]))

    def candidate_values(self, workload: str) -> np.ndarray:
        """Best metric of every candidate on a workload, first repeat; the worst value where there is none."""
        rows = self.searched().filter(pl.col("workload") == workload)
        rows = rows.filter(pl.col("repeat") == rows["repeat"].min())
        worst = math.inf if self.metrics[workload][1] else -math.inf
        return rows["best_metric"].fill_null(worst).to_numpy()


@dataclasses.dataclass(frozen=True)
class StudyFacts(Studies):
    """Merged studies, judged.

    Attributes:
      candidates: fractions of all candidate points on the judged workloads, if there was a search for them.
      size: points in a list.
      penalty: tau.
      hero: the contender that stands first: the list that has not seen the workload, else the best there is.
      unseen: the hero has not seen the workloads it is judged on.
      rerun: the hero's points were trained anew to judge it.
      others: contenders that it is fair to compare the hero with.
      extras: rows for context, which saw the workloads or had a larger budget.
    """

    candidates: Fractions | None
    size: int
    penalty: float
    hero: Contender | None
    unseen: bool
    rerun: bool
    others: tuple[Contender, ...]
    extras: tuple[Contender, ...]


def study_facts(results: Results, *, list_size: int | None, penalty: float) -> StudyFacts:
    """Judges merged studies; see `StudyFacts`.

    Raises:
      ValueError: no trials, or a list size below 1.
    """
    if results.trials.is_empty():
        raise ValueError(f"{results.source}: no finished trials, so there is nothing to report")
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    metrics = {
        workload: (metric, minimize, target)
        for workload, metric, minimize, target in results.trials.unique("workload", maintain_order=True)
        .select("workload", "metric", "minimize", "validation_target")
        .iter_rows()
    }
    studies = Studies(results, hits(results), _about(results), metrics)
    candidates = _candidates(studies)
    size = list_size or _size_trained_anew(studies)
    size = size if candidates is None else min(size, len(candidates.points))

    anew = [_contender(studies, name) for name in studies.of_role("leave-one-out")]
    left = anew
    if not anew and candidates is not None and len(candidates.workloads) > 1:
        left = [_left_out_by_candidates(studies, candidates, size, penalty)]
    baselines = [_contender(studies, name) for name in studies.of_role("baseline")]
    random, every = _search(studies, candidates, size)
    if left:
        hero, others, extras = left[0], [*left[1:], *baselines, *random], every
    else:
        # With no list that has not seen the workload, the best of what there is stands first.
        ranked = sorted(baselines or every, key=lambda c: rank(c, studies.judged, penalty))
        hero = ranked[0] if ranked and studies.judged else None
        others = [c for c in (*baselines, *random) if c is not hero]
        extras = [c for c in every if c is not hero]
    return StudyFacts(
        **vars(studies), candidates=candidates, size=size, penalty=penalty, hero=hero, unseen=bool(left),
        rerun=bool(anew), others=tuple(others), extras=tuple(extras),
    )  # fmt: skip


def rank(contender: Contender, workloads: tuple[str, ...], penalty: float) -> tuple[float, float]:
    """Sorts contenders: more workloads trained first, then lower cost."""
    cost = contender.cost(workloads, penalty)
    return -contender.trained(workloads), math.inf if cost is None else cost


def _about(results: Results) -> dict[str, dict[str, Any]]:
    """What was asked of each study. One without a role counts as a baseline; alone, as the candidates."""
    known = results.about.get("studies", {})
    names = results.trials["submission"].unique(maintain_order=True).to_list()
    role = "candidates" if len(names) == 1 else "baseline"
    return {name: {"role": role, "title": name, **known.get(name, {})} for name in names}


def _size_trained_anew(studies: Studies) -> int:
    """Points in the left-out lists that were trained anew; the default where none were."""
    rows = studies.hits.filter(pl.col("submission").is_in(studies.of_role("leave-one-out")))
    return rows.group_by("workload").agg(pl.col("point").n_unique())["point"].max() or DEFAULT_SIZE  # type: ignore[return-value]


def _candidates(studies: Studies) -> Fractions | None:
    rows = studies.searched().filter(pl.col("workload").is_in(studies.judged))
    if rows.is_empty():
        return None
    found = fractions(rows, by="steps")
    # Workloads stand in one order on the whole page.
    return found.of_workloads([w for w in studies.judged if w in found.workloads])


def _contender(studies: Studies, name: str) -> Contender:
    titles = [str(about["title"]) for about in studies.about.values()]
    title = str(studies.about[name]["title"])
    label = title if titles.count(title) == 1 else f"{title} ({name})"
    rows = studies.hits.filter(pl.col("submission") == name)
    judged = rows.filter(pl.col("workload").is_in(studies.judged))
    found = best_fractions(fractions(judged, by="steps")) if len(judged) else {}
    return Contender(label, found, best_metrics(rows), trials_in_words(rows))


def _left_out_by_candidates(studies: Studies, candidates: Fractions, size: int, penalty: float) -> Contender:
    """The left-out lists judged by the very trainings that built the other columns."""
    left = lists.leave_one_out(candidates.values, size, penalty, places=candidates.places)
    found = dict(zip(candidates.workloads, left.held_out[:, -1].tolist(), strict=True))
    rows, best = studies.searched(), {}
    for workload, chosen in zip(candidates.workloads, left.lists, strict=True):
        points = [candidates.points[p] for p in chosen.points]
        best |= best_metrics(rows.filter((pl.col("workload") == workload) & pl.col("point").is_in(points)))
    return Contender("leave-one-out list", found, best, str(size))


def _search(
    studies: Studies, candidates: Fractions | None, size: int
) -> tuple[list[Contender], list[Contender]]:
    """Random search with a list's budget, by its median; and all candidates together."""
    rows = studies.searched()
    if rows.is_empty():
        return [], []
    medians: dict[str, float] = {}
    if candidates is not None:
        for w, workload in enumerate(candidates.workloads):
            medians[workload] = median_of_best(candidates.values[:, w], size, minimize=True)
    best = {}
    for workload in rows["workload"].unique(maintain_order=True):
        values = studies.candidate_values(workload)
        best[workload] = median_of_best(values, size, minimize=studies.metrics[workload][1])
    count = rows["point"].n_unique()
    random = Contender(f"random search of {size} (median)", medians, best, str(size))
    reached = best_fractions(candidates) if candidates is not None else {}
    every = Contender(f"all {count} candidates", reached, best_metrics(rows), trials_in_words(rows))
    return [random] if count > size else [], [every]
