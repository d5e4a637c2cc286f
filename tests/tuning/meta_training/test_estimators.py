"""The arithmetic of estimates, in NumPy's words, where the golden file is silent."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from tuning.meta_training import estimators
from tuning.meta_training.estimators import Window

RNG = np.random.default_rng(20211213)
STD = 0.1
XI = {"a": np.float32(RNG.normal(size=(4, 3)) * STD), "b": np.float32(RNG.normal(size=4) * STD)}


def mean_of(factors):
    return {name: np.mean([f * x for f, x in zip(factors, xi, strict=True)], 0) for name, xi in XI.items()}


def assert_equal(found, expected):
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5)  # float32, factors up to 250


@pytest.mark.parametrize("kind", estimators.TRAJECTORY)
def test_one_loss_of_a_trajectory(kind):
    losses = RNG.normal(size=(6, 4))
    expected = {"avg": losses.mean(0), "min": losses.min(0), "last": losses[5]}[kind]
    np.testing.assert_allclose(estimators.of_trajectory(jnp.float32(losses), kind), expected, rtol=1e-5)


@pytest.mark.parametrize("sign", [None, 2.0])
@pytest.mark.parametrize("clip", [None, 0.3])
def test_full_length_takes_no_number_for_zero_then_clips_then_takes_the_sign(sign, clip):
    plus, minus = np.array([1.0, np.nan, 2.0, np.inf]), np.array([0.9, 1.0, 4.0, 1.0])
    difference = np.array([0.1, 0.0, -2.0, 0.0])
    if clip is not None:
        difference = np.clip(difference, -clip, clip)
    if sign is not None:
        difference = 2.0 * np.sign(difference)
    found = estimators.full_length(jnp.float32(plus), jnp.float32(minus), XI, STD, sign, clip)
    assert_equal(found.gradient, mean_of(difference / (2 * STD**2)))


@pytest.fixture
def window():
    """Task 0 goes on; 1 ends in step 1 and is reset in step 2; 2 ends with the last step; 3 does both."""
    plus, minus = np.float32(RNG.normal(size=(2, 5, 4)))
    done = np.zeros((5, 4), bool)
    done[1, 1] = done[1, 3] = done[4, 2] = done[4, 3] = True
    mask = np.ones((5, 4), bool)
    mask[2, 1] = mask[2, 3] = False
    return Window(*map(jnp.asarray, (plus * mask, minus * mask, mask, done)))


@pytest.mark.parametrize("sign", [None, 0.5])
@pytest.mark.parametrize("exact", [False, True])
def test_persistent_gives_each_difference_to_what_its_task_was_perturbed_by(window, sign, exact):
    before = {name: np.ones_like(xi) for name, xi in XI.items()}
    found, after = estimators.persistent(window, XI, before, STD, sign, exact)
    plus, minus, mask, done = (np.asarray(x, np.float64) for x in window)
    expected = {name: np.zeros(xi.shape[1:]) for name, xi in XI.items()}
    kept = {}
    for task in range(4):
        differences = plus[:, task] - minus[:, task]
        if sign is not None:
            differences = np.full(5, sign * np.sign((differences * mask[:, task]).mean()))
        for name, xi in XI.items():
            seen = before[name][task] + xi[task]
            ended = False
            for step in range(5):
                # The original has the step that ends a task count as one of the next.
                ended = ended or (not exact and bool(done[step, task]))
                of = xi[task] if ended else seen
                factor = differences[step] * mask[step, task] / mask[:, task].sum() / (2 * STD**2)
                expected[name] += factor * of / 4
                now_ended = bool(done[step, task])
                kept[name, task] = of
                ended = ended or now_ended
            if exact and done[4, task]:
                kept[name, task] = 0 * xi[task]
            elif not exact and done[:, task].any():
                kept[name, task] = xi[task]
    assert_equal(found.gradient, expected)
    for (name, task), value in kept.items():
        np.testing.assert_allclose(after[name][task], value, atol=1e-6)


def test_a_loss_that_an_estimator_does_not_know_is_named():
    with pytest.raises(ValueError, match="loss is 'mean'; must be one of avg, min, last, last_recompute"):
        estimators.FullES(loss="mean")
