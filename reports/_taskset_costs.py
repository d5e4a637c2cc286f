"""Costs of every config on every task, from curves of any source, one task in memory at a time."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

import lists
from reports._taskset_curves import CurveArchive, archive_paths, read_archive, read_replica_means
from reports._taskset_studies import curves_of_studies
from reports._taskset_table import archives_to_table, hyperparameters_of, read_table, table_to_archives
from tuning import studies

Progress = Callable[[str, int, int], None]

# How a curve becomes a cost: name -> (what counts as 1, summary of the curve); see `lists.point_costs`.
COSTS = {
    "mean": ("initial", "mean"),  # the paper's, section 3.3
    "mean_initial": ("mean_initial", "mean"),
    "minimum": ("initial", "minimum"),  # appendix A.4
    "final": ("initial", "final"),
    "final_95": ("final_95", "mean"),  # appendix A.4
}
CHOOSING, JUDGING = "valid_outer", "test"


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """Curves from any source, task by task.

    Attributes:
      tasks: names.
      read: task -> its archives, one per set of optimizers; reads files only then.
      configs: columns set, optimizer, hyperparameters (JSON), update_rule; the last two null where not known.
      facts: columns task, parameters, seconds (per training), provenance; one row per task.
      source: where they were read from.
    """

    tasks: tuple[str, ...]
    read: Callable[[str], tuple[CurveArchive, ...]]
    configs: pl.DataFrame
    facts: pl.DataFrame
    source: str

    @property
    def hyperparameters(self) -> dict[str, dict[str, float]]:
        """Optimizer -> its hyperparameters, where they are known."""
        return hyperparameters_of(self.configs)

    def __iter__(self) -> Iterator[CurveArchive]:
        """All archives, task by task."""
        for task in self.tasks:
            yield from self.read(task)


@dataclasses.dataclass(frozen=True, eq=False)
class TaskCosts:
    """What every config of one set costs on every task.

    Attributes:
      optimizer_set: such as adam8p_wide_grid_1k.
      optimizers: names of the rows.
      tasks: names of the columns.
      choosing: cost (a key of `COSTS`, or "first <n> steps") -> [config, task], on the split that chooses
        hyperparameters.
      judging: the same for the split that judges them, the paper's cost alone.
      judging_split: name of that split: test, or valid_outer again where no test losses were kept.
    """

    optimizer_set: str
    optimizers: tuple[str, ...]
    tasks: tuple[str, ...]
    choosing: Mapping[str, Float[np.ndarray, "config task"]]
    judging: Float[np.ndarray, "config task"]
    judging_split: str

    @property
    def costs(self) -> Float[np.ndarray, "config task"]:
        """The paper's cost on the split that chooses."""
        return self.choosing["mean"]

    def horizons(self) -> tuple[int, ...]:
        """Steps after which curves were cut, ascending."""
        return tuple(sorted(int(name.split()[1]) for name in self.choosing if name.startswith("first ")))


def read_curves(path: str | os.PathLike[str], parameters: Mapping[str, int] | None = None) -> Curves:
    """Curves from a table (.parquet), a folder of released archives, a file of replica means (.npz), or studies.

    Args:
      path: where they are.
      parameters: task or workload -> number of parameters; what the source itself says comes first.

    Raises:
      FileNotFoundError: nothing there.
      ValueError: nothing of these kinds, or a damaged file.
    """
    path = Path(path)
    if path.suffix == ".npz" and path.is_file():
        try:
            archives = read_replica_means(path)
        except ValueError:
            archives = (read_archive(path),)
        return _in_memory(archives_to_table(archives, f"read from {path.name}"), archives, path, parameters)
    if path.is_file():
        table = read_table(path)
        return _in_memory(table, table_to_archives(table), path, parameters)
    if studies.find_studies(path):
        table, _ = curves_of_studies(path, parameters)
        return _in_memory(table, table_to_archives(table), path, parameters)
    files = archive_paths(path) if path.is_dir() else {}
    if not files:
        raise FileNotFoundError(
            f"{path}: no curves here; give a table (.parquet), a folder with <task>/<set>_<steps>_replica<n>.npz, "
            "or a study"
        )
    one_of_each = {found.name: read_archive(found) for paths in files.values() for found in paths[:1]}
    firsts = (dataclasses.replace(archive, ys=archive.ys[:, :1]) for archive in one_of_each.values())
    provenance = f"released files in {path.name}"
    facts = pl.DataFrame(
        {"task": list(files), "parameters": None, "seconds": None, "provenance": provenance}, schema=_FACTS
    )
    return Curves(
        tuple(files),
        lambda task: tuple(read_archive(found, task) for found in files[task]),
        _configs(archives_to_table(firsts, provenance)),
        _with_parameters(facts, parameters),
        str(path),
    )


