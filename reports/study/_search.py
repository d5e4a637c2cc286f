"""What random search would need: tuning curves of the candidates, and the list's result on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import polars as pl

from reports import _tables as tables
from reports._words import count, number
from reports.bands import (
    BAND_METHOD,
    MOST_SIMULATED,
    EqualBudget,
    equal_budget,
    median_of_best,
    metric_support,
    tuning_curve,
)
from reports.figures import MOST_DRAWN, figure_tuning_curve
from reports.figures.drawing import short_names
from reports.page import Block, Column, Gallery, Note, Section, Table, draw_picture, file_stem
from reports.study._draws import Twin, caption_of_draws, twin_blocks
from reports.study._facts import StudyFacts

Progress = Callable[[str, int, int], None]
Budgets = Mapping[str, EqualBudget]  # workload -> random search that equals the list

# What a band is worth, by how a study says that its points were drawn.
OF_DRAWS = {
    "independent": "They are independent draws, as the band supposes.",
    "quasi-random": "Halton points are not independent draws, though nearly so at this size (each axis is a seeded "
    "permutation of a fine grid): read the band as a good approximation, not as a guarantee.",
}
OTHER_SEARCH = "If that is no random search, read the curve as describing these points only."


def search_section(
    facts: StudyFacts,
    *,
    confidence: float,
    seed: int,
    twin: Twin | None = None,
    progress: Progress | None = None,
) -> tuple[Section | None, Budgets]:
    """A tuning curve per workload, and the random search that equals the list; nothing without candidates.

    Args:
      facts: of the studies.
      confidence: of the bands.
      seed: of their calibration.
      twin: as many independent draws, shown beside points that are none.
      progress: called as progress("tuning curves", workloads done, workloads).
    """
    if facts.search is None:
        return None, {}
    names = short_names(facts.workloads)
    pictures, rows, budgets = [], [], {}
    for done, workload in enumerate(facts.workloads):
        if progress:
            progress("tuning curves", done, len(facts.workloads))
        values = facts.candidate_values(workload)
        metric, minimize, target = facts.metrics[workload]
        if not len(values):
            continue
        support = metric_support(metric)
        curve = tuning_curve(values, minimize=minimize, confidence=confidence, support=support, seed=seed)
        result = _list_result(facts, workload)
        budget = None if result is None else equal_budget(curve, result, minimize=minimize)
        if budget:
            budgets[workload] = budget
        rows.append((workload, metric, result, median_of_best(values, facts.size, minimize=minimize), budget))
        alt = f"Random search on {workload}: median best {metric} by number of trials, with band."
        if result is not None:
            alt += f" The list reaches {number(result)}, like {budget}."
        pictures.append(
            draw_picture(
                f"tuning_curve_{done + 1:02d}-{file_stem(names[workload])}",
                figure_tuning_curve,
                curve,
                "",
                alt,
                title=names[workload],
                metric=metric,
                minimize=minimize,
                result=result,
                result_label=f"list of {facts.size}",
                target=target,
            )
        )
    if progress:
        progress("tuning curves", len(facts.workloads), len(facts.workloads))
    if not pictures:
        return None, {}
    caption = (
        "The line is the median, over random searches of so many trials, of the best validation metric "
        f"found; the grey band holds for all numbers of trials at once with {100 * confidence:g} % "
        "confidence."
    )
    caption += caption_of_draws(facts.about, {facts.search: ""})
    if budgets:
        caption += (
            " The blue line is what the leave-one-out list reached, the dot the random search it equals, "
            "the thick stretch the interval that the band gives."
        )
    blocks: list[Block] = [Gallery(tuple(pictures), caption)]
    if budgets:
        blocks.append(_budget_table(facts, rows, budgets, confidence))
    if twin is not None:
        blocks += twin_blocks(
            facts, facts.search, twin, size=facts.size, confidence=confidence, seed=seed, pictures=True
        )
    blocks += [Note(on_bands(facts, confidence)), Note(_on_best_values(facts))]
    return Section("What random search would need", tuple(blocks)), budgets


def _list_result(facts: StudyFacts, workload: str) -> float | None:
    """The best metric of the list that has not seen the workload."""
    result = facts.hero.best.get(workload) if facts.hero and facts.unseen else None
    return result if result is not None and math.isfinite(result) else None


def _budget_table(facts: StudyFacts, rows: list, budgets: Budgets, confidence: float) -> Table:
    run = max(budget.run for budget in budgets.values())
    band, beyond = f"{100 * confidence:g} % band", f"> {run}"
    return Table(
        "equal_budget",
        tables.equal_budget_table(rows),
        f"Trials of random search that the list's {count(facts.size, 'point')} equal, by best metric: the "
        "fewest whose median is at or past the list's result.",
        {
            "result": Column(title="list", note=count(facts.size, "point"), show="number"),
            "random_search": Column(
                title="random search", note=f"{count(facts.size, 'trial')}, median", show="number"
            ),
            "trials": Column(title="equals", note="trials", absent=beyond),
            "least": Column(title="from", note=band, absent=beyond),
            "most": Column(title="to", note=band, absent=beyond),
            "run": Column(title="trials run"),
        },
    )


def on_bands(facts: StudyFacts, confidence: float) -> str:
    """What the bands rest on."""
    search = str(facts.search)
    strategy = str(facts.about[search].get("strategy") or "not stated")
    said = (
        f"Bands: opda's {BAND_METHOD}, simultaneous at {100 * confidence:g} %, which supposes independent "
        f"draws. These points come from the strategy {strategy}. "
    )
    said += OF_DRAWS.get(str(facts.about[search].get("draws")), OTHER_SEARCH)
    largest = max(len(facts.candidate_values(workload)) for workload in facts.workloads)
    if largest > MOST_SIMULATED:
        said += (
            f" Bands of more than {MOST_SIMULATED} trials are the same, their level calculated where opda would "
            "simulate it."
        )
    if largest > MOST_DRAWN:
        said += (
            f" Curves of more than {MOST_DRAWN} trials are drawn at {MOST_DRAWN // 2} numbers of trials, evenly on the "
            "axis; the table uses all."
        )
    if facts.results.trials.filter(submission=search, status="diverged").height:
        said += " Diverged trials may tie at the metric's worst value, which makes the band conservative."
    return said


def _on_best_values(facts: StudyFacts) -> str:
    """Whether best values are censored, and which way the comparison leans."""
    cut = _stopped_early(facts)
    said = (
        f"{count(cut, 'trial')} ended earlier than others of their workload without diverging: their best "
        "values are right-censored, what they would have reached later is unseen."
        if cut
        else "Best values are not censored: every trial that did not diverge ran past its target, to the end."
    )
    if facts.rerun:
        said += (
            " The list's result is the median of several trainings of its best point, a trial of random "
            "search is one training: this favours random search a little."
        )
    return said


def _stopped_early(facts: StudyFacts) -> int:
    last = facts.results.evals.group_by("trial_id").agg(last_step=pl.col("global_step").max())
    ran = facts.results.trials.filter(pl.col("status").is_in(["done", "stopped"])).join(last, on="trial_id")
    return ran.filter(pl.col("last_step") < pl.col("last_step").max().over("workload")).height
