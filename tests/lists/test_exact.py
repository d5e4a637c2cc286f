"""Exact construction: the best of all sets of K points."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings

import lists
from tests.lists.examples import INF, PENALTIES, V05_BASELINE, fractions_and_size, plain_cost

ROUNDOFF = 1e-13  # sums of at most 10 logarithms in another order


def brute_force(values, size, penalty):
    """The lexicographically first of the sets with the lowest cost, and that cost."""
    costs = {
        rows: plain_cost(values[list(rows)].tolist(), penalty)
        for rows in itertools.combinations(range(len(values)), size)
    }
    lowest = min(costs.values())
    return next(rows for rows, cost in costs.items() if cost <= lowest * (1 + 1e-12)), lowest


def test_exact_leaves_out_the_all_rounder_that_greedy_cannot_get_rid_of():
    # By hand: greedy takes row 0 (cost .3) and then sqrt(.1 * .3); rows 1 and 2 together cost .1.
    values = np.array([[0.3, 0.3], [0.1, 2.0], [2.0, 0.1]])
    assert lists.exact(values, 1).points == (0,)
    chosen = lists.exact(values, 2)
    assert chosen.points == (1, 2)
    assert chosen.costs == pytest.approx((math.sqrt(0.1 * 2.0), 0.1), rel=1e-15)
    assert lists.greedy(values, 2).costs[-1] == pytest.approx(math.sqrt(0.03), rel=1e-15)


def test_exact_fills_up_by_the_tie_rule_where_fewer_points_suffice():
    # Row 3 alone is optimal; greedy, too, would go on with points that change nothing.
    values = np.array([[INF, 0.9], [0.9, INF], [0.9, 0.9], [0.1, 0.1], [0.5, 0.5]])
    for method in lists.METHODS.values():
        assert method(values, 3, 2.0).points == (3, 4, 2)
        assert method(values, 3, 2.0, ties="lowest-id").points == (3, 0, 1)
        assert method(values, 3, 2.0).adds == method(values, 3, 2.0, ties="lowest-id").adds == 1
    assert lists.exact(values, 3).costs == pytest.approx((0.1, 0.1, 0.1), rel=1e-15)


def test_exact_where_no_target_is_ever_reached_costs_the_penalty():
    chosen = lists.exact(np.full((4, 3), INF), 2)
    assert chosen.points == (0, 1)
    assert chosen.costs == pytest.approx((2.0, 2.0), rel=1e-15)


@given(fractions_and_size(), PENALTIES)
def test_exact_is_brute_force_ties_included(case, penalty):
    values, size = case
    chosen = lists.exact(values, size, penalty, ties="lowest-id")
    rows, lowest = brute_force(values, size, penalty)
    assert tuple(sorted(chosen.points)) == rows
    assert chosen.costs[-1] == pytest.approx(lowest, rel=ROUNDOFF)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("workloads", [8, 9, 10])  # up to 8 are tabled, more are halved
def test_exact_is_brute_force_on_many_workloads(workloads, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((12, workloads)) < 0.6, INF, rng.uniform(0.1, 1.0, (12, workloads)))
    for size in (2, 3, 4):
        chosen = lists.exact(values, size)
        rows, lowest = brute_force(values, size, 2.0)
        assert tuple(sorted(chosen.points)) == rows
        assert chosen.costs[-1] == pytest.approx(lowest, rel=ROUNDOFF)


@given(fractions_and_size(max_points=12, max_workloads=9), PENALTIES)
@settings(max_examples=50)
def test_exact_is_never_worse_than_greedy(case, penalty):
    values, size = case
    chosen = lists.exact(values, size, penalty)
    assert len(set(chosen.points)) == size
    assert chosen.costs[-1] <= lists.greedy(values, size, penalty).costs[-1] * (1 + 1e-12)
    assert chosen.costs[-1] == pytest.approx(lists.cost(values[list(chosen.points)], penalty), rel=ROUNDOFF)


@given(fractions_and_size(), PENALTIES)
def test_exact_reaches_the_optimum_with_the_fewest_points_and_fills_up_by_merit(case, penalty):
    values, size = case
    chosen = lists.exact(values, size, penalty)
    _, lowest = brute_force(values, size, penalty)
    assert chosen.costs[-1] == pytest.approx(lowest, rel=ROUNDOFF)
    fewest = 0
    while (brute_force(values, fewest, penalty)[1] if fewest else penalty) > lowest * (1 + 1e-12):
        fewest += 1
    assert chosen.adds == fewest
    rest = [p for p in by_merit(values, penalty) if p not in chosen.points[:fewest]]
    assert list(chosen.points[fewest:]) == rest[: size - fewest]


def by_merit(values, penalty):
    """More workloads, then a lower cost alone, then the row, in plain Python."""

    def key(p):
        return (
            -sum(math.isfinite(v) for v in values[p]),
            round(plain_cost([values[p].tolist()], penalty), 9),
            p,
        )

    return sorted(range(len(values)), key=key)


@given(fractions_and_size(), PENALTIES)
@settings(max_examples=50)
def test_the_order_within_the_best_set_is_greedys(case, penalty):
    values, size = case
    chosen = lists.exact(values, size, penalty, ties="lowest-id")
    rows = sorted(chosen.points)
    within = lists.greedy(values[rows], size, penalty, ties="lowest-id")
    assert chosen == lists.ChosenList(tuple(rows[i] for i in within.points), within.costs)


def test_exact_on_the_v05_baseline_equals_greedy_where_greedy_is_optimal():
    # Ten pairs, checked by brute force; with three points greedy's 4, 1, 2 is best as well.
    for size in range(1, 6):
        rows, lowest = brute_force(V05_BASELINE, size, 2.0)
        chosen = lists.exact(V05_BASELINE, size, ties="lowest-id")
        assert tuple(sorted(chosen.points)) == rows
        assert chosen.costs[-1] == pytest.approx(lowest, rel=ROUNDOFF)


def test_more_workloads_than_the_method_can_take_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"at most 16 workloads, not 17, with .* use the greedy method"):
        lists.exact(np.ones((3, 17)), 2, ties="lowest-id")
    with pytest.raises(ValueError, match="in 40020 cases; exact lists take at most 40000"):
        lists.exact(np.full((2001, 20), 0.5), 2)


@pytest.mark.parametrize("seed", range(2))
def test_exact_is_brute_force_on_more_workloads_than_sets_can_be_counted_for(seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((12, 24)) < 0.6, INF, rng.uniform(0.1, 1.0, (12, 24)))
    for size in (1, 3):
        chosen = lists.exact(values, size)
        rows, lowest = brute_force(values, size, 2.0)
        assert tuple(sorted(chosen.points)) == rows
        assert chosen.costs[-1] == pytest.approx(lowest, rel=ROUNDOFF)
    covered = np.concatenate([np.full((1, 24), 0.1), values])  # one point is enough, the tie rule adds others
    chosen = lists.exact(covered, 3)
    assert (chosen.points[0], chosen.adds, len(chosen.points)) == (0, 1, 3)
