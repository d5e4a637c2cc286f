"""AlgoPerf's development workload: a perceptron with one hidden layer on MNIST.

Facts: the model, the normalisation and the loss are AlgoPerf's (v0.6, `mnist`), with its 101,770 parameters.
Pixels are 0..255 and are *not* divided by 255 before 0.1307 is subtracted and 0.3081 divided by, so inputs
reach 827 and the sigmoids saturate; that is part of the benchmark.

One addition: AlgoPerf ignores the dropout rate here; ours drops hidden units. Rate 0 is AlgoPerf's model.
"""

from __future__ import annotations

import pathlib

import jax
import numpy as np

from workloads import layers
from workloads._source import Provenance, ResidentData
from workloads._workload import Metric, Workload
from workloads.algoperf import _classes
from workloads.data import digits, mnist
from workloads.functions import functions_of

NAME = "algoperf/mnist"
SIZES = (784, 128, 10)
MEAN, STD = 0.1307, 0.3081


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """On MNIST in data_dir with AlgoPerf's budget and targets, or on enlarged digits with a small budget."""
    if data_dir is not None:
        return _workload(
            _mnist(data_dir),
            batch_size=16,
            step_hint=7813,
            eval_period=601,
            max_runtime_seconds=60.0,
            eval_period_seconds=10.0,
            validation_target=0.97,
            test_target=0.97,
            eval_examples=10_000,
        )
    return _workload(_digits(), batch_size=32, step_hint=400, eval_period=16, eval_examples=128)


def normalize(images: np.ndarray) -> np.ndarray:
    """AlgoPerf's normalisation of raw bytes; see the module's text."""
    return ((images.astype(np.float32) - MEAN) / STD).astype(np.float32)


def _init(key):
    return layers.mlp_init(key, SIZES), ()


def _apply(params, model_state, batch, key, train, dropout_rate):
    flat = batch["inputs"].reshape(batch["inputs"].shape[0], -1)
    hidden = jax.nn.sigmoid(layers.dense(params["Dense_0"], flat))
    return layers.dense(params["Dense_1"], layers.dropout(key, hidden, dropout_rate, train)), model_state


FUNCTIONS = functions_of(_init, _apply, _classes.losses, _classes.sums)


def _workload(data: ResidentData, **facts) -> Workload:
    return Workload(
        name=NAME,
        cost_class="mlp",
        summary="AlgoPerf's MNIST perceptron 784-128-10 with sigmoids",
        **FUNCTIONS._asdict(),
        data=data,
        metric=Metric("accuracy", minimize=False),
        loss_type="SOFTMAX_CROSS_ENTROPY",
        **{"validation_target": None, "test_target": None, **facts},
    )


def _digits() -> ResidentData:
    splits = digits.digits_as_mnist({"test": 360, "validation": 360})
    return ResidentData({name: _fields(*split) for name, split in splits.items()}, digits.AS_MNIST)


def _mnist(data_dir: pathlib.Path) -> ResidentData:
    published = mnist.read(data_dir, "mnist")
    images, labels = published["train"]
    # AlgoPerf: train[:50000] and train[50000:]; a smaller file keeps the proportion.
    cut = len(images) * 5 // 6
    splits = {
        "train": _fields(images[:cut], labels[:cut]),
        "validation": _fields(images[cut:], labels[cut:]),
        "test": _fields(*published["test"]),
    }
    return ResidentData(
        splits, Provenance("real", f"MNIST, {len(images) + len(splits['test']['targets']):,} images")
    )


def _fields(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    return {"inputs": normalize(images), "targets": labels}
