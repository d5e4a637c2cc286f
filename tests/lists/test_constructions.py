"""Constructions beside greedy and exact: by hand, and what must not matter to any of them."""

from __future__ import annotations

import inspect
import typing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lists
from shortlist._list_commands import Construction
from tests.lists.examples import INF, V05_BASELINE, fractions_and_size, plain_cost

NAMES = tuple(lists.CONSTRUCTIONS)
OTHERS = tuple(name for name in NAMES if name not in lists.METHODS)
# Three repeats, all alike, for the construction that needs some.
WITH_REPEATS = {"cautious": lambda values: np.repeat(values[:, :, None], 3, axis=2)}

every = pytest.mark.parametrize("name", NAMES)
other = pytest.mark.parametrize("name", OTHERS)


def build(name, values, size, penalty=2.0, **how):
    repeats = WITH_REPEATS.get(name, lambda _: None)(values)
    return lists.construct(values, size, penalty, name, **{"by_repeat": repeats, **how})


def test_hedged_weighs_a_second_chance_against_another_workload():
    # Row 0 takes both workloads at .25, row 1 is its equal, row 2 takes the third at 1. log 2 = 1 unit: rows 0 and 1
    # are worth 3 units on two workloads each, row 2 one unit on one. With reliability r row 1 adds after row 0
    # r (1 - r) 6 units, row 2 adds r: row 1 where 6 (1 - r) > 1, that is r < 5/6.
    values = np.array([[0.25, 0.25, INF], [0.25, 0.25, INF], [INF, INF, 1.0]])
    hedged = lists.CONSTRUCTIONS["hedged"].build
    assert hedged(values, 2, reliability=0.8).points == (0, 1)
    assert hedged(values, 2, reliability=0.9).points == (0, 2)


def test_chances_fall_with_the_place_and_are_a_half_at_the_target():
    # Two of four reach it: 1 / (1 + (r / 2)^2) for r = 1, 2, 3, 4.
    values, places = np.array([[0.3], [0.4], [INF], [INF]]), np.array([[1.0], [2.0], [3.0], [4.0]])
    chances = lists.success_chances(values, places=places, reliability=0.5)[:, 0]
    assert chances == pytest.approx([0.4, 0.25, 0.5 * 4 / 13, 0.1], rel=1e-15)
    assert lists.success_chances(values, reliability=0.5)[:, 0].tolist() == [0.5, 0.5, 0.0, 0.0]


def test_a_near_miss_counts_more_than_a_failure():
    # Nothing covers the second workload; row 2 missed it by a place, row 1 came last.
    values = np.array([[0.5, INF], [INF, INF], [INF, INF], [INF, 0.5]])
    places = np.array([[1.0, 3.0], [3.0, 4.0], [3.0, 2.0], [3.0, 1.0]])
    points = lists.construct(values, 4, 2.0, "hedged", places=places).points
    assert points.index(2) < points.index(1)


def test_bagged_prefers_what_wins_on_most_resamplings():
    # Row 0 is best on average by its one workload, row 1 on every draw that has not that workload at least once
    # too often: 3 log .5 = -2.08 against log .04 + 2 log 2 = -1.83.
    values = np.array([[0.04, INF, INF], [0.5, 0.5, 0.5]])
    assert lists.greedy(values, 1).points == (1,)
    assert build("bagged", values, 1).points == (1,)


def test_bagged_reads_single_repeats():
    # Medians tie; in two thirds of the draws row 1 is better than row 0.
    by_repeat = np.array([[[0.5, 0.5, 0.9]], [[0.5, 0.1, 0.5]]])
    values = np.median(by_repeat, axis=2)
    assert lists.construct(values, 1, 2.0, "bagged", by_repeat=by_repeat).points == (1,)


def test_shrunk_at_its_ends_is_greedy_and_the_order_of_single_costs():
    values = np.array([[0.2, INF, INF], [0.3, 0.6, 0.6], [INF, 0.5, 0.5], [0.31, 0.61, 0.61]])
    shrunk = lists.CONSTRUCTIONS["shrunk"].build
    assert shrunk(values, 3, shrinkage=0.0) == lists.greedy(values, 3)
    assert shrunk(values, 4, shrinkage=1.0).points == (1, 3, 2, 0)


def test_shrunk_exact_without_shrinkage_costs_what_exact_does():
    values = np.array([[0.3, 0.3], [0.1, 2.0], [2.0, 0.1]])
    without = lists.CONSTRUCTIONS["shrunk-exact"].build(values, 2, shrinkage=0.0)
    assert without.costs[-1] == lists.exact(values, 2).costs[-1]


def test_cautious_takes_the_reliable_point():
    # Row 0: logs of .1, .1, 2: mean -1.304, standard error .999, bound -.305. Row 1: log .6 = -.511 for sure.
    by_repeat = np.array([[[0.1, 0.1, INF]], [[0.6, 0.6, 0.6]]])
    values = np.median(by_repeat, axis=2)
    assert lists.greedy(values, 1).points == (0,)
    assert lists.construct(values, 1, 2.0, "cautious", by_repeat=by_repeat).points == (1,)
    with pytest.raises(ValueError, match="nothing here was repeated"):
        lists.construct(values, 1, 2.0, "cautious")


