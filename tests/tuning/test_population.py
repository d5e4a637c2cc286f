"""The population engine against a plain loop, and its promises."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest

from tests.tuning.toy import sgd, toy_workload
from tuning import population as engine
from tuning.population import Population, stack, trial_seed
from workloads import Regularization

RATES = np.array([0.3, 0.1, 0.03])
SEEDS = np.array([11, 12, 13], np.uint32)
ORDER = np.array([7], np.uint32)


def train(rates=RATES, seeds=SEEDS, order=ORDER, shared=True, workload=None, **hyperparameters):
    population = Population(workload or toy_workload(), sgd, 24, 6, shared)
    return population.run({"learning_rate": rates, **hyperparameters}, seeds, order)


def plain_loop(workload, rate, seed, order_seed, steps=24, period=6):
    """One trial as a user would write it: a Python loop around Optax. Returns validation errors."""
    init_key, dropout_key = jax.random.split(jax.random.key(seed))
    params, state = workload.init(init_key)
    optimizer = sgd({"learning_rate": rate}, steps)
    opt_state = optimizer.init(params)
    train_split, validation = workload.data.splits["train"], workload.data.splits["validation"]
    examples = len(train_split["targets"])
    epochs = -(-steps * workload.batch_size // examples)
    rows = np.concatenate(
        [jax.random.permutation(k, examples) for k in jax.random.split(jax.random.key(order_seed), epochs)]
    )
    curve = []
    for step in range(steps):
        chosen = rows[step * workload.batch_size : (step + 1) * workload.batch_size]
        batch = {k: v[chosen] for k, v in train_split.items()}
        grads, _ = jax.grad(workload.loss, has_aux=True)(
            params, state, batch, jax.random.fold_in(dropout_key, step), True, Regularization()
        )
        updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        if (step + 1) % period == 0:
            sums = workload.metrics(params, state, validation, jax.random.key(0))
            curve.append(float(sums["mse"] / sums["examples"]))
    return curve


def test_every_trial_follows_the_plain_loop():
    workload = toy_workload()
    curves = train(workload=workload)
    for trial, (rate, seed) in enumerate(zip(RATES, SEEDS, strict=True)):
        expected = plain_loop(workload, rate, seed, int(ORDER[0]))
        # float32, 24 steps of sums over 8 and 30 terms in another order
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)
    assert curves.global_step.tolist() == [6, 12, 18, 24]


def test_own_batches_follow_the_plain_loop_too():
    workload = toy_workload()
    curves = train(workload=workload, order=np.array([1, 2, 3], np.uint32), shared=False)
    for trial, (rate, seed) in enumerate(zip(RATES, SEEDS, strict=True)):
        expected = plain_loop(workload, rate, seed, trial + 1)
        np.testing.assert_allclose(curves.metrics["validation/mse"][trial], expected, rtol=2e-4)


def test_the_same_seeds_give_the_same_numbers_bit_for_bit():
    first, second = train(), train()
    for name, values in first.metrics.items():
        np.testing.assert_array_equal(values, second.metrics[name])


def test_a_trial_does_not_depend_on_its_companions():
    together, alone = train(), train(RATES[1:2], SEEDS[1:2])
    # Another width may reorder sums: float32 eps times the number of steps and terms.
    np.testing.assert_allclose(
        together.metrics["validation/mse"][1], alone.metrics["validation/mse"][0], rtol=1e-4
    )


def test_new_points_and_seeds_compile_nothing():
    population = Population(toy_workload(), sgd, 24, 6)
    for shift in range(3):
        population.run(
            {"learning_rate": RATES * (1 + shift)}, SEEDS + np.uint32(shift), ORDER + np.uint32(shift)
        )
    assert population.compilations == 1
    population.run({"learning_rate": RATES[:2]}, SEEDS[:2], ORDER)
    assert population.compilations == 2


def test_a_diverging_trial_is_frozen_and_costs_the_others_nothing():
    healthy = train()
    mixed = train(np.array([0.3, 1e30, 0.03]))
    assert mixed.diverged_step[[0, 2]].tolist() == [-1, -1]
    assert 0 < mixed.diverged_step[1] < 24
    assert np.isnan(mixed.metrics["validation/mse"][1, -1])
    for trial in (0, 2):
        np.testing.assert_array_equal(
            mixed.metrics["validation/mse"][trial], healthy.metrics["validation/mse"][trial]
        )


def test_regularization_reaches_the_loss_as_an_array():
    without = train(dropout_rate=np.zeros(3))
    mixed = train(dropout_rate=np.array([0.0, 0.9, 0.0]))
    np.testing.assert_array_equal(without.metrics["train/mse"][0], mixed.metrics["train/mse"][0])
    assert not np.allclose(without.metrics["train/mse"][1], mixed.metrics["train/mse"][1], rtol=1e-3)


def test_evaluation_in_chunks_sums_to_the_whole(monkeypatch):
    whole = train()
    monkeypatch.setattr(engine, "EVAL_CHUNK", 7)  # 40, 30 and 20 examples: whole chunks and a rest
    chunked = train()
    for name, values in whole.metrics.items():
        np.testing.assert_allclose(chunked.metrics[name], values, rtol=1e-5)


def test_evaluation_period_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match=r"eval_period 30 must lie in 1\.\.24"):
        Population(toy_workload(), sgd, 24, 30)


def test_points_with_different_hyperparameters_are_refused():
    with pytest.raises(ValueError, match="points 0 and 1 have different hyperparameters"):
        stack([{"a": 1.0}, {"b": 1.0}])


def test_trial_seeds_are_fixed_by_what_they_belong_to():
    assert trial_seed(0, "w", "173", 0, "init") == trial_seed(0, "w", "173", 0, "init")
    assert len({trial_seed(0, "w", p, r, "init") for p in range(50) for r in range(5)}) == 250
    assert trial_seed("1", "11") != trial_seed("11", "1")
