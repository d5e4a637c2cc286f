"""The report on several searches for candidates: which optimizer, space or strategy is better, and by how much."""

from __future__ import annotations

import dataclasses
import math

import polars as pl

from reports import _tables as tables
from reports._contenders import Contender, Spread, hyperparameters_of
from reports._list_sections import fraction_columns
from reports._words import capital, count, duration, number
from reports.bands import metric_support, tuning_curve
from reports.figures import figure_tuning_curves
from reports.figures.drawing import OTHERS, short_names
from reports.page import (
    Block,
    Column,
    Gallery,
    Note,
    Picture,
    Prose,
    Report,
    Section,
    Table,
    draw_picture,
    file_stem,
)
from reports.study._comparison import (
    RARELY,
    Compared,
    Comparison,
    Verdict,
    compare,
    in_words,
    sooner_and_later,
)
from reports.study._list_parts import list_parts
from reports.study._record import Settings, data_in_words, devices, record_section
from reports.study._search import Progress, on_bands
from reports.study._spread import ONE_RUN, ONE_STUDY, fractions_picture, spread_in_words
from results import Results

RULE = (
    "Who trains more workloads is ahead, among equals who has the lower cost. One that is ahead in both, with no more "
    "points to choose from, is told to be better if chance alone, between two that are equal, would show as much at "
    f"most {RARELY:.0%} of the time: by the ranks of costs over repeats where points were trained several times (at "
    "least three each), else by signs over workloads (at least five)."
)


def comparison_report(
    results: Results,
    *,
    list_size: int | None,
    penalty: float,
    confidence: float,
    seed: int,
    title: str | None,
    progress: Progress | None,
) -> Report:
    """The report that holds all searches for candidates against each other; arguments as `study_report` has them.

    Raises:
      ValueError: they cannot be compared; or an argument out of range.
    """
    found = compare(results, list_size=list_size, penalty=penalty)
    curves = _curves_section(found, confidence=confidence, seed=seed, progress=progress)
    sections = [_comparison(found), curves]
    for place, one in enumerate(found.compared, 1):
        if one.facts.candidates is not None:
            parts = list_parts(one.facts, one.facts.candidates)
            sections += [_of_search(section, one, place) for section in parts]
    sections.append(record_section(found.studies, Settings(found.size, penalty, confidence)))
    n = len(found.studies.workloads)
    return Report(
        title=title
        or f"Shortlist report · {len(found.compared)} searches compared on {count(n, 'workload')}",
        finding=_finding(found),
        detail=_detail(found),
        facts=_headline(found),
        opening=_opening(found),
        sections=tuple(sections),
        caveats=_caveats(found),
    )


# 1. The opening


def _finding(found: Comparison) -> str:
    """One sentence: which is better and by how much, or that it cannot be told."""
    first = found.verdicts[0]
    a, b = first.first, first.second
    more = len(found.compared) > 2
    if not found.judged:
        n = len(found.studies.workloads)
        return (
            f"Whether {a.label} or {b.label} is better cannot be told by steps: none of "
            f"{count(n, 'workload')} has a target; best metrics stand below."
        )
    amount = _amount(found, first)
    if not first.told:
        among = f", the first two of {len(found.compared)}," if more else ""
        why = (
            first.reason
            if first.chance is None
            else f"chance alone would give as much {in_words(first.chance)}"
        )
        return f"It cannot be told whether {a.label} or {b.label}{among} is better: {amount}, but {why}."
    seen = " on workloads that its list has not seen" if found.unseen else ""
    beside = f"the best of {len(found.compared)}, ahead of {b.label}" if more else f"better than {b.label}"
    return f"{a.label} is {beside}{seen}: {amount}."


def _amount(found: Comparison, verdict: Verdict) -> str:
    """By how much, with its spread: over repeats where there are several, else over workloads."""
    a, b = verdict.first.ranked, verdict.second.ranked
    judged, penalty = found.judged, found.penalty
    n = len(judged)
    trained = [one.trained(judged) for one in (a, b)]
    said = f"{verdict.first.label} trains {trained[0]} of {n} workloads, {verdict.second.label} {trained[1]}"
    costs = [one.cost(judged, penalty) for one in (a, b)]
    if costs[0] is None or costs[1] is None:
        return said
    shown = [
        f"{cost:.3f}{_range(one.cost_spread(judged, penalty))}"
        for cost, one in zip(costs, (a, b), strict=True)
        if cost is not None
    ]
    said += f", at a cost of {shown[0]} against {shown[1]}"
    fewer = _fewer(a, b, judged)
    return f"{said} ({fewer})" if fewer else said


def _range(spread: Spread | None) -> str:
    return "" if spread is None else f" ({spread[0]:.3f} to {spread[1]:.3f})"


def _fewer(a: Contender, b: Contender, workloads: tuple[str, ...]) -> str:
    """Steps of `a` in those of `b` where both reach the target, from the best workload to the worst."""
    both = [(a.fractions[w], b.fractions[w]) for w in workloads]
    ratios = sorted(x / y for x, y in both if math.isfinite(x) and math.isfinite(y))
    if not ratios:
        return ""
    where = "where both get there, " if len(ratios) < len(workloads) else ""
    if len(ratios) == 1:
        return f"{where}{_as_change(ratios[0])}"
    return f"{where}by workload from {_as_change(ratios[0])} to {_as_change(ratios[-1])}"


