"""How far lists carry: from kinds of tasks to other kinds, from few tasks, from few candidate points."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lists._normalised_lists import check_costs, greedy_normalised, normalised_cost
from lists._random_search import expected_best
from lists._task_splits import RESAMPLINGS, SplitExperiment, split_experiment, task_splits
from lists._ties import MERIT

ALL_OTHERS, ALL = "all others", "all"


@dataclasses.dataclass(frozen=True, eq=False)
class Transfer:
    """Lists learnt on one group of tasks and judged on another.

    Attributes:
      learnt: what the lists of each row were learnt on: each group; every group but the one judged
        (`ALL_OTHERS`); every group (`ALL`). Always on one half of a group, never on the half that judges.
      judged: the groups, in order of appearance.
      size: points in the lists.
      costs: mean cost over the judging half of a group.
      random: mean cost there of random search with as many trials, exact.
    """

    learnt: tuple[str, ...]
    judged: tuple[str, ...]
    size: int
    costs: Float[np.ndarray, "resampling learnt judged"]
    random: Float[np.ndarray, "resampling judged"]


def transfer(
    costs: Float[np.ndarray, "point task"],
    groups: Sequence[str],
    size: int,
    *,
    judged: Float[np.ndarray, "judged_point judged_task"] | None = None,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
    ties: str = MERIT,
) -> Transfer:
    """Generalisation between groups of tasks, such as families or sizes.

    Every group is halved at random, again for each resampling. One half builds lists, the other judges, so that
    a group can be compared with itself: its list has seen its kind, but not its tasks. (Our reading: the paper
    says what was held out, not how a group was compared with itself.)

    Args:
      costs: normalised losses that lists are learnt from.
      groups: name of the group of each task; at least two groups, each of at least two tasks.
      size: points in the lists.
      judged: those that lists are judged by; None takes `costs`.
      resamplings: how often the halves are drawn.
      seed: determines them.
      ties: the tie rule of the lists; see `greedy_normalised`.

    Raises:
      ValueError: a group of one task, a single group, as many names as there are not tasks, or a size out of
        range.
    """
    judged = costs if judged is None else judged
    check_costs(judged)
    if judged.shape != costs.shape:
        raise ValueError(f"costs has shape {costs.shape} but judged {judged.shape}; both are point x task")
    if len(groups) != costs.shape[1]:
        raise ValueError(f"{len(groups)} groups were named for {costs.shape[1]} tasks; one each is needed")
    names = tuple(dict.fromkeys(groups))
    members = {name: [t for t, group in enumerate(groups) if group == name] for name in names}
    for name, tasks in members.items():
        if len(tasks) < 2:
            raise ValueError(f"group {name!r} has a single task; at least 2 are needed to halve it")
    if len(names) < 2:
        raise ValueError(f"there is one group, {', '.join(names)}; transfer needs at least 2")

    average = expected_best(judged, np.array([size]))[0]
    halves = {name: task_splits(len(tasks), resamplings, seed) for name, tasks in members.items()}
    values = np.empty((resamplings, len(names) + 2, len(names)))
    random = np.empty((resamplings, len(names)))
    for r in range(resamplings):
        train = {name: [members[name][i] for i in halves[name][r].train] for name in names}
        test = {name: [members[name][i] for i in halves[name][r].test] for name in names}

        def cost(learnt_on: Sequence[str], judge: Sequence[str], train=train, test=test) -> list[float]:
            tasks = [t for name in learnt_on for t in train[name]]
            points = list(greedy_normalised(costs[:, tasks], size, ties=ties).points)
            return [normalised_cost(judged[np.ix_(points, test[name])]) for name in judge]

        for i, name in enumerate(names):
            values[r, i] = cost([name], names)
            values[r, len(names), i] = cost([other for other in names if other != name], [name])[0]
        values[r, len(names) + 1] = cost(names, names)
        random[r] = [average[test[name]].mean() for name in names]
    return Transfer((*names, ALL_OTHERS, ALL), names, size, values, random)


def by_task_count(
    costs: Float[np.ndarray, "point task"],
    counts: Sequence[int],
    sizes: Sequence[int],
    *,
    judged: Float[np.ndarray, "judged_point judged_task"] | None = None,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
    ties: str = MERIT,
) -> tuple[SplitExperiment, ...]:
    """Lists learnt on 1, 2, ... tasks and judged on one and the same other half.

    Args:
      counts: numbers of training tasks, each from 1 to half of the tasks; fewer are a part of more.
      costs, sizes, judged, resamplings, seed, ties: see `split_experiment`.

    Returns:
      One experiment per count.

    Raises:
      ValueError: a count out of range, or what `split_experiment` refuses.
    """
    whole = task_splits(costs.shape[1], resamplings, seed)
    most = len(whole[0].train)
    for count in counts:
        if not 1 <= count <= most:
            raise ValueError(f"counts holds {count}; must be from 1 to {most}, half of the tasks")
    return tuple(
        split_experiment(
            costs, sizes, judged=judged, splits=[split._replace(train=split.train[:count]) for split in whole],
            seed=seed, ties=ties,
        )
        for count in counts
    )  # fmt: skip


def by_pool_size(
    costs: Float[np.ndarray, "point task"],
    pool_sizes: Sequence[int],
    size: int,
    *,
    judged: Float[np.ndarray, "judged_point judged_task"] | None = None,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
    ties: str = MERIT,
) -> tuple[SplitExperiment, ...]:
    """Lists of `size` points chosen from 1, 2, ... random candidates; fewer candidates are a part of more.

    Args:
      pool_sizes: numbers of candidates, each from `size` to the number of points.
      costs, judged, resamplings, seed, ties: see `split_experiment`.
      size: points in the lists.

    Returns:
      One experiment per pool size. Random search draws from all points in each.

    Raises:
      ValueError: a pool size out of range, or what `split_experiment` refuses.
    """
    for pool in pool_sizes:
        if not size <= pool <= len(costs):
            raise ValueError(
                f"pool_sizes holds {pool}; must be from {size}, the list's, to {len(costs)} points"
            )
    generator = np.random.default_rng([seed, 2])
    orders = [generator.permutation(len(costs)).tolist() for _ in range(resamplings)]
    return tuple(
        split_experiment(
            costs, (size,), judged=judged, pools=[sorted(order[:pool]) for order in orders],
            resamplings=resamplings, seed=seed, ties=ties,
        )
        for pool in pool_sizes
    )  # fmt: skip
