"""TaskSet's 13 fixed perceptrons that classify images: two losses, dropout, layer and batch normalisation."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads import layers
from workloads._workload import Workload
from workloads.losses import cross_entropy, squared_error_of_sigmoid
from workloads.taskset import _batch_norm, _classifiers, _images, _nets
from workloads.taskset.quirks import RELEASED, Quirks

LAYER_NORM_EPSILON = 1e-5

# loss of fixed.json -> loss of every example, AlgoPerf's name
LOSSES = {
    "cross_entropy": (cross_entropy, "SOFTMAX_CROSS_ENTROPY"),
    "squared_error_of_sigmoid": (squared_error_of_sigmoid, "MEAN_SQUARED_ERROR"),
}


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """The workload of a fixed task.

    Every hidden layer is a linear one, then normalisation or dropout where the task has it, then the activation.
    As released, dropout drops in evaluation too, and batch normalisation uses mean 0 and variance 1 for ever.

    Args:
      name: of the workload.
      config: of `fixed.json`.
      data_dir: see `workloads.load`.
      quirks: batch_norm, dropout_eval.
    """
    facts = _images.IMAGE_SETS[config["dataset"]]
    hidden = len(config["hidden"])
    sizes = (math.prod(facts.shape), *config["hidden"], facts.classes)
    activation = _nets.ACTIVATIONS[config["activation"]]
    norm, rate = config["norm"], _dropout_rate(config)
    rule = "moving_average" if quirks.batch_norm == "moving_average" else "frozen"
    losses, loss_type = LOSSES[config["loss"]]

    def init(key):
        params = layers.mlp_init(key, sizes, _nets.SONNET)
        state = {}
        for i, units in enumerate(config["hidden"]):
            if norm == "layer":
                params[f"LayerNorm_{i}"] = {"scale": jnp.ones(units), "bias": jnp.zeros(units)}
            if norm == "batch":
                params[f"BatchNorm_{i}"] = _batch_norm.init(units)
                if rule == "moving_average":
                    state[f"BatchNorm_{i}"] = _batch_norm.init_state(units)
        return params, state

    def forward(params, model_state, images, key, train):
        x = images.reshape(images.shape[0], -1)
        state = dict(model_state)
        keys = None if rate is None else jax.random.split(key, hidden)
        for i in range(hidden):
            x = layers.dense(params[f"Dense_{i}"], x)
            if norm == "layer":
                x = layers.layer_norm(params[f"LayerNorm_{i}"], x, LAYER_NORM_EPSILON)
            elif norm == "batch":
                layer = f"BatchNorm_{i}"
                x, moving = _batch_norm.apply(params[layer], x, rule, state.get(layer), train)
                state |= {layer: moving} if moving else {}
            if keys is not None:
                x = layers.dropout(keys[i], x, rate, train or quirks.dropout_eval == "on")
            x = activation(x)
        return layers.dense(params[f"Dense_{hidden}"], x), state

    return _classifiers.fixed_task(
        name,
        "mlp",
        config,
        _classifiers.functions(init, forward, losses),
        loss_type,
        _summary(config),
        data_dir,
        quirks,
    )


def _dropout_rate(config: Mapping[str, Any]) -> float | None:
    """Probability of dropping a unit: the number in the name is that of keeping it."""
    return None if config["dropout_keep_prob"] is None else 1.0 - config["dropout_keep_prob"]


def _summary(config: Mapping[str, Any]) -> str:
    words = ["perceptron", "-".join(map(str, config["hidden"])), "with", config["activation"]]
    if config["norm"] is not None:
        words += ["and", config["norm"], "normalisation"]
    if (rate := _dropout_rate(config)) is not None:
        words += ["and", "dropout", f"{rate:.1f}"]
    if config["loss"] != "cross_entropy":
        words += ["by", "squared", "error"]
    return " ".join(words)
