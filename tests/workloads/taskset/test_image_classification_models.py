"""The sampled classifiers of images: forward passes and losses against NumPy in float64."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from tests.workloads.taskset import classifiers
from workloads import Regularization
from workloads.taskset import _nets, conv_fc_family, conv_pooling_family, mlp_family

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    classifiers.tiny_data(monkeypatch)


def dataset(name):
    return [name, {"bs": 8, "num_train": None, "just_train": False}, None]


STACK = {
    # Every pair of stride and padding, on odd and on even maps: 28, 14, 12, 5, 5 and 3 pixels a side
    "strides": [[2, 2], [1, 1], [2, 2], [1, 1], [2, 2]],
    "hidden_units": [4, 3, 5, 4, 6],
    "padding": ["SAME", "VALID", "VALID", "SAME", "SAME"],
    "activation": "tanh",
    "w_init": ["he_normal", None],
    "use_bias": True,
    "dataset": dataset("mnist"),
    "center_data": True,
}


def convolutions(params, config, images):
    x = images / 255.0
    x = 2 * x - 1 if config["center_data"] else x
    layers = zip(config.get("strides", []), config.get("padding", []), strict=True)
    for i, ((stride, _), padding) in enumerate(layers):
        x = np.tanh(classifiers.convolution(params[f"Conv_{i}"], x, stride, padding))
    return x


def perceptron(params, x, layers):
    for i in range(layers - 1):
        x = np.tanh(classifiers.dense(params[f"Dense_{i}"], x))
    return classifiers.dense(params[f"Dense_{layers - 1}"], x)


def check(workload, params, logits, batch):
    """Loss, its sum and the right answers are those of the logits."""
    losses = classifiers.cross_entropy(logits, batch["targets"])

    def both(p):
        return workload.loss(p, (), batch, KEY, True, Regularization())[0], workload.metrics(
            p, (), batch, KEY
        )

    loss, sums = classifiers.quickly(both)(params)
    # Sums of up to a thousand terms of order 1 / sqrt(terms) in float32, over five layers: far below 1e-5.
    np.testing.assert_allclose(loss, losses.mean(), rtol=1e-5)
    np.testing.assert_allclose(sums["loss"], losses.sum(), rtol=1e-5)
    assert float(sums["accuracy"]) == (logits.argmax(axis=1) == batch["targets"]).sum()
    assert float(sums["examples"]) == len(batch["targets"])


@pytest.mark.parametrize("centred", [True, False])
def test_perceptrons_equal_numpy(centred):
    config = {
        "layer_sizes": [5, 4],
        "activation": "tanh",
        "w_init": ["he_normal", None],
        "dataset": dataset("imagenet_resized/16x16"),
        "center_data": centred,
    }
    workload = mlp_family.from_config("test/mlp", config)
    params, _ = classifiers.parameters(workload)
    batch = classifiers.batch("imagenet_resized/16x16", 7)
    flat = convolutions(params, config, batch["inputs"]).reshape(7, -1)
    check(workload, params, perceptron(params, flat, 3), batch)


@pytest.mark.parametrize(("hidden", "biased", "centred"), [([7, 6], True, True), ([], False, False)])
def test_convolutions_and_perceptrons_equal_numpy(hidden, biased, centred):
    config = STACK | {"fc_hidden_units": hidden, "use_bias": biased, "center_data": centred}
    workload = conv_fc_family.from_config("test/conv_fc", config)
    params, _ = classifiers.parameters(workload)
    assert ("bias" in params["Conv_0"]) == biased
    assert "bias" in params["Dense_0"]
    batch = classifiers.batch("mnist", 4)
    last = convolutions(params, config, batch["inputs"])
    assert last.shape == (4, 3, 3, 6)
    check(workload, params, perceptron(params, last.reshape(4, -1), len(hidden) + 1), batch)


POOLS = {
    "mean": lambda x: x.mean(axis=(1, 2)),
    "max": lambda x: x.max(axis=(1, 2)),
    "squared_mean": lambda x: (x**2).mean(axis=(1, 2)),
}


@pytest.mark.parametrize("pool", POOLS)
def test_convolutions_and_pools_equal_numpy(pool):
    config = STACK | {"pool_type": pool, "use_bias": False}
    workload = conv_pooling_family.from_config("test/conv_pooling", config)
    params, _ = classifiers.parameters(workload)
    batch = classifiers.batch("mnist", 4)
    pooled = POOLS[pool](convolutions(params, config, batch["inputs"]))
    check(workload, params, classifiers.dense(params["Dense_0"], pooled), batch)


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        (mlp_family, {"layer_sizes": [20, 30]}),
        (conv_fc_family, {"fc_hidden_units": [9]}),
        (conv_pooling_family, {"pool_type": "squared_mean"}),
    ],
)
def test_a_black_image_costs_the_logarithm_of_the_classes_at_the_start(module, changes):
    # Biases start at zero and tanh(0) = 0: all classes are alike.
    config = STACK | {"center_data": False} | changes
    workload = module.from_config("test/start", config)
    batch = {"inputs": np.zeros((3, 28, 28, 1), np.uint8), "targets": np.array([0, 5, 9])}

    def start(key):
        params, state = workload.init(key)
        return params, workload.loss(params, state, batch, key, True, Regularization())[0]

    params, loss = classifiers.quickly(start)(KEY)
    assert all(np.std(layer["kernel"]) > 0 and not np.any(layer["bias"]) for layer in params.values())
    np.testing.assert_allclose(loss, math.log(10), rtol=1e-6)


def test_every_kernel_has_the_initialiser_of_the_config():
    config = STACK | {"fc_hidden_units": [60, 50], "w_init": ["random_uniform", 0.3]}
    params, _ = classifiers.quickly(conv_fc_family.from_config("test/init", config).init)(KEY)
    for name, layer in params.items():
        kernel = np.asarray(layer["kernel"])
        # Below 95 % of the bound with probability .95**36 = 16 % at 36 draws, the fewest.
        assert 0.8 * 0.3 < np.abs(kernel).max() <= 0.3, name
        # The mean of n draws deviates by .3 / sqrt(3 n); 5 of them
        assert abs(kernel.mean()) < 5 * 0.3 / math.sqrt(3 * kernel.size), name


def test_augmented_images_come_as_floats_and_are_not_scaled_again():
    images = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(_nets.pixels(jax.numpy.asarray(images)), [0.0, 0.2, 1.0], rtol=1e-6)
    floats = jax.numpy.array([0.0, 0.2, 1.3])
    assert _nets.pixels(floats) is floats
