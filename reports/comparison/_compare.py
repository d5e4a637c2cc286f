"""Costs, differences and tests of all contenders of some sources."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lists import PENALTY
from reports import statistics
from reports.comparison._found import OVERS, Pair, Row, SourceComparison
from reports.comparison._measured import Measured, contenders_of
from reports.comparison._notes import notes
from reports.statistics import Over
from results import By, Fractions, LeftOut, Results, read_source
from workloads.spelling import did_you_mean

MOST_PAIRS = 300


def compare(
    sources: Sequence[Path | Results | Fractions],
    *,
    a: str | None = None,
    b: str | None = None,
    by: By | None = None,
    budget: int | None = None,
    penalty: float = PENALTY,
    confidence: float = statistics.CONFIDENCE,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
    benchmark: str | None = None,
    ruleset: str | None = None,
    power: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> SourceComparison:
    """Holds the contenders of one or several sources against each other; see `contenders_of`.

    Args:
      sources: what `results.read_source` reads each, or has read.
      a: only pairs with this contender, which is A; None: every pair.
      b: with it only this one, on all workloads that these two have.
      by: of which budget fractions are; None: time for AlgoPerf's logs, steps for everything else.
      budget: only the first so many points of each count, and lists have so many; None: all, and see `contenders_of`.
      penalty: tau.
      confidence: of intervals; 1 - confidence is the level of `power`.
      resamples: of intervals and of tests.
      seed: of all draws.
      benchmark, ruleset: of AlgoPerf's logs, where they hold several.
      power: also how many workloads and repeats the first pair takes.
      progress: called as (what, done, total).

    Raises:
      FileNotFoundError, ValueError: a source cannot be read; an argument out of range; no such contender; fewer than
        two; sources that have no workload in common, or differ there in target or budget; too many pairs.
    """
    if not sources:
        raise ValueError("no source is given; name a folder of studies or of AlgoPerf's logs")
    if budget is not None and budget < 1:
        raise ValueError(f"budget is {budget}; must be at least 1 point")
    if b is not None and a is None:
        raise ValueError(f"--b {b}: is compared with --a NAME, which is missing")
    read = [_read(source, benchmark, ruleset, progress) for source in sources]
    named = [_name(source) for source in sources]
    for option, value in (("--benchmark", benchmark), ("--ruleset", ruleset)):
        if value is not None and not any(map(_is_of_logs, read)):
            raise ValueError(f"{option} {value}: no source holds AlgoPerf's logs; leave it out")
    by = by or ("time" if all(_is_of_logs(one) for one in read) else "steps")
    contenders = [
        one
        for found, path in zip(read, named, strict=True)
        for one in contenders_of(
            found, path, by=by, size=budget, penalty=penalty,
            benchmark=benchmark if _is_of_logs(found) else None, ruleset=ruleset if _is_of_logs(found) else None,
        )
    ]  # fmt: skip
    return held_against(
        contenders, sources=named, by=by, a=a, b=b, budget=budget, penalty=penalty, confidence=confidence,
        resamples=resamples, seed=seed, power=power, progress=progress,
        warnings=tuple(w for one in read if not isinstance(one, Fractions) for w in one.warnings),
        left_out=tuple(item for one in read if not isinstance(one, Fractions) for item in one.left_out),
    )  # fmt: skip


def held_against(
    contenders: Sequence[Measured],
    *,
    sources: Sequence[str],
    by: By = "steps",
    a: str | None = None,
    b: str | None = None,
    budget: int | None = None,
    penalty: float = PENALTY,
    confidence: float = statistics.CONFIDENCE,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
    power: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
    warnings: tuple[str, ...] = (),
    left_out: tuple[LeftOut, ...] = (),
) -> SourceComparison:
    """Holds contenders against each other that were measured already, whatever their fractions are of.

    Args:
      contenders: two or more.
      sources: where they are from, in words.
      warnings, left_out: what the sources say of themselves.
      by, a, b, budget, penalty, confidence, resamples, seed, power, progress: see `compare`.

    Raises:
      ValueError: see `compare`.
    """
    named = list(sources)
    contenders = _named_apart(contenders)
    if len(contenders) < 2:
        raise ValueError(f"{named[0]}: holds {len(contenders)} contender; two are needed to compare")
    names = {one.name: one for one in contenders}
    for option, name in (("--a", a), ("--b", b)):
        if name is not None and name not in names:
            near = did_you_mean(name, names)
            raise ValueError(f"{option} {name}: no such contender{near}; there are: {', '.join(names)}")
    if a is not None and b is not None:
        names = {name: names[name] for name in (a, b)}
        contenders = list(names.values())
    workloads, dropped = _common(contenders)
    _check_budgets(contenders, workloads, by)
    values = {name: one.on(workloads, budget) for name, one in names.items()}
    stat = _Statistics(
        penalty, confidence, resamples, seed, values, {n for n, one in names.items() if one.searches}
    )
    rows = sorted(
        (stat.row(one) for one in contenders), key=lambda row: (row.value, -row.trained, row.measured.name)
    )
    pairs = _pairs([row.measured.name for row in rows], a, b)
    found = []
    for done, (first, second) in enumerate(pairs):
        if progress:
            progress("pairs", done, len(pairs))
        found.append(stat.pair(first, second))
    if progress:
        progress("pairs", len(pairs), len(pairs))
    curve = stat.power(*pairs[0]) if power else None
    return SourceComparison(
        sources=tuple(named), by=by, penalty=penalty, budget=budget, confidence=confidence,
        resamples=resamples, seed=seed, workloads=workloads, rows=tuple(rows), pairs=_corrected(found), power=curve,
        notes=notes(rows, found, workloads, dropped, confidence, resamples),
        warnings=warnings, left_out=left_out,
    )  # fmt: skip


class _Statistics:
    """What all contenders and pairs are asked, with the same resamples."""

    def __init__(
        self,
        penalty: float,
        confidence: float,
        resamples: int,
        seed: int,
        values: Mapping[str, np.ndarray],
        searches: set[str],
    ) -> None:
        self.settings: dict[str, Any] = {"penalty": penalty, "resamples": resamples, "seed": seed}
        self.confidence = confidence
        self.values, self.searches = values, searches

    def possible(self, over: Over, *names: str) -> bool:
        """Whether anything can be said over this: several workloads, or several trainings of each point."""
        if over == "workloads":
            return self.values[names[0]].shape[1] > 1
        return all(self.values[name].shape[2] > 1 and name not in self.searches for name in names)

    def each(self, ask: Callable[[Over], Any], *names: str) -> dict[Over, Any]:
        """What a question gives over everything that it can be asked over."""
        return {over: ask(over) if self.possible(over, *names) else None for over in OVERS}

    def row(self, one: Measured) -> Row:
        """A contender's numbers."""
        values, name = self.values[one.name], one.name
        asked = {"confidence": self.confidence, **self.settings}
        penalty = self.settings["penalty"]
        medians = np.median(values, axis=2).min(axis=0)
        return Row(
            measured=one,
            points=values.shape[0],
            repeats=1 if one.searches else values.shape[2],
            trained=int(np.isfinite(medians).sum()),
            value=statistics.cost_of(values, penalty=penalty),
            cost=self.each(lambda over: statistics.cost_interval(values, over=over, **asked), name),
            middle_value=statistics.middle_half(values, penalty=penalty),
            middle=self.each(lambda over: statistics.interquartile_mean(values, over=over, **asked), name),
        )

    def pair(self, a: str, b: str) -> Pair:
        """Two contenders held against each other."""
        both = self.values[a], self.values[b]
        asked = {"confidence": self.confidence, **self.settings}
        penalty = self.settings["penalty"]
        mine, its = (statistics.cost_of(one, penalty=penalty) for one in both)
        return Pair(
            a=a,
            b=b,
            ratio=mine / its,
            difference=mine - its,
            differences=self.each(lambda o: statistics.paired_difference(*both, over=o, **asked), a, b),
            beats_value=statistics.share_ahead(*both, penalty=penalty),
            beats=self.each(lambda o: statistics.probability_of_beating(*both, over=o, **asked), a, b),
            p=self.each(lambda o: statistics.p_value(*both, over=o, **self.settings), a, b),
        )

    def power(self, a: str, b: str) -> pl.DataFrame:
        """How many workloads and repeats it takes to find that A costs less."""
        first, second = self.values[a], self.values[b]
        curves = [
            statistics.power_curve(
                first, second, over=over, penalty=self.settings["penalty"], level=1 - self.confidence,
                seed=self.settings["seed"],
            )
            for over in OVERS
            if self.possible(over, a, b)
        ]  # fmt: skip
        if not curves:
            raise ValueError(f"{a} and {b}: one workload, trained once: no power to speak of")
        return pl.concat(curves)


