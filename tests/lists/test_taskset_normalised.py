"""Normalised losses and lists by them: formulas by hand, greedy and exact against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lists

NAN, INF = math.nan, math.inf

# Steps of .05 make ties common, as real grids do.
COSTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 7), st.integers(1, 5)),
    elements=st.integers(0, 20).map(lambda k: k / 20),
)


def curves(*rows: list[float]) -> np.ndarray:
    """One repeat of each row."""
    return np.array(rows)[:, None, :]


def test_one_is_the_own_start_and_zero_the_lowest_of_any_point():
    # By hand: lowest 1; the first starts at 3, the second at 5, so 2 and 4 are what they can lose.
    found = lists.normalised_losses(curves([3.0, 2.0, 1.0], [5.0, 4.0, 2.0]))
    assert found[:, 0].tolist() == [[1.0, 0.5, 0.0], [1.0, 0.75, 0.25]]


def test_anchors_by_hand():
    losses = curves([3.0, 2.0, 1.0], [5.0, 4.0, 2.0])
    # One start for all: (3 + 5) / 2 = 4, so (loss - 1) / 3, clipped at 1.
    common = lists.normalised_losses(losses, "mean_initial")[:, 0]
    assert common == pytest.approx(np.array([[2 / 3, 1 / 3, 0.0], [1.0, 1.0, 1 / 3]]), rel=1e-15)
    # 95th percentile of the ends 1 and 2, interpolated: 1.95, so (loss - 1) / .95.
    late = lists.normalised_losses(losses, "final_95")[:, 0]
    assert late == pytest.approx(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]), rel=1e-15)


def test_summaries_by_hand():
    losses = curves([3.0, 1.0, 2.0])
    assert lists.point_costs(losses, summary="mean") == pytest.approx([(1 + 0 + 0.5) / 3], rel=1e-15)
    assert lists.point_costs(losses, summary="minimum").tolist() == [0.0]
    assert lists.point_costs(losses, summary="final").tolist() == [0.5]


def test_divergence_is_the_worst_before_averaging():
    # NaN, inf and huge losses count 1 each; the lowest is taken from finite losses alone.
    losses = curves([2.0, NAN, NAN], [2.0, INF, 5e34], [2.0, 0.0, 0.0])
    assert lists.point_costs(losses) == pytest.approx([1.0, 1.0, 1 / 3], rel=1e-15)


def test_a_diverged_replica_costs_its_share_alone():
    losses = np.array([[[2.0, 0.0], [2.0, NAN]]])
    assert lists.point_costs(losses).tolist() == [(0.5 + 1.0) / 2]


def test_a_run_without_a_finite_start_is_the_worst_everywhere():
    assert lists.normalised_losses(curves([NAN, 0.5], [1.0, 0.0]))[0, 0].tolist() == [1.0, 1.0]


def test_where_nobody_gets_below_the_start_only_the_start_is_zero():
    # Start and lowest are the same number, so there is no line between them.
    assert lists.normalised_losses(curves([1.0, 1.0, 2.0]))[0, 0].tolist() == [0.0, 0.0, 1.0]


def test_a_task_without_any_finite_loss_costs_everybody_one():
    assert lists.point_costs(curves([NAN, NAN], [INF, NAN])).tolist() == [1.0, 1.0]


def test_a_given_lowest_loss_compares_optimizers():
    losses = curves([2.0, 1.0])
    assert lists.point_costs(losses, lowest=0.0).tolist() == [0.75]
    # Clipped at the top alone.
    assert lists.normalised_losses(losses, lowest=1.5)[0, 0].tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchor": "start"}, "anchor is 'start'; must be one of initial, mean_initial, final_95"),
        ({"summary": "median"}, "summary is 'median'; must be one of mean, minimum, final"),
        ({"lowest": NAN}, "lowest is NaN"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        lists.point_costs(curves([1.0, 0.5]), **arguments)


@given(
    hnp.arrays(
        np.float64,
        (3, 2, 4),
        elements=st.floats(-10, 10) | st.sampled_from([NAN, INF, -INF, 1e34]),
    )
)
@settings(max_examples=60)
def test_normalised_losses_lie_between_zero_and_one(losses):
    for anchor in lists.ANCHORS:
        found = lists.normalised_losses(losses, anchor)
        assert np.isfinite(found).all()
        assert found.min() >= 0.0
        assert found.max() <= 1.0


def test_cost_of_a_list_is_the_mean_of_its_best_points():
    costs = np.array([[0.2, 1.0, 0.5], [0.6, 0.4, 0.5]])
    assert lists.normalised_cost(costs) == pytest.approx((0.2 + 0.4 + 0.5) / 3, rel=1e-15)
    assert lists.normalised_cost(costs[:0]) == 1.0


@given(COSTS)
@settings(max_examples=60)
def test_greedy_takes_the_best_next_point_and_gives_ties_to_the_lowest(costs):
    chosen = lists.greedy_normalised(costs, len(costs), ties="lowest-id")
    taken: list[int] = []
    for point, cost in zip(chosen.points, chosen.costs, strict=True):
        with_each = {
            p: float(np.mean(costs[[*taken, p]].min(axis=0))) for p in range(len(costs)) if p not in taken
        }
        best = min(with_each.values())
        assert point == min(p for p, value in with_each.items() if value <= best + 1e-12)
        assert cost == pytest.approx(best, abs=1e-12)
        taken.append(point)


@given(COSTS)
@settings(max_examples=60)
def test_greedy_cost_never_rises_along_the_list(costs):
    found = lists.greedy_normalised(costs, len(costs)).costs
    assert all(later <= earlier for earlier, later in itertools.pairwise(found))


@given(COSTS, st.integers(1, 3))
@settings(max_examples=60)
def test_exact_equals_brute_force_and_lies_between_floor_and_greedy(costs, size):
    size = min(size, len(costs))
    every = [
        float(costs[list(rows)].min(axis=0).mean())
        for rows in itertools.combinations(range(len(costs)), size)
    ]
    greedy, exact = lists.greedy_normalised(costs, size), lists.exact_normalised(costs, size)
    assert exact.costs[-1] == pytest.approx(min(every), abs=1e-12)
    assert lists.normalised_floor(costs, greedy)[-1] <= min(every) + 1e-12
    assert exact.costs[-1] <= greedy.costs[-1] + 1e-12
    if size == 1:
        assert greedy.points == exact.points


def test_a_list_of_1000_configs_and_1162_tasks_takes_seconds():
    # Not a bound on time, which a busy machine would fail, but on work: the sums of the list of 3 by hand.
    costs = np.random.default_rng(0).random((1000, 1162))
    chosen = lists.greedy_normalised(costs, 3)
    first = int(costs.mean(axis=1).argmin())
    second = int(np.minimum(costs, costs[first]).mean(axis=1).argmin())
    third = int(np.minimum(costs, costs[[first, second]].min(axis=0)).mean(axis=1).argmin())
    assert chosen.points == (first, second, third)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (np.array([[0.5, NAN]]), r"costs\[0, 1\] is nan; must be finite and at most 1"),
        (np.array([[1.5]]), r"costs\[0, 0\] is 1.5"),
        (np.zeros((2, 0)), "costs has no tasks"),
    ],
)
def test_costs_that_are_none_are_refused(costs, message):
    with pytest.raises(ValueError, match=message):
        lists.greedy_normalised(costs, 1)


def test_sizes_out_of_range_are_refused():
    with pytest.raises(ValueError, match="there are only 2 points"):
        lists.greedy_normalised(np.zeros((2, 3)), 3)
    with pytest.raises(ValueError, match="at most 16 workloads, not 17"):
        lists.exact_normalised(np.zeros((2, 17)), 1, ties="lowest-id")
