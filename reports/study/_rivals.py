"""Several searches for candidates held against each other: which is better, by how much, and can that be told?

The rule, in order: who trains more workloads is ahead, among equals who has the lower cost. One that is ahead in both,
with no more points to choose from, is told to be better if chance alone, between two that are equal, would rarely show
as much (`RARELY`), by the plainest test that the runs allow:
- points trained several times: every repeat of one costs less than every repeat of the other, a rank test;
- points trained once: it is sooner on more workloads than it is later on, a sign test over workloads.
The first says nothing of other workloads, the second nothing of other seeds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import polars as pl

from reports._contenders import Contender
from reports._words import count
from reports.study._candidates import check_comparable, reruns_of
from reports.study._facts import Studies, StudyFacts, contender, rank, read_facts, study_facts
from results import Results

RARELY = 0.1  # three repeats each that do not overlap, or five workloads of five


@dataclasses.dataclass(frozen=True)
class Compared:
    """One search among several.

    Attributes:
      name: of its study.
      label: how the page calls it.
      facts: of its study and the reruns of its lists alone.
      ranked: the contender that it is ranked by: its left-out list, its best point where nothing can be left out.
      best: its best point on each workload, by what the search saw.
      random: random search among its points with a list's budget, by its median; none with fewer points than that.
    """

    name: str
    label: str
    facts: StudyFacts
    ranked: Contender
    best: Contender
    random: Contender | None

    @property
    def points(self) -> int:
        """Points to choose from, on the workload that has most."""
        return int(self.facts.searched().group_by("workload").agg(pl.col("point").n_unique())["point"].max())  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Which of two is better.

    Attributes:
      first, second: the one ahead, and the other.
      told: whether they can be told apart.
      reason: why, or why not; half a sentence.
      chance: how often two that are equal would differ as much, in 0 to 1; None where nothing was tested.
    """

    first: Compared
    second: Compared
    told: bool
    reason: str
    chance: float | None = None


