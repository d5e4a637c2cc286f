"""Lists learnt on some tasks and judged on others, many times over.

Reference: Metz et al. 2020, arXiv:2002.11887, section 4: an equal split of the tasks, drawn 50 times, of which
medians and 25th and 75th percentiles are shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lists._greedy import ChosenList
from lists._normalised_lists import check_costs, greedy_normalised
from lists._random_search import expected_best
from lists._ties import MERIT, rows_of

RESAMPLINGS = 50  # the paper's
DRAWS = 20  # random searches to which each list is compared one by one
AT_ONCE = 1 << 20  # numbers drawn at a time


class TaskSplit(NamedTuple):
    """Column numbers of the tasks that build lists, in random order, and of those that judge them."""

    train: tuple[int, ...]
    test: tuple[int, ...]


class Spread(NamedTuple):
    """Median and quartiles over the resamplings, one entry per size of list."""

    median: np.ndarray
    lower: np.ndarray  # 25th percentile
    upper: np.ndarray  # 75th percentile


def spread(values: np.ndarray) -> Spread:
    """Median and quartiles over the first axis.

    Example:
      >>> [float(x) for x in spread(np.array([0.0, 1.0, 2.0, 3.0, 4.0]))]
      [2.0, 1.0, 3.0]
    """
    return Spread(*np.percentile(values, [50.0, 25.0, 75.0], axis=0))


def task_splits(
    tasks: int, resamplings: int = RESAMPLINGS, seed: int = 0, train_share: float = 0.5
) -> tuple[TaskSplit, ...]:
    """Random splits of the tasks in two; fewer resamplings are the beginning of more.

    Args:
      tasks: how many there are, at least 2.
      resamplings: how many splits to draw.
      seed: determines them.
      train_share: of the tasks that build lists, in (0, 1); rounded down, but each side gets at least one.

    Raises:
      ValueError: fewer than 2 tasks, no resamplings, or a share out of range.

    Example:
      >>> task_splits(5, resamplings=1)
      (TaskSplit(train=(2, 4), test=(0, 1, 3)),)
    """
    if tasks < 2:
        raise ValueError(f"{tasks} task cannot be split; at least 2 are needed")
    if resamplings < 1:
        raise ValueError(f"resamplings is {resamplings}; must be at least 1")
    if not 0.0 < train_share < 1.0:
        raise ValueError(f"train_share is {train_share:g}; must lie between 0 and 1")
    generator = np.random.default_rng(seed)
    train = min(max(int(tasks * train_share), 1), tasks - 1)
    orders = (generator.permutation(tasks).tolist() for _ in range(resamplings))
    return tuple(TaskSplit(tuple(order[:train]), tuple(sorted(order[train:]))) for order in orders)


def leave_out_splits(tasks: int, parts: int | None = None) -> tuple[TaskSplit, ...]:
    """Splits of which each leaves a part of the tasks out to judge, every task once; in order, nothing is drawn.

    Args:
      tasks: how many there are, at least 2.
      parts: how many, from 2 to `tasks`; None leaves out one task at a time.

    Raises:
      ValueError: fewer than 2 tasks, or parts out of range.

    Example:
      >>> [split.test for split in leave_out_splits(5, parts=2)]
      [(0, 2, 4), (1, 3)]
    """
    if tasks < 2:
        raise ValueError(f"{tasks} task cannot be split; at least 2 are needed")
    parts = tasks if parts is None else parts
    if not 2 <= parts <= tasks:
        raise ValueError(f"parts is {parts}; must be from 2 to {tasks}, the tasks")
    # Every parts-th task: neighbours are of one family, whose other members stay to learn from.
    return tuple(
        TaskSplit(tuple(t for t in range(tasks) if t % parts != part), tuple(range(part, tasks, parts)))
        for part in range(parts)
    )


@dataclasses.dataclass(frozen=True, eq=False)
class SplitExperiment:
    """Lists of several sizes, learnt on one part of the tasks and judged on the other, for each split.

    All costs are means over tasks of a normalised loss. Arrays are read-only.

    Attributes:
      sizes: points in the lists, ascending; trials of the random searches.
      splits: which tasks built and which judged.
      lists: of the largest size, one per split; shorter ones are their beginnings.
      train: cost on the tasks that built the list, by the table that built it.
      test: cost on the other tasks.
      random: mean cost on those other tasks of random search with as many trials, exact.
      won: share of random searches, drawn one by one, that cost more than the list on the other tasks; one
        that costs the same counts half.
      equal_trials: trials with which random search costs, on average, no more than the list there.
    """

    sizes: tuple[int, ...]
    splits: tuple[TaskSplit, ...]
    lists: tuple[ChosenList, ...]
    train: Float[np.ndarray, "resampling size"]
    test: Float[np.ndarray, "resampling size"]
    random: Float[np.ndarray, "resampling size"]
    won: Float[np.ndarray, "resampling size"]
    equal_trials: Int[np.ndarray, "resampling size"]

    def __post_init__(self) -> None:
        for name in ("train", "test", "random", "won", "equal_trials"):
            getattr(self, name).flags.writeable = False

    @property
    def saved(self) -> Float[np.ndarray, "resampling size"]:
        """Cost of random search less that of the list, on the same tasks; positive where the list is better."""
        return self.random - self.test

    def finding(self, size: int) -> str:
        """One sentence on the lists of a size.

        Raises:
          ValueError: not one of the sizes.
        """
        if size not in self.sizes:
            raise ValueError(f"size is {size}; this experiment has {', '.join(map(str, self.sizes))}")
        k, splits = self.sizes.index(size), len(self.splits)
        better = int((self.saved[:, k] > 0).sum())
        test, random = spread(self.test[:, k]), spread(self.random[:, k])
        return (
            f"A list of {size} learnt on one part of the tasks costs {test.median:.3f} "
            f"({test.lower:.3f} to {test.upper:.3f}) on the other, random search with as many trials "
            f"{random.median:.3f} ({random.lower:.3f} to {random.upper:.3f}): the list is better in {better} of "
            f"{splits} splits, and better than {100 * self.won[:, k].mean():.0f} % of single random searches."
        )


def split_experiment(
    costs: Float[np.ndarray, "point task"],
    sizes: Sequence[int],
    *,
    judged: Float[np.ndarray, "judged_point judged_task"] | None = None,
    splits: Sequence[TaskSplit] | None = None,
    pools: Sequence[Sequence[int]] | None = None,
    resamplings: int = RESAMPLINGS,
    seed: int = 0,
    draws: int = DRAWS,
    ties: str = MERIT,
) -> SplitExperiment:
    """Learns lists on a part of the tasks and judges them on the rest, beside random search of equal budget.

    A list is chosen by `greedy_normalised` from the columns of `costs` named by `split.train`, and by nothing
    else; it is judged on the columns of `judged` named by `split.test`. Random search draws from all points
    without replacement.

    Args:
      costs: normalised losses of points on tasks that lists are learnt from, such as on validation data.
      sizes: points in the lists, each from 1 to the number of points; ascending.
      judged: those that lists are judged by, of the same points and tasks, such as on test data, or of whole
        curves where `costs` saw their beginnings; None takes `costs`.
      splits: which tasks build and which judge; None draws `task_splits(tasks, resamplings, seed)`.
      pools: rows that a list may choose from, one sequence per split; None is all rows.
      resamplings, seed: see `task_splits`; the seed also draws the random searches behind `won`.
      draws: random searches drawn per split.
      ties: the tie rule of the lists; see `greedy_normalised`. Few tasks are soon covered: it chooses the rest.

    Raises:
      ValueError: sizes out of range or not ascending, tables of different shapes, entries that are not finite or
        above 1, as many pools as there are not splits.

    Example:
      >>> costs = np.array([[0.1, 0.1, 0.2, 0.1]] + 9 * [[0.9, 1.0, 0.9, 0.9]])
      >>> experiment = split_experiment(costs, sizes=(1, 2))
      >>> [chosen.points[0] for chosen in experiment.lists] == [0] * 50
      True
      >>> bool((experiment.saved > 0).all())
      True

    Reference: Metz et al. 2020, arXiv:2002.11887, section 4.
    """
    judged = costs if judged is None else judged
    check_costs(costs)
    check_costs(judged)
    if judged.shape != costs.shape:
        raise ValueError(f"costs has shape {costs.shape} but judged {judged.shape}; both are point x task")
    sizes = tuple(sizes)
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] > len(costs):
        raise ValueError(f"sizes is {sizes}; must ascend from at least 1 to at most {len(costs)}")
    splits = tuple(splits) if splits is not None else task_splits(costs.shape[1], resamplings, seed)
    if pools is not None and len(pools) != len(splits):
        raise ValueError(f"{len(pools)} pools were given for {len(splits)} splits; one each is needed")

    columns = np.array(sizes) - 1
    every_budget = expected_best(judged, np.arange(1, len(judged) + 1))
    generator = np.random.default_rng([seed, 1])  # apart from the stream that draws the splits
    lists, train, test, random, won, equal = [], [], [], [], [], []
    for number, split in enumerate(splits):
        rows = np.arange(len(costs)) if pools is None else np.asarray(pools[number])
        built = greedy_normalised(costs[rows][:, split.train], sizes[-1], ties=ties)
        chosen = ChosenList(rows_of(rows, built.points), built.costs, built.adds)
        others = judged[:, split.test]
        cost = _costs_by_length(others[list(chosen.points)])[columns]
        searches = np.array(
            [_costs_by_length(others[generator.permutation(len(others))[: sizes[-1]]]) for _ in range(draws)]
        ).reshape(draws, sizes[-1])[:, columns]
        average = every_budget[:, split.test].mean(axis=1)
        # Falling costs, turned round: the first budget at or below the list's cost, rounding of sums aside. There
        # always is one: trying every point cannot cost more than a list of some.
        first = np.searchsorted(-average, -cost - 1e-12)
        lists.append(chosen)
        train.append(np.array(built.costs)[columns])
        test.append(cost)
        random.append(average[columns])
        won.append(((searches > cost).mean(axis=0) + (searches >= cost).mean(axis=0)) / 2)
        equal.append(first + 1)
    return SplitExperiment(
        sizes, splits, tuple(lists), *(np.array(each) for each in (train, test, random, won, equal))
    )


def held_out_costs(
    experiment: SplitExperiment, judged: Float[np.ndarray, "point task"], size: int
) -> Float[np.ndarray, " task"]:
    """What lists cost on each task, where they did not learn from it: the mean over the splits in which it judges.

    Args:
      experiment: of `split_experiment`.
      judged: the table that it judged by.
      size: at most its largest size.

    Raises:
      ValueError: a task that judges in no split, or a size that is no list's.

    Example:
      >>> costs = np.array([[0.2, 0.2, 0.4], [0.6, 0.6, 0.6]])
      >>> held_out_costs(split_experiment(costs, (1,)), costs, 1).round(12).tolist()
      [0.2, 0.2, 0.4]
    """
    if not 1 <= size <= experiment.sizes[-1]:
        raise ValueError(f"size is {size}; must be from 1 to {experiment.sizes[-1]}, the longest list")
    total, times = np.zeros(judged.shape[1]), np.zeros(judged.shape[1], dtype=np.int64)
    for split, chosen in zip(experiment.splits, experiment.lists, strict=True):
        test = list(split.test)
        total[test] += judged[list(chosen.points[:size])][:, test].min(axis=0)
        times[test] += 1
    if not times.all():
        raise ValueError(f"task {int(times.argmin())} judges in no split; draw more of them")
    return total / times


def saved_by_task(
    experiment: SplitExperiment, judged: Float[np.ndarray, "point task"], size: int
) -> Float[np.ndarray, " task"]:
    """What lists save on each task, beside random search of as many trials, where they did not learn from it.

    s[task] = mean over the splits in which the task judges of E(random search) - cost of the list, on that task

    Unlike the savings of whole splits, which share most of their tasks, these say how results vary from task to
    task: `bootstrap_interval` of them is an interval for tasks of this kind.

    Args:
      experiment: of `split_experiment`.
      judged: the table that it judged by.
      size: at most its largest size.

    Raises:
      ValueError: what `held_out_costs` refuses.

    Example:
      >>> costs = np.array([[0.2, 0.2, 0.4], [0.6, 0.6, 0.6]])
      >>> saved_by_task(split_experiment(costs, (1,)), costs, 1).round(12).tolist()
      [0.2, 0.2, 0.1]
    """
    return expected_best(judged, np.array([size]))[0] - held_out_costs(experiment, judged, size)


def bootstrap_interval(
    values: Float[np.ndarray, " task"], confidence: float = 0.95, seed: int = 0, draws: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean.

    Args:
      values: at least two, of independent tasks.
      confidence: in (0, 1).
      seed: of the draws.
      draws: means of as many values, drawn with replacement.

    Raises:
      ValueError: fewer than two values, or a confidence out of range.

    Example:
      >>> bootstrap_interval(np.array([1.0, 1.0, 1.0]))
      (1.0, 1.0)
    """
    if values.size < 2:
        raise ValueError(f"{values.size} value has no interval; at least 2 are needed")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence:g}; must lie between 0 and 1")
    generator = np.random.default_rng(seed)
    at_once = max(1, AT_ONCE // values.size)
    means = np.concatenate(
        [
            generator.choice(values, (min(at_once, draws - done), values.size)).mean(axis=1)
            for done in range(0, draws, at_once)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _costs_by_length(costs: Float[np.ndarray, "point task"]) -> Float[np.ndarray, " point"]:
    """Cost of the first 1, 2, ... rows as a list."""
    return np.minimum.accumulate(costs, axis=0).mean(axis=1)
