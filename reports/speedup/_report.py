"""The report on speed-ups over tuned baselines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from reports import statistics
from reports._words import count
from reports.comparison import MOST_PAIRS, SourceComparison, held_against
from reports.figures import figure_speedups
from reports.figures.drawing import NARROW
from reports.page import Block, Column, Note, Prose, Report, Section, Table, draw_picture
from reports.speedup._scores import PERCENTILES, SpeedupScores, score_speedups, summary_table
from results.baselines import DECAY, Baselines, TrainingLosses, read_baselines, training_losses

PENALTY = (
    10.0  # what a share 1 / score counts at most: a baseline of ten times the steps ends at the other side
)


@dataclasses.dataclass(frozen=True, eq=False)
class Speedups:
    """What `speedups` found.

    Attributes:
      sources, baseline_sources: paths.
      scores: of every contender on every workload.
      comparison: of contenders by geometric means of 1 / score; None where there is one, or no workload in common.
      baselines: that they were held against.
      notes: what must be said beside the numbers.
    """

    sources: tuple[str, ...]
    baseline_sources: tuple[str, ...]
    scores: SpeedupScores
    comparison: SourceComparison | None
    baselines: Baselines
    notes: tuple[str, ...]

    def summary(self) -> pl.DataFrame:
        """See `summary_table`."""
        return summary_table(self.scores)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist speedup score --json`."""
        names = self.scores.table["workload"].unique(maintain_order=True).to_list()
        return {
            "sources": list(self.sources),
            "baselines": list(self.baseline_sources),
            "made_of": {name: _named(self.baselines.made_of, name) for name in names},
            "scores": self.scores.table.to_dicts(),
            "summary": self.summary().to_dicts(),
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "notes": list(self.notes),
            "left_out": [item.to_json() for item in self.scores.left_out],
        }


def speedups(
    sources: Sequence[Path],
    baselines: Sequence[Path],
    *,
    steps: int | None = None,
    budgets: Sequence[int] = (),
    only: Sequence[str] = (),
    a: str | None = None,
    decay: float = DECAY,
    penalty: float = PENALTY,
    confidence: float = statistics.CONFIDENCE,
    resamples: int = statistics.RESAMPLES,
    seed: int = 0,
) -> Speedups:
    """Scores every contender of the sources against tuned baselines, and holds them against each other.

    Args:
      sources: studies, curves, packed results or logs, see `results.baselines.training_losses`.
      baselines: see `results.baselines.read_baselines`.
      steps, budgets: see `score_speedups`.
      only, decay: which trainings of the baselines count, and the moving average over their evaluations.
      a: only pairs with this contender; None takes all, or none where they are more than can be tested.
      penalty: what a share 1 / score counts at most in the comparison.
      confidence, resamples, seed: of its intervals and tests.

    Raises:
      FileNotFoundError, ValueError: a source or a baseline cannot be read; nothing can be scored.
    """
    if not sources:
        raise ValueError("no source is given; name a study")
    read = [training_losses(Path(path)) for path in sources]
    losses = _named_apart(read, [str(path) for path in sources])
    found = read_baselines(baselines, decay=decay, only=only)
    scores = score_speedups(losses, found, steps=steps, budgets=budgets)
    comparison = None
    common = set.intersection(*(set(one.fractions) for one in scores.measured))
    contenders = len(scores.measured)
    if a is not None or (contenders > 1 and common and math.comb(contenders, 2) <= MOST_PAIRS):
        comparison = held_against(
            scores.measured, sources=[str(path) for path in sources], a=a, penalty=penalty, confidence=confidence,
            resamples=resamples, seed=seed,
        )  # fmt: skip
    return Speedups(
        tuple(map(str, sources)),
        tuple(map(str, baselines)),
        scores,
        comparison,
        found,
        _notes(scores, found, losses),
    )


