"""A population whose losers stop: the numbers of those that go on are what they would have been, and less is done."""

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


@pytest.fixture(scope="module")
def population(toy):
    """One for many tests, whose programs are compiled once."""
    return Population(toy, sgd, 24, 6, width=16, side_by_side=1)


def keys(trials=9, shared=True):
    seeds = jnp.arange(trials, dtype=jnp.uint32)
    return jax.device_get(keys_of_seeds(seeds, seeds[:1] + 7 if shared else seeds + 7))


def halved(steps, metrics, running):
    """Goes on: the best three after 6 steps, the best one after 12."""
    values = np.where(running, metrics[VALIDATION][:, -1], np.inf)
    keep = {6: 3, 12: 1}.get(int(steps[-1]), len(values))
    return np.isin(np.arange(len(values)), np.argsort(values, kind="stable")[:keep])


def assert_same_until_they_stopped(made, whole):
    np.testing.assert_array_equal(made.global_step, whole.global_step)
    assert made.metrics.keys() == whole.metrics.keys()
    for name, values in whole.metrics.items():
        for trial, count in enumerate(made.evaluations):
            np.testing.assert_allclose(
                made.metrics[name][trial, :count], values[trial, :count], rtol=ROUNDING
            )
            assert np.isnan(made.metrics[name][trial, count:]).all()


def test_whoever_goes_on_has_the_numbers_of_a_population_that_nobody_left(population):
    made = population.compete(RATES, keys(), halved, (3, 1))
    assert_same_until_they_stopped(made, population.train(RATES, keys()))
    assert sorted(made.evaluations) == [1] * 6 + [2] * 2 + [4]
    assert made.place_steps == 6 * (9 + 3 + 1 + 1)


def test_a_population_that_is_not_narrowed_has_the_same_numbers_and_saves_nothing(population):
    kept = population.compete(RATES, keys(), halved, ())
    assert_same_until_they_stopped(population.compete(RATES, keys(), halved, (3, 1)), kept)
    assert kept.place_steps == 24 * 9


def test_trials_of_several_programs_with_batches_of_their_own_are_gathered(toy):
    spread = Population(toy, sgd, 24, 6, False, Evaluation(at_start=True), width=2, side_by_side=2)
    made = spread.compete(RATES, keys(shared=False), halved, (3,))
    everybody = lambda steps, metrics, running: running  # noqa: E731
    assert_same_until_they_stopped(made, spread.compete(RATES, keys(shared=False), everybody, ()))
    assert made.place_steps == 6 * (10 + 4 + 4 + 4)  # 9 trials fill five programs of two, 3 fill two


def test_training_ends_when_nobody_is_left(population):
    made = population.compete(RATES, keys(), lambda steps, metrics, running: running & False, ())
    assert made.global_step.tolist() == [6]
    assert made.evaluations.tolist() == [1] * 9


def test_what_a_stopped_trial_would_have_become_is_not_recorded(population):
    rates = {
        "learning_rate": np.array([*[0.1] * 8, 30.0])
    }  # the last one leaves float32 after some ten steps
    stays = population.compete(rates, keys(), lambda steps, metrics, running: running, ())
    assert stays.diverged_step[8] > 6
    made = population.compete(rates, keys(), lambda steps, metrics, running: np.arange(9) < 8, ())
    assert made.diverged_step[8] == -1


def test_a_new_point_compiles_nothing(population):
    population.compete(RATES, keys(), halved, (3, 1))
    count = population.compilations
    population.compete({"learning_rate": RATES["learning_rate"] / 2}, keys(), halved, (3, 1))
    assert population.compilations == count


@pytest.mark.slow
def test_streamed_data_compete_as_resident_data_do(toy, population):
    streamed = Population(as_stream(toy), sgd, 24, 6, width=16, side_by_side=1)
    made = streamed.compete(RATES, keys(), halved, (3,))
    assert_same_until_they_stopped(made, population.train(RATES, keys()))
