"""How sure the numbers of our contenders are: intervals over workloads and over seeds, and tests against the lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import polars as pl

from reports import statistics
from reports.comparison import Measured as Trained
from reports.comparison import SourceComparison, compare, contenders_of
from reports.medapati._measured import (
    BASELINES,
    LEFT_OUT,
    METHODS,
    OWN,
    RANDOM,
    VARIANTS,
    Measured,
)
from reports.page import Block, Column, Note, Prose, Section, Table
from reports.statistics import Estimate, Over

RIVALS = (*BASELINES, RANDOM, OWN)  # of the budget of a list
WHOLE = ("final-list", VARIANTS)
OVERS: tuple[Over, ...] = ("workloads", "repeats")


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a contender, with an interval over workloads and one over repeats; None where nothing varies."""

    label: str
    points: int
    repeats: int
    trained: int
    workloads: int
    value: float
    over: Mapping[Over, Estimate | None]


@dataclasses.dataclass(frozen=True)
class Sureness:
    """How sure our numbers are.

    Attributes:
      costs: a key of `METHODS` -> the cost of that row of ours, of those that were run on all workloads with a target.
      compared: the left-out lists that were trained anew against everything else of their budget; None without them.
      rows: contender of `compared` -> its key of `METHODS`.
    """

    costs: Mapping[str, Cost]
    compared: SourceComparison | None
    rows: Mapping[str, str]

    def against(self, row: str) -> tuple[Estimate | None, float | None, float | None]:
        """Of the ratio of costs, lists over this row: the interval over workloads, p over workloads, and Holm's."""
        for pair in self.compared.pairs if self.compared else ():
            if self.rows[pair.b] == row:
                found = pair.differences["workloads"]
                return found.ratio if found else None, pair.p["workloads"], pair.corrected["workloads"]
        return None, None, None


def sureness(found: Measured, seed: int = 0) -> Sureness:
    """Intervals of all costs, and of the differences from the left-out lists."""
    compared, rows, costs = None, {}, {}
    base = tuple(found.names[name] for name in found.judged)
    there = found.complete((LEFT_OUT, *RIVALS))
    studies = {_study(found, row): row for row in there}
    if LEFT_OUT in there and len(there) > 1 and len(base) > 0:
        of_base = found.studies.results.of_submissions(list(studies))
        trials = of_base.trials.filter(pl.col("workload").is_in(base))
        of_base = dataclasses.replace(
            of_base, trials=trials, evals=of_base.evals.join(trials, on="trial_id", how="semi")
        )
        compared = compare([of_base], a=LEFT_OUT, budget=found.size, penalty=found.penalty, seed=seed)
        names = {
            one.measured.name: one.measured.name.removeprefix(f"{found.size} of ") for one in compared.rows
        }
        rows = {name: studies.get(study, name) for name, study in names.items()}
        for one in compared.rows:
            row, points = rows[one.measured.name], found.size if one.measured.searches else one.points
            costs[row] = Cost(_label(row), points, one.repeats, one.trained, len(base), one.value, one.cost)
    for row, names, of_row in (
        (WHOLE[0], found.judged, found.names), (WHOLE[1], found.judged_variants, found.variants)
    ):  # fmt: skip
        if row in found.rows and names and set(names) <= set(found.rows[row].fractions):
            costs[row] = _cost(found, row, tuple(of_row[name] for name in names), seed)
    return Sureness(costs, compared, rows)


def sureness_section(sure: Sureness, found: Measured) -> Section | None:
    """Costs with their intervals, and the lists against every baseline; None where there is nothing to say."""
    if not sure.costs:
        return None
    blocks: list[Block] = [
        Prose(
            "Over workloads: for others of their kind, as if these had been drawn at random. Over repeats: for these "
            "alone, trained from other seeds. 95 % intervals; – where nothing varies, such as repeats of what was "
            "trained once."
        ),
        Table(
            "costs",
            _cost_table(sure),
            f"Costs of ours (data: {found.data}), with bootstrap intervals.",
            {
                "contender": Column(title=""),
                "cost": Column(show="fraction"),
                "over_workloads": Column(title="over workloads"),
                "over_repeats": Column(title="over repeats"),
            },
        ),
    ]
    if sure.compared is None:
        blocks.append(
            Note("No left-out lists that were trained anew stand beside a baseline: no difference is tested.")
        )
        return Section("How sure that is", tuple(blocks))
    blocks.append(
        Table(
            "differences",
            _difference_table(sure, sure.compared),
            f"Left-out lists of {found.size} against everything else of that budget: the ratio of costs, below 1 where "
            "lists cost less, and the probability that a run of the list is ahead of one of the other. p: permutations "
            "over workloads, the bootstrap over repeats; Holm's hold for all rows at once.",
            {
                "against": Column(title="lists against"),
                "ratio": Column(title="ratio of costs", show="fraction"),
                "over_workloads": Column(title="ratio", note="over workloads"),
                "over_repeats": Column(title="ratio", note="over repeats"),
                "p_workloads": Column(title="p", note="over workloads", show="number"),
                "holm_workloads": Column(title="Holm", note="over workloads", show="number"),
                "p_repeats": Column(title="p", note="over repeats", show="number"),
                "holm_repeats": Column(title="Holm", note="over repeats", show="number"),
                "ahead": Column(title="P(ahead)", show="fraction"),
                "ahead_over_workloads": Column(title="P(ahead)", note="over workloads"),
            },
        )
    )
    blocks.append(Prose(_told_apart(sure, sure.compared)))
    blocks += [Note(f"{note[0].upper()}{note[1:]}.") for note in _notes(sure.compared)]
    return Section("How sure that is", tuple(blocks))


