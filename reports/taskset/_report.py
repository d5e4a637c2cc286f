"""The report on curves: every figure of TaskSet's that they allow, and why not the others."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import lists
from lists import TaskCosts, choose_set, task_costs
from reports._words import capital, count
from reports.figures.drawing import NARROW
from reports.page import Block, Column, Note, Picture, Prose, Report, Section, Table, draw_picture
from reports.study._record import kinds_in_words
from reports.taskset import _experiments as experiments
from reports.taskset import _figures as figures
from reports.taskset import _task_figures as task_figures
from reports.taskset import _tasks as tasks_of
from reports.taskset._worth import PARTS, figure_worth, worth_of_lists
from results import Curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS_OF_TRAINING = (1 / 50, 1 / 20, 1 / 10, 1 / 4, 1 / 2)  # the paper's shortest is 200 of 10,000 steps
SHOWN_ROWS = 10
TRAINED_ON = "; data: "  # before the data, in what curves of our studies say of where they come from
WORTH = "How many trials of random search is a list worth?"


@dataclasses.dataclass(frozen=True, eq=False)
class _Context:
    """What figures are made from.

    Attributes:
      curves: where the costs come from.
      sets: costs of every set of optimizers.
      costs: those of the set that the report is about.
      size: points in the lists that are compared between groups of tasks.
      resamplings, seed: of the splits of the tasks.
    """

    curves: Curves
    sets: tuple[TaskCosts, ...]
    costs: TaskCosts
    size: int
    resamplings: int
    seed: int

    @property
    def how(self) -> dict[str, Any]:
        """Arguments that all experiments share."""
        return {"resamplings": self.resamplings, "seed": self.seed}

    @functools.cached_property
    def rates(self) -> dict[str, list[float]]:
        """Set -> learning rate of each point, for sets in which nothing else differs."""
        found = {costs.optimizer_set: rates_of(costs, self.curves.hyperparameters) for costs in self.sets}
        return {name: rates for name, rates in found.items() if rates is not None}

    @property
    def tuned(self) -> np.ndarray | None:
        """What each task costs with a learning rate of its own, where a set of learning rates has the same tasks."""
        for costs in self.sets:
            if costs.optimizer_set in self.rates and costs.tasks == self.costs.tasks:
                return experiments.tuned_rate(costs, self.rates[costs.optimizer_set])
        return None


@dataclasses.dataclass(frozen=True)
class _Figure:
    """A figure of the report.

    Attributes:
      number: of the paper's figure.
      name: stem of its files.
      heading: what it asks.
      caption: what it shows, and how to read it.
      table: the data behind it; a ValueError says why the curves do not allow it.
      draw: the figure of a table.
    """

    number: int
    name: str
    heading: str
    caption: str
    table: Callable[[_Context], pl.DataFrame]
    draw: Callable[..., Figure]


FIGURES = (
    _Figure(
        1, "embedding", "Which tasks are alike",
        "Each dot is a task; tasks are near each other where the same points do well on them (t-SNE of the costs of "
        "all points; only nearness means something).",
        lambda c: tasks_of.task_embedding(c.costs, seed=c.seed),
        task_figures.figure_task_embedding,
    ),
    _Figure(
        2, "tasks", "How hard and how large the tasks are",
        "Share of the points whose curve ever gets so low: the median task (line), the middle half and the middle "
        "nine tenths of the tasks (bands). Where it is known, how many parameters the models have and how long one "
        "training took.",
        lambda c: tasks_of.task_difficulty(c.costs, c.curves.facts),
        task_figures.figure_tasks,
    ),
    _Figure(
        3, "lists", "Do lists beat random search on tasks they have not seen?",
        "Learnt lists (solid) and random search (dashed) on tasks that did not build the list, by number of trials.",
        lambda c: experiments.lists_by_set(c.sets, rates=c.rates, **c.how),
        figures.figure_lists,
    ),
    _Figure(
        4, "task_count", "How many tasks does a list need?",
        "Lists learnt on few and on many tasks, judged on the same other tasks (solid) and on those that built them "
        "(dotted).",
        lambda c: experiments.lists_by_task_count(c.costs, **c.how),
        figures.figure_task_count,
    ),
    _Figure(
        5, "families", "Do lists carry over to other families?",
        "Lists learnt on one half of a family (rows), judged on the other half of each (columns). Darker is better, "
        "white is random search or worse.",
        lambda c: experiments.lists_by_group(c.costs, tasks_of.families(c.costs), size=c.size, **c.how),
        task_figures.figure_families,
    ),
    _Figure(
        6, "model_sizes", "Do lists carry over to models of other sizes?",
        "Tasks in three parts by the number of parameters of their models; lists learnt on one half of a part (rows), "
        "judged on the other half of each (columns).",
        lambda c: experiments.lists_by_group(
            c.costs, tasks_of.sizes_of_models(c.costs, c.curves.facts), size=c.size, **c.how
        ),
        task_figures.figure_model_sizes,
    ),
    _Figure(
        11, "horizons", "Do the beginnings of curves suffice?",
        "Lists learnt from curves that were cut short, the lighter the shorter, judged by whole curves of other tasks.",
        lambda c: experiments.lists_by_horizon(c.costs, **c.how),
        figures.figure_horizons,
    ),
    _Figure(
        12, "candidates", "From how many points should a list choose?",
        "Lists chosen from a random part of the points, judged on other tasks; random search with as many trials "
        "(dashed) draws from all of them.",
        lambda c: experiments.lists_by_candidates(c.costs, tuned=c.tuned, **c.how),
        figures.figure_candidates,
    ),
    _Figure(
        13, "cost_pairs", "Other costs of a curve",
        "Alternative costs beside the mean of the curve; a dot is a pair of task and point. The correlation is over "
        "all pairs.",
        lambda c: tasks_of.cost_pairs(c.costs, most=1000, seed=c.seed),
        task_figures.figure_cost_pairs,
    ),
    _Figure(
        14, "costs", "Lists learnt from other costs",
        "Lists learnt from alternative costs, all judged by the mean of the curve on other tasks.",
        lambda c: experiments.lists_by_cost(c.costs, **c.how),
        figures.figure_costs,
    ),
    _Figure(
        15, "search_spaces", "Lists and smaller search spaces",
        "A learnt list, and random search in all of the space and in the box around the best points of the same "
        "training tasks, whole and without the outer 5 % on both sides.",
        lambda c: experiments.search_spaces(c.costs, c.curves.hyperparameters, **c.how),
        figures.figure_search_spaces,
    ),
)  # fmt: skip


def curves_report(
    curves: Curves,
    *,
    optimizer_set: str | None = None,
    size: int = 10,
    resamplings: int = lists.RESAMPLINGS,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """The report on curves of any source.

    Args:
      curves: what `read_curves` gives.
      optimizer_set: which set the lists are chosen from; by default the only one, or the one with the most tasks.
      size: points in the list that is shown, and in lists that are compared between groups of tasks.
      resamplings: splits of the tasks behind every median.
      seed: determines them, and everything else that is random.
      progress: called as progress(what, done, total).

    Returns:
      The report; `write_report` makes a folder of it.

    Raises:
      ValueError: no set of optimizers on at least two tasks, no such set, or a size below 1.
    """
    if size < 1:
        raise ValueError(f"size is {size}; a list needs at least 1 point")
    sets = task_costs(curves, horizons=horizons_of(curves), progress=progress)
    costs = choose_set(sets, optimizer_set)
    context = _Context(curves, sets, costs, min(size, len(costs.points)), resamplings, seed)
    experiment = lists.split_experiment(
        costs.costs,
        tuple(sorted({1, context.size})),
        judged=costs.judging,
        resamplings=resamplings,
        seed=seed,
    )
    shown, missing = [], []
    for done, row in enumerate(FIGURES):
        try:
            shown.append((row, *_draw(row, context)))
        except ValueError as error:
            missing.append((row.number, row.heading, str(error)))
        if progress is not None:
            progress("figures", done + 1, len(FIGURES))
    worth: list[Section] = []
    try:
        worth.append(_worth_section(context))
    except ValueError as error:  # so few splits that some task judges no list
        missing.append((3, WORTH, str(error)))
    opening = next((picture for row, picture, _ in shown if row.name == "lists"), None)
    sections = []
    for row, picture, table in shown:
        blocks = (table,) if picture is opening else (picture, table)
        sections.append(
            Section(
                row.heading,
                (*blocks, Note(f"In place of Figure {row.number} of the paper, as we read its text.")),
            )
        )
    return Report(
        title=f"Curves of {count(len(costs.tasks), 'task')}",
        finding=experiment.finding(context.size),
        detail=_detail(context, experiment),
        facts=_headline(context),
        opening=opening,
        sections=(
            _list_section(context),
            *worth,
            *sections,
            _missing_section(missing),
            _source_section(context),
        ),
    )


def rates_of(costs: TaskCosts, hyperparameters: Mapping[str, Mapping[str, float]]) -> list[float] | None:
    """Learning rate of each point of a set in which nothing else differs; None of another set."""
    points = [dict(hyperparameters.get(name, {})) for name in costs.points]
    rates = [point.pop("learning_rate", None) for point in points]
    if len(points) < 2 or any(rate is None for rate in rates) or any(point != points[0] for point in points):
        return None
    return [float(rate) for rate in rates if rate is not None]


def horizons_of(curves: Curves) -> tuple[int, ...]:
    """Steps near `PARTS_OF_TRAINING` of the whole at which curves were evaluated."""
    steps = curves.read(curves.tasks[0])[0].xs
    near = {int(steps[abs(steps - part * steps[-1]).argmin()]) for part in PARTS_OF_TRAINING}
    return tuple(sorted(step for step in near if 0 < step < steps[-1]))


def _draw(row: _Figure, context: _Context) -> tuple[Picture, Table]:
    data = row.table(context)
    alt = f"{row.heading}: {row.caption}"
    picture = draw_picture(row.name, row.draw, data, row.caption, alt, narrow=NARROW)
    top = data.head(SHOWN_ROWS)
    shown = {
        # What the rows on the page are not about is in the file.
        name: Column(show="number" if kind.is_float() else None, hidden=top[name].null_count() == top.height)
        for name, kind in data.schema.items()
    }
    return picture, Table(row.name, data, "The numbers behind the figure.", shown, rows_shown=SHOWN_ROWS)


def _detail(context: _Context, experiment: lists.SplitExperiment) -> tuple[str, ...]:
    costs = context.costs
    k = experiment.sizes.index(context.size)
    equal = lists.spread(experiment.equal_trials[:, k].astype(float))
    said = []
    if len({task for split in experiment.splits for task in split.test}) == len(costs.tasks):
        saved = lists.saved_by_task(experiment, costs.judging, context.size)
        low, high = lists.bootstrap_interval(saved, seed=context.seed)
        said.append(
            f"Task by task, judged by lists that did not learn from it, a list saves {saved.mean():.3f} on average "
            f"(95 % bootstrap interval over tasks {low:.3f} to {high:.3f}), and is better than random search on "
            f"{int((saved > 0).sum())} of {count(saved.size, 'task')}."
        )
    said += [
        f"Random search needs {equal.median:.0f} trials ({equal.lower:.0f} to {equal.upper:.0f}) to match it.",
        f"Medians and quartiles are over {context.resamplings} random halves of the {len(costs.tasks)} tasks. The "
        "halves overlap between splits, so the quartiles describe these tasks; they are no confidence interval.",
        "A cost is the mean over a curve of the loss on a line where 1 is the loss at initialisation and 0 the "
        "lowest of any point on that task.",
    ]
    if costs.judging_split == "test":
        said.append("Lists are chosen on valid_outer and judged on test.")
    else:
        said.append(
            "No test losses were kept: lists are chosen and judged on valid_outer, on different tasks."
        )
    # Of curves that were trained here; released ones say that they are.
    of_task = dict(context.curves.facts.select("task", "provenance").iter_rows())
    texts = [str(of_task.get(task) or "").rpartition(TRAINED_ON)[2] for task in costs.tasks]
    if any(TRAINED_ON in str(text) for text in of_task.values()):
        said.append(f"Data of the tasks: {kinds_in_words(texts)}.")
    return tuple(said)


def _headline(context: _Context) -> tuple[tuple[str, str], ...]:
    costs = context.costs
    repeats = next(iter(context.curves.read(costs.tasks[0]))).replicas
    return (
        (f"{len(costs.tasks):,}", "tasks"),
        (f"{len(costs.points):,}", f"points of {costs.optimizer_set}"),
        (f"{repeats}", "repeat" if repeats == 1 else "repeats"),
        (f"{len(context.sets)}", "set of optimizers" if len(context.sets) == 1 else "sets of optimizers"),
    )


def _list_section(context: _Context) -> Section:
    costs = context.costs
    chosen = lists.greedy_normalised(costs.costs, context.size)
    floor = lists.normalised_floor(costs.costs, chosen)
    known = context.curves.hyperparameters
    names = [costs.points[p] for p in chosen.points]
    columns: dict[str, Sequence[object]] = {
        "place": range(1, context.size + 1), "point": names,
        "adds": [place < (chosen.adds or 0) for place in range(len(names))], "cost": chosen.costs,
    }  # fmt: skip
    notes = [lists.padding_note(context.size, len(names), chosen.adds, "merit", of_curves=True)]
    if (repeated := lists.repeat_costs(costs, chosen)) is not None:
        columns |= {"lowest": repeated.min(axis=1), "highest": repeated.max(axis=1)}
        notes.append(lists.curve_repeats_note(repeated.shape[1]))
    columns["floor"] = floor
    for name in dict.fromkeys(key for point in names for key in known.get(point, {})):
        columns[name] = [known.get(point, {}).get(name) for point in names]
    table = Table(
        "list",
        pl.DataFrame(columns),
        f"The list of {context.size} built greedily on all {len(costs.tasks)} tasks.",
        {
            "place": Column(title=""),
            "point": Column(show="code"),
            "adds": Column(note="lowers the cost"),
            "cost": Column(note="of the list so far", show="fraction", spread=("lowest", "highest")),
            "floor": Column(note="no list is below", show="fraction"),
        },
    )
    return Section("The list", (table, *(Note(f"{capital(note)}.") for note in notes if note)))


def _worth_section(context: _Context) -> Section:
    # The report's own set first; a search among learning rates alone is another question.
    others = [
        costs
        for costs in context.sets
        if costs is not context.costs and costs.optimizer_set not in context.rates
    ]
    sets = (context.costs, *others)
    halves = worth_of_lists(sets, size=context.size, **context.how)
    left_out = worth_of_lists(sets, size=context.size, leave_out=True, **context.how)
    data = pl.concat([halves, left_out])
    caption = (
        "Trials of random search that find as much as a learnt list on tasks that it did not learn from, with 95 % "
        "bootstrap intervals over tasks; dashed: as many as the list has; dotted: all points there are. Lists are "
        "learnt on half of the tasks."
    )
    picture = draw_picture("worth", figure_worth, halves, caption, caption, narrow=NARROW)
    columns = {
        "chosen_from": Column(title="list of", show="code", hidden=not others),
        "learnt_on": Column(title="learnt on", note="tasks"),
        "set": Column(title="against", show="code", hidden=not others),
        "trials": Column(note="of the list"),
        "list": Column(show="fraction"),
        "random": Column(note="as many trials", show="fraction"),
        "equal": Column(title="equals", note="random trials", spread=("low", "high")),
        "most": Column(title="points"),
    }
    what = (
        "The numbers behind the figure; then the same where all tasks but one build the list, or all but one of "
        f"{PARTS} parts where there are more tasks."
    )
    blocks: list[Block] = [picture, Table("worth", data, what, columns)]
    note = (
        "Random search is the exact mean over searches among the points that were trained, without replacement: "
        "the unbiased estimate for a search of the whole space, as long as it has fewer trials than there are points."
    )
    if (data["high"] == data["most"]).any():
        note += " Intervals that end at all points may reach further."
    return Section(WORTH, (*blocks, Note(note)))


def _missing_section(missing: Sequence[tuple[int, str, str]]) -> Section:
    if not missing:
        return Section("What is not shown", (Prose("Nothing: the curves allow every figure."),))
    table = pl.DataFrame(missing, schema=("figure", "question", "why not"), orient="row")
    caption = f"{count(len(missing), 'figure')} that these curves do not allow."
    return Section("What is not shown", (Table("not_shown", table, caption),))


def _source_section(context: _Context) -> Section:
    facts = context.curves.facts
    blocks: list[Block] = [Prose(f"Read from {context.curves.source}.")]
    by_provenance = facts.group_by("provenance", maintain_order=True).agg(tasks=pl.len())
    blocks.append(Table("provenance", by_provenance, "Where the curves come from.", rows_shown=20))
    columns = {"seconds": Column(show="seconds")}
    blocks.append(Table("task_facts", facts.drop("provenance"), "The tasks.", columns, rows_shown=SHOWN_ROWS))
    return Section("The curves", tuple(blocks))
