"""Costs of every point on every task, one task in memory at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from lists._normalised import costs_of_repeats, lowest_loss, point_costs
from results.curves import SPLITS, CurveArchive, Curves

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
class TaskCosts:
    """What every point of one set costs on every task.

    Attributes:
      optimizer_set: such as adam8p_wide_grid_1k.
      points: names of the rows.
      tasks: names of the columns.
      choosing: cost (a key of `COSTS`, or "first <n> steps") -> [point, task], on the split that chooses
        hyperparameters.
      judging: the same for the split that judges them, the paper's cost alone.
      judging_split: name of that split: test, or valid_outer again where no test losses were kept.
      by_repeat: one of the costs in each repeat, on the split that chooses; as many repeats as all tasks have, None
        where that is one.
    """

    optimizer_set: str
    points: tuple[str, ...]
    tasks: tuple[str, ...]
    choosing: Mapping[str, Float[np.ndarray, "point task"]]
    judging: Float[np.ndarray, "point task"]
    judging_split: str
    by_repeat: Float[np.ndarray, "point task repeat"] | None = None

    @property
    def costs(self) -> Float[np.ndarray, "point task"]:
        """The paper's cost on the split that chooses."""
        return self.choosing["mean"]

    def horizons(self) -> tuple[int, ...]:
        """Steps after which curves were cut, ascending."""
        return tuple(sorted(int(name.split()[1]) for name in self.choosing if name.startswith("first ")))


def task_costs(
    curves: Curves,
    *,
    horizons: Sequence[int] = (),
    costs: Sequence[str] = tuple(COSTS),
    by_repeat: str = "mean",
    progress: Progress | None = None,
) -> tuple[TaskCosts, ...]:
    """Costs of all points on all tasks, one table per set of optimizers that was run on at least two tasks.

    The lowest loss of a task, which counts as 0, is the lowest of any point of any set, on the split in question.
    A set is judged on the tasks that all have the same points of it; the first task's decide.

    Args:
      curves: where the losses come from.
      horizons: steps after which curves are also cut, as if training had ended there: of such a curve, the lowest
        loss is that of all curves so cut. Only those that were evaluated.
      costs: which of `COSTS` to compute, besides "mean".
      by_repeat: which of these to keep repeat by repeat, too.
      progress: called as progress("reading curves", tasks done, tasks).

    Raises:
      ValueError: curves that do not begin at step 0, or have no losses on the split that chooses; no set with two
        tasks; no finite loss at all on that split.
    """
    names = dict.fromkeys(("mean", *costs))
    columns: dict[str, dict[str, dict[str, np.ndarray]]] = {}  # set -> cost -> task -> [point]
    judged: dict[str, dict[str, np.ndarray]] = {}
    repeated: dict[str, list[np.ndarray]] = {}
    points: dict[str, tuple[str, ...]] = {}
    tested: dict[str, set[bool]] = {}
    finite: dict[str, bool] = {}
    for done, task in enumerate(curves.tasks):
        archives = curves.read(task)
        _check_start(archives)
        _check_choosing(archives)
        low = {split: _lowest(archives, split) for split in (CHOOSING, JUDGING)}
        for archive in archives:
            group = archive.optimizer_set
            if points.setdefault(group, archive.optimizers) != archive.optimizers:
                continue
            of_set = columns.setdefault(group, {})
            choosing = archive.losses(CHOOSING)
            for name in names:
                anchor, summary = COSTS[name]
                each = costs_of_repeats(choosing, anchor, summary, low[CHOOSING])
                of_set.setdefault(name, {})[task] = each.mean(axis=-1)
                if name == by_repeat:
                    repeated.setdefault(group, []).append(each)
            for horizon in horizons:
                end = int(np.searchsorted(archive.xs, horizon, side="right"))
                if end < 2 or end == len(archive.xs) or archive.xs[end - 1] != horizon:
                    continue
                cut = point_costs(choosing[..., :end], lowest=_lowest(archives, CHOOSING, end))
                of_set.setdefault(f"first {horizon} steps", {})[task] = cut
            tested.setdefault(group, set()).add(archive.has(JUDGING))
            finite[group] = finite.get(group, False) or bool(np.isfinite(choosing).any())
            split = JUDGING if archive.has(JUDGING) else CHOOSING
            judged.setdefault(group, {})[task] = point_costs(archive.losses(split), lowest=low[split])
        if progress is not None:
            progress("reading curves", done + 1, len(curves.tasks))

    found = []
    for group, of_set in columns.items():
        tasks = tuple(of_set["mean"])
        if len(tasks) < 2:
            continue
        if not finite[group]:
            raise ValueError(f"set {group}: no loss on {CHOOSING} is finite; points are chosen by them")
        whole = {name: column for name, column in of_set.items() if len(column) == len(tasks)}
        split = {frozenset({True}): JUDGING, frozenset({False}): CHOOSING}.get(frozenset(tested[group]))
        if split is None:
            raise ValueError(f"set {group}: some tasks have test losses and some have not; separate them")
        found.append(
            TaskCosts(
                optimizer_set=group,
                points=points[group],
                tasks=tasks,
                choosing={name: _matrix(column.values()) for name, column in whole.items()},
                judging=_matrix(judged[group].values()),
                judging_split=split,
                by_repeat=_common_repeats(repeated[group]),
            )
        )
    if not found:
        raise ValueError(f"{curves.source}: no set of optimizers was run on at least two tasks")
    return tuple(found)