def task_costs(
    curves: Curves,
    *,
    horizons: Sequence[int] = (),
    costs: Sequence[str] = tuple(COSTS),
    progress: Progress | None = None,
) -> tuple[TaskCosts, ...]:
    """Costs of all configs on all tasks, one table per set of optimizers that was run on at least two tasks.

    The lowest loss of a task, which counts as 0, is the lowest of any config of any set, on the split in question.
    A set is judged on the tasks that all have the same configs of it; the first task's decide.

    Args:
      curves: where the losses come from.
      horizons: steps after which curves are also cut, as if training had ended there: of such a curve, the lowest
        loss is that of all curves so cut. Only those that were evaluated.
      costs: which of `COSTS` to compute, besides "mean".
      progress: called as progress("reading curves", tasks done, tasks).

    Raises:
      ValueError: curves that do not begin at step 0, or no set with two tasks.
    """
    names = dict.fromkeys(("mean", *costs))
    columns: dict[str, dict[str, dict[str, np.ndarray]]] = {}  # set -> cost -> task -> [config]
    judged: dict[str, dict[str, np.ndarray]] = {}
    configs: dict[str, tuple[str, ...]] = {}
    tested: dict[str, set[bool]] = {}
    for done, task in enumerate(curves.tasks):
        archives = curves.read(task)
        _check_start(archives)
        low = {split: _lowest(archives, split) for split in (CHOOSING, JUDGING)}
        for archive in archives:
            group = archive.optimizer_set
            if configs.setdefault(group, archive.optimizers) != archive.optimizers:
                continue
            of_set = columns.setdefault(group, {})
            choosing = archive.losses(CHOOSING)
            for name in names:
                anchor, summary = COSTS[name]
                cost = lists.point_costs(choosing, anchor, summary, low[CHOOSING])
                of_set.setdefault(name, {})[task] = cost
            for horizon in horizons:
                end = int(np.searchsorted(archive.xs, horizon, side="right"))
                if end < 2 or end == len(archive.xs) or archive.xs[end - 1] != horizon:
                    continue
                cut = lists.point_costs(choosing[..., :end], lowest=_lowest(archives, CHOOSING, end))
                of_set.setdefault(f"first {horizon} steps", {})[task] = cut
            tested.setdefault(group, set()).add(archive.has(JUDGING))
            split = JUDGING if archive.has(JUDGING) else CHOOSING
            judged.setdefault(group, {})[task] = lists.point_costs(archive.losses(split), lowest=low[split])
        if progress is not None:
            progress("reading curves", done + 1, len(curves.tasks))

    found = []
    for group, of_set in columns.items():
        tasks = tuple(of_set["mean"])
        if len(tasks) < 2:
            continue
        whole = {name: column for name, column in of_set.items() if len(column) == len(tasks)}
        split = {frozenset({True}): JUDGING, frozenset({False}): CHOOSING}.get(frozenset(tested[group]))
        if split is None:
            raise ValueError(f"set {group}: some tasks have test losses and some have not; separate them")
        found.append(
            TaskCosts(
                optimizer_set=group,
                optimizers=configs[group],
                tasks=tasks,
                choosing={name: _matrix(column.values()) for name, column in whole.items()},
                judging=_matrix(judged[group].values()),
                judging_split=split,
            )
        )
    if not found:
        raise ValueError(f"{curves.source}: no set of optimizers was run on at least two tasks")
    return tuple(found)


def _matrix(columns: Iterable[np.ndarray]) -> np.ndarray:
    matrix = np.stack(list(columns), axis=1)
    matrix.flags.writeable = False
    return matrix


def _lowest(archives: Sequence[CurveArchive], split: str, end: int | None = None) -> float:
    return min(lists.lowest_loss(archive.losses(split)[..., :end]) for archive in archives)


def _check_start(archives: Iterable[CurveArchive]) -> None:
    for archive in archives:
        if archive.xs[0] != 0:
            raise ValueError(
                f"task {archive.task}, set {archive.optimizer_set}: curves begin at step {archive.xs[0]}; the loss at "
                "initialisation, step 0, is what they are normalised by"
            )


_FACTS = {"task": pl.String, "parameters": pl.Int64, "seconds": pl.Float64, "provenance": pl.String}


def _in_memory(
    table: pl.DataFrame, archives: Sequence[CurveArchive], path: Path, parameters: Mapping[str, int] | None
) -> Curves:
    by_task: dict[str, list[CurveArchive]] = {}
    for archive in archives:
        by_task.setdefault(archive.task, []).append(archive)
    facts = table.group_by("task", maintain_order=True).agg(
        pl.col("parameters").drop_nulls().first(),
        pl.col("seconds").mean(),
        pl.col("provenance").drop_nulls().first(),
    )
    return Curves(
        tuple(by_task),
        lambda task: tuple(by_task[task]),
        _configs(table),
        _with_parameters(facts, parameters),
        str(path),
    )


def _configs(table: pl.DataFrame) -> pl.DataFrame:
    kept = ("set", "optimizer", "hyperparameters", "update_rule")
    return table.select(kept).unique(["set", "optimizer"], keep="first", maintain_order=True)


def _with_parameters(facts: pl.DataFrame, parameters: Mapping[str, int] | None) -> pl.DataFrame:
    """Fills in numbers of parameters that the source does not say."""
    known = {name.removeprefix("taskset/"): count for name, count in (parameters or {}).items()}
    if not known:
        return facts
    given = pl.col("task").replace_strict(known, default=None, return_dtype=pl.Int64)
    return facts.with_columns(parameters=pl.coalesce("parameters", given))
