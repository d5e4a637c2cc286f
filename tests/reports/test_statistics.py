"""Intervals, tests and power: against values by hand, against SciPy and rliable, and against what they claim."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest
import scipy.stats

import lists
from reports.statistics import (
    OVER,
    cost_interval,
    cost_of,
    holm,
    interquartile_mean,
    log_costs,
    middle_half,
    needed,
    p_value,
    paired_difference,
    power_curve,
    probability_of_beating,
    reachable,
    share_ahead,
)

INF = math.inf
# Workload x repeat.
A = np.array([
    [INF, 0.2, 0.4, 0.5, 0.4], [1.6, 1.7, 1.2, 0.1, 0.2], [0.7, 0.9, 1.2, 1.0, 0.6],
    [0.4, 1.4, 1.4, 0.1, 0.3], [0.9, 0.8, 1.7, 1.0, 0.8], [0.9, 1.3, 1.2, 0.4, 1.5],
])  # fmt: skip
B = np.array([
    [1.5, 1.9, 1.5, 0.6], [0.7, 1.3, 1.3, 1.4], [INF, INF, INF, INF],
    [0.2, 1.9, 1.8, 0.6], [0.3, 0.6, 0.1, 1.7], [1.3, 1.2, 0.5, 0.9],
])  # fmt: skip


def points(seed: int, shape: tuple[int, ...] = (3, 6, 5)) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0.1, 1.4, shape)
    return np.where(values > 1.1, INF, values)


# Numbers


def test_the_cost_is_that_of_lists_on_medians_over_repeats():
    values = points(0)
    expected = lists.cost(np.median(values, axis=2), 2.0)
    assert cost_of(values) == pytest.approx(expected, rel=1e-14)
    for over in OVER:
        assert cost_interval(values, over=over, resamples=100).value == pytest.approx(expected, rel=1e-14)


def test_a_difference_is_that_of_the_costs():
    a, b = points(0), points(1, (2, 6, 4))  # neither points nor repeats need agree
    found = paired_difference(a, b, resamples=100)
    assert found.ratio.value == pytest.approx(cost_of(a) / cost_of(b), rel=1e-14)
    assert found.difference.value == pytest.approx(cost_of(a) - cost_of(b), rel=1e-12)


def test_rliable_finds_the_same_interquartile_means_and_probability():
    # rliable 1.2.0 with arch 8.0.0 on min(f, 2), repeats x workloads: metrics.aggregate_iqm,
    # metrics.probability_of_improvement of the negatives; 20,000 and 3,000 resamples of get_interval_estimates.
    assert middle_half(A) == pytest.approx(0.8625, rel=1e-14)
    assert middle_half(B) == pytest.approx(1.2666666666666668, rel=1e-14)
    assert share_ahead(A, B) == pytest.approx(0.6166666666666666, rel=1e-14)
    # Both are percentiles of resamples; of 10,000 and 3,000 the 2.5 % ones scatter by less than .01, on a grid of .006.
    found = interquartile_mean(A, over="repeats")
    assert (found.low, found.high) == pytest.approx((0.65, 1.1125), abs=0.02)
    found = probability_of_beating(A, B, over="repeats")
    assert (found.low, found.high) == pytest.approx((0.475, 0.7583), abs=0.02)


def test_a_run_of_a_list_is_its_soonest_point_and_misses_are_even():
    # By hand: runs of A (.3, miss) and of B (.5, miss, 3 capped to a miss): ahead 3 of 6, even 2 of 6.
    a = np.array([[[0.3, INF]], [[0.9, INF]]])
    b = np.array([[[0.5, INF, 3.0]]])
    assert share_ahead(a, b) == pytest.approx(4 / 6)
    assert share_ahead(b, a) == pytest.approx(2 / 6)


@pytest.mark.parametrize("over", OVER)
def test_what_is_said_of_a_and_b_is_said_of_b_and_a(over):
    a, b = points(2), points(3)
    here, there = paired_difference(a, b, over=over), paired_difference(b, a, over=over)
    assert here.ratio.value == pytest.approx(1 / there.ratio.value)
    if (
        over == "workloads"
    ):  # the same resamples; of repeats others are drawn, since A's and B's are not paired
        assert here.ratio.low == pytest.approx(1 / there.ratio.high)
        assert here.share == pytest.approx(1 - there.share)
    beats, beaten = probability_of_beating(a, b, over=over), probability_of_beating(b, a, over=over)
    assert beats.value + beaten.value == pytest.approx(1)


# Resamples


def test_resamples_of_repeats_come_as_often_as_they_must():
    # All 27 ways to draw three repeats of three on each of two workloads, by hand.
    values = np.array([[0.2, 0.5, INF], [0.3, 0.4, 0.9]])
    means = [
        [np.log(min(np.median(row[list(rows)]), 2.0)) for rows in itertools.product(range(3), repeat=3)]
        for row in values
    ]
    exact = np.array([(x + y) / 2 for x in means[0] for y in means[1]])
    found = log_costs(values, over="repeats", resamples=40_000)
    error = exact.std() / math.sqrt(40_000)
    assert abs(found.mean() - exact.mean()) < 5 * error
    assert set(np.round(np.unique(found), 9)) == set(np.round(np.unique(exact), 9))
    shares = [(np.round(found, 9) == v).mean() for v in np.unique(np.round(exact, 9))]
    expected = [(np.round(exact, 9) == v).mean() for v in np.unique(np.round(exact, 9))]
    np.testing.assert_allclose(shares, expected, atol=5 * 0.5 / math.sqrt(40_000))


def test_more_repeats_than_can_be_listed_are_drawn():
    values = np.exp(np.random.default_rng(0).normal(size=(4, 30)))
    found = log_costs(values, over="repeats", penalty=1e9, resamples=4_000)
    # The standard error of a median of n normal draws is 1.2533 / sqrt(n), here of a mean of four; estimated by a
    # bootstrap of 30 draws to some 30 %.
    assert found.std() == pytest.approx(1.2533 / math.sqrt(30) / 2, rel=0.35)


def test_resamples_of_workloads_are_scipys():
    gaps = np.log(points(4, (9, 1)) / 2)
    gaps[~np.isfinite(gaps)] = 0.0
    ours = log_costs(np.exp(gaps), penalty=1e9, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (gaps[:, 0],), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    # A percentile p of n resamples scatters by sqrt(p (1 - p) / n) over the density there: .0011 / .06 sd here.
    low, high = np.quantile(ours, [0.025, 0.975])
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.1 * theirs.standard_error)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.1 * theirs.standard_error)


def test_contenders_are_paired_by_workload_and_not_by_repeat():
    # B is A at twice the fraction, so that resampled workloads never change their ratio; resampled repeats do.
    a = points(5, (6, 3))
    a[~np.isfinite(a)] = 1.0
    paired = paired_difference(a, 2 * a, penalty=10.0)
    assert paired.ratio.low == pytest.approx(0.5)
    assert paired.ratio.high == pytest.approx(0.5)
    assert paired_difference(a, 2 * a, penalty=10.0, over="repeats").ratio.high > 0.55


def test_one_seed_gives_one_answer():
    a, b = points(6), points(7)
    for over in OVER:
        same = [paired_difference(a, b, over=over, resamples=200, seed=3) for _ in range(2)]
        assert same[0] == same[1]
        assert paired_difference(a, b, over=over, resamples=200, seed=4) != same[0]


# What intervals and tests claim


def covered(over: str, workloads: int, repeats: int, experiments: int) -> float:
    """The share of experiments whose 90 % interval holds the truth; log fractions are normal, .5 and .3 wide."""
    generator = np.random.default_rng(1)
    held = 0
    for i in range(experiments):
        means = generator.normal(0, 0.5, workloads)
        values = np.exp(means[:, None] + generator.normal(0, 0.3, (workloads, repeats)))
        truth = math.exp(means.mean()) if over == "repeats" else 1.0
        found = cost_interval(values, penalty=1e9, over=over, confidence=0.9, resamples=500, seed=i)
        held += found.low <= truth <= found.high
    return held / experiments


@pytest.mark.parametrize(
    ("over", "workloads", "repeats", "least", "most"),
    [
        # Of 3,000 experiments .881 over 8 workloads, where plain percentile intervals hold .807; over repeats medians
        # of few make wider intervals.
        ("workloads", 8, 1, 0.88 - 0.05, 0.88 + 0.05),
        ("both", 8, 3, 0.9 - 0.05, 1.0),
        ("repeats", 8, 3, 0.9 - 0.05, 1.0),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(over, workloads, repeats, least, most):
    # 400 experiments at .88: a standard error of .016, three of which are .05.
    assert least <= covered(over, workloads, repeats, 400) <= most


def test_five_workloads_cannot_give_95_percent():
    assert reachable(5) < 0.95 < reachable(6)


@pytest.mark.parametrize("over", ["workloads", "repeats"])
def test_chance_is_called_a_difference_no_more_often_than_the_level(over):
    generator = np.random.default_rng(2)
    found = 0
    for i in range(150):
        means = generator.normal(0, 0.5, 8)
        a, b = (np.exp(means[:, None] + generator.normal(0, 0.3, (8, 3))) for _ in range(2))
        found += p_value(a, b, penalty=1e9, over=over, resamples=500, seed=i) <= 0.1
    assert found / 150 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 150)


def test_the_p_value_over_workloads_counts_all_signs():
    a, b = points(8, (6, 1)), points(9, (6, 1))
    gaps = (np.log(np.minimum(a, 2.0)) - np.log(np.minimum(b, 2.0)))[:, 0]
    shown = [abs(np.dot(signs, gaps)) for signs in itertools.product((1, -1), repeat=6)]
    expected = np.mean(np.array(shown) >= abs(gaps.sum()) - 1e-12)
    assert p_value(a, b) == pytest.approx(expected)


def test_the_p_value_over_repeats_agrees_with_the_interval():
    for seed in range(6):
        a, b = points(seed), 0.9 * points(seed + 20)
        found = paired_difference(a, b, over="repeats", confidence=0.9).ratio
        outside = not found.low <= 1 <= found.high
        p = p_value(a, b, over="repeats")
        assert outside == (p < 0.1) or p == pytest.approx(0.1, abs=0.01)


def test_equal_contenders_differ_by_nothing():
    a = points(10)
    for over in ("workloads", "repeats"):
        assert p_value(a, a, over=over) > 0.3 if over == "repeats" else p_value(a, a) == 1.0
    assert paired_difference(a, a).share == 0.5
    assert probability_of_beating(a, a).value == 0.5


def test_holm_is_that_of_r():
    # R 4: p.adjust(c(.01, .02, .03, .04, .05), "holm") and p.adjust(c(.04, .001, .5), "holm").
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.04, 0.001, 0.5]) == pytest.approx([0.08, 0.003, 0.5])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


def test_holm_keeps_the_family_at_its_level():
    # 2,000 families of ten true hypotheses: 4 standard errors of .05 are .02.
    families = np.random.default_rng(0).random((2000, 10))
    wrong = np.mean([(holm(family) <= 0.05).any() for family in families])
    assert abs(wrong - 0.05) < 0.02


# Power


def test_a_clear_difference_takes_as_many_workloads_as_the_test_can_speak_of():
    # Always the same sign: p is 2 in 2^n, so that 6 workloads are the fewest for .05 and 5 never find it.
    a = points(11, (6, 1))
    a[~np.isfinite(a)] = 1.0
    curve = power_curve(a, 1.2 * a, penalty=9.0, workloads=[5, 6, 20], experiments=50)
    assert curve["found"].to_list() == [0.0, 1.0, 1.0]
    assert needed(curve)["workloads"].to_list() == [6]


def test_power_is_that_of_the_t_test_where_that_holds():
    # Normal differences of mean .5 and deviation .8 in a large pool: 12 workloads, two-sided .05.
    generator = np.random.default_rng(0)
    gaps = generator.normal(-0.5, 0.8, (1500, 1))
    b = np.full_like(gaps, 1.0)
    curve = power_curve(np.exp(gaps), b, penalty=1e9, workloads=[12], experiments=1500)
    effect = abs(gaps.mean() / gaps.std()) * math.sqrt(12)
    t = scipy.stats.nct(11, effect)
    expected = 1 - t.cdf(scipy.stats.t.ppf(0.975, 11))
    # 4 standard errors of 1,500 experiments.
    assert curve["found"][0] == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 1500))
    assert curve["low"][0] < curve["found"][0] < curve["high"][0]


def test_more_repeats_find_what_fewer_do_not():
    generator = np.random.default_rng(3)
    a = np.exp(generator.normal(-0.15, 0.4, (8, 40)))
    b = np.exp(generator.normal(0.0, 0.4, (8, 40)))
    curve = power_curve(a, b, penalty=1e9, over="repeats", repeats=[3, 12], experiments=150)
    assert curve["found"][0] + 0.2 < curve["found"][1]
    assert curve["workloads"].to_list() == [8, 8]
    assert power_curve(b, a, penalty=1e9, over="repeats", repeats=[12], experiments=150)["found"][0] == 0.0


def test_needed_leaves_out_what_takes_more_of_both():
    curve = pl.DataFrame({
        "over": ["workloads"] * 5, "workloads": [8, 8, 8, 4, 16], "repeats": [1, 3, 5, 5, 1],
        "found": [0.9, 0.95, 1.0, 0.8, 1.0],
    })  # fmt: skip
    assert needed(curve).select("workloads", "repeats").rows() == [(8, 1), (4, 5)]
    assert needed(curve, 1.01).is_empty()


# What is refused

ONE = np.array([[0.5, 0.6]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cost_interval(ONE), "there is 1 workload; nothing over workloads can be said, use over='repeats'"),
        (lambda: cost_interval(ONE.T, over="repeats"), "there is 1 repeat"),
        (lambda: cost_interval(np.array([[np.nan], [1.0]])), "1 NaN entries; use inf"),
        (lambda: cost_interval(np.array([[0.0], [1.0]])), "has an entry of 0; must be positive"),
        (lambda: cost_interval(np.ones(3)), r"shape \(3,\); must be workload x repeat"),
        (lambda: cost_interval(np.ones((2, 0))), "every axis needs at least one entry"),
        (lambda: cost_interval(A, penalty=0.5), "penalty is 0.5"),
        (lambda: cost_interval(A, confidence=1.0), "confidence is 1; must lie between 0 and 1"),
        (lambda: cost_interval(A, confidence=0.99, resamples=100), "needs at least 200"),
        (lambda: cost_interval(A, over="seeds"), "over is 'seeds'; must be one of workloads, repeats, both"),
        (lambda: paired_difference(A, B[:4]), "4 and 6 workloads; must be the same ones"),
        (lambda: p_value(A, B, over="both"), "a test is over workloads or over repeats"),
        (lambda: power_curve(A, B, level=0.0), "level is 0"),
        (lambda: power_curve(A, B, workloads=[1]), "workloads holds 1; a test over workloads needs 2"),
        (lambda: power_curve(A, B, over="repeats", repeats=[1]), "repeats holds 1"),
        (lambda: power_curve(A, B, over="repeats", workloads=[8]), "leave out workloads"),
        (lambda: power_curve(A[:, :1], B[:, :1], repeats=[3]), "trained once"),
        (lambda: holm([0.5, 1.5]), "numbers from 0 to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
