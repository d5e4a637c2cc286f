"""TaskSet's quadratics: values and gradients against NumPy, and the law of the matrices that are never formed."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from workloads import Regularization
from workloads.taskset import _quadratic_noise, quadratic_family

DIMS = 6
# The programs run for milliseconds, so the time goes into compiling them.
FAST = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
MATRICES = {
    "normal": ["normal", {"mean": 0.7, "std": 1.3}],
    "uniform": ["uniform", {"min": -2.0, "max": 1.0}],
    "linspace_eigen": ["linspace_eigen", {"min": 3.0, "max": 9.0}],
    "logspace_eigen": ["logspace_eigen", {"min": 1e-5, "max": 50.0}],
}


def _workload(matrix="normal", noise=None, output_fn="identity", dims=DIMS, scale=0.3, seed=11, **changes):
    config = {
        "A_dist": MATRICES[matrix],
        "initial_dist": ["uniform", {"min": 1.0, "max": 3.0}],
        "output_fn": output_fn,
        "dims": dims,
        "seed": seed,
        "loss_scale": scale,
        "noise": noise and {"A_noise": noise},
    }
    return quadratic_family.from_config("test/quadratic", config | changes)


def _loss_and_gradient(workload):
    params, state = workload.init(jax.random.key(0))

    def of_params(params):
        return workload.loss(params, state, {}, jax.random.key(0), True, Regularization())[0]

    loss, gradient = jax.value_and_grad(of_params)(params)
    return np.asarray(params["x"], np.float64), float(loss), np.asarray(gradient["x"], np.float64)


@pytest.mark.parametrize("matrix", MATRICES)
def test_loss_and_gradient_of_the_identity_are_the_scaled_quadratic_form(matrix):
    workload = _workload(matrix)
    a = workload.shared.constants["matrix"].astype(np.float64)
    x, loss, gradient = _loss_and_gradient(workload)
    np.testing.assert_allclose(loss, 0.3 * np.sum((a @ x) ** 2), rtol=1e-5)
    np.testing.assert_allclose(gradient, 0.6 * a.T @ a @ x, rtol=1e-4, atol=1e-4 * np.abs(gradient).max())


def test_loss_and_gradient_of_the_logarithm_are_those_of_the_form_plus_1e_8():
    workload = _workload(output_fn="log", scale=7.0)
    a = workload.shared.constants["matrix"].astype(np.float64)
    x, loss, gradient = _loss_and_gradient(workload)
    square = np.sum((a @ x) ** 2)
    np.testing.assert_allclose(loss, 7.0 * np.log(square + 1e-8), rtol=1e-5)
    np.testing.assert_allclose(gradient, 14.0 * a.T @ a @ x / square, rtol=1e-4, atol=1e-4)
    minimum, _ = workload.loss({"x": jnp.zeros(DIMS)}, (), {}, jax.random.key(0), True, Regularization())
    np.testing.assert_allclose(minimum, 7.0 * np.log(1e-8), rtol=1e-6)


def test_entries_of_the_matrix_and_the_start_follow_their_distributions():
    a = _workload("normal", dims=200).shared.constants["matrix"]
    # 40,000 entries: standard errors 1.3 / 200 = .0065 of the mean and 1.3 / 200 / sqrt 2 of the deviation; 5 of them.
    assert abs(a.mean() - 0.7) < 5 * 0.0065
    assert abs(a.std() - 1.3) < 5 * 0.0046
    workload = _workload("uniform", dims=200)
    a, start = workload.shared.constants["matrix"], workload.shared.constants["start"]
    assert -2.0 <= a.min() < -1.999  # 13 of 40,000 are expected below
    assert 0.999 < a.max() <= 1.0
    assert 1.0 <= start.min() < 1.1  # ten of 200 are expected below
    assert 2.9 < start.max() <= 3.0


@pytest.mark.parametrize("law", ["linspace_eigen", "logspace_eigen"])
def test_a_matrix_of_given_spectrum_is_symmetric_and_has_it(law):
    a = _workload(law, dims=40).shared.constants["matrix"].astype(np.float64)
    low, high = MATRICES[law][1].values()
    expected = np.linspace(low, high, 40)
    if law == "logspace_eigen":
        expected = np.exp(np.linspace(np.log(low), np.log(high), 40))
    np.testing.assert_allclose(a, a.T, atol=1e-5 * high)
    # float32 products of 40 terms err by about 1e-7 * sqrt(40) of the largest eigenvalue.
    np.testing.assert_allclose(np.linalg.eigvalsh(a), expected, atol=2e-6 * high)


def test_replicas_share_the_start_and_seeds_do_not():
    first, second = (_workload().init(jax.random.key(k))[0]["x"] for k in (0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, _workload(seed=12).init(jax.random.key(0))[0]["x"])


# What the noise matrices of `NOISES` are, drawn one by one in double precision.
def _orthogonal(entries):
    q, r = np.linalg.qr(entries)
    return q * np.sign(np.diag(r))


SPECTRUM = np.linspace(0.5, 4.0, DIMS)
NOISES = {
    "normal": (
        {"mean": -0.2, "std": 0.5},
        lambda rng: rng.normal(-0.2, 0.5, (DIMS, DIMS)),
    ),
    "uniform": (
        {"min": -0.4, "max": 1.2},
        lambda rng: rng.uniform(-0.4, 1.2, (DIMS, DIMS)),
    ),
    "spectrum": (
        {"spectrum": SPECTRUM},
        lambda rng: (lambda q: (q * SPECTRUM) @ q.T)(_orthogonal(rng.uniform(-1.0, 1.0, (DIMS, DIMS)))),
    ),
    "implicit spectrum": (
        {"spectrum": SPECTRUM},
        lambda rng: (lambda q: (q * SPECTRUM) @ q.T)(_orthogonal(rng.normal(size=(DIMS, DIMS)))),
    ),
}
DRAWS = 4000


@pytest.fixture(scope="module", params=NOISES)
def noisy(request):
    """Of a kind of noise: A, x, and values and gradients of DRAWS matrices, ours and NumPy's."""
    kind = request.param
    numbers, draw = NOISES[kind]
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(DIMS, DIMS)), rng.normal(size=DIMS)
    explicit = _quadratic_noise.EXPLICIT
    _quadratic_noise.EXPLICIT = 0 if kind == "implicit spectrum" else explicit
    try:
        numbers = jax.tree.map(lambda number: jnp.asarray(number, jnp.float32), numbers)
        of_key = jax.value_and_grad(
            lambda x, key: _quadratic_noise.noisy_square(
                kind.removeprefix("implicit "), numbers, jnp.asarray(a, jnp.float32), x, key
            )
        )
        ours = jax.jit(jax.vmap(of_key, in_axes=(None, 0)), compiler_options=FAST)(
            jnp.asarray(x, jnp.float32), jax.random.split(jax.random.key(1), DRAWS)
        )
    finally:
        _quadratic_noise.EXPLICIT = explicit
    sums = [a + draw(rng) for _ in range(DRAWS)]
    theirs = np.array([np.sum((s @ x) ** 2) for s in sums]), np.array([2.0 * s.T @ s @ x for s in sums])
    return kind, a, x, [np.asarray(value, np.float64) for value in ours], theirs