def interval_words(found: Estimate | None) -> str:
    """An interval in words, such as `0.71 to 0.93`; a dash where there is none."""
    return "–" if found is None else f"{found.low:.2f} to {found.high:.2f}"


def _cost_table(sure: Sureness) -> pl.DataFrame:
    rows = [
        (c.label, c.points, c.repeats, f"{c.trained} of {c.workloads}", c.value, *map(interval_words, c.over.values()))
        for c in sorted(sure.costs.values(), key=lambda c: (c.value, c.label))
    ]  # fmt: skip
    schema = {
        "contender": pl.String, "points": pl.Int64, "repeats": pl.Int64, "trained": pl.String, "cost": pl.Float64,
        "over_workloads": pl.String, "over_repeats": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _difference_table(sure: Sureness, compared: SourceComparison) -> pl.DataFrame:
    rows = []
    for pair in compared.pairs:
        ratios = [one.ratio if (one := pair.differences[over]) else None for over in OVERS]
        tests = [value[over] for over in OVERS for value in (pair.p, pair.corrected)]
        ahead = interval_words(pair.beats["workloads"])
        rows.append(
            (_label(sure.rows[pair.b]), pair.ratio, *map(interval_words, ratios), *tests, pair.beats_value, ahead)
        )  # fmt: skip
    numbers = ("p_workloads", "holm_workloads", "p_repeats", "holm_repeats", "ahead")
    schema = {
        "against": pl.String,
        "ratio": pl.Float64,
        "over_workloads": pl.String,
        "over_repeats": pl.String,
    }
    schema |= dict.fromkeys(numbers, pl.Float64) | {"ahead_over_workloads": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _told_apart(sure: Sureness, compared: SourceComparison) -> str:
    level = 1 - compared.confidence
    said = []
    where: dict[Over, str] = {
        "workloads": "on workloads of this kind",
        "repeats": "on these, from other seeds",
    }
    for over, what in where.items():
        told = [
            _label(sure.rows[pair.b])
            for pair in compared.pairs
            if (p := pair.corrected[over]) is not None and p <= level
        ]
        better = [pair for pair in compared.pairs if pair.ratio < 1 and _label(sure.rows[pair.b]) in told]
        names = ", ".join(_label(sure.rows[pair.b]) for pair in better) or "none"
        worse = [name for name in told if name not in {_label(sure.rows[pair.b]) for pair in better}]
        said.append(
            f"{what} lists cost less than {names}" + (f", more than {', '.join(worse)}" if worse else "")
        )
    return f"Beyond chance at {100 * level:.0f} %, all rows at once: {'; '.join(said)}."


def _notes(compared: SourceComparison) -> list[str]:
    """Those of the comparison that the section does not say itself."""
    own = ("workloads drawn:", "repeats drawn:", "Holm:")
    return [note for note in compared.notes if not note.startswith(own) and "--" not in note]


def _cost(found: Measured, row: str, workloads: tuple[str, ...], seed: int) -> Cost:
    (trained,) = _contender(found, row)
    values = trained.on(workloads)
    settings = {"penalty": found.penalty, "seed": seed}
    over: dict[Over, Estimate | None] = {
        "workloads": statistics.cost_interval(values, over="workloads", **settings) if len(workloads) > 1 else None,
        "repeats": statistics.cost_interval(values, over="repeats", **settings) if values.shape[2] > 1 else None,
    }  # fmt: skip
    reached = int(np.isfinite(np.median(values, axis=2).min(axis=0)).sum())
    value = statistics.cost_of(values, penalty=found.penalty)
    label = f"{_label(row)}, which built it" if row == WHOLE[0] else _label(row)
    return Cost(label, values.shape[0], values.shape[2], reached, len(workloads), value, over)


def _contender(found: Measured, row: str) -> list[Trained]:
    results = found.studies.results.of_submissions([METHODS[row].study])
    return contenders_of(results, row, by="steps", size=None, penalty=found.penalty)


def _study(found: Measured, row: str) -> str:
    return found.random if row == RANDOM and found.random is not None else METHODS[row].study


def _label(row: str) -> str:
    return METHODS[row].label if row in METHODS else row
