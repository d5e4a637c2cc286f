"""Tuning curves of random search, their bands, and the budget that equals a list."""

from __future__ import annotations

import functools
import itertools
import math
import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opda.nonparametric import EmpiricalDistribution

from reports import bands
from reports.bands import (
    EqualBudget,
    equal_budget,
    median_of_best,
    metric_support,
    quartiles_of_best,
    tuning_curve,
)
from reports.calibration import probability, simultaneous_intervals
from reports.figures import figure_tuning_curve
from reports.simulated import CONFIDENCE, SEED, TAILS, simulated_intervals

# One size for most tests: a band is calibrated once per size, by simulation.
TRIALS = 12


@pytest.fixture(autouse=True)
def no_files(monkeypatch):
    """What is tested is the simulation, not what it left on this machine's disk."""
    monkeypatch.setattr("reports.band_files.cache_folder", lambda: None)


@pytest.mark.parametrize("minimize", [True, False])
def test_the_median_curve_is_the_median_of_the_best_of_n_draws(minimize):
    # All 4^n equally likely searches, by hand: the best value that at least half of them reach or beat.
    values = np.array([0.5, 0.1, 0.3, 0.2])
    sign = 1 if minimize else -1
    for n in (1, 2, 3, 4):
        best = sorted(min(sign * v for v in draw) for draw in itertools.product(values, repeat=n))
        expected = sign * best[math.ceil(len(best) / 2) - 1]
        if minimize:
            assert median_of_best(values, n, minimize=True) == expected
        else:
            # Of two middle values opda gives the lower one, which is the worse one here.
            assert median_of_best(values, n, minimize=False) in (expected, sign * best[len(best) // 2])


def test_misses_take_part_in_the_median_as_infinities():
    assert median_of_best(np.array([0.5, math.inf, math.inf]), 1, minimize=True) == math.inf
    assert (
        median_of_best(np.array([0.5, math.inf, math.inf]), 2, minimize=True) == 0.5
    )  # 5 of 9 draws hold it


@pytest.mark.parametrize("minimize", [True, False])
def test_the_band_encloses_the_curve_and_improves_with_trials(minimize):
    # Without the swap of opda's bands, lower and upper would be exchanged.
    values = np.random.default_rng(3).random(TRIALS)
    curve = tuning_curve(values, minimize=minimize, support=(0.0, 1.0))
    assert (curve["lower"] <= curve["median"]).all()
    assert (curve["median"] <= curve["upper"]).all()
    assert curve["lower"][0] < curve["upper"][0]
    for column in ("lower", "median", "upper"):
        assert curve[column].is_sorted(descending=minimize)


@given(st.lists(st.floats(0.0, 1.0, width=32), min_size=TRIALS, max_size=TRIALS))
@settings(max_examples=40, deadline=None)
def test_minimising_and_maximising_give_mirrored_bands(values):
    up = tuning_curve(np.array(values), minimize=True, support=(0.0, 1.0))
    down = tuning_curve(-np.array(values), minimize=False, support=(-1.0, 0.0))
    np.testing.assert_allclose(up["lower"], -down["upper"].to_numpy())
    np.testing.assert_allclose(up["upper"], -down["lower"].to_numpy())


def test_nan_is_refused_because_opda_would_sort_it_in_silently():
    with pytest.raises(ValueError, match=r"2 NaN entries; give a diverged trial the worst value \(inf\)"):
        tuning_curve(np.array([0.1, np.nan, np.nan]), minimize=True)


@pytest.mark.parametrize(
    ("values", "confidence", "message"),
    [([], 0.7, "at least one trial"), ([0.1], 0.0, "between 0 and 1"), ([0.1], 1.0, "between 0 and 1")],
)
def test_bad_input_is_one_clear_line(values, confidence, message):
    with pytest.raises(ValueError, match=message):
        tuning_curve(np.array(values, dtype=float), minimize=True, confidence=confidence)


def test_diverged_trials_count_as_the_worst_value_of_the_support():
    values = np.random.default_rng(0).random(TRIALS)
    values[:3] = np.inf
    curve = tuning_curve(values, minimize=True, support=(0.0, 1.0))
    assert np.isfinite(curve.to_numpy()).all()
    assert curve["upper"][0] == 1.0


def test_a_support_that_the_values_contradict_is_widened():
    # An accuracy in percent, say: the band must not fail, nor values be cut off.
    curve = tuning_curve(np.linspace(60, 90, TRIALS), minimize=False, support=metric_support("accuracy"))
    assert curve["median"][-1] == 90.0
    assert metric_support("unheard_of") == (-math.inf, math.inf)


def test_a_band_depends_on_nothing_that_was_computed_before():
    values = np.random.default_rng(1).random(TRIALS + 1)

    def curves(sizes: list[int]) -> dict[int, pl.DataFrame]:
        simulated_intervals.cache_clear()
        return {n: tuning_curve(values[:n], minimize=True, seed=5) for n in sizes}

    one, other = curves([TRIALS, TRIALS + 1]), curves([TRIALS + 1, TRIALS])
    for n, curve in one.items():
        assert curve.equals(other[n])


def test_the_band_covers_the_true_curve_at_its_nominal_rate():
    # Uniform draws: the median of the best of n is 1 - 2^(-1/n). The band is simultaneous over the
    # distribution function, hence covers the curve at least as often as it says: 70 %, less 4 standard
    # errors of 300 draws.
    rng = np.random.default_rng(0)
    truth = pl.Series(1 - 0.5 ** (1 / np.arange(1, TRIALS + 1)))
    covered = 0
    for _ in range(300):
        curve = tuning_curve(rng.random(TRIALS), minimize=True, support=(0.0, 1.0))
        covered += bool(((curve["lower"] <= truth) & (truth <= curve["upper"])).all())
    assert covered / 300 >= 0.7 - 4 * math.sqrt(0.7 * 0.3 / 300)


def curve_of(lower, median, upper) -> pl.DataFrame:
    return pl.DataFrame(
        {"trials": range(1, len(median) + 1), "lower": lower, "median": median, "upper": upper}
    )


def test_equal_budget_is_the_first_number_of_trials_at_or_past_the_result():
    curve = curve_of([0.3, 0.2, 0.1], [0.4, 0.3, 0.2], [0.6, 0.5, 0.4])
    assert equal_budget(curve, 0.3, minimize=True) == EqualBudget(trials=2, least=1, most=None, run=3)
    assert equal_budget(curve, 0.05, minimize=True) == EqualBudget(None, None, None, 3)
    assert equal_budget(curve, 0.9, minimize=True) == EqualBudget(1, 1, 1, 3)


def test_equal_budget_when_more_is_better():
    curve = curve_of([0.4, 0.5, 0.6], [0.6, 0.7, 0.8], [0.7, 0.8, 0.9])
    assert equal_budget(curve, 0.7, minimize=False) == EqualBudget(trials=2, least=1, most=None, run=3)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (EqualBudget(6, 3, 19, 40), "6 trials (3 to 19)"),
        (EqualBudget(28, 5, None, 40), "28 trials (5 to more than 40)"),
        (EqualBudget(None, 9, None, 40), "more than 40 trials (9 to more than 40)"),
        (EqualBudget(None, None, None, 40), "more than 40 trials"),
        (EqualBudget(1, 1, 1, 40), "1 trial"),
    ],
)
def test_budgets_read_well(budget, words):
    assert str(budget) == words