def test_every_draw_has_one_matrix_behind_its_value_and_gradient(noisy):
    # x . 2 M^T M x = 2 |M x|^2 for any M = A + N.
    _, _, x, (values, gradients), _ = noisy
    np.testing.assert_allclose(gradients @ x, 2.0 * values, rtol=1e-4)


def test_values_and_gradients_have_the_expectation_of_their_law(noisy):
    kind, a, x, (values, gradients), _ = noisy
    if kind.endswith("spectrum"):
        mean, square = SPECTRUM.mean() * np.eye(DIMS), (SPECTRUM**2).mean() * np.eye(DIMS)
    else:
        centre, variance = (-0.2, 0.25) if kind == "normal" else (0.4, 1.6**2 / 12.0)
        mean = np.full((DIMS, DIMS), centre)
        square = mean.T @ mean + DIMS * variance * np.eye(DIMS)
    expected = (a.T @ a + a.T @ mean + mean.T @ a + square) @ x
    error = gradients.std(axis=0) / np.sqrt(DRAWS)
    assert (np.abs(gradients.mean(axis=0) - 2.0 * expected) < 5.0 * error).all()
    assert abs(values.mean() - x @ expected) < 5.0 * values.std() / np.sqrt(DRAWS)


def test_values_and_gradients_are_distributed_as_with_matrices_drawn_in_full(noisy):
    *_, ours, theirs = noisy
    fixed = np.random.default_rng(1).normal(size=DIMS)
    functionals = {
        "value": lambda values, gradients: values,
        "length of the gradient": lambda values, gradients: np.linalg.norm(gradients, axis=1),
        "first entry": lambda values, gradients: gradients[:, 0],
        "across": lambda values, gradients: gradients @ fixed,
        "joint": lambda values, gradients: gradients @ fixed / np.sqrt(values),
    }
    for name, functional in functionals.items():
        # Two samples of one law differ this much once in 10,000 times; the draws are fixed.
        assert scipy.stats.ks_2samp(functional(*ours), functional(*theirs)).pvalue > 1e-4, name


