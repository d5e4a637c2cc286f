"""Several searches side by side: who trains what, which of two is ahead and how far that can be told."""

from __future__ import annotations

import math

import polars as pl

from reports import _tables as tables
from reports._contenders import hyperparameters_of
from reports._list_sections import fraction_columns
from reports._words import number
from reports.bands import metric_support, tuning_curve
from reports.figures import figure_tuning_curves
from reports.figures.drawing import short_names
from reports.page import (
    Block,
    Column,
    Gallery,
    Note,
    Prose,
    Section,
    Table,
    draw_picture,
    file_stem,
)
from reports.study._draws import caption_of_draws, series_name, twin_blocks, twin_of
from reports.study._rivals import (
    RARELY,
    Rivals,
    sooner_and_later,
)
from reports.study._search import Progress, on_bands
from reports.study._spread import spread_in_words

RULE = (
    "Who trains more workloads is ahead, among equals who has the lower cost. One that is ahead in both, with no more "
    "points to choose from, is told to be better if chance alone, between two that are equal, would show as much at "
    f"most {RARELY:.0%} of the time: by the ranks of costs over repeats where points were trained several times (at "
    "least three each), else by signs over workloads (at least five)."
)


def side_by_side(found: Rivals) -> Section:
    """Tables of fractions, verdicts, best points, steps and best metrics, a row or more per search."""
    blocks: list[Block] = []
    studies, judged = found.studies, found.judged
    best = [one.best for one in found.compared] if found.unseen else []
    random = [one.random for one in found.compared if one.random is not None]
    ranked = [one.ranked for one in found.compared]
    fair, context = [*ranked, *found.others], [*random, *best]
    if judged:
        blocks.append(Prose(f"{RULE} {spread_in_words([*fair, *context])}"))
        table = tables.fraction_table([*fair, *context], judged, found.penalty)
        blocks.append(
            Table(
                "comparison",
                table,
                "Share of the step budget at which the target is first reached. Bold: best of its column. Grey, for "
                "context: points that were chosen by these very trainings, and random search.",
                fraction_columns(judged, found.penalty),
                lead_rows=(0,) if found.verdicts[0].told else (),
                muted_rows=tuple(range(len(fair), table.height)),
            )
        )
        blocks.append(_verdict_table(found))
        blocks.append(_best_points_table(found))
        blocks.append(_steps_table(found))
    titles = short_names(studies.workloads)
    columns = {"contender": Column(title=""), "spread": Column(hidden=True)}
    for workload, (metric, minimize, target) in studies.metrics.items():
        goal = f", target {number(target)}" if target is not None else ""
        columns[workload] = Column(
            title=titles[workload], note=f"{metric.replace('_', ' ')} {'↓' if minimize else '↑'}{goal}", show="number",
            best="min" if minimize else "max", spread=tables.spread_columns(workload),
        )  # fmt: skip
    table = tables.best_metric_table([*fair, *context], studies.workloads)
    caption = (
        "Best validation metric: median over repeats of each point's best evaluation, then the best point. Grey: for "
        "context."
    )
    muted = tuple(range(len(fair), table.height))
    blocks.append(Table("best_metrics", table, caption, columns, muted_rows=muted))
    if without := [titles[w] for w in studies.workloads if w not in judged]:
        blocks.append(
            Note(f"No target is set for {', '.join(without)}: only best metrics can be compared there.")
        )
    return Section("Which is better", tuple(blocks))


def _verdict_table(found: Rivals) -> Table:
    rows = []
    for one in found.verdicts:
        a, b = one.first.ranked, one.second.ranked
        costs = a.cost(found.judged, found.penalty), b.cost(found.judged, found.penalty)
        ratio = costs[0] / costs[1] if costs[0] is not None and costs[1] is not None else None
        sooner, later = sooner_and_later(a, b, found.judged)
        rows.append(
            (one.first.label, one.second.label, one.told, ratio, sooner, later, one.chance, one.reason)
        )
    schema = {
        "ahead": pl.String,
        "of": pl.String,
        "told": pl.Boolean,
        "cost_ratio": pl.Float64,
        "sooner": pl.Int64,
        "later": pl.Int64,
        "chance": pl.Float64,
        "reason": pl.String,
    }
    n = len(found.judged)
    return Table(
        "verdicts",
        pl.DataFrame(rows, schema=schema, orient="row"),
        "Which of two is ahead, and whether that can be told from these runs.",
        {
            "told": Column(title="told apart"),
            "cost_ratio": Column(title="cost", note="ratio", show="fraction"),
            "sooner": Column(note=f"of {n} workloads"),
            "later": Column(note=f"of {n} workloads"),
            "chance": Column(note="of as much", show="number"),
            "reason": Column(title="because"),
        },
    )