def speedup_report(found: Speedups) -> Report:
    """The report: scores over workloads, percentiles, every workload, and contenders held against each other."""
    summary = found.summary()
    leader = summary.sort("50 %", descending=True, maintain_order=True).row(0, named=True)
    n = leader["workloads"]
    finding = (
        f"{leader['contender']}: a median speed-up of {leader['50 %']:.2f} over the baseline on "
        f"{count(n, 'workload')}."
    )
    table = found.scores.table
    opening = draw_picture(
        "speedups",
        figure_speedups,
        table.select("contender", "workload", pl.col("last").alias("score"), "low", "high", "limit"),
        "Scores on workloads, each contender's from the worst to the best; lines are over repeats (of random search: "
        "its quartiles). Above 1 the baseline needs more steps for the same training loss.",
        f"Speed-ups of {count(len(found.scores.contenders), 'contender')} over workloads. {finding}",
        narrow=NARROW,
    )
    sections = [
        Section(
            "Over workloads",
            (
                Prose(
                    "A score is the number of steps that the baseline, tuned anew at every step, needs for the "
                    "training loss that a contender has at its end, over the contender's steps."
                ),
                Table(
                    "summary",
                    summary,
                    "Mean, standard deviation and percentiles of scores over workloads; how many are above 1, at the "
                    "baseline's last step, and 0.",
                    {f"{p} %": Column(hidden=p not in (5, 25, 50, 75, 95)) for p in PERCENTILES}
                    | {"at_limit": Column("at limit")},
                ),
            ),
        ),
        *_comparison_section(found.comparison),
        Section(
            "Every workload",
            (
                Table(
                    "scores",
                    table,
                    "Score at the end, with its worst and best repeat, and the mean and the greatest along the curve.",
                    {
                        "last": Column("score", spread=("low", "high")),
                        "limit": Column(note="no score is above it"),
                        "loss": Column(show="number"),
                    },
                    rows_shown=200,
                ),
                Table(
                    "baselines",
                    _baselines_table(
                        found.baselines, table["workload"].unique(maintain_order=True).to_list()
                    ),
                    "What the baseline curves are made of.",
                    rows_shown=200,
                ),
            ),
        ),
    ]
    return Report(
        title=f"Speed-up over tuned baselines · {count(table['workload'].n_unique(), 'workload')}",
        finding=finding,
        detail=(f"Sources: {', '.join(found.sources)}; baselines: {', '.join(found.baseline_sources)}.",),
        facts=(
            (f"{leader['50 %']:.2f}", f"median score of {leader['contender']}"),
            (f"{leader['faster']} of {n}", "workloads on which it is faster than the baseline"),
        ),
        opening=opening,
        caveats=found.notes,
        sections=tuple(sections),
    )


def _comparison_section(found: SourceComparison | None) -> tuple[Section, ...]:
    if found is None:
        return ()
    (_, contenders), (_, pairs), (_, beats), *_ = found.tables()
    blocks: list[Block] = [
        Prose(
            "Steps of a contender over those that the baseline needs for its loss, 1 / score: the geometric mean over "
            f"the {count(len(found.workloads), 'workload')} that all have, each at most {found.penalty:g}. Below 1 is "
            "faster than the baseline."
        ),
        Table(
            "contenders",
            contenders.rename({"trained": "scored"}),
            f"Cost, and the mean of the middle half of runs, with {100 * found.confidence:g} % intervals; scored: "
            "workloads with a score above 0.",
        ),
        Table("pairs", pairs, "Ratios of costs: below 1 where A is faster."),
        Table("beats", beats, "How often a run of A is ahead of a run of B; ties count half."),
        *(Note(said) for said in found.notes),
    ]
    return (Section("Which is faster, and how surely", tuple(blocks)),)


def _baselines_table(baselines: Baselines, workloads: Sequence[str]) -> pl.DataFrame:
    rows = [
        (name, curve.last_step, _named(baselines.made_of, name), _named(baselines.data, name))
        for name in workloads
        if (curve := baselines.of(name)) is not None
    ]
    schema = {"workload": pl.String, "last step": pl.Int64, "made of": pl.String, "data": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _notes(scores: SpeedupScores, baselines: Baselines, losses: TrainingLosses) -> tuple[str, ...]:
    said = [
        "Scores rest on training losses alone: nothing is said of validation, nor of regularisation that a contender "
        "takes and the baseline does not."
    ]
    table = scores.table
    limited = table.filter(pl.col("last") >= pl.col("limit"))
    if len(limited):
        said.append(
            f"{len(limited)} of {len(table)} scores stand at their limit: the baseline never reaches that loss, and "
            "the true score may be any greater one."
        )
    names = table["workload"].unique(maintain_order=True).to_list()
    lags: dict[str, list[str]] = {}
    for name in names:
        if note := _named(baselines.notes, name):
            lags.setdefault(note, []).append(name)
    said += [f"{', '.join(on[:3])}{', …' if len(on) > 3 else ''}: {note}." for note, on in lags.items()]
    trained = dict(losses.table.select("workload", "data").drop_nulls().unique("workload").iter_rows())
    differing = [n for n in names if (b := _named(baselines.data, n)) and n in trained and trained[n] != b]
    if differing:
        said.append(f"Trained on other data than its baseline: {', '.join(differing[:5])}.")
    if table.filter(pl.col("points") > 1).height:
        said.append(
            "Of several points the best is chosen by the very losses that it is scored by, as the baseline's rates are."
        )
    return tuple(said)


def _named(of_workloads: Any, workload: str) -> str | None:
    """What is said of a workload under any of its names; see `Baselines.of`."""
    short = workload.removeprefix("taskset/")
    return next((of_workloads[n] for n in (workload, short, f"taskset/{short}") if n in of_workloads), None)


def _named_apart(read: Sequence[TrainingLosses], sources: Sequence[str]) -> TrainingLosses:
    """All tables in one, contenders of one name with their source before it."""
    names = [name for one in read for name in one.table["contender"].unique()]
    tables = []
    for one, source in zip(read, sources, strict=True):
        twice = {n: f"{source}: {n}" for n in one.table["contender"].unique() if names.count(n) > 1}
        tables.append(one.table.with_columns(pl.col("contender").replace(twice)))
    return TrainingLosses(pl.concat(tables), tuple(item for one in read for item in one.left_out))
