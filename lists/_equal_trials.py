"""How many trials of random search a learnt list is worth, with an interval over tasks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from lists._random_search import expected_best
from lists._task_splits import SplitExperiment, held_out_costs


class EqualTrials(NamedTuple):
    """Trials that random search needs, on average, to cost no more than a list.

    Attributes:
      size: points in the list.
      trials: on these tasks.
      low, high: ends of a bootstrap interval over tasks.
      most: points that are searched: a search of so many has tried all of them. `high` at `most` says "at least
        `low`".
    """

    size: int
    trials: int
    low: int
    high: int
    most: int


def equal_trials(
    experiment: SplitExperiment,
    judged: Float[np.ndarray, "point task"],
    size: int,
    *,
    search: Float[np.ndarray, "searched_point searched_task"] | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> EqualTrials:
    """The trials of random search that a list of `size` points equals on tasks that it did not learn from.

    n = least n with mean over tasks of E(lowest of n points) <= mean over tasks of the list's cost

    The expectation is that of n points of the table without replacement: an unbiased estimate of what n new draws
    from the space of the points would find, up to n = `most`, which also stands for a list that is better than all
    points that are searched. Tasks are drawn anew with replacement for the interval, list and search on the same
    tasks; the splits, which share tasks, are averaged over first.

    Args:
      experiment: of `split_experiment`.
      judged: the table that it judged by.
      size: points in the lists, at most the experiment's largest.
      search: what the points that are searched cost on the same tasks; None searches those of `judged`.
      confidence: of the interval, in (0, 1).
      draws: bootstrap draws.
      seed: of them.

    Raises:
      ValueError: fewer than two tasks, a confidence out of range, a search on other tasks, or what `held_out_costs`
        refuses.

    Example:
      >>> from lists import split_experiment
      >>> costs = np.array([[0.1, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9]])
      >>> equal_trials(split_experiment(costs, (1,)), costs, 1)
      EqualTrials(size=1, trials=3, low=3, high=3, most=3)

    Reference: Metz et al. 2020, arXiv:2002.11887, section 4.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence:g}; must lie between 0 and 1")
    tasks = judged.shape[1]
    if tasks < 2:
        raise ValueError(f"{tasks} task has no interval; at least 2 are needed")
    searched = judged if search is None else search
    if searched.shape[1] != tasks:
        raise ValueError(f"search has {searched.shape[1]} tasks but judged {tasks}; they must be the same")
    of_list = held_out_costs(experiment, judged, size)
    of_search = expected_best(searched, np.arange(1, len(searched) + 1))
    generator = np.random.default_rng([seed, 3])
    weights = generator.multinomial(tasks, np.full(tasks, 1 / tasks), size=draws) / tasks
    found = [_first(of_search @ w, float(of_list @ w)) for w in (np.full(tasks, 1 / tasks), *weights)]
    # Whole numbers that occurred, not a mean of two.
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(found[1:], ends, method="inverted_cdf")
    return EqualTrials(size, found[0], int(low), int(high), len(searched))


def _first(search: Float[np.ndarray, " trials"], cost: float) -> int:
    """The first number of trials that costs no more; all of them where none does."""
    return min(int(np.searchsorted(-search, -cost - 1e-12)) + 1, len(search))
