"""The paper's tables, published and ours: each is one function that gives a DataFrame.

Columns of workloads go by the paper's names; the column `numbers` tells what is published from what is ours. Misses are
inf, what was not run is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

import lists
from reports import _tables as tables
from reports._contenders import Contender
from reports.medapati._published import PublishedNumbers
from results import Fractions

PUBLISHED, OURS = "published", "ours"
Pair = tuple[str, Contender | None, Contender | None]  # label, published, ours


def fraction_pairs(pairs: Sequence[Pair], workloads: Sequence[str], penalty: float) -> pl.DataFrame:
    """Step fractions of contenders, published and ours (Tables 5, 7, 9 and 14).

    Args:
      pairs: label, published row and ours; where the paper prints nothing of a pair it has one row.
      workloads: columns, in order.
      penalty: tau of the cost.

    Returns:
      Columns contender, numbers, and those of `reports._tables.fraction_table`; a contender that was not run has nulls.
    """
    numbers, rows = _rows(
        [(label, row if row and row.fractions else None, ours) for label, row, ours in pairs]
    )
    table = tables.fraction_table(rows, workloads, penalty)
    ran = pl.Series([bool(row.fractions) for row in rows])
    trained = table["trained"].to_frame().select(pl.when(ran).then(pl.col("trained")))["trained"]
    return table.with_columns(trained).insert_column(1, pl.Series("numbers", numbers))


def metric_pairs(pairs: Sequence[Pair], workloads: Sequence[str]) -> pl.DataFrame:
    """Best validation metrics of contenders, published and ours (Tables 6 and 8); as `fraction_pairs`."""
    numbers, rows = _rows([(label, row if row and row.best else None, ours) for label, row, ours in pairs])
    return tables.best_metric_table(rows, workloads).insert_column(1, pl.Series("numbers", numbers))


def _rows(pairs: Sequence[Pair]) -> tuple[list[str], list[Contender]]:
    numbers, rows = [], []
    for label, published, ours in pairs:
        found = [] if published is None else [(PUBLISHED, published)]
        for whose, row in (*found, (OURS, ours or Contender(label, {}, {}))):
            numbers.append(whose)
            rows.append(Contender(**{**vars(row), "label": label}))
    return numbers, rows


def workload_table(
    numbers: PublishedNumbers, ours: Mapping[str, tuple[str, float | None, float]]
) -> pl.DataFrame:
    """The workloads: metrics, targets and step budgets, published and ours (Tables 2, 3 and 11).

    Args:
      numbers: the paper's.
      ours: workload or variant, by the paper's name -> metric, target and steps of ours.

    Returns:
      Columns workload, metric, then target and steps, published and ours; null where ours is not there.
    """
    rows = []
    for workload in numbers.workloads:
        for name, target in (
            (workload.name, workload.target),
            (workload.variant.name, workload.variant.target),
        ):
            metric, our_target, steps = ours.get(name, (None, None, None))
            rows.append((name, workload.metric, target, workload.steps, metric, our_target, steps))
    schema = {
        "workload": pl.String, "metric": pl.String, "target": pl.Float64, "steps": pl.Int64,
        "our_metric": pl.String, "our_target": pl.Float64, "our_steps": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def reach_table(numbers: PublishedNumbers, ours: Fractions | None) -> pl.DataFrame:
    """How many candidate points reach each target, and those of other workloads too (Table 4).

    Args:
      numbers: the paper's.
      ours: step fractions of our candidates on workloads under the paper's names; None without.

    Returns:
      Columns reaches, numbers, one per workload of the paper (points; null where ours was not run).
    """
    words = {0: "this target", 1: "and at least 1 other", 2: "and at least 2 others"}
    others = [row.others for row in numbers.reach.rows]
    counts = None if ours is None else lists.trains_others(ours.values, others)
    rows = []
    for k, row in enumerate(numbers.reach.rows):
        rows.append((words[row.others], PUBLISHED, *(row.values[name] for name in numbers.names)))
        found = (
            {}
            if ours is None or counts is None
            else dict(zip(ours.workloads, counts[k].tolist(), strict=True))
        )
        rows.append((words[row.others], OURS, *(found.get(name) for name in numbers.names)))
    schema = {"reaches": pl.String, "numbers": pl.String, **dict.fromkeys(numbers.names, pl.Int64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def list_pairs(
    published: Sequence[tuple[str, Mapping[str, float]]],
    ours: Sequence[tuple[str, Mapping[str, object]]],
    candidates: bool,
) -> pl.DataFrame:
    """The list, published and ours (Table 10).

    Args:
      published, ours: (id, hyperparameters) of the points, first to try first.
      candidates: whether ours are of the paper's 200 candidates, so that equal ids are equal points.

    Returns:
      Columns place, numbers, point, shared (whether the other list has the point too; null where ids say nothing), and
      one per hyperparameter; what is written as 1 - beta is shown as beta.
    """
    whose = ((PUBLISHED, published, {p for p, _ in ours}), (OURS, ours, {p for p, _ in published}))
    named: list[tuple[int, str, str, bool | None, dict[str, object]]] = [
        (place, what, point, point in other if candidates and ours else None, _betas(values))
        for what, points, other in whose
        for place, (point, values) in enumerate(points, 1)
    ]
    present = dict.fromkeys(name for *_, values in named for name in values)
    order = tables.HYPERPARAMETERS
    names = sorted(present, key=lambda name: order.index(name) if name in order else len(order))
    data: dict[str, list] = {
        "place": [row[0] for row in named],
        "numbers": [row[1] for row in named],
        "point": [row[2] for row in named],
        "shared": [row[3] for row in named],
        **{name: [_number(row[4].get(name)) for row in named] for name in names},
    }
    schema = {"place": pl.Int64, "numbers": pl.String, "point": pl.String, "shared": pl.Boolean}
    return pl.DataFrame(data, schema_overrides=schema, strict=False)


def _betas(values: Mapping[str, object]) -> dict[str, object]:
    found = {}
    for name, value in values.items():
        short = name.removeprefix("one_minus_")
        found[short] = 1.0 - value if short != name and isinstance(value, float) else value
    return found


def _number(value: object) -> object:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def penalty_pairs(numbers: PublishedNumbers, ours: Mapping[float, int]) -> pl.DataFrame:
    """Left-out workloads trained, by the penalty with which the lists were built (Table 12).

    Args:
      numbers: the paper's.
      ours: penalty -> workloads trained; empty without.

    Returns:
      Columns numbers, one per penalty.
    """
    printed = {one.penalty: one.trained for one in numbers.penalties.trained}
    rows = [
        (whose, *(found.get(p) for p in printed)) for whose, found in ((PUBLISHED, printed), (OURS, ours))
    ]
    schema = {"numbers": pl.String, **{f"{p:g}": pl.Int64 for p in printed}}
    return pl.DataFrame(rows, schema=schema, orient="row")


def construction_pairs(
    numbers: PublishedNumbers, search: Mapping[str, int], anew: Mapping[str, int]
) -> pl.DataFrame:
    """Left-out workloads trained by greedy and by exact lists (Table 13).

    Args:
      numbers: the paper's.
      search: method -> workloads trained, by the trainings that built the lists.
      anew: the same, trained anew with fresh seeds.

    Returns:
      Columns construction, published, search, anew; null where it was not run.
    """
    rows = [
        (method, trained, search.get(method), anew.get(method))
        for method, trained in numbers.constructions.trained.items()
    ]
    schema = {"construction": pl.String, **dict.fromkeys(("published", "search", "anew"), pl.Int64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def list_size_table(
    numbers: PublishedNumbers, search: lists.LeaveOneOut | None, anew: Sequence[tuple[int, int, float | None]]
) -> pl.DataFrame:
    """Left-out workloads trained and the cost there, by the points in the list (Figure 2).

    Args:
      numbers: the paper's.
      search: leave-one-out by the trainings that built the lists.
      anew: (points, workloads trained, cost) of lists that were trained anew.

    Returns:
      Columns points, series, trained, cost; of the paper the one thing that is known.
    """
    rows: list[tuple[int, str, int, float | None]] = []
    rows += [(k, "ours, trained anew", trained, cost) for k, trained, cost in anew]
    if search is not None:
        found = zip(search.trained, search.held_out_costs, strict=True)
        rows += [(k, "ours, search's trainings", trained, cost) for k, (trained, cost) in enumerate(found, 1)]
    rows.append((numbers.list_sizes.all_trained_from, "published", len(numbers.names), None))
    schema = {"points": pl.Int64, "series": pl.String, "trained": pl.Int64, "cost": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