@given(result=st.floats(0.0, 1.0), seed=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_number_of_trials(result, seed):
    values = np.random.default_rng(seed).random(TRIALS)
    budget = equal_budget(tuning_curve(values, minimize=True, support=(0.0, 1.0)), result, minimize=True)
    least, trials, most = (math.inf if n is None else n for n in (budget.least, budget.trials, budget.most))
    assert least <= trials <= most


# Small searches, whose bands are opda's.


@functools.cache
def generator(seed: int, trials: int, confidence: float) -> np.random.Generator:
    """opda keeps what it simulated under the generator."""
    return np.random.default_rng([seed, trials, round(confidence * 1e9)])


def by_opda(values, minimize, confidence=0.7, support=(0.0, 1.0), seed=0) -> pl.DataFrame:
    """The whole curve by opda itself."""
    trials = np.arange(1, values.size + 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicates detected", category=RuntimeWarning)
        low, middle, high = EmpiricalDistribution.confidence_bands(
            values, confidence, a=support[0], b=support[1], method=bands.BAND_METHOD, n_jobs=1,
            generator=generator(seed, values.size, confidence),
        )  # fmt: skip
    return curve_of(
        *(each.quantile_tuning_curve(trials, q=0.5, minimize=minimize) for each in (high, middle, low))
    )


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize(
    ("trials", "confidence", "seed"), [(1, 0.7, 0), (TRIALS, 0.7, 0), (20, 0.7, 0), (TRIALS, 0.9, 0), (TRIALS, 0.7, 5)]
)  # fmt: skip
def test_a_curve_and_its_band_are_those_of_opda(trials, confidence, seed, minimize):
    # 12 and 20 values: opda's rounding decides which is the median of a single trial.
    values = np.random.default_rng(1).random(trials)
    values[: trials // 4] = 1.0 if minimize else 0.0  # diverged
    for support in ((0.0, 1.0), (-math.inf, math.inf)):
        found = tuning_curve(values, minimize=minimize, confidence=confidence, support=support, seed=seed)
        assert found.equals(by_opda(values, minimize, confidence, support, seed))


@given(
    st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.inf)), min_size=1, max_size=60), st.integers(1, 60)
)
@settings(max_examples=60, deadline=None)
def test_the_best_of_a_few_trials_is_that_of_opda(values, trials):
    values = np.array(values)
    for minimize in (True, False):
        opda = EmpiricalDistribution(values)
        by_quartile = [opda.quantile_tuning_curve(trials, q=q, minimize=minimize) for q in (0.25, 0.5, 0.75)]
        low, high = quartiles_of_best(values, trials, minimize=minimize)
        assert [low, median_of_best(values, trials, minimize=minimize), high] == by_quartile


