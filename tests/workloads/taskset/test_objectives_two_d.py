"""TaskSet's eight fixed problems of two variables."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads import Regularization
from workloads.taskset import fixed

NAMES = fixed.groups()["two_d"]
BOXES = {
    "Rosenbrock": (-5.0, 10.0),
    "Ackley": (-32.768, 32.768),
    "Beale": (-4.5, 4.5),
    "StyblinskiTang": (-5.0, 5.0),
}


def _loss(workload, x, y):
    batch = workload.data.draw(jax.random.key(0), 1)
    loss, _ = workload.loss({"x": jnp.array([x, y])}, (), batch, jax.random.key(0), True, Regularization())
    return float(loss)


@pytest.mark.parametrize("condition", [1, 10, 100, 1000])
def test_a_bowl_is_half_the_condition_number_times_x_squared_and_half_y_squared(condition):
    workload = fixed.build(f"TwoD_Bowl{condition}")
    assert _loss(workload, 3.0, -2.0) == pytest.approx(condition * 4.5 + 2.0, rel=1e-6)
    assert _loss(workload, 0.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("Rosenbrock", (1.0, 1.0), 0.0),
        ("Rosenbrock", (-1.0, 2.0), 104.0),
        ("Ackley", (0.0, 0.0), 0.0),
        ("Ackley", (1.0, 0.0), 20.0 * (1.0 - math.exp(-0.2 * math.sqrt(0.5)))),
        ("Beale", (3.0, 0.5), 0.0),
        ("Beale", (0.0, 0.0), 1.5**2 + 2.25**2 + 2.625**2),
        ("StyblinskiTang", (-2.903534, -2.903534), 80.0 - 78.332331),
        ("StyblinskiTang", (1.0, 0.0), 75.0),
    ],
)
def test_the_test_functions_have_their_values(name, at, value):
    assert _loss(fixed.build(f"TwoD_{name}"), *at) == pytest.approx(value, rel=1e-5, abs=2e-5)


def test_every_replica_starts_at_the_same_place_and_all_tasks_at_the_same_relative_place():
    starts = {}
    for name in NAMES:
        workload = fixed.build(name)
        one, other = (np.asarray(workload.init(jax.random.key(k))[0]["x"]) for k in (0, 1))
        np.testing.assert_array_equal(one, other)
        starts[name.removeprefix("TwoD_")] = one
    bowls = [start for name, start in starts.items() if name.startswith("Bowl")]
    assert len(bowls) == 4
    assert all(np.array_equal(bowls[0], start) for start in bowls)
    places = [(starts[name] - low) / (high - low) for name, (low, high) in BOXES.items()]
    np.testing.assert_allclose(places, [places[0]] * 4, atol=1e-6)
    assert (places[0] > 0.0).all()
    assert (places[0] < 1.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_needs_no_examples_and_is_the_loss(name):
    workload = fixed.build(name)
    params, state = workload.init(jax.random.key(0))
    batch = workload.data.draw(jax.random.key(1), workload.eval_examples)
    sums = workload.metrics(params, state, batch, jax.random.key(2))
    assert batch == {}
    assert float(sums["loss"] / sums["examples"]) == pytest.approx(_loss(workload, *params["x"]), rel=1e-6)
    assert workload.name == f"taskset/{name}"
