"""A population whose losers stop: the numbers of those that go on are what they would have been, and less is trained."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tuning.test_streaming import as_stream
from tests.tuning.toy import sgd, toy_workload
from tuning.engine.population import Evaluation, Population, keys_of_seeds

RATES = {"learning_rate": np.geomspace(0.3, 0.001, 9)}
ROUNDING = 1e-5  # float32, sums over 8 examples in another order, 24 steps
VALIDATION = "validation/mse"


@pytest.fixture(scope="module")
def toy():
    return toy_workload()


def keys(trials=9, shared=True):
    seeds = jnp.arange(trials, dtype=jnp.uint32)
    return jax.device_get(keys_of_seeds(seeds, seeds[:1] + 7 if shared else seeds + 7))


def best_at(sizes):
    """Goes on: the best so many, at a step."""

    def goes_on(steps, metrics, running):
        values = np.where(running, metrics[VALIDATION][:, -1], np.inf)
        keep = sizes.get(int(steps[-1]), len(values))
        return np.isin(np.arange(len(values)), np.argsort(values, kind="stable")[:keep])

    return goes_on


def everybody(steps, metrics, running):
    return running


@pytest.mark.parametrize("width, side_by_side", [(16, 1), (2, 2), (1, 1)])
@pytest.mark.parametrize("shared", [True, False])
def test_whoever_goes_on_has_the_numbers_of_a_population_that_nobody_left(toy, shared, width, side_by_side):
    evaluation = Evaluation(at_start=True)
    population = Population(toy, sgd, 24, 6, shared, evaluation, width=width, side_by_side=side_by_side)
    whole = population.train(RATES, keys(shared=shared))
    made = population.compete(RATES, keys(shared=shared), best_at({6: 3, 12: 1}), (3, 1))
    np.testing.assert_array_equal(made.global_step, whole.global_step)
    assert sorted(made.evaluations) == [2] * 6 + [3] * 2 + [5]
    for name, values in whole.metrics.items():
        for trial, count in enumerate(made.evaluations):
            np.testing.assert_allclose(made.metrics[name][trial, :count], values[trial, :count], rtol=ROUNDING)
            assert np.isnan(made.metrics[name][trial, count:]).all()
    np.testing.assert_array_equal(made.diverged_step, whole.diverged_step)
    assert made.place_steps <= 6 * (10 + 4 + 2 + 2)  # places that fill up programs included, of 4 x 9 without stops


def test_a_narrowed_population_is_that_which_keeps_its_losers(toy):
    population = Population(toy, sgd, 24, 6)
    narrowed = population.compete(RATES, keys(), best_at({6: 3, 12: 1}), (3, 1))
    kept = population.compete(RATES, keys(), best_at({6: 3, 12: 1}), ())
    assert kept.place_steps > narrowed.place_steps
    np.testing.assert_array_equal(narrowed.evaluations, kept.evaluations)
    for name, values in kept.metrics.items():
        np.testing.assert_allclose(narrowed.metrics[name], values, rtol=ROUNDING)


def test_training_ends_when_nobody_is_left(toy):
    made = Population(toy, sgd, 24, 6).compete(RATES, keys(), lambda steps, metrics, running: running & False, (1,))
    assert made.global_step.tolist() == [6]
    assert made.evaluations.tolist() == [1] * 9


def test_what_a_stopped_trial_would_have_become_is_not_recorded(toy):
    rates = {"learning_rate": np.array([1e30, 0.1, 0.1])}  # the first one diverges with its second step
    population = Population(toy, sgd, 24, 6)
    made = population.compete(rates, keys(3), lambda steps, metrics, running: np.array([False, True, True]), ())
    assert (made.diverged_step >= 0).tolist() == [True, False, False]
    assert made.evaluations.tolist() == [1, 4, 4]


def test_widths_are_few_and_points_compile_nothing(toy):
    population = Population(toy, sgd, 24, 6, width=16, side_by_side=1)
    population.compete(RATES, keys(), best_at({6: 3, 12: 1}), (3, 1))
    count = population.compilations
    other = {"learning_rate": RATES["learning_rate"] / 2}
    population.compete(other, keys(), best_at({6: 3, 12: 1}), (3, 1))
    assert population.compilations == count


def test_streamed_data_compete_as_resident_data_do(toy):
    resident, streamed = (
        Population(workload, sgd, 24, 6).compete(RATES, keys(), best_at({6: 3, 12: 1}), (3, 1))
        for workload in (toy, as_stream(toy))
    )
    np.testing.assert_array_equal(streamed.evaluations, resident.evaluations)
    np.testing.assert_allclose(streamed.metrics[VALIDATION], resident.metrics[VALIDATION], rtol=ROUNDING)
