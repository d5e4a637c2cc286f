"""Shampoo against NumPy with exact roots, from eigendecompositions of the right statistics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from submissions.optimizers import shampoo as shampoo_file
from tests.submissions import training
from tests.submissions.training import cosine_rate, each_leaf, mean

# The roots converge to float64's roundoff times the ratio of their eigenvalues, at most 1e6^(1/4) for each of two
# sides, and rounding of the iteration itself, 1e-16 times up to 1e6: 1e-9; 60 updates of 0.1 add up to 6 of them.
TOLERANCE = 6e-9


def inverse_root(statistic, ridge, order):
    """(A / |A|_F + ridge I)^(-1 / order)."""
    values, vectors = np.linalg.eigh(statistic / np.linalg.norm(statistic))
    return (vectors * (values + ridge) ** (-1 / order)) @ vectors.T


def shampoo(hp, t, g, x, memory):
    b1, b2 = hp["beta1"], hp["beta2"]
    m, v = mean(memory, "m", b1, g), mean(memory, "v", b2, g * g)
    adam = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + hp["epsilon"])
    direction = adam
    if x.ndim > 1:
        rows = g.reshape(-1, g.shape[-1])
        used = [n <= 256 for n in rows.shape]
        statistics = [
            mean(memory, "L", b2, rows @ rows.T) if used[0] else None,
            mean(memory, "R", b2, rows.T @ rows) if used[1] else None,
        ]
        if (
            t - 1
        ) % 12 == 0:  # updates 1, 13, 25, ...: the root begun 12 updates ago is ready, the next begins
            memory["ready"] = memory.get("making")
            memory["making"] = [
                None if s is None else inverse_root(s, hp["matrix_epsilon"], 2 * sum(used))
                for s in statistics
            ]
        if memory["ready"] and any(used):
            left, right = memory["ready"]
            turned = m.reshape(rows.shape)
            turned = turned if left is None else left @ turned
            turned = (turned if right is None else turned @ right).reshape(x.shape)
            direction = turned * np.linalg.norm(adam) / np.linalg.norm(turned)
    return x - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x)


POINTS = [
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "beta1": 0.7, "beta2": 0.9, "matrix_epsilon": 1e-2, "weight_decay": 0.1},
    {"learning_rate": 0.1, "warmup_fraction": 0.2, "epsilon": 1e-3, "matrix_epsilon": 0.5},
]


def test_trajectories_match_numpy_with_exact_roots():
    training.check("shampoo_grafted", each_leaf(shampoo), POINTS, TOLERANCE)


# Float64: the iteration itself, at 24 of about 22 steps needed. Float32: roundoff 6e-8 moves an eigenvalue as small as
# the ridge by 6e-8 / ridge of itself, and its inverse root by half of that or a quarter; times 4 for many roundings.
@pytest.mark.parametrize(
    ("precision", "order", "ridge", "tolerance"),
    [
        ("float64", 4, 1e-6, 1e-6),
        ("float64", 2, 1e-6, 1e-6),
        ("float64", 4, 0.9, 1e-12),
        ("float32", 4, 1e-6, 4 * 0.06 / 4),
        ("float32", 2, 1e-6, 4 * 0.06 / 2),
        ("float32", 2, 1e-4, 4 * 0.0006 / 2),
    ],
)
def test_roots_converge_within_their_updates(precision, order, ridge, tolerance):
    # Eigenvalues over eight decades, so that the ridge decides the smallest.
    spectrum = np.logspace(-8, 0, 20)
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    statistic = (vectors * spectrum) @ vectors.T
    with jax.enable_x64(precision == "float64"):
        got = np.asarray(root_after_a_round(jnp.asarray(statistic, precision), ridge, order))
    # With a constant gradient the statistic is this one times 1 - 0.9^t, which the norm takes out.
    expected = inverse_root(statistic, ridge, order)
    assert np.abs(got - expected).max() < tolerance * np.abs(expected).max()


@functools.partial(jax.jit, static_argnums=2)
def root_after_a_round(square, ridge, order):
    """The root in use at update 13, when it was begun at update 1 and every gradient had this square."""

    def update(side, count):
        return shampoo_file.advanced(side, square, count, 0.9, ridge, order), None

    first = shampoo_file.first_side(len(square), square.dtype)
    return jax.lax.scan(update, first, jnp.arange(shampoo_file.UPDATES_PER_ROOT + 1))[0].root


def test_long_sides_are_left_alone():
    lengths = [
        [None if side is None else len(side.root) for side in shampoo_file.first_sides(jnp.zeros(shape))]
        for shape in [(256, 257), (16, 17, 3), (300, 300), (5,), ()]
    ]
    assert lengths == [[256, None], [None, 3], [None, None], [], []]


def test_a_statistic_of_zeros_leaves_the_direction_alone():
    got = np.asarray(root_after_a_round(jnp.zeros((20, 20)), 1e-6, 4))
    assert got[0, 0] > 0
    np.testing.assert_allclose(got, got[0, 0] * np.eye(20), rtol=1e-5, atol=1e-5 * got[0, 0])


def test_the_iteration_compiles_without_lapack():
    def update(g):
        transformation = shampoo_file.scale_by_shampoo(0.9, 0.999, 1e-8, 1e-6)
        return transformation.update(g, transformation.init(g))[0]

    text = jax.jit(update).lower({"kernel": jnp.ones((8, 8))}).as_text()
    assert "custom_call" not in text  # eigendecompositions, QR and Cholesky are calls of LAPACK on a CPU
