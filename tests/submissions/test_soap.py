"""SOAP against NumPy with LAPACK's QR."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import submissions
from submissions.optimizers import soap as soap_file
from tests.submissions import training
from tests.submissions.training import cosine_rate, each_leaf, mean

# The factor is good to float64's roundoff over the ridge, 1e-16 / 1e-5, in directions that gradients hardly have. 60
# updates of at most 0.1 of Adam's form, amplified by 1 / (1 - beta2) = 1000 at most: 60 * 0.1 * 1e-11 * 1e3.
TOLERANCE = 6e-8


def soap(hp, t, g, x, memory):
    b1, b2 = hp["beta1"], hp["beta2"]
    rows = g.reshape(-1, g.shape[-1]) if g.ndim > 1 else g.reshape(1, -1)
    bases = [memory.get(side, np.eye(n)) for side, n in zip("LR", rows.shape, strict=True)]
    m = mean(memory, "m", b1, rows)
    v = mean(memory, "v", b2, (bases[0].T @ rows @ bases[1]) ** 2)
    inside = (bases[0].T @ m @ bases[1]) / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + hp["epsilon"])
    direction = (bases[0] @ inside @ bases[1].T).reshape(x.shape)
    for side, basis, square in zip("LR", bases, (rows @ rows.T, rows.T @ rows), strict=True):
        if x.ndim < 2 or len(basis) > 256:
            continue
        statistic = mean(memory, f"{side} statistic", b2, square)
        if (t - 1) % 10 == 0:
            memory[side] = np.linalg.qr(statistic / np.linalg.norm(statistic) @ basis + 1e-5 * basis)[0]
    return x - cosine_rate(hp, t) * (direction + hp["weight_decay"] * x)


POINTS = [
    {"learning_rate": 0.1},
    {"learning_rate": 0.1, "warmup_fraction": 0.2, "beta1": 0.7, "beta2": 0.9, "epsilon": 1e-3}
    | {"weight_decay": 0.1},
    {"learning_rate": 0.1, "warmup_fraction": 0.0, "beta1": 0.0, "beta2": 0.99, "epsilon": 1e-2},
]


def test_trajectories_match_numpy_with_lapacks_qr():
    # The signs of LAPACK's columns differ from ours: an entry of v does not see them, and a direction is turned back.
    training.check("soap", each_leaf(soap), POINTS, TOLERANCE)


# Float32: roundoff 6e-8 of numbers up to 1, of which n are summed twice; LAPACK's is no better.
@pytest.mark.parametrize(("precision", "tolerance"), [("float64", 1e-14), ("float32", 2e-6)])
def test_the_orthogonal_factor_is_orthogonal_also_of_nearly_dependent_columns(precision, tolerance):
    spectrum = np.logspace(-5, 0, 30)
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    with jax.enable_x64(precision == "float64"):
        q = np.asarray(soap_file.orthogonal_factor(jnp.asarray((vectors * spectrum) @ vectors.T, precision)))
    assert np.abs(q.T @ q - np.eye(30)).max() < tolerance


def test_the_basis_goes_to_the_eigenvectors():
    # Eigenvalues that fall threefold: an iteration brings what is mixed down to a third, 60 of them to roundoff.
    vectors = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    statistic = (vectors * 3.0 ** -np.arange(6)) @ vectors.T
    with jax.enable_x64(True):
        basis = jnp.eye(6, dtype=jnp.float64)
        step = jax.jit(soap_file.next_basis)
        for _ in range(60):
            basis = step(jnp.asarray(statistic), basis)
        np.testing.assert_allclose(np.abs(vectors.T @ np.asarray(basis)), np.eye(6), atol=1e-9)


def test_a_statistic_of_zeros_leaves_the_basis_alone():
    with jax.enable_x64(True):
        basis = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
        got = soap_file.next_basis(jnp.zeros((5, 5)), jnp.asarray(basis))
        np.testing.assert_allclose(got, basis, atol=1e-15)


def update_of_soap(hp, g, step):
    rule = submissions.optimizer("soap").rule
    state = rule.init((), hp, g, jax.random.key(0), jnp.int32(100))
    return rule.update((), hp, g, state, g, submissions.Seen(jnp.float32(1), step, jax.random.key(0)))


def test_it_compiles_without_lapack_and_makes_bases_for_all_trials_only_where_they_are_due():
    row = submissions.optimizer("soap")
    hp = jax.tree.map(jnp.float32, row.prepare({"learning_rate": 0.1}, 100))
    trials = {name: jnp.stack([value] * 2) for name, value in hp.items()}
    batched = jax.jit(jax.vmap(update_of_soap, (0, None, None)))
    text = batched.lower(trials, {"kernel": jnp.ones((8, 8))}, jnp.int32(1)).as_text()
    assert "custom_call" not in text  # eigendecompositions, QR and Cholesky are calls of LAPACK on a CPU
    assert "stablehlo.case" in text  # a choice for each trial would be a selection, and both sides would run


def test_an_ill_conditioned_turned_problem_is_solved_better_than_by_adam():
    # 1/2 |A (W - T) B|^2 with eigenvalues over a decade and a half, in axes that no entry of W lies along.
    def turned(n, seed):
        vectors = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
        return jnp.float32((vectors * np.logspace(-1.5, 0, n)) @ vectors.T)

    a, b, target = turned(20, 0), turned(16, 1), jnp.float32(np.random.default_rng(2).normal(size=(20, 16)))

    def loss(w):
        return jnp.sum((a @ (w - target) @ b) ** 2) / 2

    def after_training(name, rate):
        row = submissions.optimizer(name)
        hp = jax.tree.map(jnp.float32, row.prepare({"learning_rate": rate, "weight_decay": 0.0}, 300))
        transformation = row(hp, 300)

        def step(carry, _):
            w, state = carry
            updates, state = transformation.update(jax.grad(loss)(w), state, w)
            return (w + updates, state), None

        start = jnp.zeros((20, 16))
        (w, _), _ = jax.lax.scan(step, (start, transformation.init(start)), None, 300)
        return float(loss(w))

    best = {name: min(after_training(name, rate) for rate in (0.03, 0.1)) for name in ("soap", "adamw_optax")}
    assert best["soap"] < best["adamw_optax"] / 10