def _read(
    source: Path | Results | Fractions,
    benchmark: str | None,
    ruleset: str | None,
    progress: Callable[[str, int, int], None] | None,
) -> Results | Fractions:
    """A source as `read_source` gives it; of several some may be no logs, which know no version and no ruleset."""
    if isinstance(source, Results | Fractions):
        return source
    there = [source / "study.json", *source.glob("*/study.json")] if source.is_dir() else [source]
    of_logs = not any(path.exists() for path in there)
    return read_source(source, progress, *((benchmark, ruleset) if of_logs else ()))


def _name(source: Path | Results | Fractions) -> str:
    if isinstance(source, Fractions):
        return "a table of fractions"
    return source.source if isinstance(source, Results) else str(source)


def _is_of_logs(read: object) -> bool:
    return getattr(read, "kind", "table") not in ("study", "table")


def _named_apart(contenders: Sequence[Measured]) -> list[Measured]:
    """With the source before names that occur twice."""
    times = Counter(one.name for one in contenders)
    return [
        one if times[one.name] == 1 else dataclasses.replace(one, name=f"{one.source}: {one.name}")
        for one in contenders
    ]


def _common(contenders: Sequence[Measured]) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Workloads that all have; and those that some have not, with their names."""
    every = list(dict.fromkeys(w for one in contenders for w in one.fractions))
    without = {w: [one.name for one in contenders if w not in one.fractions] for w in every}
    common = tuple(w for w in every if not without[w])
    if not common:
        shown = "; ".join(f"{one.name} has {', '.join(one.fractions)}" for one in contenders[:3])
        raise ValueError(f"the contenders have no workload in common: {shown}")
    return common, {w: names for w, names in without.items() if names}


def _check_budgets(contenders: Sequence[Measured], workloads: Sequence[str], by: By) -> None:
    """Refuses shares of different budgets, and of the way to different targets."""
    for workload in workloads:
        said = {
            one.budgets[workload]: one.source
            for one in contenders
            if workload in one.budgets and not any(map(math.isnan, one.budgets[workload]))
        }
        if len(said) > 1:
            (target, budget), (other_target, other_budget) = list(said)[:2]
            sources = " and ".join(list(said.values())[:2])
            unit = "steps" if by == "steps" else "seconds"
            what = (
                f"target ({target:g} and {other_target:g})"
                if target != other_target
                else f"budget ({budget:g} and {other_budget:g} {unit})"
            )
            raise ValueError(f"{sources} cannot be compared: on {workload} they differ in the {what}")


def _pairs(names: Sequence[str], a: str | None, b: str | None) -> list[tuple[str, str]]:
    if a is not None:
        if a == b:
            raise ValueError(f"--a and --b are both {a}; must be two contenders")
        return [(a, name) for name in ([b] if b is not None else names) if name != a]
    pairs = list(itertools.combinations(names, 2))
    if len(pairs) > MOST_PAIRS:
        raise ValueError(
            f"{len(names)} contenders make {len(pairs)} pairs; choose one with --a NAME, which leaves {len(names) - 1}"
        )
    return pairs


def _corrected(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """With p-values that hold for all pairs at once; each kind of test is a family of its own."""
    corrected: dict[Over, dict[int, float]] = {}
    for over in OVERS:
        tested = {i: p for i, pair in enumerate(pairs) if (p := pair.p[over]) is not None}
        corrected[over] = dict(zip(tested, statistics.holm(list(tested.values())).tolist(), strict=True))
    return tuple(
        dataclasses.replace(pair, corrected={over: corrected[over].get(i) for over in OVERS})
        for i, pair in enumerate(pairs)
    )