def choose_set(sets: Sequence[TaskCosts], name: str | None) -> TaskCosts:
    """The set of a name; without one the set with the most tasks, the first of several.

    Raises:
      ValueError: no such set.
    """
    if name is None:
        return max(sets, key=lambda costs: len(costs.tasks))
    for costs in sets:
        if costs.optimizer_set == name:
            return costs
    raise ValueError(f"no set {name!r} (there are: {', '.join(costs.optimizer_set for costs in sets)})")


def together(sets: Sequence[TaskCosts]) -> TaskCosts:
    """All points of several sets, as one set to choose from; it is named after them, joined by +.

    A list of points of several optimizers: what one of them misses, another may reach.

    Raises:
      ValueError: no sets, or sets of other tasks or judged on other splits.
    """
    if not sets:
        raise ValueError("no sets; give at least one")
    for other in sets[1:]:
        if other.tasks != sets[0].tasks or other.judging_split != sets[0].judging_split:
            raise ValueError(
                f"{other.optimizer_set} was not run on the tasks of {sets[0].optimizer_set}, or not judged on the same "
                "split; points can be compared on the same tasks alone"
            )
    shared = [name for name in sets[0].choosing if all(name in other.choosing for other in sets)]
    return TaskCosts(
        optimizer_set=" + ".join(other.optimizer_set for other in sets),
        points=tuple(point for other in sets for point in other.points),
        tasks=sets[0].tasks,
        choosing={
            name: _read_only(np.concatenate([other.choosing[name] for other in sets])) for name in shared
        },
        judging=_read_only(np.concatenate([other.judging for other in sets])),
        judging_split=sets[0].judging_split,
    )


def _matrix(columns: Iterable[np.ndarray]) -> np.ndarray:
    return _read_only(np.stack(list(columns), axis=1))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _common_repeats(tasks: Sequence[np.ndarray]) -> np.ndarray | None:
    """[point, task, repeat] of [point, repeat] by task, of as many repeats as all have; None for a single one."""
    common = min(each.shape[1] for each in tasks)
    if common == 1:
        return None
    return _read_only(np.stack([each[:, :common] for each in tasks], axis=1))


def _lowest(archives: Sequence[CurveArchive], split: str, end: int | None = None) -> float:
    return min(lowest_loss(archive.losses(split)[..., :end]) for archive in archives)


def _check_choosing(archives: Iterable[CurveArchive]) -> None:
    for archive in archives:
        # Where nothing is left of any split, everything diverged, which is a result.
        if not archive.has(CHOOSING) and any(archive.has(split) for split in SPLITS):
            raise ValueError(
                f"task {archive.task}, set {archive.optimizer_set}: no losses on {CHOOSING}, which points are chosen by"
            )


def _check_start(archives: Iterable[CurveArchive]) -> None:
    for archive in archives:
        if archive.xs[0] != 0:
            raise ValueError(
                f"task {archive.task}, set {archive.optimizer_set}: curves begin at step {archive.xs[0]}; the loss at "
                "initialisation, step 0, is what they are normalised by; 'shortlist tune --eval-at-start' records it"
            )