def written_down_intervals_are_those_of_opda(sizes):
    for n in sizes:
        written, _ = simulated_intervals(n, CONFIDENCE, SEED)
        values = np.arange(n, dtype=float)
        below, _, above = EmpiricalDistribution.confidence_bands(
            values,
            CONFIDENCE,
            a=-1.0,
            method=bands.BAND_METHOD,
            n_jobs=1,
            generator=generator(SEED, n, CONFIDENCE),
        )
        # opda sums up the differences of the ends; NumPy's or SciPy's next release may round a little elsewhere.
        np.testing.assert_allclose(written, below.cdf(values), rtol=1e-9)
        np.testing.assert_allclose(1 - written[::-1], above.cdf(values - 1), rtol=1e-9)


def test_intervals_that_are_written_down_are_those_of_opda():
    written_down_intervals_are_those_of_opda([2, 7, 40])


@pytest.mark.slow
def test_all_intervals_that_are_written_down_are_those_of_opda():
    assert len(TAILS) == bands.MOST_SIMULATED
    written_down_intervals_are_those_of_opda(range(1, len(TAILS) + 1))


def test_the_defaults_of_a_report_wait_for_no_simulation():
    program = (
        "import sys, numpy; from reports.bands import tuning_curve\n"
        "tuning_curve(numpy.linspace(0, 1, 40), minimize=True)\n"
        "sys.exit(bool({'opda', 'scipy.stats'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Large searches, whose bands are calculated.


def test_the_probability_of_intervals_is_that_of_small_cases_by_hand():
    # Two draws, the smaller below a half and the larger above it: one on each side.
    assert probability(np.array([0.0, 0.5]), np.array([0.5, 1.0])) == pytest.approx(0.5, rel=1e-12)
    # All of n draws in [a, b]: (b - a)^n.
    assert probability(np.full(5, 0.2), np.full(5, 0.9)) == pytest.approx(0.7**5, rel=1e-12)
    # The larger of two draws below a half, and anything else: a quarter.
    assert probability(np.zeros(2), np.array([0.5, 0.5])) == pytest.approx(0.25, rel=1e-12)
    assert probability(np.array([0.5, 0.6]), np.array([0.55, 0.5])) == 0.0


def test_the_probability_of_intervals_is_that_of_simulated_draws():
    low, high = simultaneous_intervals(150, 0.7)
    draws = np.sort(np.random.default_rng(0).random((4000, 150)), axis=1)
    held = ((low <= draws) & (draws <= high)).all(axis=1).mean()
    assert abs(held - 0.7) < 4 * math.sqrt(0.7 * 0.3 / 4000)  # four standard errors


@pytest.mark.parametrize("confidence", [0.5, 0.7, 0.95])
def test_calculated_intervals_are_those_that_opda_simulates(confidence, monkeypatch):
    # opda's error of 1 - confidence is within 3 % for confidences up to .95 (its own comment, 99.9 %); the tails of 40
    # intervals then differ by less, the ends by less still.
    values = np.sort(np.random.default_rng(0).random(40))
    simulated = tuning_curve(values, minimize=True, confidence=confidence, support=(0.0, 1.0))
    monkeypatch.setattr(bands, "MOST_SIMULATED", 0)
    calculated = tuning_curve(values, minimize=True, confidence=confidence, support=(0.0, 1.0))
    # A curve moves by whole values: where a quantile lies at the edge of a step it may take the next.
    ranks = {column: np.searchsorted([0.0, *values, 1.0], simulated[column]) for column in ("lower", "upper")}
    for column, expected in ranks.items():
        found = np.searchsorted([0.0, *values, 1.0], calculated[column])
        assert abs(found - expected).max() <= 1, column
        assert (found != expected).sum() <= 2, column


@pytest.mark.parametrize("minimize", [True, False])
def test_a_large_search_keeps_the_order_of_its_band(minimize):
    values = np.random.default_rng(3).random(3000)
    values[:50] = np.inf if minimize else -np.inf
    curve = tuning_curve(values, minimize=minimize, support=(0.0, 1.0))
    assert curve.height == 3000
    for lower, upper in (("lower", "median"), ("median", "upper")):
        assert (curve[lower] <= curve[upper]).all()
    for column in ("lower", "median", "upper"):
        assert curve[column].is_sorted(descending=minimize)
    # opda's own curve, at a number of trials where no quantile lies on a step.
    assert curve["median"][6] == median_of_best(np.clip(values, 0, 1), 7, minimize=minimize)


def test_a_long_curve_is_drawn_with_few_points():
    curve = tuning_curve(np.random.default_rng(3).random(3000), minimize=True, support=(0.0, 1.0))
    figure = figure_tuning_curve(curve)
    (line,) = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) > 2]  # type: ignore[arg-type]
    drawn = np.asarray(line.get_xdata()).astype(int)
    assert len(drawn) <= 500
    assert (drawn[0], drawn[-1]) == (1, 3000)
    # On the curve itself, and dense on a logarithmic axis.
    assert np.asarray(line.get_ydata()).tolist() == curve["median"].gather(drawn - 1).to_list()
    assert (np.diff(drawn) <= 1 + 0.02 * drawn[:-1]).all()
