"""What may be put around a learned optimizer, and how a training goes on after its horizon."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import Rule, Seen
from submissions.learned import continuation, scaled, wrapped


def recorder():
    """A rule that descends by a tenth of the gradient and remembers what it was told last."""

    def init(weights, hyperparameters, params, key, horizon):
        del weights, hyperparameters, params, key
        return State(
            jnp.asarray(horizon, jnp.int32), jnp.zeros(()), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
        )

    def update(weights, hyperparameters, grads, state, params, seen):
        del weights, hyperparameters, params
        told = State(
            state.horizon, jnp.asarray(seen.loss, jnp.float32), jnp.int32(seen.step), state.updates + 1
        )
        return jax.tree.map(lambda g: -0.1 * g, grads), told

    def observe(state, metrics):
        return state._replace(loss=metrics["validation/loss"])

    return Rule(init, update, observe, evaluated=lambda state, params: params)


class State(NamedTuple):
    horizon: jax.Array
    loss: jax.Array
    step: jax.Array
    updates: jax.Array


def trained(rule, gradients, losses, horizon, hyperparameters=None, start=1.0):
    p = {"x": jnp.full((2,), start, jnp.float32)}
    state = rule.init((), hyperparameters or {}, p, None, horizon)
    path = []
    for t, (g, loss) in enumerate(zip(gradients, losses, strict=True)):
        updates, state = rule.update(
            (), hyperparameters or {}, {"x": jnp.full((2,), g)}, state, p, Seen(loss, t, None)
        )
        p = jax.tree.map(jnp.add, p, updates)
        path.append(float(p["x"][0]))
    return path, state


def test_a_horizon_above_the_longest_averages_gradients_and_losses():
    rule = wrapped.averaged(recorder(), 4)
    # ceil(10 / 4) = 3 gradients per update, and a horizon of 10 // 3.
    path, state = trained(rule, [1.0, 2.0, 6.0, -3.0, 0.0, 0.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 10)
    np.testing.assert_allclose(path, [1.0, 1.0, 0.7, 0.7, 0.7, 0.8, 0.8], rtol=1e-6)
    assert (int(state.inner.horizon), int(state.inner.updates), float(state.inner.loss)) == (3, 2, 5.0)
    assert (int(state.factor), int(state.waiting), int(state.inner.step)) == (3, 1, 1)


@pytest.mark.parametrize("horizon", [1, 150_000])
def test_a_short_horizon_is_as_without(horizon):
    plain, inner = trained(recorder(), [1.0, 2.0], [3.0, 4.0], horizon)
    path, state = trained(wrapped.averaged(recorder()), [1.0, 2.0], [3.0, 4.0], horizon)
    assert path == plain
    assert jax.tree.map(float, state.inner) == jax.tree.map(float, inner)


def test_150_001_steps_take_two_gradients_per_update():
    state = wrapped.averaged(recorder()).init((), {}, {"x": jnp.zeros(2)}, None, jnp.int32(150_001))
    assert (int(state.factor), int(state.inner.horizon)) == (2, 75_000)


@pytest.mark.parametrize("hyperparameters", [{}, {"weight_decay": jnp.float32(0.5)}])
def test_weight_decay_is_in_gradient_and_loss(hyperparameters):
    rule = wrapped.wrapped(recorder(), weight_decay=0.0 if hyperparameters else 0.5)
    path, state = trained(rule, [1.0], [3.0], 10, hyperparameters, start=2.0)
    assert path == pytest.approx([2 - 0.1 * (1 + 0.5 * 2)])
    assert float(state.loss) == pytest.approx(3 + 0.5 * (4 + 4))  # not half of the squares


def test_without_anything_around_it_a_rule_is_not_slowed():
    rule = wrapped.wrapped(recorder())
    path, state = trained(rule, [1.0], [3.0], 10)
    assert path == pytest.approx([0.9])
    assert float(state.loss) == 3


@pytest.mark.parametrize(("g", "loss"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, -np.inf)])
def test_the_guard_passes_over_what_is_not_finite(g, loss):
    rule = wrapped.wrapped(recorder(), skip_nonfinite=True)
    path, state = trained(rule, [1.0, g, 1.0], [3.0, loss, 4.0], 10)
    np.testing.assert_allclose(path, [0.9, 0.9, 0.8], rtol=1e-6)
    assert int(state.updates) == 2
    without, _ = trained(recorder(), [1.0, g, 1.0], [3.0, loss, 4.0], 10)
    assert without[1] != path[1]


def test_an_averaged_rule_is_still_told_of_evaluations():
    rule = wrapped.averaged(recorder(), 4)
    _, state = trained(rule, [1.0], [3.0], 10)
    assert rule.observe is not None
    assert rule.evaluated is not None
    state = rule.observe(state, {"validation/loss": jnp.float32(7)})
    assert float(state.inner.loss) == 7
    assert rule.evaluated(state, "params") == "params"


def test_training_goes_on_in_three_ways():
    rule = recorder()
    _, state = trained(rule, [1.0, 1.0], [3.0, 2.0], 2)
    assert continuation.naive(state) is state
    longer = continuation.more_steps(state, 6)
    assert (int(longer.horizon), int(longer.updates)) == (6, 2)
    fresh = continuation.reset(rule, {"x": jnp.ones(2)}, 4, None)
    assert (int(fresh.horizon), int(fresh.updates)) == (4, 0)


def test_more_steps_of_an_averaged_rule_count_updates():
    _, state = trained(wrapped.averaged(recorder(), 4), [1.0], [3.0], 10)
    longer = continuation.more_steps(state, 30)
    assert (int(longer.inner.horizon), int(longer.factor), int(longer.waiting)) == (10, 3, 1)


def test_a_state_without_a_horizon_says_so():
    with pytest.raises(ValueError, match="dict keeps no horizon"):
        continuation.more_steps({"m": 0}, 6)


@pytest.mark.parametrize(
    ("way", "horizon", "updates", "step"), [("naive", 3, 6, 5), ("more_steps", 6, 6, 5), ("reset", 3, 3, 2)]
)
def test_a_rule_goes_on_by_itself_after_the_steps_that_it_was_told(way, horizon, updates, step):
    rule = scaled(recorder(), way)
    factor = {"horizon_factor": jnp.float32(0.5)}
    _, state = trained(rule, [1.0] * 3, [1.0] * 3, 6, factor)
    before = getattr(state, "inner", state)
    assert (int(before.horizon), int(before.updates)) == (3, 3)
    _, state = trained(rule, [1.0] * 6, [1.0] * 6, 6, factor)
    after = getattr(state, "inner", state)
    assert (int(after.horizon), int(after.updates), int(after.step)) == (horizon, updates, step)
    # Told the truth, there is nothing to go on to.
    _, state = trained(rule, [1.0] * 6, [1.0] * 6, 6)
    whole = getattr(state, "inner", state)
    assert (int(whole.horizon), int(whole.updates)) == (6, 6)
    assert continuation.keeps_horizon(rule)


def test_a_way_to_go_on_that_is_none_is_told():
    with pytest.raises(ValueError, match="continuation is 'longer'; must be one of naive, more_steps, reset"):
        scaled(recorder(), "longer")
