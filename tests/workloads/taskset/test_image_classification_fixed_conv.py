"""The fixed convolutional nets against NumPy: weights, pools and batch normalisation, quirks in both positions."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from tests.workloads.taskset import classifiers
from workloads.taskset import fixed_image_conv
from workloads.taskset.quirks import RELEASED, Quirks

KEY = jax.random.key(0)
MOVING = Quirks(batch_norm="moving_average")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    classifiers.tiny_data(monkeypatch)


def net(**changes):
    """A config of `fixed.json`'s group image_conv on 28x28 images with two convolutions."""
    return {
        "group": "image_conv",
        "dataset": "mnist",
        "batch_size": 3,
        "conv_units": [4, 5],
        "strides": [2, 1],
        "activation": "tanh",
        "batch_norm": True,
        "pool": "avg",
        "fc_hidden": [],
        "num_per_valid": 3000,
        "w_init": None,
        "w_init_of": None,
    } | changes


def maps(params, images, normalise):
    x = images / 255.0
    for i, stride in enumerate((2, 1)):
        x = np.tanh(normalise(i, classifiers.convolution(params[f"Conv_{i}"], x, stride, "SAME")))
    return x


@pytest.mark.parametrize(
    ("w_init", "w_init_of", "convolutions", "dense"),
    [
        # Standard deviation times the root of the fan in; .8796 is that of a normal cut at 2 deviations. Sonnet's
        # default and tf.contrib's variance scaling, sqrt(1.3 * 2) before the cut, are not corrected for it.
        (None, None, 0.87962566, 0.87962566),
        (["he_normal", None], "conv", 2**0.5, 0.87962566),
        (["he_normal", None], "all", 2**0.5, 2**0.5),
        (["variance_scaling_contrib", 2.0], "all", 0.87962566 * 2.6**0.5, 0.87962566 * 2.6**0.5),
    ],
)
def test_weights_are_sonnets_default_where_the_task_names_no_initialiser(
    w_init, w_init_of, convolutions, dense
):
    units = {"conv_units": [30, 40], "pool": "avg", "fc_hidden": [50, 60]}
    config = net(**units, batch_norm=False, w_init=w_init, w_init_of=w_init_of)
    params, _ = classifiers.quickly(fixed_image_conv.from_config("test/init", config).init)(KEY)
    for name, expected in {"Conv_1": convolutions, "Dense_0": dense, "Dense_1": dense}.items():
        kernel = np.asarray(params[name]["kernel"], np.float64)
        fan_in = math.prod(kernel.shape[:-1])
        # The relative standard error of a deviation of n draws is at most sqrt(1 / 2n); 5 of them.
        assert abs(kernel.std() * fan_in**0.5 / expected - 1) < 5 * math.sqrt(0.5 / kernel.size), name


@pytest.mark.parametrize(
    ("pool", "hidden"), [("avg", []), ("max", []), (None, []), (None, [6])], ids=["avg", "max", "flat", "mlp"]
)
def test_fixed_convolutions_equal_numpy(pool, hidden):
    workload = fixed_image_conv.from_config("test/conv", net(batch_norm=False, pool=pool, fc_hidden=hidden))
    params, state = classifiers.parameters(workload)
    batch = classifiers.batch("mnist", 3)
    x = maps(params, batch["inputs"], lambda _, x: x)
    assert x.shape == (3, 14, 14, 5)
    x = {"avg": x.mean(axis=(1, 2)), "max": x.max(axis=(1, 2)), None: x.reshape(3, -1)}[pool]
    for i in range(len(hidden)):
        x = np.tanh(classifiers.dense(params[f"Dense_{i}"], x))
    logits = classifiers.dense(params[f"Dense_{len(hidden)}"], x)
    expected = classifiers.cross_entropy(logits, batch["targets"]).mean()
    np.testing.assert_allclose(classifiers.losses(workload, params, state, batch)[0], expected, rtol=1e-5)


def normalised_by_batch(params, batch):
    """Losses of the examples of one batch, in NumPy; and the statistics of every layer."""
    statistics = {}

    def normalise(i, x):
        mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
        statistics[f"BatchNorm_{i}"] = {"mean": mean, "variance": variance}
        return (x - mean) / np.sqrt(variance + 1e-3) + params[f"BatchNorm_{i}"]["bias"]

    pooled = maps(params, batch["inputs"], normalise).mean(axis=(1, 2))
    logits = classifiers.dense(params["Dense_0"], pooled)
    return classifiers.cross_entropy(logits, batch["targets"]), statistics


def test_batch_statistics_normalise_training_and_every_batch_of_an_evaluation():
    workload = fixed_image_conv.from_config("test/bn", net())
    params, state = classifiers.parameters(workload)
    assert not state
    batch = classifiers.batch("mnist", 8)
    # Batches of 3, 3 and the 2 that remain
    parts = [{k: v[i : i + 3] for k, v in batch.items()} for i in (0, 3, 6)]
    expected = [normalised_by_batch(params, part)[0] for part in parts]
    loss, _ = classifiers.losses(workload, params, state, parts[0])
    np.testing.assert_allclose(loss, expected[0].mean(), rtol=1e-5)
    loss, _ = classifiers.losses(workload, params, state, batch, train=False)
    np.testing.assert_allclose(loss, np.concatenate(expected).mean(), rtol=1e-5)


def test_moving_averages_of_convolutions_follow_the_usual_rule():
    workload = fixed_image_conv.from_config("test/bn", net(), quirks=MOVING)
    params, state = classifiers.parameters(workload)
    batch = classifiers.batch("mnist", 3)
    expected, statistics = normalised_by_batch(params, batch)
    loss, after = classifiers.losses(workload, params, state, batch)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    for name, start in state.items():
        for field, before in start.items():
            moved = 0.999 * before + 0.001 * statistics[name][field]
            np.testing.assert_allclose(after[name][field], moved, rtol=1e-5, atol=1e-7)

    moving = classifiers.constant(state, mean=0.1, variance=0.5)
    x = maps(
        params, batch["inputs"], lambda i, x: (x - 0.1) / np.sqrt(0.501) + params[f"BatchNorm_{i}"]["bias"]
    )
    logits = classifiers.dense(params["Dense_0"], x.mean(axis=(1, 2)))
    loss, _ = classifiers.losses(workload, params, moving, batch, train=False)
    np.testing.assert_allclose(loss, classifiers.cross_entropy(logits, batch["targets"]).mean(), rtol=1e-5)


def test_fixed_tasks_share_a_program_where_only_the_data_differ():
    def key(quirks=RELEASED, **changes):
        shared = fixed_image_conv.from_config("test/shared", net(**changes), quirks=quirks).shared
        assert shared is not None
        return shared.key

    assert key() == key(dataset="fashion_mnist", num_per_valid=800)
    assert len({key(), key(pool="max"), key(batch_size=4), key(dataset="cifar10"), key(MOVING)}) == 5
