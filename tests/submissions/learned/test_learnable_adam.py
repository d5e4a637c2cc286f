"""Hyperparameters as weights: updates against NumPy, and the table's rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions import Seen
from submissions.learned import learnable_adam

GRADS = np.array([[0.3, -1.0, 2e-5], [-0.2, 0.5, 1e-5], [0.1, 0.4, -3e-5]])


def trained(rule, weights):
    params = {"w": jnp.array([1.0, -2.0, 0.5])}
    state = rule.init(weights, {}, params, jax.random.key(0), 10)
    for step, grad in enumerate(GRADS):
        seen = Seen(jnp.float32(1.0), jnp.int32(step), jax.random.key(step))
        updates, state = rule.update(weights, {}, {"w": jnp.float32(grad)}, state, params, seen)
        params = jax.tree.map(jnp.add, params, updates)
    return params["w"]


@pytest.mark.parametrize("root", [1e-8, 0.0])
def test_adam_is_the_formula_with_epsilon_under_the_root_too(root):
    rule = learnable_adam.make_adam(learnable_adam.initial_adam(None), epsilon_root=root)
    weights = learnable_adam.initial_adam(None, learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=1e-3)
    p, m, v = np.array([1.0, -2.0, 0.5]), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADS, 1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        p = p - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t) + root) + 1e-3)
    # float32: 3 moves of about .1, to a few of its 1.2e-7
    np.testing.assert_allclose(trained(rule, weights), p, atol=1e-6)


def test_momentum_is_the_formula():
    weights = learnable_adam.initial_sgdm(None, learning_rate=0.1, momentum=0.75)
    p, m = np.array([1.0, -2.0, 0.5]), np.zeros(3)
    for g in GRADS:
        m = 0.75 * m + g
        p = p - 0.1 * m
    np.testing.assert_allclose(trained(learnable_adam.make_sgdm(weights), weights), p, atol=1e-6)


@pytest.mark.parametrize("row", learnable_adam.ROWS, ids=lambda row: row.name)
def test_rows_make_rules_of_their_initial_weights(row):
    weights = row.initial(jax.random.key(0), **row.sizes)
    assert all(leaf.dtype == np.float32 and leaf.shape == () for leaf in weights.values())
    moved = trained(row.make(weights, **row.switches), weights)
    assert np.isfinite(moved).all()
    assert (np.asarray(moved) != [1.0, -2.0, 0.5]).any()
