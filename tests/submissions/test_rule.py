"""What a rule is given, and what an Optax transformation becomes."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import submissions
from submissions import Rule, Seen, from_optax

HP = {"learning_rate": jnp.float32(0.1)}
X = {"x": jnp.ones(3)}
KEY = jax.random.key(0)


def seen(loss=1.0, step=0):
    return Seen(jnp.float32(loss), jnp.int32(step), KEY)


def plain(hp, horizon):
    return optax.sgd(hp["learning_rate"])


def scaled_by_hand(hp, horizon):
    return optax.sgd(lambda step: hp["learning_rate"] * (1 - step / horizon))


def of_optax_schedule(hp, horizon):
    return optax.sgd(optax.cosine_decay_schedule(hp["learning_rate"], horizon))


def of_python(hp, horizon):
    return optax.sgd(optax.piecewise_constant_schedule(0.1, dict.fromkeys(range(1, horizon, 10), 0.5)))


def as_a_key(hp, horizon):
    return optax.sgd(optax.piecewise_constant_schedule(0.1, {horizon: 0.5}))


def test_the_interface_is_there_without_jax():
    code = "import sys; from submissions import Rule, Seen, from_optax; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("make", "static"),
    [(plain, False), (scaled_by_hand, False), (of_optax_schedule, True), (of_python, True), (as_a_key, True)],
)
def test_a_make_that_needs_its_horizon_in_python_is_found_out(make, static):
    assert from_optax(make).static_horizon is static


def test_no_rule_of_the_table_decides_in_python_on_its_horizon():
    assert not [name for name, row in submissions.OPTIMIZERS.items() if row.rule.static_horizon]


@pytest.mark.parametrize("make", [scaled_by_hand, of_optax_schedule])
def test_the_horizon_goes_with_the_state_traced_or_as_part_of_its_structure(make):
    rule = from_optax(make)

    @jax.jit
    def step(state, x):
        updates, state = rule.update((), HP, X, state, x, seen())
        return state, optax.apply_updates(x, updates)

    for horizon in (4, 8):
        transformation = make(HP, horizon)
        inner, expected = transformation.init(X), X
        state, x = rule.init((), HP, X, KEY, horizon if rule.static_horizon else jnp.int32(horizon)), X
        for _ in range(3):
            state, x = step(state, x)
            updates, inner = transformation.update(X, inner, expected)
            expected = optax.apply_updates(expected, updates)
        np.testing.assert_allclose(x["x"], expected["x"], rtol=1e-6)
    assert step._cache_size() == (2 if rule.static_horizon else 1)


def test_transformations_that_ask_for_the_loss_get_it():
    def make(hp, horizon):
        plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1, accumulation_size=1)
        return optax.chain(optax.sgd(hp["learning_rate"]), plateau)

    rule = from_optax(make)
    sizes = []
    for losses in ([1.0] * 5, [0.5**n for n in range(5)]):
        state = rule.init((), HP, X, KEY, jnp.int32(5))
        for step, loss in enumerate(losses):
            updates, state = rule.update((), HP, X, state, X, seen(loss, step))
        sizes.append(abs(float(updates["x"][0])))
    assert sizes[0] < sizes[1] == pytest.approx(0.1)  # the loss that fell left the rate alone


def test_gradient_and_step_are_given_too():
    given = {}

    def make(hp, horizon):
        def update(updates, state, params=None, **extra):
            given.update(extra)
            return updates, state

        return optax.GradientTransformationExtraArgs(lambda params: (), update)

    rule = from_optax(make)
    rule.update((), HP, X, rule.init((), HP, X, KEY, jnp.int32(5)), X, seen(2.0, 3))
    assert (float(given["value"]), int(given["step"])) == (2.0, 3)
    np.testing.assert_array_equal(given["grad"]["x"], X["x"])


def test_what_is_evaluated_is_asked_of_the_transformations_own_state():
    rule = from_optax(lambda hp, horizon: optax.trace(0.9), evaluated=lambda state, params: state.trace)
    state = rule.init((), HP, X, KEY, jnp.int32(5))
    _, state = rule.update((), HP, X, state, X, seen())
    np.testing.assert_array_equal(rule.evaluated(state, {"x": jnp.zeros(3)})["x"], X["x"])


def test_an_optimizers_rule_is_one_object():
    optimizer = submissions.optimizer("lion_optax")
    assert optimizer.rule is optimizer.rule
    assert optimizer.rule != from_optax(optimizer)


def test_rules_with_arrays_as_weights_can_be_keys():
    rule = Rule(plain, plain, weights={"w": jnp.ones(2)})
    assert {rule: "here"}[rule] == "here"
