"""Greedy construction: Algorithm 1 of Medapati et al. 2025."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lists
from tests.lists.examples import (
    INF,
    PENALTIES,
    V05_BASELINE,
    V05_TOLERANCE,
    fractions_and_size,
    plain_cost,
)


def algorithm_1(values, size, penalty):
    """The paper's pseudocode with ties to the lowest row, from whole lists every time."""
    chosen = []
    for _ in range(size):
        rest = [p for p in range(len(values)) if p not in chosen]
        costs = [plain_cost(values[[*chosen, p]].tolist(), penalty) for p in rest]
        chosen.append(next(p for p, c in zip(rest, costs, strict=True) if c <= min(costs) * (1 + 1e-12)))
    return tuple(chosen)


def test_greedy_gives_ties_to_the_lowest_index():
    # By hand, tau = 2: each point alone costs sqrt(.5 * 2) = 1, so point 0 wins; then 2 gives sqrt(.5 * .5).
    fractions = np.array([[0.5, INF], [0.5, INF], [INF, 0.5]])
    chosen = lists.greedy(fractions, size=2, penalty=2.0)
    assert chosen.points == (0, 2)
    assert chosen.costs == pytest.approx((1.0, 0.5), rel=1e-15)


def test_ties_survive_another_order_of_the_same_factors():
    # Equal products whose sums of logarithms round differently: every rotation of a row is a tie.
    row = np.random.default_rng(0).uniform(0.01, 1, size=97)
    values = np.stack([np.roll(row, shift) for shift in range(40)])
    sums = {float(np.log(rotated).sum()) for rotated in values}
    assert len(sums) > 1, "the case must have roundoff to be a test"
    assert lists.greedy(values, size=1).points == (0,)


def test_greedy_builds_the_known_list_of_the_v05_baseline():
    chosen = lists.greedy(V05_BASELINE, size=5, ties="lowest-id")
    assert chosen.points == (4, 1, 2, 0, 3)
    expected = (0.9265654839, 0.7342314313, 0.7208936280, 0.7204941296, 0.7204941296)
    assert chosen.costs == pytest.approx(expected, abs=V05_TOLERANCE)


def test_single_points_of_the_v05_baseline_cost_what_the_logs_say():
    costs = [lists.cost(row[np.newaxis]) for row in V05_BASELINE]
    expected = [1.0458747892, 1.3974132861, 1.2530297088, 1.3043295651, 0.9265654839]
    # Logarithms of numbers above 1 add up as well: half a unit of the tenth decimal per factor.
    assert costs == pytest.approx(expected, abs=2 * V05_TOLERANCE)


@given(fractions_and_size(), PENALTIES)
def test_greedy_is_algorithm_1(case, penalty):
    values, size = case
    assert lists.greedy(values, size, penalty, ties="lowest-id").points == algorithm_1(values, size, penalty)


@given(fractions_and_size(max_points=12, max_workloads=9), PENALTIES)
def test_cost_never_rises_along_the_list(case, penalty):
    values, size = case
    costs = lists.greedy(values, size, penalty).costs
    assert all(later <= earlier for earlier, later in itertools.pairwise(costs))


@given(fractions_and_size(max_points=12, max_workloads=9), PENALTIES, st.data())
def test_a_shorter_list_is_the_beginning_of_a_longer_one(case, penalty, data):
    values, size = case
    shorter = data.draw(st.integers(1, size))
    whole, begun = lists.greedy(values, size, penalty), lists.greedy(values, shorter, penalty)
    assert begun == lists.ChosenList(whole.points[:shorter], whole.costs[:shorter])


@given(fractions_and_size(max_points=12, max_workloads=9), PENALTIES)
def test_each_cost_is_the_cost_of_the_points_so_far(case, penalty):
    values, size = case
    chosen = lists.greedy(values, size, penalty)
    assert len(set(chosen.points)) == size
    for k in range(1, size + 1):
        expected = lists.cost(values[list(chosen.points[:k])], penalty)
        assert chosen.costs[k - 1] == pytest.approx(expected, rel=1e-14)  # a few units of roundoff


def test_the_input_is_left_alone():
    values = np.array([[0.5, INF], [INF, 0.5]])
    before = values.copy()
    lists.greedy(values, 2)
    lists.exact(values, 2)
    lists.leave_one_out(values, 2)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("method", lists.METHODS)
@pytest.mark.parametrize(
    ("size", "message"),
    [(0, "size is 0; a list needs at least 1"), (4, "size is 4 but there are only 3 points; ask for 3")],
)
def test_a_size_that_no_list_can_have_is_refused(method, size, message):
    with pytest.raises(ValueError, match=message):
        lists.METHODS[method](np.ones((3, 2)), size, 2.0)
