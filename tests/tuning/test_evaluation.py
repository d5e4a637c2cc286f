"""Evaluation on fresh minibatches and at the start, against NumPy on the rows that the keys give."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tuning.toy import sgd, toy_workload
from tuning.engine.population import Evaluation, Population
from workloads import GeneratedData, Provenance

RATES = np.array([0.0, 0.1])
SEEDS = np.array([11, 12], np.uint32)
BATCHES = 3


@pytest.fixture(scope="module")
def workload():
    return toy_workload()


@pytest.fixture(scope="module")
def population(workload):
    return Population(workload, sgd, 12, 4, evaluation=Evaluation(BATCHES, at_start=True))


@pytest.fixture(scope="module")
def curves(population):
    return population.run({"learning_rate": RATES}, SEEDS, np.array([7], np.uint32))


def rows(role: int, number: int, examples: int, seed: int = 7) -> np.ndarray:
    """The documented draw: batch seed -> stream of evaluations -> number -> (role, batch) -> rows."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), 0xFFFFFFFF), number)
    keys = jax.random.split(key, 3 * BATCHES).reshape(3, BATCHES)[role]
    drawn = [jax.random.split(jax.random.split(key)[0])[0] for key in keys]
    return np.array([jax.random.randint(key, (8,), 0, examples) for key in drawn])


def expected(workload, seed: int, role: int, split: str, number: int) -> float:
    """Mean squared error of the initial parameters over the drawn rows, in float64."""
    params = jax.tree.map(np.float64, workload.init(jax.random.split(jax.random.key(seed))[0])[0])
    data = workload.data.splits[split]
    errors = data["inputs"].astype(np.float64) @ params["w"] + params["b"] - data["targets"]
    return float(np.mean(errors[rows(role, number, len(errors))] ** 2))


def test_every_split_is_evaluated_on_fresh_minibatches_of_its_own(workload, curves):
    # Trial 0 does not move: learning rate 0. float32 eps times 8 * 3 terms.
    for role, split in enumerate(("train", "validation", "test")):
        errors = [expected(workload, 11, role, split, number) for number in range(4)]
        np.testing.assert_allclose(curves.metrics[f"{split}/mse"][0], errors, rtol=1e-5)
        assert len(set(errors)) == 4


def test_the_curve_starts_with_the_initial_parameters(workload, curves):
    assert curves.global_step.tolist() == [0, 4, 8, 12]
    for trial, seed in enumerate(SEEDS):
        np.testing.assert_allclose(
            curves.metrics["validation/mse"][trial, 0],
            expected(workload, int(seed), 1, "validation", 0),
            rtol=1e-5,
        )
    assert curves.metrics["train/mse"][1, -1] < curves.metrics["train/mse"][1, 0]


def test_evaluating_at_the_start_changes_nothing_after_it(workload, curves):
    without = Population(workload, sgd, 12, 4, evaluation=Evaluation(BATCHES))
    later = without.run({"learning_rate": RATES}, SEEDS, np.array([7], np.uint32))
    assert later.global_step.tolist() == [4, 8, 12]
    for name, values in later.metrics.items():
        np.testing.assert_allclose(values, curves.metrics[name][:, 1:], rtol=1e-6)


def test_trials_with_own_batches_are_evaluated_on_their_own(workload):
    own = Population(workload, sgd, 4, 4, shared_batches=False, evaluation=Evaluation(BATCHES, at_start=True))
    curves = own.run({"learning_rate": 0 * RATES}, SEEDS[[0, 0]], np.array([7, 8], np.uint32))
    np.testing.assert_allclose(
        curves.metrics["test/mse"][0], [expected(workload, 11, 2, "test", n) for n in (0, 1)], rtol=1e-5
    )
    assert not np.array_equal(curves.metrics["test/mse"][0], curves.metrics["test/mse"][1])


def test_generated_data_are_drawn_anew_at_every_evaluation(workload):
    def draw(key, examples):
        return {"inputs": jax.random.normal(key, (examples, 5)), "targets": jnp.zeros(examples)}

    data = GeneratedData(draw, Provenance("synthetic", "noise"))
    generated = dataclasses.replace(workload, data=data)
    still = Population(generated, sgd, 8, 4, evaluation=Evaluation(BATCHES))
    curves = still.run({"learning_rate": RATES[:1]}, SEEDS[:1], np.array([7], np.uint32))
    values = [curves.metrics[f"{role}/mse"][0] for role in ("train", "validation", "test")]
    assert len(np.unique(values)) == 6


def test_constraints_hold_after_every_update_unless_the_optimizer_ignores_them(workload):
    constrained = dataclasses.replace(workload, constraint=lambda p: {**p, "w": 0 * p["w"]})
    losses = {}
    for honours in (True, False):
        made = Population(constrained, sgd, 4, 4, constrained=honours)
        curves = made.run({"learning_rate": np.array([1e-9])}, SEEDS[:1], np.array([7], np.uint32))
        losses[honours] = curves.metrics["validation/mse"][0, 0]
    targets = workload.data.splits["validation"]["targets"].astype(np.float64)
    # Without weights the prediction is the bias, which is zero but for 4 steps of 1e-9.
    assert losses[True] == pytest.approx(np.mean(targets**2), rel=1e-5)
    assert losses[False] != pytest.approx(losses[True], rel=1e-3)


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match="evaluation on 0 batches; must be at least 1"):
        Evaluation(0)
