"""The fixed perceptrons against NumPy: losses, normalisation and dropout, quirks in both positions."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

from tests.workloads.taskset import classifiers
from workloads.taskset import fixed, fixed_mlp
from workloads.taskset.quirks import RELEASED, Quirks

KEY = jax.random.key(0)
MOVING = Quirks(batch_norm="moving_average")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    classifiers.tiny_data(monkeypatch)


def perceptron(**changes):
    """A config of `fixed.json`'s group mlp on 16x16 images with two hidden layers."""
    return {
        "group": "mlp",
        "dataset": "imagenet_resized/16x16",
        "batch_size": 6,
        "hidden": [9, 8],
        "activation": "tanh",
        "norm": None,
        "dropout_keep_prob": None,
        "loss": "cross_entropy",
        "num_per_valid": 3000,
    } | changes


def forward(params, images, normalise, activation=np.tanh):
    x = images.reshape(len(images), -1) / 255.0
    for i in range(2):
        x = activation(normalise(i, classifiers.dense(params[f"Dense_{i}"], x)))
    return classifiers.dense(params["Dense_2"], x)


def test_the_squared_error_is_of_the_sigmoid_of_every_class():
    workload = fixed_mlp.from_config("test/mse", perceptron(loss="squared_error_of_sigmoid"))
    params, _ = classifiers.parameters(workload)
    batch = classifiers.batch("imagenet_resized/16x16", 6)
    logits = forward(params, batch["inputs"], lambda _, x: x)
    error = np.eye(1000)[batch["targets"]] - 1 / (1 + np.exp(-logits))
    for train in (True, False):
        loss, _ = classifiers.losses(workload, params, {}, batch, train)
        np.testing.assert_allclose(loss, (error**2).mean(), rtol=1e-5)
    assert workload.loss_type == "MEAN_SQUARED_ERROR"


def test_layer_normalisation_comes_before_the_activation():
    workload = fixed_mlp.from_config("test/ln", perceptron(norm="layer"))
    params, state = classifiers.parameters(workload)

    def normalise(i, x):
        layer = params[f"LayerNorm_{i}"]
        mean, variance = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
        return layer["scale"] * (x - mean) / np.sqrt(variance + 1e-5) + layer["bias"]

    batch = classifiers.batch("imagenet_resized/16x16", 6)
    expected = classifiers.cross_entropy(forward(params, batch["inputs"], normalise), batch["targets"])
    np.testing.assert_allclose(
        classifiers.losses(workload, params, state, batch)[0], expected.mean(), rtol=1e-5
    )


def test_frozen_batch_normalisation_divides_by_a_constant():
    workload = fixed_mlp.from_config("test/bn", perceptron(norm="batch"))
    params, state = classifiers.parameters(workload)
    assert not state
    assert set(params["BatchNorm_0"]) == {"bias"}
    batch = classifiers.batch("imagenet_resized/16x16", 6)
    logits = forward(
        params, batch["inputs"], lambda i, x: x / math.sqrt(1.001) + params[f"BatchNorm_{i}"]["bias"]
    )
    expected = classifiers.cross_entropy(logits, batch["targets"]).mean()
    for train in (True, False):
        loss, after = classifiers.losses(workload, params, state, batch, train)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        assert not after


def test_moving_averages_normalise_by_the_batch_in_training_and_by_themselves_in_evaluation():
    workload = fixed_mlp.from_config("test/bn", perceptron(norm="batch"), quirks=MOVING)
    params, state = classifiers.parameters(workload)
    batch = classifiers.batch("imagenet_resized/16x16", 6)
    statistics = {}

    def by_batch(i, x):
        statistics[f"BatchNorm_{i}"] = {"mean": x.mean(axis=0), "variance": x.var(axis=0)}
        return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3) + params[f"BatchNorm_{i}"]["bias"]

    expected = classifiers.cross_entropy(forward(params, batch["inputs"], by_batch), batch["targets"])
    loss, after = classifiers.losses(workload, params, state, batch)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    for name, start in state.items():
        for field, before in start.items():
            moved = 0.999 * before + 0.001 * statistics[name][field]
            np.testing.assert_allclose(after[name][field], moved, rtol=1e-5, atol=1e-7)

    moving = classifiers.constant(state, mean=0.3, variance=2.0)

    def by_moving(i, x):
        return (x - 0.3) / math.sqrt(2.001) + params[f"BatchNorm_{i}"]["bias"]

    expected = classifiers.cross_entropy(forward(params, batch["inputs"], by_moving), batch["targets"])
    loss, _ = classifiers.losses(workload, params, moving, batch, train=False)
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)


def dropping(keep, quirks=RELEASED):
    """A net of one layer of 2,000 units whose score of class 0 is the mean of cos(dropout(1)); its parameters."""
    config = perceptron(dataset="mnist", hidden=[2000], activation="cos", dropout_keep_prob=keep)
    workload = fixed_mlp.from_config("test/dropout", config, quirks=quirks)
    params, state = classifiers.parameters(workload, biases=0.0)
    params["Dense_0"]["bias"] += 1.0
    params["Dense_1"]["kernel"][:] = 0.0
    params["Dense_1"]["kernel"][:, 0] = 1 / 2000
    return workload, params, state


def score(loss):
    """Of class 0, from the cross entropy of a black image of class 0 where all others score 0."""
    return -math.log((math.exp(loss) - 1) / 9)


BLACK = {"inputs": np.zeros((1, 28, 28, 1), np.uint8), "targets": np.zeros(1, np.int32)}


@pytest.mark.parametrize("keep", [0.5, 0.8, 0.2])
@pytest.mark.parametrize("train", [True, False])
def test_dropout_keeps_with_the_probability_of_the_name_before_the_activation_and_in_evaluation(keep, train):
    # A dropped unit is cos(0) = 1, a kept one cos(1 / keep): a share of 2,000, within 5 standard errors.
    loss, _ = classifiers.losses(*dropping(keep), BLACK, train)
    kept = (score(float(loss)) - 1) / (math.cos(1 / keep) - 1)
    assert abs(kept - keep) < 5 * math.sqrt(keep * (1 - keep) / 2000)


def test_dropout_is_off_in_evaluation_on_request():
    net = dropping(0.5, Quirks(dropout_eval="off"))
    evaluated, trained = (score(float(classifiers.losses(*net, BLACK, train)[0])) for train in (False, True))
    assert evaluated == pytest.approx(math.cos(1.0), rel=1e-4)
    # Half of the units cos(2), half of them 1: 5 standard errors of a share of 2,000
    assert abs(trained - (1 + math.cos(2)) / 2) < 5 * (1 - math.cos(2)) * math.sqrt(0.25 / 2000)


def test_dropout_in_evaluation_follows_the_key():
    net = dropping(0.5)
    seen = [float(classifiers.losses(*net, BLACK, False, jax.random.key(k))[0]) for k in (0, 0, 1)]
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(("digits", "keep"), [("05", 0.5), ("08", 0.8), ("02", 0.2)])
def test_names_give_the_probability_of_keeping(digits, keep):
    config = fixed.configs()[f"FixedMLP_cifar10_Dropout{digits}_128x128_relu_bs128"]
    assert config["dropout_keep_prob"] == keep