def test_the_best_penalty_is_the_one_that_leave_one_out_likes():
    # Row 0 reaches three of four late, rows 1 and 2 two each early. Greedy at tau 2 begins with row 0 on all four; at
    # tau 1 a miss costs as much as the end of the budget, and row 1 leads.
    values = np.array([[0.9, 0.9, 0.9, INF], [0.5, 0.5, INF, INF], [INF, INF, 0.4, 0.4]])
    best = lists.CONSTRUCTIONS["best-penalty"].build
    assert best(values, 2, penalties=()) == lists.greedy(values, 2)
    tried = {best(values, 1, penalties=(1.0,)).points, best(values, 1, penalties=(5.0,)).points}
    assert tried <= {lists.greedy(values, 1, tau).points for tau in (1.0, 2.0, 5.0)}


def test_nested_is_greedy_where_there_is_nothing_to_choose_by():
    values = np.array([[0.5], [0.4], [INF]])
    assert build("nested", values, 2) == lists.greedy(values, 2)


@other
@given(case=fractions_and_size(min_workloads=2))
@settings(max_examples=15, deadline=None)
def test_costs_are_those_of_the_list_whatever_it_was_chosen_by(name, case):
    values, size = case
    chosen = build(name, values, size)
    assert len(set(chosen.points)) == size
    assert chosen.adds in range(size + 1)
    for k in range(1, size + 1):
        rows = values[list(chosen.points[:k])].tolist()
        assert chosen.costs[k - 1] == pytest.approx(plain_cost(rows, 2.0), rel=1e-12)


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "bagged"])  # it draws them by number
def test_the_order_of_workloads_does_not_matter(name):
    generator = np.random.default_rng(0)
    # No two entries alike, so that no ties hang on the order in which sums are taken.
    values = np.where(generator.random((9, 5)) < 0.4, generator.random((9, 5)), INF)
    order = [3, 0, 4, 2, 1]
    assert build(name, values[:, order], 4).points == build(name, values, 4).points


@other
def test_the_order_of_points_does_not_matter_where_none_tie(name):
    generator = np.random.default_rng(1)
    values = np.where(generator.random((9, 5)) < 0.4, generator.random((9, 5)), INF)
    values[:, 0] = generator.random(9)
    order = generator.permutation(9)
    moved = build(name, values[order], 4)
    assert tuple(int(order[p]) for p in moved.points) == build(name, values, 4).points


@other
def test_a_point_that_stands_there_twice_is_no_worse_and_never_before_its_first(name):
    # The double stands behind: ties give it the later place.
    chosen = build(name, np.concatenate([V05_BASELINE, V05_BASELINE]), 5)
    for point in chosen.points:
        if point >= 5:
            assert point - 5 in chosen.points[: chosen.points.index(point)]


@every
def test_leave_one_out_never_reads_the_workload_left_out(name):
    generator = np.random.default_rng(2)
    values = np.where(generator.random((8, 4)) < 0.5, generator.random((8, 4)), INF)
    places = values.argsort(axis=0).argsort(axis=0) + 1.0
    changed, moved = values.copy(), places.copy()
    changed[:, 1], moved[:, 1] = 0.5, generator.permutation(8) + 1.0

    def left_out(table, ranks):
        by_repeat = np.repeat(table[:, :, None], 2, axis=2)
        return lists.leave_one_out(table, 3, 2.0, name, places=ranks, by_repeat=by_repeat)

    assert left_out(changed, moved).by_size[1] == left_out(values, places).by_size[1]


@pytest.mark.parametrize(
    "name", ["greedy", "hedged", "bagged", "shrunk", "cautious"]
)  # nested asks for the length
def test_a_list_that_grows_begins_with_its_shorter_ones(name):
    assert build(name, V05_BASELINE, 2).points == build(name, V05_BASELINE, 4).points[:2]


@every
@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 6}, {"penalty": 0.5}, {"ties": "best"}])
def test_what_greedy_refuses_all_refuse(name, wrong):
    how = {"size": 2, "penalty": 2.0, **wrong}
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        build(name, V05_BASELINE, **how)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("hedged", {"reliability": 0.0}), ("shrunk", {"shrinkage": 1.5}), ("bagged", {"resamplings": 0})],
)
def test_a_parameter_out_of_range_is_named(name, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        lists.CONSTRUCTIONS[name].build(V05_BASELINE, 2, **wrong)


def test_an_unknown_construction_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="method is 'best'; must be one of greedy, exact, hedged"):
        lists.construct(V05_BASELINE, 2, 2.0, "best")


def test_the_commands_know_every_construction():
    named, _ = typing.get_args(Construction)
    assert typing.get_args(named) == NAMES


@every
def test_a_construction_takes_what_its_row_says(name):
    taken = inspect.signature(lists.CONSTRUCTIONS[name].build).parameters
    assert ("by_repeat" in taken) == lists.CONSTRUCTIONS[name].reads_repeats


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_with_certain_points_hedged_is_greedy(data):
    values, size = data.draw(fractions_and_size())
    certain = lists.CONSTRUCTIONS["hedged"].build(values, size, reliability=1.0)
    assert certain.points == lists.greedy(values, size).points
