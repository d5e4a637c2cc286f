"""What a comparison of sources holds, as tables and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import polars as pl

from reports import statistics
from reports.comparison._measured import Measured
from reports.statistics import Difference, Estimate, Over
from results import By, LeftOut

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


def _over_title(over: Over) -> str:
    return "workloads drawn" if over == "workloads" else "repeats drawn"


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
