"""Gradients through learned optimizers: of networks that are written out, and of sums of several arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from submissions import Seen
from submissions.learned import LEARNED, fused_mlp, network
from submissions.learned.features import mean_squares, sums

SHAPE = (3, 8)  # long enough for `sums` to take stretches


def drawn(*shape, seed=0, scale=1.0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape) * scale, jnp.float32)


def features():
    return (drawn(1, *SHAPE), drawn(2, 1, 8, seed=1), drawn(2, 3, 1, seed=2))


def layers(units=2):
    return [
        {"w": drawn(5 + 2, units, seed=3), "b": drawn(units, seed=4)},
        {"w": drawn(units, 2, seed=5), "b": drawn(2, seed=6)},
    ]


def of_network(features, shared, layers):
    return network.run_on_every_parameter(features, shared, layers, SHAPE)


def test_a_written_out_network_has_the_gradient_of_its_differences():
    # The differences are of the written-out form, the gradient is that of matrices. float32, steps of .0005.
    inputs = (features(), drawn(2, seed=7), layers())
    check_grads(jax.jit(of_network), inputs, 1, modes=["rev"], rtol=0.02, atol=0.02, eps=5e-4)


def test_a_written_out_network_has_the_gradient_of_the_one_of_matrices(monkeypatch):
    inputs = (features(), drawn(2, seed=7), layers())

    def gradient():
        # Another function each time, as JAX keeps what it traced.
        total = lambda *inputs: sum(jnp.sum(jnp.sin(x)) for x in of_network(*inputs))  # noqa: E731
        return jax.tree.leaves(jax.jit(jax.grad(total, (0, 1, 2)))(*inputs))

    written_out = gradient()
    monkeypatch.setattr(network, "WIDEST_WRITTEN_OUT", 0)
    for one, other in zip(written_out, gradient(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_stretches_of_a_tensor_give_what_whole_matrices_give_also_for_stacks_and_trials(monkeypatch):
    # Trials' own features and weights; every trial has a stack of two tensors; 24 elements in stretches of 8.
    trials = jax.tree.map(lambda x: jnp.stack([jnp.stack([x, 2 * x]), jnp.stack([x, -x])]), features())
    weights = jax.tree.map(lambda x: jnp.stack([x, x + 0.5]), layers(units=12))
    shared = drawn(2, seed=7)

    def all_of_them(trials, weights):
        of_stack = jax.vmap(lambda features, weights: of_network(features, shared, weights), (0, None))
        return jax.vmap(of_stack)(trials, weights)

    whole = jax.jit(all_of_them)(trials, weights)
    monkeypatch.setattr(network, "STRETCH_OF_ELEMENTS", 10)
    parted = jax.jit(lambda *inputs: all_of_them(*inputs))(trials, weights)
    for one, other in zip(whole, parted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_velos_network_has_the_gradient_of_its_differences():
    weights, p, g = drawn(154, scale=0.5), drawn(*SHAPE, seed=1), drawn(*SHAPE, seed=2)
    seen = fused_mlp.gradient_added(fused_mlp.no_gradients(p), drawn(*SHAPE, seed=3))
    step = jax.jit(lambda *inputs: 1000 * fused_mlp.mlp_step(*inputs))
    check_grads(
        lambda weights, p, g: step(weights, p, g, seen), (weights, p, g), 1, modes=["rev"], rtol=0.02, atol=0.02,
        eps=5e-4,
    )  # fmt: skip


def test_sums_and_mean_squares_are_those_of_numpy_and_have_their_gradients():
    several = [drawn(5, 16, seed=i) + 3 for i in range(3)]
    np.testing.assert_allclose(jax.jit(sums)(several), [np.sum(x) for x in several], rtol=1e-6)
    found = jax.jit(mean_squares)(features())
    expected = np.concatenate([np.mean(np.square(x), (1, 2)) for x in features()])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for got, x in zip(
        jax.jit(jax.grad(lambda x: mean_squares(x).sum()))(features()), features(), strict=True
    ):
        np.testing.assert_allclose(got, 2 * x / x[0].size, rtol=1e-6)
    for got in jax.jit(jax.grad(lambda x: jnp.sum(sums(x) * jnp.arange(3.0))))(several)[1:]:
        assert np.unique(got).size == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adafac_mlp_lopt", "star", "celo"])
def test_a_training_is_derived_by_a_program_that_compiles(name):
    row = LEARNED[name]
    weights = row.initial(jax.random.key(0))
    rule, start = row.make(weights), {"w": drawn(4, 8), "b": drawn(8, seed=1)}

    def loss(p):
        return sum(jnp.mean(jnp.square(x)) for x in p.values())

    def end(weights):
        def step(carry, t):
            p, state = carry
            value, grads = jax.value_and_grad(loss)(p)
            updates, state = rule.update(weights, {}, grads, state, p, Seen(value, t, None))
            return (jax.tree.map(jnp.add, p, updates), state), value

        (p, _), _ = jax.lax.scan(
            step, (start, rule.init(weights, {}, start, jax.random.key(0), 10)), jnp.arange(3)
        )
        return loss(p)

    gradient = jax.tree.leaves(jax.jit(jax.grad(end))(weights))
    assert all(np.isfinite(leaf).all() for leaf in gradient)
    assert any(np.any(leaf) for leaf in gradient)
