"""The tables of a report: each is one function that gives a DataFrame, usable in a notebook.

Columns are named by what they hold; a workload's column has its name. Misses are inf, what was not run is
null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

import lists
from reports._contenders import Contender, Spread
from reports.bands import EqualBudget
from results import Fractions
from results.studies import STATUSES

# The order in which people read them; others follow.
HYPERPARAMETERS = (
    "learning_rate", "warmup_fraction", "warmup_factor", "beta1", "one_minus_beta1", "beta2",
    "one_minus_beta2", "epsilon", "weight_decay", "dropout_rate", "label_smoothing",
)  # fmt: skip


def fraction_table(
    contenders: Sequence[Contender], workloads: Sequence[str], penalty: float = 2.0
) -> pl.DataFrame:
    """Who trains what, and how soon: one row per contender.

    Args:
      contenders: rows, in order.
      workloads: columns, in order.
      penalty: tau of the cost.

    Returns:
      Columns contender, trials, one per workload (fraction of the budget; inf = missed, null = not run),
      trained (workloads), cost (C_tau over the workloads; null if not run on all). Where a contender has a spread,
      "<workload> low" and "<workload> high" of every workload, "cost low", "cost high", and spread (of what) follow.

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 5.
    """
    schema = {"contender": pl.String, "trials": pl.String, **dict.fromkeys(workloads, pl.Float64)}
    rows = [
        (
            *(c.label, c.trials),
            *(c.fractions.get(w) for w in workloads),
            *(c.trained(workloads), c.cost(workloads, penalty)),
        )
        for c in contenders
    ]
    table = pl.DataFrame(rows, schema={**schema, "trained": pl.Int64, "cost": pl.Float64}, orient="row")
    spreads = {w: [c.spread(w) for c in contenders] for w in workloads}
    spreads["cost"] = [c.cost_spread(workloads, penalty) for c in contenders]
    return _with_spreads(table, spreads, contenders)


def contender_rows(contenders: Sequence[Contender], workloads: Sequence[str]) -> pl.DataFrame:
    """Who trains what, and how soon, a row per workload and contender: what `figure_step_fractions` draws.

    Returns:
      Columns workload, row (the contender), fraction (of the budget; inf = missed, null = not run), low, high (of the
      fraction, over `spread`; null where it was measured once), spread (in words).
    """
    none = (None, None)
    schema = {
        "workload": pl.String,
        "row": pl.String,
        "fraction": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "spread": pl.String,
    }
    rows = [
        (w, c.label, c.fractions.get(w), *(c.spread(w) or none), c.spread_of)
        for w in workloads
        for c in contenders
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def best_metric_table(contenders: Sequence[Contender], workloads: Sequence[str]) -> pl.DataFrame:
    """Best validation metric of each contender on each workload, null where it was not run or never finite.

    Returns:
      Columns contender, one per workload (in the workload's own metric), and spreads as `fraction_table` has them.

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 6.
    """
    rows = [(c.label, *(_finite(c.best.get(w)) for w in workloads)) for c in contenders]
    table = pl.DataFrame(
        rows, schema={"contender": pl.String, **dict.fromkeys(workloads, pl.Float64)}, orient="row"
    )
    return _with_spreads(table, {w: [c.best_spread(w) for c in contenders] for w in workloads}, contenders)


def spread_columns(column: str) -> tuple[str, str]:
    """Names of the two columns that hold the spread of another.

    Example:
      >>> spread_columns("cost")
      ('cost low', 'cost high')
    """
    return f"{column} low", f"{column} high"


def _with_spreads(
    table: pl.DataFrame, spreads: Mapping[str, Sequence[Spread | None]], contenders: Sequence[Contender]
) -> pl.DataFrame:
    """The table with the spread of each of these columns, if any has one."""
    if not any(one is not None for of_column in spreads.values() for one in of_column):
        return table
    added = [
        pl.Series(name, [None if one is None else one[end] for one in of_column], pl.Float64)
        for column, of_column in spreads.items()
        for end, name in enumerate(spread_columns(column))
    ]
    return table.with_columns(*added, pl.Series("spread", [c.spread_of for c in contenders], pl.String))


def list_table(
    fractions: Fractions,
    chosen: lists.ChosenList,
    hyperparameters: Mapping[str, Mapping[str, object]],
) -> pl.DataFrame:
    """A list in the order to try it.

    Returns:
      Columns place (from 1), point, adds (whether it lowers the cost; null where it is not known), cost (of the list up
      to here), then one per hyperparameter.
    """
    points = [fractions.points[p] for p in chosen.points]
    present = dict.fromkeys(name for point in points for name in hyperparameters.get(point, {}))
    names = sorted(
        present,
        key=lambda name: HYPERPARAMETERS.index(name) if name in HYPERPARAMETERS else len(HYPERPARAMETERS),
    )
    data: dict[str, list] = {
        "place": list(range(1, len(points) + 1)),
        "point": points,
        "adds": [None if chosen.adds is None else place < chosen.adds for place in range(len(points))],
        "cost": list(chosen.costs),
    }
    for name in names:
        values = [hyperparameters.get(point, {}).get(name) for point in points]
        numbers = all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)
        data[name] = [None if v is None else float(v) if numbers else str(v) for v in values]  # type: ignore[arg-type]
    return pl.DataFrame(data)


def list_fractions_table(fractions: Fractions, chosen: lists.ChosenList) -> pl.DataFrame:
    """Which point of a list trains what; the last row is the list as a whole.

    Returns:
      Columns point, one per workload (fraction; inf = missed), trained.
    """
    names = [*(fractions.points[p] for p in chosen.points), "the list"]
    rows = [*fractions.values[list(chosen.points)].tolist(), chosen.best(fractions.values).tolist()]
    return pl.DataFrame(
        [(name, *row, sum(map(math.isfinite, row))) for name, row in zip(names, rows, strict=True)],
        schema={"point": pl.String, **dict.fromkeys(fractions.workloads, pl.Float64), "trained": pl.Int64},
        orient="row",
    )


def leave_one_out_lists_table(
    fractions: Fractions, left: lists.LeaveOneOut, anew: Mapping[str, float] | None = None
) -> pl.DataFrame:
    """The list built without each workload.

    Args:
      fractions: what the lists were built from.
      left: the lists.
      anew: workload -> fraction when the left-out list was trained again with fresh seeds.

    Returns:
      Columns workload (left out), list (points in order), adds (how many of them lower the cost on the others), cost
      (on the others), fraction (on the one left out, by the same trainings), by_adding (the same of the points that
      add alone), and anew where given.
    """
    table = pl.DataFrame(
        {
            "workload": list(fractions.workloads),
            "list": [", ".join(fractions.points[p] for p in one.points) for one in left.lists],
            "adds": list(left.adds),
            "cost": [one.costs[-1] for one in left.lists],
            "fraction": left.held_out[:, -1].tolist(),
            "by_adding": left.held_out_by_adding[:, -1].tolist(),
        }
    )
    if anew is None:
        return table
    return table.with_columns(anew=pl.Series([anew.get(w) for w in fractions.workloads], dtype=pl.Float64))


def cost_by_length_table(
    fractions: Fractions, longest: int, penalty: float = 2.0, *, exact: bool = True
) -> pl.DataFrame:
    """Cost of lists of 1, 2, ... points, built and judged in different ways.

    Args:
      fractions: of all candidate points.
      longest: longest list; at most the number of points.
      penalty: tau.
      exact: also solve for the best set of each length (at most `lists.MAX_WORKLOADS` workloads).

    Returns:
      Columns points, series ("leave-one-out", on the workload left out; "greedy" and "exact", on the
      workloads that built it), cost, trained (workloads reached).
    """
    rows: list[tuple[int, str, float, int]] = []
    if len(fractions.workloads) > 1:
        left = lists.leave_one_out(fractions.values, longest, penalty, places=fractions.places)
        for k, (cost, trained) in enumerate(zip(left.held_out_costs, left.trained, strict=True), 1):
            rows.append((k, "leave-one-out", cost, trained))

    def reached(chosen: lists.ChosenList) -> int:
        return sum(map(math.isfinite, chosen.best(fractions.values)))

    whole = lists.greedy(fractions.values, longest, penalty, places=fractions.places)
    for k in range(1, longest + 1):
        rows.append((k, "greedy", whole.costs[k - 1], reached(whole.first(k))))
    if exact and len(fractions.workloads) <= lists.MAX_WORKLOADS:
        for k in range(1, longest + 1):
            best = lists.exact(fractions.values, k, penalty, places=fractions.places)
            rows.append((k, "exact", best.costs[-1], reached(best)))
    schema = {"points": pl.Int64, "series": pl.String, "cost": pl.Float64, "trained": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def trains_others_table(fractions: Fractions) -> pl.DataFrame:
    """How many candidate points reach each target, and of those how many also reach others.

    Returns:
      Columns reaches ("this target", "and 1 other", ...), one per workload (points).

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 4.
    """
    others = range(min(3, len(fractions.workloads)))
    counts = lists.trains_others(fractions.values, tuple(others))
    names = ["this target", "and at least 1 other", "and at least 2 others"]
    return pl.DataFrame(
        [(names[k], *map(int, counts[k])) for k in others],
        schema={"reaches": pl.String, **dict.fromkeys(fractions.workloads, pl.Int64)},
        orient="row",
    )


def penalty_table(fractions: Fractions, size: int) -> pl.DataFrame:
    """Left-out workloads trained, by the penalty with which the lists were built.

    Returns:
      Columns penalty, trained.

    Reference: Medapati et al. 2025, arXiv:2503.03986, Table 12.
    """
    rows = lists.penalty_ablation(fractions.values, size, places=fractions.places)
    return pl.DataFrame(
        [tuple(row) for row in rows], schema={"penalty": pl.Float64, "trained": pl.Int64}, orient="row"
    )


def equal_budget_table(
    rows: Sequence[tuple[str, str, float | None, float, EqualBudget | None]],
) -> pl.DataFrame:
    """The random search that each list's result equals.

    Args:
      rows: (workload, metric, the list's result, random search's median with the list's number of trials,
        budget).

    Returns:
      Columns workload, metric, result, random_search, trials (null = more than were run), least, most, run.
    """
    schema = {
        "workload": pl.String, "metric": pl.String, "result": pl.Float64, "random_search": pl.Float64,
        "trials": pl.Int64, "least": pl.Int64, "most": pl.Int64, "run": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(
        [
            (workload, metric, _finite(result), _finite(random),
             *((budget.trials, budget.least, budget.most, budget.run) if budget else (None,) * 4))
            for workload, metric, result, random, budget in rows
        ],
        schema=schema,
        orient="row",
    )  # fmt: skip


def status_table(trials: pl.DataFrame) -> pl.DataFrame:
    """How the trials of each submission ended.

    Returns:
      Columns submission, trials, then one per status that occurs.
    """
    statuses = [status for status in STATUSES if status in set(trials["status"])]
    return trials.group_by("submission", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("trials"),
        *((pl.col("status") == status).sum().cast(pl.Int64).alias(status) for status in statuses),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
