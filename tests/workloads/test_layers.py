"""Layers and losses against independent calculations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import workloads
from workloads.initializers import TOGETHER, he_normal, kernels, normal, orthogonal
from workloads.layers import conv, dropout, gru, gru_init, init_layers, layer_norm
from workloads.losses import classification_sums, cross_entropy, squared_error_of_sigmoid


def _normal(*shape):
    """Not from JAX's generator, each call of which takes a second to compile."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _conv(channels, outputs, window=3):
    kernel = _normal(window, window, channels, outputs) / np.sqrt(window * window * channels)
    return {"kernel": jnp.asarray(kernel), "bias": jnp.arange(float(outputs))}


@pytest.mark.parametrize(
    ("shape", "window", "stride", "padding"),
    [
        ((8, 8, 1), 3, 1, "SAME"),
        ((8, 8, 4), 3, 2, "SAME"),
        ((7, 9, 2), 3, 2, "SAME"),
        ((9, 4, 3), 2, 3, "SAME"),
        ((7, 8, 2), 3, 2, "VALID"),
        ((5, 6, 2), 1, 2, "VALID"),
    ],
)
def test_shifted_slices_equal_lax_convolution(shape, window, stride, padding):
    height, width, channels = shape
    layer = _conv(channels, 5, window)
    x = jnp.asarray(_normal(2, height, width, channels))
    expected = jax.lax.conv_general_dilated(
        x,
        layer["kernel"],
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )
    # At most 36 products per output, together of order 1: far below 36 float32 eps = 4e-6.
    np.testing.assert_allclose(
        jax.jit(conv, static_argnums=(2, 3))(layer, x, stride, padding),
        expected + layer["bias"],
        atol=1e-5,
    )


def test_gradients_of_shifted_slices_equal_those_of_lax_convolution():
    kernel = _conv(2, 3)
    x = jnp.asarray(_normal(2, 7, 7, 2))

    def ours(layer, x):
        return jnp.sum(jnp.sin(conv(layer, x, stride=2)))

    def theirs(layer, x):
        numbers = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(x, layer["kernel"], (2, 2), "SAME", dimension_numbers=numbers)
        return jnp.sum(jnp.sin(y + layer["bias"]))

    got, expected = (jax.jit(jax.grad(f, argnums=(0, 1)))(kernel, x) for f in (ours, theirs))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_convolution_may_have_no_bias():
    kernel = {"kernel": _conv(2, 3)["kernel"]}
    biased = kernel | {"bias": jnp.arange(3.0)}
    x = jnp.asarray(_normal(2, 5, 5, 2))
    without, with_bias = (np.asarray(jax.jit(conv)(layer, x)) for layer in (kernel, biased))
    np.testing.assert_allclose(with_bias - without, np.broadcast_to(np.arange(3.0), without.shape), atol=1e-5)


def test_layers_may_be_made_without_bias():
    layers = {"Conv_0": ((3, 3, 2, 4), he_normal), "Dense_0": ((4, 5), he_normal)}
    made = init_layers(jax.random.split(jax.random.key(0), 2), layers, unbiased=["Conv_0"])
    assert {name: set(layer) for name, layer in made.items()} == {
        "Conv_0": {"kernel"},
        "Dense_0": {"kernel", "bias"},
    }


def test_layer_norm_equals_its_definition_in_numpy():
    x, scale, bias = 3 * _normal(4, 6) + 2, _normal(6), _normal(6)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    expected = scale * centred / np.sqrt(wide.var(axis=1, keepdims=True) + 0.1) + bias
    got = layer_norm({"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}, jnp.asarray(x), 0.1)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_gru_follows_its_equations_in_numpy():
    units, tokens = 4, np.array([[0, 2], [1, 1], [2, 0]])  # [time, batch]
    layer = gru_init(jax.random.key(0), 3, units)
    layer = jax.tree.map(lambda x: x + 0.1, layer)  # biases that are not zero
    state, expected = np.zeros((2, units)), []
    for row in tokens:
        w = {g: np.asarray(layer[g]["input_kernel"])[row] + np.asarray(layer[g]["bias"]) for g in layer}
        u = {g: state @ np.asarray(layer[g]["state_kernel"], np.float64) for g in layer}
        r = 1 / (1 + np.exp(-w["reset"] - u["reset"]))
        z = 1 / (1 + np.exp(-w["update"] - u["update"]))
        candidate = np.tanh(w["candidate"] + r * u["candidate"])
        state = z * state + (1 - z) * candidate
        expected.append(state)
    np.testing.assert_allclose(gru(layer, jnp.asarray(tokens)), np.stack(expected), atol=1e-6)


def test_dropout_keeps_the_mean_and_drops_at_its_rate():
    x = jnp.ones((400, 500))
    rate = 0.3
    y = np.asarray(dropout(jax.random.key(0), x, rate, train=True))
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / (1 - rate)], rtol=1e-6)
    # Standard error of the share of 200,000 draws: sqrt(.3 * .7 / 2e5) = .001; 5 of them.
    assert abs((y == 0).mean() - rate) < 0.005


