"""Tasks step by step: gradients through them, losses that are judged, constants of their own."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions.learned import LEARNED, learnable_adam
from tests.tuning.meta_training import golden as toy
from tuning.meta_training._estimate import Programs, full_gradient, windowed_gradient
from tuning.meta_training._unroll import normalised
from tuning.meta_training.distribution import Task
from tuning.meta_training.estimators import FullGradient, PersistentES, TruncatedGradient
from workloads import SharedProgram

SGD = learnable_adam.make_sgd(learnable_adam.initial_sgd(None))
DATA = np.float32(np.random.default_rng(5).normal(size=(6, toy.TASKS, 8)))


def losses_of_sgd(log_lr, steps, reset_after=None):
    """[step, task] in float64; a reset starts anew without a step."""
    w, found = np.tile(toy.START, (toy.TASKS, 1)).astype(np.float64), []
    for step in range(steps):
        if reset_after is not None and step == reset_after:
            w[:], _ = toy.START, found.append(np.full(toy.TASKS, np.nan))
            continue
        found.append(0.5 * (toy.H * (w - DATA[step]) ** 2).sum(1))
        w -= np.exp(log_lr) * toy.H * (w - DATA[step])
    return np.array(found)


def derivative(function, at):
    return (function(at + 1e-5) - function(at - 1e-5)) / 2e-5


@pytest.mark.parametrize("loss", ["avg", "last"])
def test_the_gradient_through_whole_trainings_is_the_derivative(loss):
    unroll, weights = toy.unroll(SGD, signs=1), {"log_lr": jnp.float32(-2.0)}
    step = jax.jit(functools.partial(full_gradient, unroll, FullGradient(loss=loss), length=6))
    made = step(weights, toy.world(), jax.random.key(0), batches=toy.batches(DATA, 1)).estimate
    mean = (lambda x: x.mean()) if loss == "avg" else (lambda x: x[-1].mean())
    expected = derivative(lambda x: mean(losses_of_sgd(x, 6)), -2.0)
    np.testing.assert_allclose(made.gradient["log_lr"], expected, rtol=1e-5)
    np.testing.assert_allclose(made.loss, mean(losses_of_sgd(-2.0, 6)), rtol=1e-6)


@pytest.mark.slow
def test_the_gradient_through_a_window_stops_at_its_beginning_and_passes_a_reset():
    unroll, weights = toy.unroll(SGD, signs=1), {"log_lr": jnp.float32(-2.0)}
    estimator = TruncatedGradient(window=6)
    carried = Programs(estimator, unroll).begin(weights, toy.world(3, 3), 0, 0)
    step = jax.jit(functools.partial(windowed_gradient, unroll, estimator, weights))
    made = step(toy.world(3, 3), jax.random.key(0), carried, toy.batches(DATA, 1))
    expected = derivative(lambda x: np.nanmean(losses_of_sgd(x, 6, reset_after=3), 0).mean(), -2.0)
    np.testing.assert_allclose(made.estimate.gradient["log_lr"], expected, rtol=1e-5)
    assert int(made.steps) == 5 * toy.TASKS


def test_losses_are_judged_relative_to_a_scale_and_what_is_no_number_as_the_worst():
    losses = jnp.float32([1.0, -3.0, 9.0, jnp.nan, jnp.inf, -jnp.inf])
    np.testing.assert_allclose(normalised(losses, jnp.float32([2, 2])), [0.5, -1.5, 2, 2, 2, 2])
    np.testing.assert_array_equal(normalised(losses, jnp.float32([0, 2])), losses)


@pytest.mark.parametrize("meta_loss", ["same-batch", "validation"])
def test_a_loss_after_the_update_is_that_of_the_parameters_then(meta_loss):
    unroll = toy.unroll(SGD, signs=1, meta_loss=meta_loss)
    weights, world = {"log_lr": jnp.float32(-2.0)}, toy.world()
    tasks = Programs(TruncatedGradient(), unroll).begin(weights, world, 0, 0).tasks
    training, other = ({"data": DATA[i]} for i in (0, 1))
    tasks, step = jax.jit(unroll.step)(weights, world, tasks, jax.random.key(0), (training, other))
    judged = DATA[0] if meta_loss == "same-batch" else DATA[1]
    w = np.asarray(tasks.state.params["w"])
    np.testing.assert_allclose(step.losses, 0.5 * (toy.H * (w - judged) ** 2).sum(1), rtol=1e-5)


def test_a_loss_that_cannot_be_judged_is_named():
    with pytest.raises(ValueError, match="meta-loss 'validaton'; did you mean 'validation'"):
        toy.unroll(SGD, meta_loss="validaton")


def _scaled(constants):
    def loss(params, model_state, batch, key, train, regularization):
        value, model_state = toy.FUNCTIONS.loss(params, model_state, batch, key, train, regularization)
        return constants["factor"] * value, model_state

    return toy.FUNCTIONS._replace(loss=loss)


def _drawn(constants, key):
    return {"factor": constants["factor"] * jnp.exp(jax.random.normal(key))}


@pytest.mark.slow
def test_tasks_of_one_program_can_have_constants_of_their_own_drawn_anew_at_resets():
    shared = SharedProgram("scaled", {"factor": np.float32(3)}, _scaled)
    task = Task(dataclasses.replace(toy.TASK.workload, shared=shared), _drawn)
    unroll = dataclasses.replace(toy.unroll(SGD), task=task)
    world = toy.world(2, 2)._replace(constants={"factor": jnp.float32(3)})
    weights = {"log_lr": jnp.float32(-2.0)}
    programs = Programs(PersistentES(window=2), unroll)
    carried = programs.begin(weights, world, 0, 0)
    factors = np.array(carried.tasks.constants["factor"])  # a copy: what was carried is used up
    assert len(set(factors.tolist())) == toy.TASKS
    carried = programs.estimate(weights, world, 1, 0, carried).carried
    np.testing.assert_array_equal(carried.tasks.constants["factor"], factors)
    carried = programs.estimate(weights, world, 2, 0, carried).carried
    assert not set(carried.tasks.constants["factor"].tolist()) & set(factors.tolist())
    assert len(programs.compiled) == 2


@pytest.mark.slow
def test_an_optimizer_that_asks_for_validation_losses_is_told_them_at_its_own_steps_of_every_task():
    row = LEARNED["hierarchical"]
    weights = row.initial(jax.random.key(0), lstm=4, mlp=4)
    unroll = toy.unroll(row.make(weights, validation_period=4))
    programs = Programs(PersistentES(window=9), unroll)
    carried = toy.carried(programs.begin(weights, toy.world(50, 50), 0, 0), [0, 1, 2, 3, 30])
    before = np.array(carried.tasks.state.optimizer.iteration)
    made = programs.estimate(weights, toy.world(50, 50), 1, 0, carried)
    tasks = made.carried.tasks
    asked = np.asarray(tasks.number) // 4 - np.array([0, 1, 2, 3, 30]) // 4
    np.testing.assert_array_equal(tasks.state.optimizer.iteration - before, np.tile(9 + asked, 2))
    assert np.isfinite(made.estimate.loss)