def _best_points_table(found: Rivals) -> Table:
    """Of each search the best point on each workload: by steps, and what it is."""
    rows = []
    for workload in found.judged:
        for one in found.compared:
            candidates = one.facts.candidates
            if candidates is None or workload not in candidates.workloads:
                continue
            values = candidates.values[:, candidates.workloads.index(workload)]
            fraction = float(values.min())
            point = candidates.points[int(values.argmin())] if math.isfinite(fraction) else None
            trials = found.studies.results.trials.filter(submission=one.name, workload=workload)
            made_of = hyperparameters_of(trials).get(point, {}) if point is not None else {}
            low, high = one.best.spread(workload) or (None, None)
            described = ", ".join(
                f"{k} {number(v) if isinstance(v, int | float) else v}" for k, v in made_of.items()
            )
            rows.append((workload, one.label, fraction, low, high, point, described))
    low, high = tables.spread_columns("fraction")
    schema = {
        "workload": pl.String,
        "search": pl.String,
        "fraction": pl.Float64,
        low: pl.Float64,
        high: pl.Float64,
        "point": pl.String,
        "hyperparameters": pl.String,
    }
    return Table(
        "best_points",
        pl.DataFrame(rows, schema=schema, orient="row"),
        "The best point of each search on each workload, by step fraction. The runs that are shown chose it: it is the "
        "luckiest too.",
        {
            "fraction": Column(title="step fraction", show="fraction", spread=(low, high)),
            "point": Column(show="code"),
        },
    )


def _steps_table(found: Rivals) -> Table:
    """How soon the points of each search reach each target: quartiles over trials."""
    low, high = tables.spread_columns("steps")
    rows = []
    for workload in found.judged:
        for one in found.compared:
            hits = found.studies.hits.filter(submission=one.name, workload=workload)
            steps = hits["hit_step"].drop_nulls().cast(pl.Float64)
            ends = (steps.min(), *(steps.quantile(q, "nearest") for q in (0.5, 0.25, 0.75)))
            rows.append((workload, one.label, hits.height, len(steps), *ends))
    schema = {
        "workload": pl.String,
        "search": pl.String,
        "trials": pl.Int64,
        "reached": pl.Int64,
        "least": pl.Float64,
        "steps": pl.Float64,
        low: pl.Float64,
        high: pl.Float64,
    }
    return Table(
        "steps_to_target",
        pl.DataFrame(rows, schema=schema, orient="row"),
        "Steps to the target over trials that reach it: the least, the median, and small the quartiles.",
        {
            "reached": Column(title="reach it"),
            "least": Column(title="soonest", note="steps", show="integer"),
            "steps": Column(title="median", note="steps", show="integer", spread=(low, high)),
        },
    )


def curves_section(found: Rivals, *, confidence: float, seed: int, progress: Progress | None) -> Section:
    """A picture per workload: the tuning curves of all searches, at equal numbers of trials."""
    studies = found.studies
    names = short_names(studies.workloads)
    pictures = []
    for done, workload in enumerate(studies.workloads):
        if progress:
            progress("tuning curves", done, len(studies.workloads))
        metric, minimize, target = studies.metrics[workload]
        curves = []
        for one in found.compared:
            if workload not in one.facts.metrics:
                continue
            values = one.facts.candidate_values(workload)
            if not len(values):
                continue
            curve = tuning_curve(
                values, minimize=minimize, confidence=confidence, support=metric_support(metric), seed=seed
            )
            curves.append(
                curve.select(
                    pl.lit(series_name(one.label, studies.about[one.name])).alias("series"), *curve.columns
                )
            )
        if curves:
            pictures.append(
                draw_picture(
                    f"tuning_curves_{done + 1:02d}-{file_stem(names[workload])}",
                    figure_tuning_curves,
                    pl.concat(curves),
                    "",
                    f"Random search on {workload}: median best {metric} by number of trials, a curve and a band for "
                    f"each of {', '.join(one.label for one in found.compared)}.",
                    title=names[workload],
                    metric=metric,
                    minimize=minimize,
                    target=target,
                )
            )
    if progress:
        progress("tuning curves", len(studies.workloads), len(studies.workloads))
    caption = (
        "Lines: the median, over random searches of so many trials, of the best validation metric found. Bands hold "
        f"each for all numbers of trials of one search at once with {100 * confidence:g} % confidence; where two of "
        "them overlap, the searches cannot be told apart by best metric there."
    )
    caption += caption_of_draws(studies.about, {one.name: one.label for one in found.compared})
    twins = [
        block
        for one in found.compared
        if (twin := twin_of(studies.results, one.name)) is not None
        for block in twin_blocks(
            studies, one.name, twin, size=found.size, confidence=confidence, seed=seed, pictures=False
        )
    ]
    notes = dict.fromkeys(Note(on_bands(one.facts, confidence)) for one in found.compared)
    return Section("By number of trials", (Gallery(tuple(pictures), caption), *twins, *notes))