@dataclasses.dataclass(frozen=True)
class Rivals:
    """Several searches.

    Attributes:
      studies: all that was merged.
      compared: the searches, best first.
      unseen: they are ranked by lists that have not seen the workload.
      rerun: those lists were trained anew.
      size, penalty: of lists and their cost.
      others: baselines, and reruns that belong to no one search.
      verdicts: of every pair, better first.
    """

    studies: Studies
    compared: tuple[Compared, ...]
    unseen: bool
    rerun: bool
    size: int
    penalty: float
    others: tuple[Contender, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def judged(self) -> tuple[str, ...]:
        """Workloads with a target."""
        return self.studies.judged


def rivals(results: Results, *, list_size: int | None, penalty: float) -> Rivals:
    """Holds all searches for candidates against each other.

    Raises:
      ValueError: they cannot be compared, or a list size below 1.
    """
    if list_size is not None and list_size < 1:
        raise ValueError(f"list_size is {list_size}; a list needs at least 1 point")
    studies = read_facts(results)
    names = studies.of_role("candidates")
    check_comparable(studies, names)
    reruns = {name: reruns_of(studies, name) for name in names}
    rerun = all(reruns.values())  # a list trained anew and one that was not are no equals
    parts = {name: results.of_submissions([name, *(reruns[name] if rerun else ())]) for name in names}
    facts = {name: study_facts(part, list_size=list_size, penalty=penalty) for name, part in parts.items()}
    size = min(one.size for one in facts.values())
    for name, one in facts.items():
        if one.size != size:
            facts[name] = study_facts(parts[name], list_size=size, penalty=penalty)
    unseen = bool(studies.judged) and all(one.unseen for one in facts.values())
    compared = [_compared(studies, name, facts[name], unseen, rerun) for name in names]
    compared.sort(key=lambda one: rank(one.ranked, studies.judged, penalty))
    verdicts = [
        verdict(first, second, studies.judged, penalty)
        for i, first in enumerate(compared)
        for second in compared[i + 1 :]
    ]
    used = {name for one in reruns.values() for name in one} if rerun else set()
    others = [
        contender(studies, name)
        for role in ("leave-one-out", "baseline")
        for name in studies.of_role(role)
        if name not in used
    ]
    return Rivals(
        studies, tuple(compared), unseen, rerun and unseen, size, penalty, tuple(others), tuple(verdicts)
    )


def verdict(first: Compared, second: Compared, workloads: Sequence[str], penalty: float) -> Verdict:
    """Which of two is better by this module's rule; `first` is the one ahead."""
    a, b = first.ranked, second.ranked
    for one, its in ((first, a), (second, b)):
        if absent := [w for w in workloads if w not in its.fractions]:
            return Verdict(first, second, False, f"{one.label} has not been trained on {', '.join(absent)}")
    if not workloads:
        return Verdict(first, second, False, "no workload has a target")
    cost, other = a.cost(workloads, penalty), b.cost(workloads, penalty)
    assert cost is not None
    assert other is not None
    trained = a.trained(workloads) - b.trained(workloads)
    if trained == 0 and cost == other:
        return Verdict(first, second, False, "they train as many workloads at the same cost")
    if cost >= other:
        return Verdict(first, second, False, f"{first.label} trains more workloads, but at no lower cost")
    if first.points > second.points:
        reason = f"{first.label} had {first.points} points to choose from, {second.label} {second.points}"
        return Verdict(first, second, False, reason)
    mine, its = a.costs(workloads, penalty), b.costs(workloads, penalty)
    if len(mine) > 1 and len(its) > 1:
        ranges = f"{_range(mine)} against {_range(its)}"
        if max(mine) >= min(its):
            return Verdict(first, second, False, f"their costs overlap over repeats ({ranges})")
        chance = 2 / math.comb(len(mine) + len(its), len(mine))
        reason = f"the cost of {first.label} is lower in every repeat ({ranges})"
    else:
        sooner, later = sooner_and_later(a, b, workloads)
        chance = _sign_test(sooner, later)
        reason = (
            f"{first.label} is sooner on {sooner} of {count(len(workloads), 'workload')} and later on {later}"
        )
    reason += f", which chance alone would give {in_words(chance)}"
    return Verdict(first, second, chance <= RARELY, reason, chance)


def _range(costs: Sequence[float]) -> str:
    return f"{min(costs):.3f} to {max(costs):.3f}"


def _sign_test(sooner: int, later: int) -> float:
    """How often a fair coin shows so unequal sides, either way; 1 where there was no toss."""
    tosses, rarer = sooner + later, min(sooner, later)
    return min(1.0, 2 * sum(math.comb(tosses, k) for k in range(rarer + 1)) / 2**tosses)


def in_words(chance: float) -> str:
    """How often, in words.

    Example:
      >>> in_words(0.1), in_words(1.0)
      ('1 time in 10', 'always')
    """
    if chance > 0.9:
        return "nearly always" if chance < 1 else "always"
    return f"1 time in {1 / chance:.2g}" if chance > 0.001 else "less than 1 time in 1,000"


def sooner_and_later(a: Contender, b: Contender, workloads: Sequence[str]) -> tuple[int, int]:
    """On how many workloads `a` reaches the target before `b`, and after it."""
    pairs = [(a.fractions.get(w, math.inf), b.fractions.get(w, math.inf)) for w in workloads]
    return sum(x < y for x, y in pairs), sum(x > y for x, y in pairs)


def _compared(studies: Studies, name: str, facts: StudyFacts, unseen: bool, rerun: bool) -> Compared:
    label = _label(studies, name)
    assert facts.every is not None  # every part holds a search
    best = dataclasses.replace(facts.every, label=f"best point of {label}")
    random = facts.random
    how = f"list of {label}, trained anew" if rerun else f"list of {label}"
    ranked = dataclasses.replace(facts.hero, label=how) if unseen and facts.hero else best
    if random is not None:
        random = dataclasses.replace(random, label=f"{random.label} of {label}")
    return Compared(name, label, facts, ranked, best, random)


def _label(studies: Studies, name: str) -> str:
    """The optimizer where that tells the searches apart, else the title, else the name."""
    names = studies.of_role("candidates")
    for key in ("optimizer", "title"):
        said = [str(studies.about[n].get(key) or "") for n in names]
        if len(set(said)) == len(said) and all(said):
            return str(studies.about[name][key])
    return name
