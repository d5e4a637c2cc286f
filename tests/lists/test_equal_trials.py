"""What a list is worth in trials of random search."""

from __future__ import annotations

import numpy as np
import pytest

import lists


@pytest.fixture(scope="module")
def experiment():
    """Twelve tasks, thirty points, of which one does well everywhere."""
    costs = np.random.default_rng(1).uniform(0.3, 1.0, size=(30, 12))
    costs[4] = np.linspace(0.3, 0.5, 12)
    return lists.split_experiment(costs, (1, 3), seed=2), costs


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_search_of_so_many_trials_is_the_first_that_costs_no_more(experiment, size):
    split, costs = experiment
    found = lists.equal_trials(split, costs, size, draws=50)
    of_list = lists.held_out_costs(split, costs, size).mean()
    of_search = lists.expected_best(costs, np.arange(1, 31)).mean(axis=1)
    assert of_search[found.trials - 1] <= of_list < of_search[found.trials - 2]
    assert found.low <= found.trials <= found.high <= found.most == 30
    assert found.trials > size


def test_held_out_costs_are_those_of_lists_that_did_not_learn_from_the_task(experiment):
    split, costs = experiment
    task = 7
    each = [
        costs[list(chosen.points[:2]), task].min()
        for one, chosen in zip(split.splits, split.lists, strict=True)
        if task in one.test
    ]
    assert lists.held_out_costs(split, costs, 2)[task] == pytest.approx(np.mean(each), rel=1e-12)


def test_tasks_that_are_all_alike_leave_no_interval(experiment):
    _, costs = experiment
    alike = np.repeat(costs[:, :1], 6, axis=1)
    found = lists.equal_trials(lists.split_experiment(alike, (1,)), alike, 1, draws=50)
    assert (found.low, found.trials, found.high) == (30, 30, 30)  # the list is the best of all points


def test_a_search_may_be_of_other_points(experiment):
    split, costs = experiment
    worse = np.minimum(costs + 0.05, 1.0)
    own, other = (lists.equal_trials(split, costs, 3, search=of, draws=50) for of in (costs, worse))
    assert own == lists.equal_trials(split, costs, 3, draws=50)
    assert own.trials < other.trials
    few = lists.equal_trials(split, costs, 3, search=np.ones((7, 12)), draws=50)
    assert (few.low, few.trials, few.high, few.most) == (7, 7, 7, 7)  # none of the seven is as good
    with pytest.raises(ValueError, match="search has 11 tasks but judged 12; they must be the same"):
        lists.equal_trials(split, costs, 3, search=costs[:, 1:])


def test_what_cannot_be_said_is_refused(experiment):
    split, costs = experiment
    with pytest.raises(ValueError, match="size is 4; must be from 1 to 3, the longest list"):
        lists.equal_trials(split, costs, 4)
    with pytest.raises(ValueError, match="confidence is 1; must lie between 0 and 1"):
        lists.equal_trials(split, costs, 1, confidence=1.0)
