"""One optimizer that needs all that an optimizer may see, trained by the population engine and in AlgoPerf's loop."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

import submissions
import workloads
from submissions import api
from submissions.api import checkpoints
from tuning.engine.population import Population
from tuning.execution.trials.run import run
from tuning.studies.plan import plan
from tuning.studies.tune import tune

STEPS, PERIOD, ASKS = 30, 10, 5

FILE = f"""
from typing import NamedTuple

import jax
import jax.numpy as jnp

import submissions
from submissions import Rule


class State(NamedTuple):
    horizon: jax.Array
    scale: jax.Array  # halved when a validation loss that it asked for has risen
    last: jax.Array
    asked: jax.Array
    evaluations: jax.Array
    losses: jax.Array
    key: jax.Array


def init(weights, hyperparameters, params, key, horizon):
    zero = jnp.int32(0)
    return State(jnp.int32(horizon), jnp.float32(1), jnp.float32(jnp.inf), zero, zero, jnp.float32(0), jnp.float32(0))


def update(weights, hyperparameters, grads, state, params, seen):
    left = 1 - seen.step / state.horizon
    rate = hyperparameters["learning_rate"] * weights["scale"] * state.scale * left
    updates = jax.tree.map(lambda g: -rate * g, grads)
    return updates, state._replace(losses=state.losses + seen.loss, key=jax.random.uniform(seen.key))


def observe(state, metrics):
    if set(metrics) == {{"validation/loss"}}:
        loss = metrics["validation/loss"]
        scale = jnp.where(loss > state.last, 0.5, 1.0) * state.scale
        return state._replace(scale=scale, last=loss, asked=state.asked + 1)
    return state._replace(evaluations=state.evaluations + 1)


def evaluated(state, params):
    return jax.tree.map(lambda x: 0 * x, params)


@submissions.register("needs_everything", learning_rate=(1e-2, 1.0, "log"))
def needs_everything():
    return Rule(init, update, observe, evaluated, weights={{"scale": jnp.float32(1)}}, validation_period={ASKS})
"""


@pytest.fixture
def optimizer(tmp_path) -> str:
    file = tmp_path / "needs_everything.py"
    file.write_text(textwrap.dedent(FILE))
    return f"{file}:needs_everything"


def test_algoperfs_loop_feeds_what_the_engine_feeds(optimizer, tmp_path):
    folder = tmp_path / "submission"
    api.write_rule(folder, optimizer)
    (done,) = run(
        submission_path=folder, workload="clicks/mlp", experiment_dir=tmp_path / "logs", experiment_name="mine/study_0",
        tuning_search_space=folder / "tuning_search_space.json", rng_seed=1, max_global_steps=STEPS,
        eval_period_steps=PERIOD, isolated=False,
    )  # fmt: skip
    # In the logs of its own the trial has what it was evaluated with, and in its checkpoint what it goes on with.
    file = checkpoints.last(Path(done.folder))
    assert file is not None
    view = api.view(workloads.load("clicks/mlp"))
    params, model_state = view.init_model_fn(np.uint32([0, 1]))
    own = submissions.optimizer(optimizer)
    from submissions.api.of_rule import functions

    point = type("Point", (), {"_asdict": lambda self: {"learning_rate": 0.1}})()
    like, _ = functions(own).init_optimizer_state(view, params, model_state, point, np.uint32([0, 1]))
    (held, _, carried), _ = checkpoints.restore(file, (params, model_state, like))
    state = carried.rule
    assert int(state.horizon) == view.step_hint
    assert int(state.asked) == STEPS // ASKS
    assert int(state.evaluations) == int(carried.observed) > 0
    assert 0 < float(state.key) < 1
    # About log 2 per step, from a new model on clicks.
    assert 0.3 * STEPS < float(state.losses) < 3 * STEPS
    rows = api.evaluations(Path(done.folder))
    assert {round(float(row["validation/loss"]), 4) for row in rows} == {
        round(float(np.log(2)), 4)
    }  # all weights 0
    # What is evaluated has all weights 0, which the training did not go on from.
    assert np.abs(carried.trained["Dense_0"]["kernel"]).max() > 0
    assert bool(carried.shown) == (np.abs(held["Dense_0"]["kernel"]).max() == 0)


def test_the_engine_trains_it_in_a_study(optimizer, tmp_path):
    spec = plan(
        name="mine", workloads=["clicks/mlp"], optimizer=optimizer, budget=2, steps=STEPS, eval_period=PERIOD
    )
    trials = tune(tmp_path / "study", spec)
    assert trials["status"].to_list() == ["done", "done"]
    losses = np.array(trials["validation/loss"].to_list())
    np.testing.assert_allclose(losses, np.log(2), rtol=1e-5)  # what is evaluated has all weights 0
    population = Population(
        workloads.load("clicks/mlp"), submissions.optimizer(optimizer).rule, STEPS, PERIOD
    )
    seeds = np.zeros(1, np.uint32)
    rates = {"learning_rate": np.array([0.1])}
    population.run(rates, seeds, seeds)
    population.run(rates, seeds, seeds, weights={"scale": np.float32(2)}, horizon=7)
    assert population.compilations == 1


def test_a_rule_is_not_packaged_for_algoperf(optimizer, tmp_path):
    from submissions.package import package

    with pytest.raises(ValueError, match="a packaged folder needs a function of"):
        package(tmp_path / "mine", name="mine", optimizer=optimizer, authors="A. Author")
