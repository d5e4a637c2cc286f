"""Fractions and the cost C_tau."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import lists
import results
from tests.lists.examples import INF, PENALTIES, fractions, plain_cost

# Step fractions as printed in Medapati et al. 2025, Tables 5, 7 and 9, and their costs at tau = 2.
PAPER_ROWS = {
    "leave one out": ((0.73889, 0.12968, 0.93967, 0.92967, 0.83, 0.79, 0.54, INF), 0.702442),
    "sweep, decay .5": ((0.83874, INF, INF, INF, INF, INF, 0.72, INF), 1.579038),
    "sweep, decay 1e-4": ((0.71892, INF, INF, INF, INF, INF, INF, 0.69983), 1.543411),
    "Vizier, 5": ((INF, INF, 0.979653, INF, INF, INF, INF, 0.999752), 1.677425),
    "Vizier, 10": ((INF, INF, 0.979653, INF, INF, INF, 0.94, 0.999752), 1.526354),
    "Metz et al.": ((INF,) * 8, 2.0),
    "final list, variants": ((0.71892, 0.119705, 0.839703, INF, 0.72, 0.7, 0.3, 0.619847), 0.584081),
    "final list, base": ((0.75886, INF, 0.949664, 0.809714, 0.82, 0.79, 0.58, 0.659837), 0.856396),
}


@pytest.mark.parametrize("name", PAPER_ROWS)
def test_cost_of_the_papers_rows(name):
    row, expected = PAPER_ROWS[name]
    assert lists.cost(np.array([row])) == pytest.approx(expected, abs=5e-7)  # six decimals


def test_cost_takes_the_fastest_point_of_each_workload_and_caps_late_hits():
    # min over rows: (.5, .9, 2.5 -> 2); cube root of .5 * .9 * 2.
    values = np.array([[0.5, INF, 2.5], [0.8, 0.9, INF]])
    assert lists.cost(values, penalty=2.0) == pytest.approx(0.9 ** (1 / 3), rel=1e-15)


def test_the_empty_list_costs_the_penalty():
    assert lists.cost(np.empty((0, 3)), penalty=1.5) == pytest.approx(1.5, rel=1e-15)


def test_at_penalty_one_a_miss_costs_as_much_as_the_whole_budget():
    assert lists.cost(np.array([[INF, 1.0, 3.0]]), penalty=1.0) == 1.0


@given(fractions(), PENALTIES)
def test_cost_equals_the_papers_product(values, penalty):
    # 4 logarithms, a mean and an exponential: a few units of roundoff, 2e-16 each.
    assert lists.cost(values, penalty) == pytest.approx(plain_cost(values.tolist(), penalty), rel=1e-14)


@pytest.mark.parametrize("penalty", [0.99, 0.0, -2.0, INF, float("nan")])
def test_a_penalty_below_one_or_not_finite_is_refused(penalty):
    with pytest.raises(ValueError, match=r"penalty is .*; must be finite and at least 1"):
        lists.cost(np.array([[0.5]]), penalty)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (float("nan"), "values has 1 NaN entries, the first at point 1, workload 0; use inf"),
        (0.0, r"values\[1, 0\] is 0; must be positive"),
        (-0.5, r"values\[1, 0\] is -0.5; must be positive"),
        (-INF, r"values\[1, 0\] is -inf; must be positive"),
    ],
)
def test_what_cannot_be_a_fraction_is_refused_with_its_place(entry, message):
    values = np.array([[0.5, 0.5], [entry, 0.5]])
    for function in (
        lists.cost,
        lambda v: lists.greedy(v, 1),
        lambda v: lists.exact(v, 1),
        lists.trains_others,
    ):
        with pytest.raises(ValueError, match=message):
            function(values)
    with pytest.raises(ValueError, match=message):
        results.Fractions(("a", "b"), ("v", "w"), values)


def test_step_fractions_divide_each_workload_by_its_own_budget():
    fractions = results.step_fractions(np.array([[50.0, INF], [120.0, 30.0]]), np.array([100.0, 60.0]))
    assert fractions.tolist() == [[0.5, INF], [1.2, 0.5]]


@pytest.mark.parametrize(
    ("first_hit", "budget", "message"),
    [
        ([[float("nan")]], [100.0], "first_hit has 1 NaN entries"),
        ([[0.0]], [100.0], r"first_hit\[0, 0\] is 0; must be positive"),
        ([[5.0]], [0.0], r"budget\[0\] is 0; must be positive and finite"),
        ([[5.0]], [INF], r"budget\[0\] is inf; must be positive and finite"),
    ],
)
def test_step_fractions_refuse_what_is_no_step_and_no_budget(first_hit, budget, message):
    with pytest.raises(ValueError, match=message):
        results.step_fractions(np.array(first_hit), np.array(budget))


@pytest.mark.parametrize(
    ("points", "workloads", "message"),
    [
        (("a",), ("v", "w"), "values has 2 points but 1 names were given"),
        (("a", "b"), ("v",), "values has 2 workloads but 1 names were given"),
        (("a", "a"), ("v", "w"), "points holds a more than once"),
        (("a", "b"), ("w", "w"), "workloads holds w more than once"),
    ],
)
def test_fractions_refuse_names_that_do_not_fit(points, workloads, message):
    with pytest.raises(ValueError, match=message):
        results.Fractions(points, workloads, np.ones((2, 2)))


def test_fractions_keep_a_copy_that_nobody_can_change():
    values = np.array([[0.5, 0.6]])
    kept = results.Fractions(("a",), ("v", "w"), values)
    values[0, 0] = 9.0
    assert kept.values[0, 0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        kept.values[0, 0] = 9.0