def test_dropout_of_rate_zero_returns_its_input_exactly():
    x = jnp.asarray(_normal(50, 70))
    np.testing.assert_array_equal(dropout(jax.random.key(0), x, jnp.float32(0.0), train=True), x)


def test_dropout_does_nothing_outside_of_training():
    x = jnp.ones((3, 3))
    assert dropout(jax.random.key(0), x, 0.9, train=False) is x


@pytest.mark.parametrize("smoothing", [None, 0.0, 0.1, 0.2])
def test_smoothed_cross_entropy_equals_its_definition_in_numpy(smoothing):
    generator = np.random.default_rng(0)
    logits, labels, classes = generator.normal(size=(6, 5)) * 3, generator.integers(5, size=6), 5
    a = smoothing or 0.0
    targets = (1 - a) * np.eye(classes)[labels] + a / classes
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -(targets * np.log(probabilities)).sum(axis=1)
    got = cross_entropy(jnp.asarray(logits), jnp.asarray(labels), smoothing)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_squared_error_of_sigmoid_equals_its_definition_in_numpy():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(6, 5)) * 3, generator.integers(5, size=6)
    expected = ((np.eye(5)[labels] - 1 / (1 + np.exp(-logits))) ** 2).mean(axis=1)
    got = squared_error_of_sigmoid(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_cross_entropy_of_large_logits_is_finite():
    loss = cross_entropy(jnp.array([[1e4, -1e4, 0.0]]), jnp.array([1]))
    np.testing.assert_allclose(loss, [2e4])


def test_classification_sums_count_right_answers():
    logits = jnp.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    sums = classification_sums(logits, jnp.array([0, 0, 0]))
    assert (float(sums["accuracy"]), float(sums["examples"])) == (2.0, 3.0)


def test_a_kernel_depends_on_its_own_key_alone():
    large = (TOGETHER // 8 + 1, 8)
    makes = [
        ((3, 4), he_normal),
        (large, he_normal),
        ((50, 2), he_normal),
        ((5, 5), normal(1.0)),
    ]
    keys = jax.random.split(jax.random.key(0), len(makes))
    together = kernels(keys, makes)
    for i, make in enumerate(makes):
        (alone,) = kernels(keys[i : i + 1], [make])
        assert alone.shape == make[0]
        np.testing.assert_array_equal(together[i], alone)


def test_kernels_have_the_numbers_that_jax_initialisers_draw():
    # Element by element: what a longer draw begins with is the shorter draw.
    keys = jax.random.split(jax.random.key(0), 2)
    ours = kernels(keys, [((3, 3, 2, 4), he_normal), ((30, 20), he_normal)])
    for key, kernel in zip(keys, ours, strict=True):
        np.testing.assert_allclose(kernel, jax.nn.initializers.he_normal()(key, kernel.shape), rtol=1e-5)
    for shape in ((30, 20), (20, 30)):
        (kernel,) = kernels(keys[:1], [(shape, orthogonal(0.5))])
        expected = jax.nn.initializers.orthogonal(0.5)(keys[0], shape)
        np.testing.assert_allclose(kernel, expected, atol=1e-5)


@pytest.mark.parametrize("name", workloads.representatives())
def test_no_initialisation_calls_lapack(loaded, name):
    # A batched LAPACK kernel waits for the thread pool it runs in: two at once on two cores never end.
    init = jax.jit(jax.vmap(loaded[name].init))
    assert "lapack" not in init.lower(jax.random.split(jax.random.key(0), 3)).as_text()


def test_orthogonal_kernels_have_orthonormal_columns_and_the_q_of_lapack():
    draws = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32)
    q = np.asarray(orthogonal().finish(jnp.asarray(draws)), np.float64)
    # float32 eps times the square root of the number of terms, with room for two passes
    np.testing.assert_allclose(q.T @ q, np.eye(24), atol=2e-6)
    expected, r = np.linalg.qr(draws.astype(np.float64))
    np.testing.assert_allclose(q, expected * np.sign(np.diag(r)), atol=2e-5)