def _as_change(ratio: float) -> str:
    change = round(100 * (ratio - 1))
    return f"{abs(change)} % {'fewer' if change < 0 else 'more'} steps" if change else "as many steps"


def _detail(found: Comparison) -> tuple[str, ...]:
    said = []
    if found.verdicts[0].chance is not None:
        said.append(f"{capital(found.verdicts[0].reason)}.")
    if found.unseen:
        said.append(
            f"For each search, each workload was left out in turn and a list of {count(found.size, 'point')} was built "
            "on the others."
        )
        said.append(
            "Its points were then trained anew, with fresh seeds, on the one left out."
            if found.rerun
            else "The same trainings build and judge the lists; training the points anew is a harder test."
        )
    elif found.judged:
        said.append("Searches are compared by the best of their points.")
    said.append(data_in_words(found.studies))
    if found.studies.results.left_out:
        said.append("Not everything that was asked for is here: see the end of the page.")
    return tuple(said)


def _caveats(found: Comparison) -> tuple[str, ...]:
    said = []
    repeats = {one.label: one.ranked.repeats for one in found.compared if one.ranked.by_repeat}
    once = [label for label, times in repeats.items() if times == 1]
    if once and len(once) == len(repeats):
        said.append(ONE_RUN)
    elif once:
        said.append(f"Trained once per point, so that a rank rests on one run: {', '.join(once)}.")
    if len(once) < len(repeats):
        said.append(ONE_STUDY)
    if len({one.points for one in found.compared}) > 1:
        budgets = ", ".join(f"{one.label} {one.points}" for one in found.compared)
        said.append(f"The searches had different numbers of points to choose from: {budgets}.")
    return tuple(said)


def _headline(found: Comparison) -> tuple[tuple[str, str], ...]:
    """Of each search what it trains and at which cost, and how many trials that took."""
    shown: list[tuple[str, str]] = []
    if found.judged:
        for one in found.compared:
            cost = one.ranked.cost(found.judged, found.penalty)
            at = "" if cost is None else f", at a cost of {cost:.3f}"
            what = "workloads trained unseen by the" if found.unseen else "workloads trained by the"
            shown.append(
                (
                    f"{one.ranked.trained(found.judged)} of {len(found.judged)}",
                    f"{what} {one.ranked.label}{at}",
                )
            )
    trials = found.studies.results.trials
    for one in found.compared:
        own = trials.filter(submission=one.name)
        diverged = int((own["status"] == "diverged").sum())
        what = f"trials of {one.label}, {f'{diverged:,}' if diverged else 'none'} of which diverged"
        shown.append((f"{own.height:,}", what))
    rest = trials.height - sum(trials.filter(submission=one.name).height for one in found.compared)
    if rest:
        shown.append((f"{rest:,}", "trials of baselines and reruns"))
    seconds = sum(float(about.get("seconds") or 0.0) for about in found.studies.about.values())
    if seconds:
        shown.append((duration(seconds), f"of training, added up over cohorts, on {devices(found.studies)}"))
    return tuple(shown)


def _opening(found: Comparison) -> Picture | None:
    if not found.judged:
        return None
    count_of_all = len(found.compared) + len(found.others)
    caption = " Each list was built without the workload of its row." if found.unseen else ""
    if count_of_all > len(drawn := drawn_of(found)):
        caption += f" Shown are the first {len(drawn)} of {count_of_all}."
    return fractions_picture(drawn, found.judged, caption)


def drawn_of(found: Comparison) -> list[Contender]:
    """Who the main figure shows: what each search is ranked by, and others while colours last."""
    return [*(one.ranked for one in found.compared), *found.others][: 1 + len(OTHERS)]


# 2. Side by side


def _comparison(found: Comparison) -> Section:
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


def _verdict_table(found: Comparison) -> Table:
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


def _best_points_table(found: Comparison) -> Table:
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


def _steps_table(found: Comparison) -> Table:
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


# 3. Random search


def _curves_section(found: Comparison, *, confidence: float, seed: int, progress: Progress | None) -> Section:
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
            curves.append(curve.select(pl.lit(one.label).alias("series"), *curve.columns))
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
    notes = dict.fromkeys(Note(on_bands(one.facts, confidence)) for one in found.compared)
    return Section("By number of trials", (Gallery(tuple(pictures), caption), *notes))


# 4. The lists


def _of_search(section: Section, one: Compared, place: int) -> Section:
    """A section of one search under a heading and with names of its own."""
    stem = f"{place}-{file_stem(one.label)}"[:60]
    blocks = tuple(
        dataclasses.replace(block, name=f"{block.name}_{stem}")
        if isinstance(block, Table | Picture)
        else block
        for block in section.blocks
    )
    return Section(f"{one.label}: {section.heading[:1].lower()}{section.heading[1:]}", blocks)
