"""The 36 fixed classifiers of images: parameters, batches, initialisers and initial losses, from their names."""

from __future__ import annotations

import itertools
import math
import re

import jax
import numpy as np
import pytest

from tests.workloads.taskset import classifiers
from workloads import Regularization, parameter_count
from workloads.taskset import fixed

KEY = jax.random.key(0)
NAMES = [*fixed.groups()["mlp"], *fixed.groups()["image_conv"]]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    classifiers.tiny_data(monkeypatch)


def test_there_are_thirteen_perceptrons_and_twenty_three_convolutional_nets():
    assert len(fixed.groups()["mlp"]) == 13
    assert len(fixed.groups()["image_conv"]) == 23


def of_name(name):
    """Data set, units and batch size as the name says them."""
    words = name.replace("Mnist_Conv_", "FixedImageConv_mnist_").split("_")
    # Such as food10132x32, coil10032x32 or food10164x64: the set and its resolution
    found = re.fullmatch(r"(.+?)(32x32|64x64)?", words[1])
    assert found
    dataset = found[1].replace("colorectalhistology", "colorectal_histology")
    dataset += f"_{found[2]}" if found[2] else "_32x32" if dataset == "food101" else ""
    chains = [[int(n) for n in word.split("x")] for word in words[2:] if re.fullmatch(r"\d+(x\d+)+", word)]
    bs = next(int(word[2:]) for word in words if re.fullmatch(r"bs\d+", word))
    hidden = [
        [int(n) for n in w.removeprefix("FC").split("x")] for w in words if re.fullmatch(r"FC[\dx]+", w)
    ]
    hidden += [[int(words[words.index("fc") + 1])]] if "fc" in words else []
    return dataset, chains[0], hidden[0] if hidden else [], bs


def expected_parameters(name):
    dataset, units, hidden, _ = of_name(name)
    side, channels, classes = classifiers.PUBLISHED[dataset]

    def dense(*widths):
        return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))

    batch_norm = sum(units) * bool(re.search("batchnorm|_bn_|BatchNorm", name))  # an offset, no scale
    if name.startswith("FixedMLP"):
        layer_norm = 2 * sum(units) * ("LayerNorm" in name)
        return dense(side**2 * channels, *units, classes) + layer_norm + batch_norm
    convolutions = sum((9 * i + 1) * o for i, o in itertools.pairwise([channels, *units]))
    flat = hidden or "flatten" in name
    features = math.ceil(side / 2) ** 2 * units[-1] if flat else units[-1]
    return convolutions + batch_norm + dense(features, *hidden, classes)


@pytest.mark.parametrize("name", NAMES)
def test_fixed_tasks_have_the_parameters_and_batches_of_their_names(name):
    workload = fixed.build(name)
    assert parameter_count(workload) == expected_parameters(name)
    assert workload.batch_size == of_name(name)[3]
    assert workload.name == f"taskset/{name}"


@pytest.mark.parametrize(
    "name",
    [
        "FixedMLP_cifar10_ce_128x128x128_relu_bs128",
        "FixedMLP_cifar10_mse_128x128x128_relu_bs128",
        "FixedMLP_food10132x32_ce_128x128x128_relu_bs128",
        "FixedMLP_cifar10_LayerNorm_128x128x128_tanh_bs128",
        "FixedMLP_cifar10_BatchNorm_64x64x64x64x64_relu_bs128",
        "FixedMLP_cifar10_Dropout05_128x128_relu_bs128",
        "FixedImageConv_cifar10_32x64x128_he_bs64",
        "FixedImageConv_coil10032x32_bn_32x64x128x128_bs128",
        "Mnist_Conv_32x16x64_flatten_FC32_tanh_bs32",
    ],
)
def test_black_images_cost_what_equal_scores_cost(name):
    # Without biases black images score 0 in every class: ln K by cross entropy, (0 - 1/2)^2 or (1 - 1/2)^2 by squares.
    workload = fixed.build(name)
    params, state = classifiers.parameters(workload, biases=0.0)
    batch = classifiers.batch(of_name(name)[0], 2)
    batch["inputs"] = np.zeros_like(batch["inputs"])
    loss, _ = classifiers.quickly(lambda p: workload.loss(p, state, batch, KEY, True, Regularization()))(
        params
    )
    classes = classifiers.PUBLISHED[of_name(name)[0]][2]
    np.testing.assert_allclose(loss, 0.25 if "mse" in name else math.log(classes), rtol=1e-6)


def test_initialisers_of_the_fixed_tasks_are_as_published():
    named = {name: config["w_init"] for name, config in fixed.configs().items() if config.get("w_init")}
    words = {"_he_": "he_normal", "normal": "random_normal", "variance_scaling": "variance_scaling_contrib"}
    scales = {"_normal_": 0.02, "largenormal": 0.2, "smallnormal": 0.002}
    assert len(named) == 8
    for name, (initializer, scale) in named.items():
        assert initializer == next(value for word, value in words.items() if word in name)
        if initializer == "random_normal":
            assert scale == next(value for word, value in scales.items() if word in name)
