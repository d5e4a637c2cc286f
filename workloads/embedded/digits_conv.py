"""A small convolutional net on scikit-learn's digits at their own 8x8 pixels."""

from __future__ import annotations

import pathlib

import jax

from workloads import classification
from workloads._source import ResidentData
from workloads._workload import Metric, Workload
from workloads.data import digits
from workloads.initializers import he_normal, lecun_normal
from workloads.layers import conv, dense, dropout, init_layers

NAME = "digits/conv"
CHANNELS = (8, 16)
HIDDEN = 32


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """conv 3x3x8, conv 3x3x16 stride 2, dense 32, dense 10, with ReLU; always on the embedded digits."""
    del data_dir
    splits = digits.digits({"test": 360, "validation": 360})
    data = {name: {"inputs": images, "targets": labels} for name, (images, labels) in splits.items()}
    return Workload(
        name=NAME,
        cost_class="conv",
        summary="convolutions 8 and 16, dense 32, on digits of 8x8 pixels",
        **FUNCTIONS._asdict(),
        data=ResidentData(data, digits.EMBEDDED),
        metric=Metric("accuracy", minimize=False),
        validation_target=None,
        test_target=None,
        step_hint=400,
        eval_period=16,
        batch_size=32,
        loss_type="SOFTMAX_CROSS_ENTROPY",
        eval_examples=128,
    )


def _init(key):
    layers = {
        "Conv_0": ((3, 3, 1, CHANNELS[0]), he_normal),
        "Conv_1": ((3, 3, CHANNELS[0], CHANNELS[1]), he_normal),
        "Dense_0": ((4 * 4 * CHANNELS[1], HIDDEN), lecun_normal),
        "Dense_1": ((HIDDEN, 10), lecun_normal),
    }
    return init_layers(jax.random.split(key, len(layers)), layers), ()


def _apply(params, model_state, batch, key, train, dropout_rate):
    x = jax.nn.relu(conv(params["Conv_0"], batch["inputs"]))
    x = jax.nn.relu(conv(params["Conv_1"], x, stride=2))
    x = jax.nn.relu(dense(params["Dense_0"], x.reshape(x.shape[0], -1)))
    return dense(params["Dense_1"], dropout(key, x, dropout_rate, train)), model_state


FUNCTIONS = classification.functions(_init, _apply)
