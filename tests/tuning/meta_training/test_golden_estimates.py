"""Estimates against the golden file of learned_optimization, for its perturbations and data."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions.learned import learnable_adam, mlp_lopt
from tests.tuning.meta_training import golden as toy
from tuning.meta_training import estimators
from tuning.meta_training._estimate import Programs, full, windowed
from tuning.meta_training.estimators import FullES, PersistentES, TruncatedES, Window

# Relative to the largest element. Losses of the same arithmetic differ by a few times 6e-8 of theirs, which is about 3,
# and the estimate is made of their differences, which are about .03; means of both signs lose more, as the README says.
DIFFERENCES_FIRST, MEANS_FIRST = 3e-5, 5e-4
GIVEN_LOSSES = 1e-6  # the same sums of the same float32 numbers


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "data" / "learned_optimizer_golden"
    with np.load(folder / "gradient_estimators.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def adam():
    return learnable_adam.make_adam(learnable_adam.initial_adam(None))


def assert_close(found, expected, tolerance):
    scale = max(np.abs(x).max() for x in jax.tree.leaves(expected))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance * scale), dict(found), expected)


def check_windows(golden, rule, run, weights, estimator, tolerance):
    unroll = toy.unroll(rule)
    world = toy.world()
    carried = Programs(estimator, unroll).begin(weights, world, 0, 0)
    carried = toy.carried(carried, golden[f"{run}/start/inner_step"])
    step = jax.jit(functools.partial(windowed, unroll, estimator, weights))
    for number in (1, 2, 3):
        of = lambda what: golden[f"{run}/{number}/{what}"]  # noqa: B023, E731
        xi = toy.nested(toy.tree(golden, f"{run}/{number}/xi"))
        made = step(xi, world, jax.random.key(0), carried, toy.batches(of("data")))
        carried = made.carried
        assert_close(made.estimate.gradient, toy.nested(toy.tree(golden, f"{run}/{number}/grad")), tolerance)
        np.testing.assert_allclose(made.estimate.loss, of("mean_loss"), rtol=1e-6)
        plus, minus = np.split(np.asarray(carried.tasks.state.params["w"]), 2)
        np.testing.assert_allclose(plus, of("end_params_p"), atol=1e-6)
        np.testing.assert_array_equal(carried.tasks.number, of("iteration")[-1])
        np.testing.assert_array_equal(carried.tasks.done, of("is_done")[-1])
        assert int(made.steps) == 2 * of("mask").sum()
        if isinstance(estimator, PersistentES):
            np.testing.assert_allclose(minus, of("end_params_n"), atol=1e-6)
            assert_close(carried.accumulated, toy.tree(golden, f"{run}/{number}/accumulator"), 1e-6)


def test_persistent_windows_with_resets_are_the_originals(golden, adam):
    weights = toy.tree(golden, "adam/theta")
    estimator = PersistentES(std=toy.STD, window=10)
    check_windows(golden, adam, "adam/pes", weights, estimator, DIFFERENCES_FIRST)


@pytest.mark.slow
def test_truncated_windows_with_signs_are_the_originals(golden, adam):
    weights = toy.tree(golden, "adam/theta")
    estimator = TruncatedES(std=toy.STD, window=10, sign=1.0)
    check_windows(golden, adam, "adam/es_sign", weights, estimator, DIFFERENCES_FIRST)


@pytest.mark.slow
def test_windows_with_a_network_for_an_optimizer_are_the_originals(golden):
    flat = toy.tree(golden, "mlp/theta")
    rule = mlp_lopt.mlp_lopt(toy.nested(flat), step_mult=0.02)
    check_windows(golden, rule, "mlp/es", toy.nested(flat), TruncatedES(std=toy.STD, window=10), MEANS_FIRST)


@pytest.mark.parametrize(
    ("run", "how"),
    [
        ("full_avg", {"loss": "avg"}),
        ("full_avg_sign", {"loss": "avg", "sign": 1.0}),
        ("full_last_recompute", {"loss": "last_recompute", "recompute_batches": 4}),
    ],
)
def test_whole_trainings_are_the_originals(golden, adam, run, how):
    weights = toy.tree(golden, "adam/theta")
    estimator = FullES(std=toy.STD, **how)
    unroll, world = toy.unroll(adam), toy.world()

    @jax.jit
    def made(xi, length, data, again):
        given = ({"data": jnp.concatenate([data, data], 1)}, None)
        of_step = lambda number: jax.tree.map(lambda x: x[number], given)  # noqa: E731
        again = None if again is None else {"data": jnp.concatenate([again, again], 1)}
        return full(unroll, estimator, weights, xi, world, jax.random.key(0), length, of_step, again)

    for number in (1, 2, 3):
        of = lambda what: golden.get(f"adam/{run}/{number}/{what}")  # noqa: B023, E731
        found = made(
            toy.tree(golden, f"adam/{run}/{number}/xi"), 20, of("data"), of("recompute_data")
        ).estimate
        assert_close(found.gradient, toy.tree(golden, f"adam/{run}/{number}/grad"), MEANS_FIRST)
        np.testing.assert_allclose(found.loss, of("mean_loss"), rtol=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("run", ["adam/pes", "adam/es_sign", "mlp/es"])
def test_windows_of_given_losses_give_the_originals_estimates(golden, run, number):
    of = toy.tree(golden, f"{run}/{number}")
    window = Window(*(jnp.asarray(of[name]) for name in ("p_loss", "n_loss", "mask", "is_done")))
    xi, sign = toy.tree(of, "xi"), 1.0 if run.endswith("sign") else None
    if run == "adam/pes":
        zeros = jax.tree.map(np.zeros_like, xi)
        before = zeros if number == 1 else toy.tree(golden, f"{run}/{number - 1}/accumulator")
        found, after = estimators.persistent(window, xi, before, toy.STD)
        assert_close(after, toy.tree(of, "accumulator"), GIVEN_LOSSES)
    else:
        found = estimators.truncated(window, xi, toy.STD, sign)
    assert_close(found.gradient, toy.tree(of, "grad"), GIVEN_LOSSES)
    np.testing.assert_allclose(found.loss, of["mean_loss"], rtol=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("run", ["full_avg", "full_avg_sign", "full_last_recompute"])
def test_whole_trainings_of_given_losses_give_the_originals_estimates(golden, run, number):
    of = toy.tree(golden, f"adam/{run}/{number}")
    kind, sign = ("recompute", "avg") if run.endswith("recompute") else ("loss", "avg"), run.endswith("sign")
    plus, minus = (estimators.of_trajectory(jnp.asarray(of[f"{p}_{kind[0]}"]), kind[1]) for p in "pn")
    found = estimators.full_length(plus, minus, toy.tree(of, "xi"), toy.STD, 1.0 if sign else None)
    assert_close(found.gradient, toy.tree(of, "grad"), DIFFERENCES_FIRST)


def test_means_over_windows_with_losses_that_are_no_number_are_the_originals(golden):
    of = toy.tree(golden, "arith/trunc")
    window = Window(*(jnp.asarray(of[name]) for name in ("p_loss", "n_loss", "mask", "is_done")))
    found = estimators.truncated(window, {"a": jnp.zeros((5, 3))}, toy.STD)
    np.testing.assert_allclose(found.loss, of["es_plain/mean_loss"], rtol=1e-6)
