"""Adam under a learned control: against NumPy in float64, and what it is before it is trained."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Seen
from submissions.learned import LEARNED, controlled_adam
from tests.submissions.learned.velo_in_numpy import Losses

ROW = LEARNED["controlled_adam"]
HORIZON = 40
SHAPES = {"a_scalar": (), "b_vector": (3,), "c_matrix": (3, 4), "d_matrix": (3, 4)}


class InNumpy:
    """Written from the formulas in the docstrings, a tensor at a time."""

    def __init__(self, weights, start):
        self.w = jax.tree.map(np.float64, weights)
        self.p = {n: np.float64(x) for n, x in start.items()}
        self.start = {n: x.copy() for n, x in self.p.items()}
        self.fast, self.slow, self.v = ({n: np.zeros(x.shape) for n, x in self.p.items()} for _ in range(3))
        self.drift, self.losses, self.t = dict.fromkeys(self.p, 0.0), Losses(HORIZON), 0

    def step(self, gradients, loss):
        done = self.t / HORIZON
        self.t += 1
        self.losses.add(loss)
        time = [np.log(1 - done + 1 / HORIZON), np.log(done + 1 / HORIZON), done, np.log10(HORIZON) - 2.5]
        directions, rows = {}, {}
        for n, g in gradients.items():
            g = np.float64(g)
            self.fast[n] = 0.9 * self.fast[n] + 0.1 * g
            self.slow[n] = 0.99 * self.slow[n] + 0.01 * g
            self.v[n] = 0.99 * self.v[n] + 0.01 * g**2
            scale = 1 / (1e-8 + np.sqrt(self.v[n] / (1 - 0.99**self.t)))
            d = [
                g * scale,
                self.fast[n] / (1 - 0.9**self.t) * scale,
                self.slow[n] / (1 - 0.99**self.t) * scale,
            ]
            rms = lambda x: np.sqrt(np.mean(x**2) + 1e-16)  # noqa: E731
            moved = self.p[n] - self.start[n]
            sizes = [rms(x) for x in (self.p[n], moved, *d)]
            agree = np.mean(d[0] * d[1]) / (sizes[2] * sizes[3])
            onward = -np.mean(d[1] * moved) / (sizes[3] * sizes[1])
            kind = [np.log10(g.size) - 2, float(g.ndim > 1), self.drift[n]]
            directions[n], rows[n] = d, np.array([*np.log10(sizes), agree, onward, *kind])
        mean = np.mean(list(rows.values()), 0)
        for n, row in rows.items():
            x = np.concatenate([time, self.losses.features(), mean, row])
            out = (
                np.tanh(x @ self.w["hidden"]["w"] + self.w["hidden"]["b"]) @ self.w["out"]["w"]
                + self.w["out"]["b"]
            )
            rate = np.exp(x @ self.w["direct"]["w"] + self.w["direct"]["b"] + out[0] + self.drift[n])
            shares = np.exp(out[2:]) / np.exp(out[2:]).sum()
            self.p[n] = self.p[n] - rate * sum(
                share * d for share, d in zip(shares, directions[n], strict=True)
            )
            self.drift[n] += 0.1 * np.tanh(out[1])


def trained(weights, start, gradients, losses, told=HORIZON):
    rule = ROW.make(weights)
    p, state = start, rule.init(weights, {}, start, None, told)
    update = jax.jit(rule.update)
    for t, (g, loss) in enumerate(zip(gradients, losses, strict=True)):
        updates, state = update(weights, {}, g, state, p, Seen(jnp.float32(loss), jnp.int32(t), None))
        p = jax.tree.map(jnp.add, p, updates)
    return p


def some(steps, seed=0):
    random = np.random.default_rng(seed)
    start = {n: jnp.asarray(random.standard_normal(s), jnp.float32) for n, s in SHAPES.items()}
    drawn = lambda: {n: np.float32(random.standard_normal(s) + 0.5) for n, s in SHAPES.items()}  # noqa: E731
    return (
        start,
        [drawn() for _ in range(steps)],
        [3 / (1 + t) + 0.3 * random.standard_normal() for t in range(steps)],
    )


def any_weights():
    """The initial ones, and something in every place."""
    random = np.random.default_rng(5)
    initial = ROW.initial(jax.random.key(0), **ROW.sizes)
    return jax.tree.map(
        lambda x: x + jnp.asarray(0.1 * random.standard_normal(x.shape), jnp.float32), initial
    )


def test_it_agrees_with_numpy():
    start, gradients, losses = some(20)
    reference = InNumpy(any_weights(), start)
    for g, loss in zip(gradients, losses, strict=True):
        reference.step(g, np.float32(loss))
    p = trained(any_weights(), start, gradients, losses)
    for n in SHAPES:
        assert np.abs(reference.p[n] - start[n]).max() > 1e-2
        np.testing.assert_allclose(p[n], reference.p[n], rtol=0, atol=1e-5, err_msg=n)


def test_the_scale_of_loss_and_gradients_does_not_matter():
    start, gradients, losses = some(6)
    p = trained(any_weights(), start, gradients, losses)
    larger = trained(
        any_weights(), start, jax.tree.map(lambda g: 64 * g, gradients), [64 * x for x in losses]
    )
    # Epsilon is 1e-8 of gradients of size 1; the rest is float32's rounding.
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-6), p, larger)


def test_before_training_it_is_adam_with_a_falling_rate():
    weights = ROW.initial(jax.random.key(0), **ROW.sizes)
    start, gradients, losses = some(1)
    moved = trained(weights, start, gradients, losses)
    # The first move of Adam is the rate times the sign, here for every mean alike; the rate is .003 (1 + 1 / T).
    for n in SHAPES:
        expected = -controlled_adam.FIRST_RATE * (1 + 1 / HORIZON) * np.sign(gradients[0][n])
        np.testing.assert_allclose(moved[n] - start[n], expected, atol=1e-6)


def test_gradients_by_the_weights_are_finite_from_the_first_step():
    start, gradients, losses = some(2)

    def last(weights):
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(trained(weights, start, gradients, losses)))

    assert all(np.isfinite(x).all() for x in jax.tree.leaves(jax.grad(last)(any_weights())))