def test_a_matrix_that_is_never_formed_has_the_given_spectrum():
    # A = 0 and |x| = 1: value |N x|^2 and gradient 2 N^2 x lie between the outer eigenvalues squared, and twice that.
    dims = 2 * _quadratic_noise.EXPLICIT
    numbers, x = {"spectrum": jnp.linspace(2.0, 5.0, dims)}, jnp.full(dims, dims**-0.5)

    @functools.partial(jax.jit, compiler_options=FAST)
    def of_key(key):
        return jax.value_and_grad(
            lambda x: _quadratic_noise.noisy_square("spectrum", numbers, jnp.zeros((dims, dims)), x, key)
        )(x)

    for seed in range(20):
        value, gradient = of_key(jax.random.key(seed))
        assert 4.0 < value < 25.0
        assert 8.0 < jnp.linalg.norm(gradient) < 50.0


def test_every_batch_has_a_matrix_of_its_own_in_evaluation_too():
    workload = _workload(noise=["uniform", {"min": -1.0, "max": 1.0}])
    params, state = workload.init(jax.random.key(0))
    batch = workload.data.draw(jax.random.key(5), 3)

    @functools.partial(jax.jit, compiler_options=FAST)
    def loss(seed):
        of_batch, _ = workload.loss(
            params, state, {"noise": seed[None]}, jax.random.key(0), True, Regularization()
        )
        return of_batch

    losses = [float(loss(seed)) for seed in batch["noise"]]
    assert len(set(losses)) == 3
    sums = jax.jit(workload.metrics, compiler_options=FAST)(params, state, batch, jax.random.key(0))
    np.testing.assert_allclose(sums["loss"], sum(losses), rtol=1e-5)
    assert sums["examples"] == 3


def test_without_noise_evaluation_is_the_training_loss():
    workload = _workload()
    params, state = workload.init(jax.random.key(0))
    _, loss, _ = _loss_and_gradient(workload)
    sums = workload.metrics(params, state, workload.data.draw(jax.random.key(0), 50), jax.random.key(0))
    np.testing.assert_allclose(sums["loss"] / sums["examples"], loss, rtol=1e-6)


@pytest.mark.parametrize("seed", range(0, 100, 7))
def test_sampled_tasks_have_as_many_parameters_as_dimensions(seed, monkeypatch):
    # The matrix does not matter here, and a given spectrum costs seconds in 2,000 dimensions.
    monkeypatch.setattr(
        quadratic_family, "_fixed_matrix", lambda kind, dims, rng: np.zeros((dims, dims), np.float32)
    )
    workload = quadratic_family.build(None, seed)
    params, _ = jax.eval_shape(workload.init, jax.random.key(0))
    assert params["x"].shape == (quadratic_family.sample(seed)["dims"],)
    assert workload.name == f"taskset/quadratic_family_seed{seed}"
    assert workload.data.provenance.stands_in_for is None
    assert (workload.step_hint, workload.eval_period) == (10_000, 200)
