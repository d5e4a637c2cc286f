"""Ties, points that add nothing, and lists that stop before them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lists
from tests.lists.examples import INF, PENALTIES, V05_BASELINE, fractions_and_size

METHODS = pytest.mark.parametrize("method", lists.METHODS)
TIES = pytest.mark.parametrize("ties", lists.TIES)


def plain_merit(values, places=None):
    """The tie rule in plain Python; entries so coarse that no two costs differ by rounding alone."""

    def key(p):
        alone = sum(np.log(min(v, 2.0)) for v in sorted(values[p]))
        metric = 0.0 if places is None else round(float(np.mean(places[p])), 9)
        return -sum(v < INF for v in values[p]), round(float(alone), 9), metric, p

    return sorted(range(len(values)), key=key)


def test_a_tie_goes_to_the_point_that_reaches_more_then_costs_less_alone():
    # Row 4 covers both workloads. Then nothing adds: 2 reaches two, 3 and 1 one (3 sooner), 0 none.
    values = np.array([[INF, INF], [INF, 0.9], [0.8, 0.9], [INF, 0.5], [0.1, 0.1]])
    assert lists.greedy(values, 5).points == (4, 2, 3, 1, 0)
    assert lists.greedy(values, 5, ties="lowest-id").points == (4, 0, 1, 2, 3)


def test_among_points_that_reach_nothing_the_better_metric_decides_then_the_row():
    values = np.array([[INF], [INF], [INF], [0.5], [INF]])
    places = np.array([[5.0], [3.5], [2.0], [1.0], [3.5]])
    assert lists.greedy(values, 5, places=places).points == (3, 2, 1, 4, 0)
    assert lists.exact(values, 5, places=places).points == (3, 2, 1, 4, 0)


@given(fractions_and_size(), st.booleans(), st.data())
def test_once_nothing_adds_the_rest_stands_in_the_order_of_the_rule(case, with_places, data):
    values, size = case
    places = None
    if with_places:
        row = st.lists(st.sampled_from([1.0, 2.0]), min_size=len(values), max_size=len(values))
        places = np.array([data.draw(row) for _ in range(values.shape[1])]).T
    for method in lists.METHODS.values():
        chosen = method(values, size, 2.0, places=places)
        rest = [p for p in plain_merit(values, places) if p not in chosen.points[: chosen.adds]]
        assert list(chosen.points[chosen.adds :]) == rest[: size - chosen.adds]


@METHODS
@TIES
@given(case=fractions_and_size(), penalty=PENALTIES)
@settings(max_examples=40)
def test_points_that_add_are_those_that_lower_the_cost(method, ties, case, penalty):
    values, size = case
    chosen = lists.METHODS[method](values, size, penalty, ties=ties)
    assert chosen.adds is not None
    falls = [after < before * (1 - 1e-12) for before, after in itertools.pairwise((penalty, *chosen.costs))]
    assert falls == [True] * chosen.adds + [False] * (size - chosen.adds)
    assert chosen.covered().costs[-1] == pytest.approx(chosen.costs[-1], rel=1e-12)


@METHODS
def test_both_rules_cost_the_same_on_the_v05_baseline(method):
    by_rule = [lists.METHODS[method](V05_BASELINE, 5, 2.0, ties=ties) for ties in lists.TIES]
    assert by_rule[0].costs == pytest.approx(by_rule[1].costs, rel=1e-12)
    assert [one.adds for one in by_rule] == [4, 4]


def test_exact_lists_take_the_fewest_points_that_reach_the_optimum():
    # Rows 1 and 2 are enough; the lexicographically first optimal set {0, 1, 2} begins with the all-rounder.
    values = np.array([[0.3, 0.3], [0.1, 2.0], [2.0, 0.1]])
    chosen, named = lists.exact(values, 3), lists.exact(values, 3, ties="lowest-id")
    assert chosen.points == (1, 2, 0)
    assert (chosen.adds, named.adds) == (2, 3)


def test_left_out_lists_tell_what_was_learnt_from_what_the_tie_rule_filled_up():
    # The others of workload 0 have point 1 in common; 2 comes next for reaching 0, which nobody should know.
    values = np.array([[INF, INF, INF], [INF, 0.5, 0.5], [0.4, 0.9, INF]])
    left = lists.leave_one_out(values, 3)
    assert left.lists[0].points == (1, 2, 0)
    assert left.adds[0] == 1
    assert left.held_out[0].tolist() == [INF, 0.4, 0.4]
    assert left.held_out_by_adding[0].tolist() == [INF, INF, INF]
    assert left.unlearnt[0].tolist() == [False, True, True]
    assert (left.trained, left.trained_by_adding) == ((1, 3, 3), (1, 2, 2))


@METHODS
def test_left_out_lists_may_stop_when_covered(method):
    values = np.array([[INF, INF, INF], [INF, 0.5, 0.5], [0.4, 0.9, INF]])
    left = lists.leave_one_out(values, 3, method=method, stop_when_covered=True)
    assert [one.points for one in left.by_size[0]] == [(1,)] * 3
    assert left.held_out[0].tolist() == [INF] * 3
    assert left.trained == left.trained_by_adding == (1, 2, 2)


@given(case=fractions_and_size(min_workloads=2, max_points=6), data=st.data())
@settings(max_examples=60)
def test_ties_never_read_the_held_out_column_or_its_metrics(case, data):
    values, size = case
    w = data.draw(st.integers(0, values.shape[1] - 1))
    generator = np.random.default_rng(data.draw(st.integers(0, 9)))
    places = generator.integers(1, 3, values.shape).astype(float)
    changed, moved = values.copy(), places.copy()
    changed[:, w], moved[:, w] = 0.5, generator.permutation(len(values)) + 1.0
    before = lists.leave_one_out(values, size, places=places)
    after = lists.leave_one_out(changed, size, places=moved)
    assert after.by_size[w] == before.by_size[w]


def test_a_list_of_one_point_stays_where_nothing_adds_at_all():
    chosen = lists.greedy(np.full((3, 2), INF), 2)
    assert (chosen.points, chosen.adds) == ((0, 1), 0)
    assert chosen.covered().points == (0,)


@pytest.mark.parametrize("build", [lists.greedy_normalised, lists.exact_normalised])
def test_lists_from_curves_fill_up_with_the_lowest_mean_losses(build):
    costs = np.array([[1.0, 1.0], [0.9, 0.9], [0.3, 0.8], [0.1, 0.1]])
    assert build(costs, 4).points == (3, 2, 1, 0)
    assert build(costs, 4, ties="lowest-id").points == (3, 0, 1, 2)
    assert build(costs, 4).adds == 1


@METHODS
def test_an_unknown_rule_is_refused_with_the_known_ones(method):
    with pytest.raises(ValueError, match="ties is 'best'; must be one of merit, lowest-id"):
        lists.METHODS[method](np.ones((3, 2)), 2, 2.0, ties="best")


def test_costs_in_single_repeats_stand_beside_the_cost_of_the_medians():
    by_repeat = np.array([[[0.5, 0.5, INF]], [[0.8, 0.4, 0.2]]])
    assert lists.fractions_by_repeat(by_repeat).tolist() == [[0.5, 0.4, 0.2]]
    assert lists.costs_by_repeat(by_repeat[:1]).tolist() == pytest.approx([0.5, 0.5, 2.0], rel=1e-15)
