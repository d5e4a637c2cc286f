"""TaskSet's activations and initialisers against closed forms."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from workloads.initializers import kernels
from workloads.taskset import _draws, _nets
from workloads.taskset.quirks import Quirks

FAN_IN, FAN_OUT, SCALE = 100, 300, 0.4
MEAN_FAN = (FAN_IN + FAN_OUT) / 2


def _draw(initializers):
    """A kernel [FAN_IN, FAN_OUT] of each."""
    keys = jax.random.split(jax.random.key(0), len(initializers))
    return map(np.asarray, kernels(keys, [((FAN_IN, FAN_OUT), initializer) for initializer in initializers]))


@pytest.fixture(scope="module")
def weights():
    """name -> kernel, for every initialiser at SCALE."""
    names = [*_draws.INITIALIZERS, "variance_scaling_contrib"]
    drawn = _draw([*(_nets.initializer(name, SCALE) for name in names), _nets.SONNET])
    return dict(zip([*names, "sonnet"], drawn, strict=True))


def test_names_of_draws_are_the_names_of_functions(weights):
    assert set(_draws.ACTIVATIONS) == set(_nets.ACTIVATIONS)
    assert set(_draws.INITIALIZERS) <= set(weights)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cos", [math.cos(-1.5), 1.0, math.cos(2.0)]),
        ("elu", [math.expm1(-1.5), 0.0, 2.0]),
        ("leaky_relu1", [-0.15, 0.0, 2.0]),
        ("leaky_relu2", [-0.3, 0.0, 2.0]),
        ("leaky_relu4", [-0.6, 0.0, 2.0]),
        ("relu", [0.0, 0.0, 2.0]),
        ("sigmoid", [1 / (1 + math.exp(1.5)), 0.5, 1 / (1 + math.exp(-2.0))]),
        ("swish", [-1.5 / (1 + math.exp(1.5)), 0.0, 2.0 / (1 + math.exp(-2.0))]),
        ("tanh", [math.tanh(-1.5), 0.0, math.tanh(2.0)]),
    ],
)
def test_activations_have_their_values(name, expected):
    np.testing.assert_allclose(_nets.ACTIVATIONS[name](jnp.array([-1.5, 0.0, 2.0])), expected, atol=1e-6)


CUT = 0.87962566  # standard deviation of a standard normal that is cut at 2


@pytest.mark.parametrize(
    ("name", "deviation", "bound"),  # bound: the largest possible size, inf for an untruncated normal
    [
        # Normals are cut at 2 deviations of the uncut normal, which is wider by 1 / .8796.
        ("glorot_normal", math.sqrt(1 / MEAN_FAN), 2 / CUT * math.sqrt(1 / MEAN_FAN)),
        ("glorot_uniform", math.sqrt(1 / MEAN_FAN), math.sqrt(3 / MEAN_FAN)),
        ("he_normal", math.sqrt(2 / FAN_IN), 2 / CUT * math.sqrt(2 / FAN_IN)),
        ("he_uniform", math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
        ("random_normal", SCALE, math.inf),
        ("random_uniform", SCALE / math.sqrt(3), SCALE),
        ("truncated_normal", SCALE, math.inf),
        ("variance_scaling", math.sqrt(SCALE / FAN_IN), 2 / CUT * math.sqrt(SCALE / FAN_IN)),
        # Not corrected for the cut, or corrected by tf.contrib's round number
        ("sonnet", CUT * math.sqrt(1 / FAN_IN), 2 * math.sqrt(1 / FAN_IN)),
        (
            "variance_scaling_contrib",
            CUT * math.sqrt(1.3 * SCALE / FAN_IN),
            2 * math.sqrt(1.3 * SCALE / FAN_IN),
        ),
    ],
)
def test_initialisers_have_their_deviation_and_range(weights, name, deviation, bound):
    drawn = weights[name]
    # Relative standard error of a deviation from 30,000 draws is at most sqrt(1 / 6e4) = .004; 5 of them.
    assert abs(drawn.std() / deviation - 1) < 0.02
    assert abs(drawn.mean()) < 5 * deviation / math.sqrt(drawn.size)
    largest = np.abs(drawn).max()
    if bound is math.inf:
        assert largest > 3.5 * deviation  # 14 of 30,000 are expected there
    else:
        assert 0.99 * bound < largest <= bound * (1 + 1e-6)


def test_orthogonal_has_its_gain(weights):
    rows = weights["orthogonal"]
    np.testing.assert_allclose(rows @ rows.T, SCALE**2 * np.eye(FAN_IN), atol=1e-5)


def test_truncated_normal_is_cut_only_when_asked(weights):
    (cut,) = _draw([_nets.initializer("truncated_normal", SCALE, Quirks(truncated_normal="truncated"))])
    assert np.abs(cut).max() <= 2 * SCALE < np.abs(weights["truncated_normal"]).max()


@pytest.mark.parametrize(("name", "fan"), [("glorot_uniform", (18 + 45) / 2), ("he_uniform", 18 / 2)])
def test_a_convolution_counts_its_window_in_both_fans(name, fan):
    draws = jnp.full((3, 3, 2, 5), 1.0)  # the largest that a uniform draw can be
    np.testing.assert_allclose(_nets.initializer(name, None).finish(draws), math.sqrt(3 / fan), rtol=1e-6)


def test_an_orthogonal_convolution_is_orthogonal_as_a_matrix():
    draws = np.random.default_rng(0).normal(size=(3, 3, 2, 5)).astype(np.float32)
    kernel = np.asarray(_nets.initializer("orthogonal", SCALE).finish(jnp.asarray(draws)))
    assert kernel.shape == draws.shape
    matrix = kernel.reshape(18, 5)
    np.testing.assert_allclose(matrix.T @ matrix, SCALE**2 * np.eye(5), atol=1e-6)
