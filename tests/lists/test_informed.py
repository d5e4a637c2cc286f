"""Informed lists: what a regression carries from one library to another, and what it may not do."""

from __future__ import annotations

import numpy as np
import pytest

import lists

INF = np.inf


def test_a_quadratic_is_carried_to_other_points():
    generator = np.random.default_rng(0)
    library, new = generator.uniform(-1, 1, (60, 2)), generator.uniform(-1, 1, (9, 2))
    truth = lambda x: 0.3 + (x[:, 0] - 0.2) ** 2 + 0.5 * x[:, 0] * x[:, 1]  # noqa: E731
    found = lists.expected_costs(library, truth(library), new)
    assert np.abs(found - truth(new)).max() < 0.01  # the least ridge there is, on 60 points


def test_noise_is_expected_to_cost_the_mean():
    generator = np.random.default_rng(1)
    costs = generator.normal(size=40)
    found = lists.expected_costs(generator.normal(size=(40, 3)), costs, generator.normal(size=(20, 3)))
    assert found.std() < 0.3 * costs.std()


def test_what_lies_outside_the_library_is_taken_as_its_edge():
    x = np.linspace(0, 1, 11)[:, None]
    far, edge = lists.expected_costs(x, x[:, 0] ** 2, np.array([[100.0], [1.0]]))
    assert far == edge


def test_a_prior_that_leave_one_out_does_not_like_changes_nothing():
    # Every workload has points of its own; the prior praises the one that trains nothing.
    values = np.array([[0.2, 0.2, 0.2, 0.2], [0.3, 0.3, 0.3, 0.3], [INF, INF, INF, INF]])
    prior = np.array([0.9, 0.5, 0.1])
    assert lists.informed(values, 2, prior=prior).points == lists.greedy(values, 2).points
    assert lists.informed(values, 2, prior=np.zeros(3)).points == lists.greedy(values, 2).points


def test_the_scale_of_a_prior_does_not_matter():
    generator = np.random.default_rng(2)
    values = np.where(generator.random((20, 6)) < 0.7, INF, generator.uniform(0.2, 1.0, (20, 6)))
    prior = generator.normal(size=20)
    one, other = (lists.informed(values, 4, prior=each) for each in (prior, 100 * prior - 7))
    assert one.points == other.points
    assert one.costs[-1] == pytest.approx(lists.cost(values[list(one.points)]), rel=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prior": np.array([0.0, INF])}, "one finite number each"),
        ({"prior": np.zeros(2), "weights": (1.0,)}, "a weight is 1; must be at least 0 and below 1"),
    ],
)
def test_wrong_priors_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        lists.informed(np.array([[0.5, 0.5], [0.6, INF]]), 1, **given)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="of each of 3 or more"):
        lists.expected_costs(np.zeros((2, 1)), np.zeros(2), np.zeros((1, 1)))
