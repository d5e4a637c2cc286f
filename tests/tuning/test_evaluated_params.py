"""Optimizers that recommend other parameters than those they train."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import submissions
from tests.tuning.toy import sgd, toy_workload
from tuning.engine.population import Population

SEED = np.zeros(1, np.uint32)


def test_what_is_evaluated_is_what_the_optimizer_recommends():
    # At w = b = 0 the error of every example is its target, wherever training has got to.
    workload = toy_workload()

    def nothing(state, params):
        return jax.tree.map(jnp.zeros_like, params)

    population = Population(workload, dataclasses.replace(sgd, evaluated=nothing), 12, 4)
    curves = population.run({"learning_rate": np.array([0.1])}, SEED, SEED)
    expected = (workload.data.splits["validation"]["targets"] ** 2).mean()
    np.testing.assert_allclose(
        curves.metrics["validation/mse"], [[expected] * 3], rtol=1e-5
    )  # a float32 sum of 30


def test_schedule_free_is_trained_at_one_point_and_evaluated_at_another():
    optimizer = submissions.optimizer("schedule_free_adamw_optax")
    point = optimizer.prepare({"learning_rate": 0.3}, 12)
    recommended, trained = (
        Population(toy_workload(), rule, 12, 4)
        .run({name: np.array([value]) for name, value in point.items()}, SEED, SEED)
        .metrics["validation/mse"]
        for rule in (optimizer.rule, dataclasses.replace(optimizer.rule, evaluated=None))
    )
    assert np.isfinite(recommended).all()
    assert not np.allclose(recommended, trained)
