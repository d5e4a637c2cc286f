"""Points of several sets of optimizers as one set to choose from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import lists

RANDOM = np.random.default_rng(0)


def of_set(name, points, costs=("mean", "final")):
    tables = {cost: RANDOM.uniform(size=(points, 4)) for cost in costs}
    names = tuple(f"{name}{i}" for i in range(points))
    return lists.TaskCosts(
        name, names, ("t", "u", "v", "w"), tables, RANDOM.uniform(size=(points, 4)), "test"
    )


def test_all_points_are_there_in_order_with_the_costs_that_all_have():
    a, b = of_set("a", 3, ("mean", "final", "minimum")), of_set("b", 2)
    both = lists.together([a, b])
    assert both.optimizer_set == "a + b"
    assert both.points == (*a.points, *b.points)
    assert both.tasks == a.tasks
    assert set(both.choosing) == {"mean", "final"}
    assert (both.costs == np.concatenate([a.costs, b.costs])).all()
    assert (both.judging == np.concatenate([a.judging, b.judging])).all()
    # So a list of both costs no more than one of either.
    one, either = (lists.greedy_normalised(of.costs, 1).costs[0] for of in (both, a))
    assert one <= either


@pytest.mark.parametrize("other", [{"tasks": ("t", "u", "v", "x")}, {"judging_split": "valid_outer"}])
def test_sets_of_other_tasks_or_splits_are_refused(other):
    a, b = of_set("a", 3), dataclasses.replace(of_set("b", 2), **other)
    with pytest.raises(ValueError, match="b was not run on the tasks of a, or not judged on the same split"):
        lists.together([a, b])
    with pytest.raises(ValueError, match="no sets; give at least one"):
        lists.together([])
