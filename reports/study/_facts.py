"""What merged studies hold, worked out once for every section of their report."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

import lists
from reports._contenders import (
    Contender,
    Spread,
    best_fractions,
    best_metrics,
    fractions_by_repeat,
    metrics_by_repeat,
    trials_in_words,
)
from reports.bands import median_of_best, quartiles_of_best
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

    @property
    def search(self) -> str | None:
        """Name of the study of candidates, None where there is none; of several, `study_facts` takes one at a time."""
        return next(iter(self.of_role("candidates")), None)

    def searched(self) -> pl.DataFrame:
        """What the trials of the search for candidates reached; no rows if there was no search."""
        return self.hits.filter(pl.col("submission") == (self.search or ""))

    def candidate_values(self, workload: str) -> np.ndarray:
        """Best metric of every candidate on a workload, first repeat; the worst value where there is none."""
        return self.best_values(self.search or "", workload)

    def best_values(self, study: str, workload: str) -> np.ndarray:
        """Best metric of every point of a study on a workload, first repeat; the worst value where there is none."""
        rows = self.hits.filter(submission=study, workload=workload)
        rows = rows.filter(pl.col("repeat") == rows["repeat"].min())
        worst = math.inf if self.metrics[workload][1] else -math.inf
        return rows["best_metric"].fill_null(worst).to_numpy()


@dataclasses.dataclass(frozen=True)
class StudyFacts(Studies):
    """Merged studies with at most one search for candidates, judged.

    Attributes:
      candidates: fractions of all candidate points on the judged workloads, if there was a search for them.
      size: points in a list.
      penalty: tau.
      hero: the contender that stands first: the list that has not seen the workload, else the best there is.
      unseen: the hero has not seen the workloads it is judged on.
      rerun: the hero's points were trained anew to judge it.
      others: contenders that it is fair to compare the hero with.
      extras: rows for context, which saw the workloads or had a larger budget.
      random: random search among the candidates with a list's budget, by its median; None without as many.
      every: the best of all candidates; None without a search.
    """

    candidates: Fractions | None
    size: int
    penalty: float
    hero: Contender | None
    unseen: bool
    rerun: bool
    others: tuple[Contender, ...]
    extras: tuple[Contender, ...]
    random: Contender | None
    every: Contender | None


def study_facts(results: Results, *, list_size: int | None, penalty: float) -> StudyFacts:
    """Judges merged studies; see `StudyFacts`.

    Raises:
      ValueError: no trials, several studies of candidates, or a list size below 1.
    """
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    studies = read_facts(results)
    if len(several := studies.of_role("candidates")) > 1:
        raise ValueError(
            f"{results.source}: several studies of candidates ({', '.join(several)}); choose one"
        )
    candidates = _candidates(studies)
    if list_size and candidates is not None and list_size > len(candidates.points):
        raise ValueError(
            f"list_size is {list_size}, but there are {len(candidates.points)} points to choose from"
        )
    size = list_size or size_trained_anew(studies)
    size = size if candidates is None else min(size, len(candidates.points))

    anew = [contender(studies, name) for name in studies.of_role("leave-one-out")]
    # Of several, the best stands first, whatever their folders are called.
    left = anew = sorted(anew, key=lambda c: rank(c, studies.judged, penalty))
    if not anew and candidates is not None and len(candidates.workloads) > 1:
        left = [left_out_by_candidates(studies, candidates, size, penalty)]
    baselines = [contender(studies, name) for name in studies.of_role("baseline")]
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
        random=next(iter(random), None), every=next(iter(every), None),
    )  # fmt: skip


def read_facts(results: Results) -> Studies:
    """What results of studies hold.

    Raises:
      ValueError: no trials.
    """
    if results.trials.is_empty():
        raise ValueError(f"{results.source}: no finished trials, so there is nothing to report")
    metrics = {
        workload: (metric, minimize, target)
        for workload, metric, minimize, target in results.trials.unique("workload", maintain_order=True)
        .select("workload", "metric", "minimize", "validation_target")
        .iter_rows()
    }
    return Studies(results, hits(results), said_of(results), metrics)


def rank(contender: Contender, workloads: tuple[str, ...], penalty: float) -> tuple[float, float]:
    """Sorts contenders: more workloads trained first, then lower cost."""
    cost = contender.cost(workloads, penalty)
    return -contender.trained(workloads), math.inf if cost is None else cost


def said_of(results: Results) -> dict[str, dict[str, Any]]:
    """What was asked of each study. One without a role counts as a baseline; alone, as the candidates."""
    known = results.about.get("studies", {})
    names = results.trials["submission"].unique(maintain_order=True).to_list()
    role = "candidates" if len(names) == 1 else "baseline"
    return {name: {"role": role, "title": name, **known.get(name, {})} for name in names}


def size_trained_anew(studies: Studies) -> int:
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


def contender(studies: Studies, name: str) -> Contender:
    """All points of one study, as one contender."""
    titles = [str(about["title"]) for about in studies.about.values()]
    title = str(studies.about[name]["title"])
    label = title if titles.count(title) == 1 else f"{title} ({name})"
    made = contender_of(label, studies.hits.filter(submission=name), studies.judged)
    return dataclasses.replace(made, trials=made.trials + _spent(studies, name))


def contender_of(label: str, rows: pl.DataFrame, judged: Sequence[str]) -> Contender:
    """Trials of one submission as one contender.

    Args:
      label: how tables call it.
      rows: of one submission, as `hits` gives them.
      judged: workloads with a target.
    """
    on_judged = rows.filter(pl.col("workload").is_in(list(judged)))
    found = best_fractions(fractions(on_judged, by="steps")) if len(on_judged) else {}
    return Contender(
        label, found, best_metrics(rows), trials_in_words(rows),
        by_repeat=fractions_by_repeat(on_judged), best_by_repeat=metrics_by_repeat(rows),
    )  # fmt: skip


def _spent(studies: Studies, name: str) -> str:
    """What the trials of a study took where some were stopped, to stand behind their number; "" where none was."""
    trainings = studies.about[name].get("trainings")
    return f" in {trainings_in_words(trainings)}" if trainings else ""


def trainings_in_words(trainings: Mapping[str, float]) -> str:
    """Full trainings' worth of steps, by workload, such as `2.2 to 4.9 trainings`.

    Example:
      >>> trainings_in_words({"mnist": 2.16, "wmt": 2.33})
      '2.2 to 2.3 trainings'
    """
    ends = dict.fromkeys(f"{value:.1f}" for value in (min(trainings.values()), max(trainings.values())))
    return f"{' to '.join(ends)} trainings"


def left_out_by_candidates(studies: Studies, candidates: Fractions, size: int, penalty: float) -> Contender:
    """The left-out lists judged by the very trainings that built the other columns."""
    left = lists.leave_one_out(candidates.values, size, penalty, places=candidates.places)
    found = dict(zip(candidates.workloads, left.held_out[:, -1].tolist(), strict=True))
    rows, best, by_repeat, best_by_repeat = studies.searched(), {}, {}, {}
    for workload, chosen in zip(candidates.workloads, left.lists, strict=True):
        points = [candidates.points[p] for p in chosen.points]
        of_list = rows.filter((pl.col("workload") == workload) & pl.col("point").is_in(points))
        best |= best_metrics(of_list)
        by_repeat |= fractions_by_repeat(of_list)
        best_by_repeat |= metrics_by_repeat(of_list)
    return Contender(
        "leave-one-out list", found, best, str(size), by_repeat=by_repeat, best_by_repeat=best_by_repeat
    )


def _search(
    studies: Studies, candidates: Fractions | None, size: int
) -> tuple[list[Contender], list[Contender]]:
    """Random search with a list's budget, by its median; and all candidates together."""
    rows = studies.searched()
    if rows.is_empty():
        return [], []
    medians: dict[str, float] = {}
    quartiles: dict[str, Spread] = {}
    if candidates is not None:
        for w, workload in enumerate(candidates.workloads):
            values = candidates.values[:, w]
            medians[workload] = median_of_best(values, size, minimize=True)
            quartiles[workload] = quartiles_of_best(values, size, minimize=True)
    best: dict[str, float] = {}
    best_quartiles: dict[str, Spread] = {}
    for workload in rows["workload"].unique(maintain_order=True):
        values, minimize = studies.candidate_values(workload), studies.metrics[workload][1]
        best[workload] = median_of_best(values, size, minimize=minimize)
        best_quartiles[workload] = quartiles_of_best(values, size, minimize=minimize)
    count = rows["point"].n_unique()
    random = Contender(
        f"random search of {size} (median)", medians, best, str(size),
        searches=quartiles, best_searches=best_quartiles,
    )  # fmt: skip
    judged = rows.filter(pl.col("workload").is_in(studies.judged))
    every = Contender(
        f"all {count} candidates", best_fractions(candidates) if candidates is not None else {},
        best_metrics(rows), trials_in_words(rows),
        by_repeat=fractions_by_repeat(judged), best_by_repeat=metrics_by_repeat(rows),
    )  # fmt: skip
    return [random] if count > size else [], [every]
