"""Costs, differences and tests of all contenders of some sources, as tables and as JSON."""

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
from reports.comparison._measured import Measured, contenders_of
from reports.statistics import Difference, Estimate, Over
from results import By, Fractions, LeftOut, Results, read_source
from workloads.spelling import did_you_mean

MOST_PAIRS = 300
OVERS: tuple[Over, ...] = ("workloads", "repeats")
Estimates = Mapping[Over, Estimate | None]


@dataclasses.dataclass(frozen=True)
class Row:
    """A contender's numbers; `None` where nothing varies, such as repeats of what was trained once.

    Attributes:
      measured: who.
      points, repeats: how many it has.
      trained: workloads whose target the median reaches.
      value: C_tau.
      cost, middle: its intervals, and those of the interquartile mean.
      middle_value: the interquartile mean itself.
    """

    measured: Measured
    points: int
    repeats: int
    trained: int
    value: float
    cost: Estimates
    middle_value: float
    middle: Estimates


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two contenders held against each other.

    Attributes:
      a, b: names.
      ratio, difference: C(A) / C(B), and C(A) - C(B).
      differences: with their intervals.
      beats: the probability that a run of A is ahead of one of B, with its intervals.
      beats_value: that probability.
      p: p-values of no difference.
      corrected: the same for the whole family, by Holm.
    """

    a: str
    b: str
    ratio: float
    difference: float
    differences: Mapping[Over, Difference | None]
    beats_value: float
    beats: Estimates
    p: Mapping[Over, float | None]
    corrected: Mapping[Over, float | None] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class SourceComparison:
    """What `compare` found.

    Attributes:
      sources: paths.
      by, penalty, budget, confidence, resamples, seed: what was asked.
      workloads: that all contenders were judged on.
      rows: contenders, by cost.
      pairs: of them, the one that costs less first, unless A and B were named.
      power: what `power_curve` gives for the first pair, where asked for.
      notes, warnings, left_out: what must be said beside the tables, and what the sources say of themselves.
    """

    sources: tuple[str, ...]
    by: By
    penalty: float
    budget: int | None
    confidence: float
    resamples: int
    seed: int
    workloads: tuple[str, ...]
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    power: pl.DataFrame | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    def contenders_table(self) -> pl.DataFrame:
        """A row per contender: what it trains, its cost and its interquartile mean, with intervals in words."""
        columns: dict[str, list[Any]] = {
            "contender": [row.measured.name for row in self.rows],
            "points": [row.points for row in self.rows],
            "repeats": [row.repeats for row in self.rows],
            "trained": [row.trained for row in self.rows],
            "cost": [row.value for row in self.rows],
        }
        columns |= {_over_title(over): [words(row.cost[over]) for row in self.rows] for over in OVERS}
        columns["IQM"] = [row.middle_value for row in self.rows]
        columns |= {
            f"IQM, {_over_title(over)}": [words(row.middle[over]) for row in self.rows] for over in OVERS
        }
        return pl.DataFrame(columns)

    def pairs_table(self) -> pl.DataFrame:
        """A row per pair: the ratio of costs with its intervals, and p-values, corrected and not."""
        columns: dict[str, list[Any]] = {
            "A": [pair.a for pair in self.pairs],
            "B": [pair.b for pair in self.pairs],
            "C(A) / C(B)": [pair.ratio for pair in self.pairs],
        }
        for over in OVERS:
            found = [pair.differences[over] for pair in self.pairs]
            columns[_over_title(over)] = [words(one.ratio if one else None) for one in found]
        for over in OVERS:
            columns[f"p over {over}"] = [pair.p[over] for pair in self.pairs]
            columns[f"Holm over {over}"] = [pair.corrected[over] for pair in self.pairs]
        return pl.DataFrame(columns, schema_overrides={n: pl.Float64 for n in columns if " over " in n})

    def beats_table(self) -> pl.DataFrame:
        """A row per pair: how often a run of A is ahead, with intervals, and in how many resamples A costs less."""
        columns: dict[str, list[Any]] = {
            "A": [pair.a for pair in self.pairs],
            "B": [pair.b for pair in self.pairs],
            "P(A beats B)": [pair.beats_value for pair in self.pairs],
        }
        columns |= {_over_title(over): [words(pair.beats[over]) for pair in self.pairs] for over in OVERS}
        for over in OVERS:
            found = [pair.differences[over] for pair in self.pairs]
            columns[f"A cheaper, {over} resampled"] = [one.share if one else None for one in found]
        resampled = {n: pl.Float64 for n in columns if n.endswith("resampled")}
        return pl.DataFrame(columns, schema_overrides=resampled)

    def tables(self) -> tuple[tuple[str, pl.DataFrame], ...]:
        """What a person is shown: titles and tables."""
        n, level = len(self.workloads), f"{100 * self.confidence:g} %"
        first = "all points" if self.budget is None else f"the first {self.budget} points"
        shown = [
            (f"costs by {self.by}, {first}, {n} workloads, {level} intervals", self.contenders_table()),
            ("differences of costs: below 1 where A is better", self.pairs_table()),
            ("how often a run of A is ahead of a run of B", self.beats_table()),
        ]
        if self.power is not None:
            title = f"share of experiments that find {self._claim} (p ≤ {1 - self.confidence:.2g})"
            for over in OVERS:
                if not (part := self.power.filter(over=over)).is_empty():
                    wide = part.pivot("repeats", index="workloads", values="found")
                    named = wide.rename({c: f"{c} repeat{'' if c == '1' else 's'}" for c in wide.columns[1:]})
                    shown.append((f"{title}, over {over}", named))
        return tuple(shown)

    def power_in_words(self) -> tuple[str, ...]:
        """What it takes to find the difference of the first pair in four experiments of five; none without power."""
        if self.power is None:
            return ()
        return tuple(
            _needed_in_words(self.power.filter(over=over), over, self._claim)
            for over in OVERS
            if not self.power.filter(over=over).is_empty()
        )

    @property
    def _claim(self) -> str:
        return f"{self.pairs[0].a} to cost less than {self.pairs[0].b}"

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist compare --json`."""
        return {
            "sources": list(self.sources),
            "by": self.by,
            "penalty": self.penalty,
            "budget": self.budget,
            "confidence": self.confidence,
            "resamples": self.resamples,
            "seed": self.seed,
            "workloads": list(self.workloads),
            "contenders": [_row_json(row) for row in self.rows],
            "pairs": [_pair_json(pair) for pair in self.pairs],
            "power": None if self.power is None else self.power.to_dicts(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "left_out": [item.to_json() for item in self.left_out],
        }


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
      b: with it only this one.
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
    contenders = _named_apart(contenders)
    if len(contenders) < 2:
        raise ValueError(f"{named[0]}: holds {len(contenders)} contender; two are needed to compare")
    workloads, dropped = _common(contenders)
    _check_budgets(contenders, workloads, by)
    names = {one.name: one for one in contenders}
    for option, name in (("--a", a), ("--b", b)):
        if name is not None and name not in names:
            raise ValueError(
                f"{option} {name}: no such contender{did_you_mean(name, names)}; there are: {', '.join(names)}"
            )
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
        notes=_notes(rows, found, workloads, dropped, confidence, resamples),
        warnings=tuple(w for one in read if not isinstance(one, Fractions) for w in one.warnings),
        left_out=tuple(item for one in read if not isinstance(one, Fractions) for item in one.left_out),
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

    def row(self, one: Measured) -> Row:
        values = self.values[one.name]
        asked = {"confidence": self.confidence, **self.settings}
        over = [over for over in OVERS if self.possible(over, one.name)]
        cost = {o: statistics.cost_interval(values, over=o, **asked) for o in over}
        middle = {o: statistics.interquartile_mean(values, over=o, **asked) for o in over}
        penalty = self.settings["penalty"]
        medians = np.median(values, axis=2).min(axis=0)
        return Row(
            one, values.shape[0], 1 if one.searches else values.shape[2], int(np.isfinite(medians).sum()),
            statistics.cost_of(values, penalty=penalty), _all(cost),
            statistics.middle_half(values, penalty=penalty), _all(middle),
        )  # fmt: skip

    def pair(self, a: str, b: str) -> Pair:
        first, second = self.values[a], self.values[b]
        asked = {"confidence": self.confidence, **self.settings}
        over = [over for over in OVERS if self.possible(over, a, b)]
        costs = [statistics.cost_of(one, penalty=self.settings["penalty"]) for one in (first, second)]
        beats = {o: statistics.probability_of_beating(first, second, over=o, **asked) for o in over}
        return Pair(
            a, b, costs[0] / costs[1], costs[0] - costs[1],
            _all({o: statistics.paired_difference(first, second, over=o, **asked) for o in over}),
            statistics.share_ahead(first, second, penalty=self.settings["penalty"]), _all(beats),
            _all({o: statistics.p_value(first, second, over=o, **self.settings) for o in over}),
        )  # fmt: skip

    def power(self, a: str, b: str) -> pl.DataFrame:
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


def words(found: Estimate | None) -> str | None:
    """An interval in words, such as `0.71 to 0.93`; None where there is none."""
    return None if found is None else f"{found.low:.3f} to {found.high:.3f}"


def _needed_in_words(curve: pl.DataFrame, over: Over, claim: str) -> str:
    enough = statistics.needed(curve)
    if enough.is_empty():
        most = curve.select(pl.col("workloads", "repeats", "found").max()).row(0)
        return (
            f"over {over}: with up to {most[0]} workloads and {most[1]} repeats, at most {most[2]:.0%} of experiments "
            f"find {claim}"
        )
    sizes = [
        f"{w} workloads with {r} repeat{'' if r == 1 else 's'}"
        for w, r in enough.select("workloads", "repeats").iter_rows()
    ]
    return f"over {over}: 4 of 5 experiments find {claim} with {', or '.join(sizes)}"


def _all(found: Mapping[Over, Any]) -> dict[Over, Any]:
    return {over: found.get(over) for over in OVERS}


def _over_title(over: Over) -> str:
    return "workloads drawn" if over == "workloads" else "repeats drawn"


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


def _common(contenders: Sequence[Measured]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Workloads that all have, and those that some have not."""
    every = list(dict.fromkeys(w for one in contenders for w in one.fractions))
    common = tuple(w for w in every if all(w in one.fractions for one in contenders))
    if not common:
        shown = "; ".join(f"{one.name} has {', '.join(one.fractions)}" for one in contenders[:3])
        raise ValueError(f"the contenders have no workload in common: {shown}")
    return common, tuple(w for w in every if w not in common)


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


def _notes(
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    workloads: Sequence[str],
    dropped: Sequence[str],
    confidence: float,
    resamples: int,
) -> tuple[str, ...]:
    n, level = len(workloads), f"{100 * confidence:g} %"
    said = [
        f"workloads drawn: {level} intervals for workloads like these {n}, which count as drawn at random; their "
        "repeats come along",
        f"repeats drawn: {level} intervals for these {n} workloads alone, with other seeds",
    ]
    if n > 1 and confidence > statistics.reachable(n):
        said.append(
            f"{n} workloads cannot give {level}: no more than {100 * statistics.reachable(n):.3g} % can be reached "
            "over workloads"
        )
    if n > 1 and len(pairs) * (least := max(2.0 ** (1 - n), 1 / (1 + resamples))) > 1 - confidence:
        said.append(
            f"{n} workloads cannot show a difference over workloads among {len(pairs)} pairs: the least p-value is "
            f"{least:.2g}, which Holm multiplies by as much as {len(pairs)}; compare fewer (--a, --b)"
        )
    if once := [row.measured.name for row in rows if row.repeats == 1 and not row.measured.searches]:
        said.append(f"trained once per point, so that nothing over repeats can be said: {', '.join(once)}")
    if drawn := [row.measured.name for row in rows if row.measured.searches]:
        said.append(
            f"{', '.join(drawn)}: median of random searches among trained points; the noise of their training is only "
            "in the intervals over workloads"
        )
    if any("judged by the trainings" in row.measured.what or row.measured.searches for row in rows):
        said.append(
            "lists are taken as they were built: that other trainings would give other lists is in no interval"
        )
    budgets = {row.points for row in rows if not row.measured.searches}
    if len(budgets) > 1:
        said.append(
            f"the contenders have {min(budgets)} to {max(budgets)} points: --budget K compares the first K of each"
        )
    if dropped:
        said.append(f"not every contender has these workloads, which are left out: {', '.join(dropped)}")
    if len(pairs) > 1:
        said.append(f"Holm: family-wise, over {len(pairs)} pairs; intervals are each for itself")
    return tuple(said)


def _interval(found: Estimate | None) -> list[float] | None:
    return None if found is None else [found.low, found.high]


def _intervals(found: Estimates) -> dict[str, Any]:
    return {f"over_{over}": _interval(found[over]) for over in OVERS}


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.measured.name,
        "source": row.measured.source,
        "what": row.measured.what,
        "points": row.points,
        "repeats": row.repeats,
        "trained": row.trained,
        "cost": {"value": row.value, **_intervals(row.cost)},
        "iqm": {"value": row.middle_value, **_intervals(row.middle)},
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    found = pair.differences
    ratio: Estimates = {o: one.ratio if (one := found[o]) else None for o in OVERS}
    gap: Estimates = {o: one.difference if (one := found[o]) else None for o in OVERS}
    return {
        "a": pair.a,
        "b": pair.b,
        "ratio": {"value": pair.ratio, **_intervals(ratio)},
        "difference": {"value": pair.difference, **_intervals(gap)},
        "a_cheaper": {f"over_{o}": one.share if (one := found[o]) else None for o in OVERS},
        "a_beats_b": {"value": pair.beats_value, **_intervals(pair.beats)},
        "p": {f"over_{o}": pair.p[o] for o in OVERS},
        "p_holm": {f"over_{o}": pair.corrected[o] for o in OVERS},
    }
