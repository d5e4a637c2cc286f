"""The product with a gradient of its own, against NumPy and against what XLA makes of it."""

from __future__ import annotations

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads.products import for_populations, product

TRIALS, BATCH, INPUTS, OUTPUTS = 3, 8, 24, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(TRIALS, 2, BATCH, INPUTS))
W = RNG.normal(size=(TRIALS, INPUTS, OUTPUTS))
G = RNG.normal(size=(TRIALS, 2, BATCH, OUTPUTS))


def weighted(x, w, g):
    return jnp.sum(product(x, w) * g)


@pytest.fixture
def populations():
    with for_populations():
        yield


@pytest.mark.usefixtures("populations")
@pytest.mark.parametrize("shared", ["nothing", "x", "w"])
def test_gradients_are_the_closed_form_whatever_trials_share(shared):
    x, w = (X[0] if shared == "x" else X), (W[0] if shared == "w" else W)
    axes = (None if shared == "x" else 0, None if shared == "w" else 0, 0)
    of_x, of_w = jax.vmap(jax.grad(weighted, (0, 1)), axes)(*map(jnp.float32, (x, w, G)))
    # float32 eps times sums of at most 16 terms of size 10
    np.testing.assert_allclose(of_x, np.einsum("tcbo,tio->tcbi", G, np.broadcast_to(w, W.shape)), atol=2e-5)
    np.testing.assert_allclose(of_w, np.einsum("tcbi,tcbo->tio", np.broadcast_to(x, X.shape), G), atol=2e-5)


@pytest.mark.usefixtures("populations")
def test_a_gradient_can_be_differentiated_again():
    def penalty(w):
        return jnp.sum(jax.grad(lambda w: jnp.sum(product(x, w) ** 2))(w) ** 2)

    x, w = jnp.float32(X[0, 0]), jnp.float32(W[0])
    # The gradient is 2 x'x w, so that of its square is 8 (x'x)^2 w.
    gram = X[0, 0].T @ X[0, 0]
    np.testing.assert_allclose(jax.grad(penalty)(w), 8 * gram @ gram @ W[0], rtol=1e-4, atol=1e-2)


def test_a_curvature_method_may_go_forward_over_reverse():
    x, w, direction = jnp.float32(X[0, 0]), jnp.float32(W[0]), jnp.float32(W[1])

    def gradient(w):
        return jax.grad(lambda w: jnp.sum(product(x, w) ** 2))(w)

    _, hessian_product = jax.jvp(gradient, (w,), (direction,))
    np.testing.assert_allclose(hessian_product, 2 * X[0, 0].T @ X[0, 0] @ W[1], rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("populations")
def test_no_array_as_large_as_the_weights_of_a_population_is_rearranged():
    # Trials next to the outputs, as the engine keeps them; sizes at which XLA leaves matrix products to its library.
    trials, inputs, outputs, batch = 8, 256, 32, 64

    def loss(w, x, y):
        return jnp.mean((jnp.tanh(product(x, w)) - y) ** 2)

    def step(w, x, y):
        return w - 0.1 * jax.vmap(jax.grad(loss), (1, None, None), 1)(w, x, y)

    shapes = [(inputs, trials, outputs), (batch, inputs), (batch, outputs)]
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    program = jax.jit(step).lower(*arguments).compile().as_text()
    moved = re.findall(r"= f32\[([\d,]+)\]\S* (?:transpose|copy)\(", program)
    assert moved, "the batch itself is transposed, so the pattern must find something"
    assert max(math.prod(map(int, shape.split(","))) for shape in moved) < inputs * trials * outputs
