"""TaskSet's 23 fixed convolutional nets that classify images.

3x3 convolutions with SAME padding, the first of stride 2, the others of stride 1, each followed by batch
normalisation where the task has it, and by the activation; then a pool and a linear layer, or a perceptron.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._workload import Functions, Workload
from workloads.layers import conv, init_layers, mlp, mlp_layers
from workloads.taskset import _batch_norm, _classifiers, _convolutions, _images, _nets
from workloads.taskset.quirks import RELEASED, Quirks

POOLS = {"avg": _convolutions.POOLS["mean"], "max": _convolutions.POOLS["max"]}


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """The workload of a fixed task.

    As released, batch normalisation uses the statistics of the batch in evaluation too. A batch of an evaluation
    is one of training's size, as in the original, however many examples are evaluated in one call.

    Args:
      name: of the workload.
      config: of `fixed.json`; `w_init_of` says whether `w_init` makes all kernels or those of the convolutions,
        where the others have Sonnet's default.
      data_dir: see `workloads.load`.
      quirks: batch_norm, truncated_normal.
    """
    made = _functions(config, quirks)
    return _classifiers.fixed_task(
        name, "conv", config, made, "SOFTMAX_CROSS_ENTROPY", _summary(config), data_dir, quirks
    )


def _functions(config: Mapping[str, Any], quirks: Quirks) -> Functions:
    facts = _images.IMAGE_SETS[config["dataset"]]
    layers = zip(config["conv_units"], config["strides"], strict=True)
    stack = tuple(_convolutions.Convolution(units, stride) for units, stride in layers)
    rows, columns, channels = _convolutions.map_shape(facts.shape, stack)
    features = channels if config["pool"] else rows * columns * channels
    w_name, w_scale = config["w_init"] or (None, None)
    w_init = _nets.SONNET if w_name is None else _nets.initializer(w_name, w_scale, quirks)
    kernels = _convolutions.kernels(facts.shape[-1], stack, w_init) | mlp_layers(
        (features, *config["fc_hidden"], facts.classes),
        w_init if config["w_init_of"] == "all" else _nets.SONNET,
    )
    activation = _nets.ACTIVATIONS[config["activation"]]
    rule: _batch_norm.Rule = quirks.batch_norm
    norms = {f"BatchNorm_{i}": layer.units for i, layer in enumerate(stack) if config["batch_norm"]}

    def init(key):
        params = init_layers(jax.random.split(key, len(kernels)), kernels)
        params |= {name: _batch_norm.init(units) for name, units in norms.items()}
        moving = norms if rule == "moving_average" else {}
        return params, {name: _batch_norm.init_state(units) for name, units in moving.items()}

    def forward(params, model_state, images, key, train):
        del key
        x, state = images, dict(model_state)
        for i, layer in enumerate(stack):
            x = conv(params[f"Conv_{i}"], x, layer.stride, layer.padding)
            if norms:
                norm = f"BatchNorm_{i}"
                x, moving = _batch_norm.apply(params[norm], x, rule, state.get(norm), train)
                state |= {norm: moving} if moving else {}
            x = activation(x)
        x = POOLS[config["pool"]](x) if config["pool"] else x.reshape(x.shape[0], -1)
        return mlp(params, x, activation), state

    def forward_in_batches(params, model_state, images, key, train):
        if train or not norms or rule != "batch_statistics":
            return forward(params, model_state, images, key, train)
        logits = _in_batches(
            lambda batch: forward(params, model_state, batch, key, train)[0], images, config["batch_size"]
        )
        return logits, model_state

    return _classifiers.functions(init, forward_in_batches)


def _in_batches(of_batch: Callable[[jax.Array], jax.Array], examples: jax.Array, size: int) -> jax.Array:
    """of_batch on consecutive batches of that size, and on what remains; the results laid end to end."""
    whole = len(examples) // size * size
    parts = []
    if whole:
        batches = examples[:whole].reshape(-1, size, *examples.shape[1:])
        parts.append(jax.lax.map(of_batch, batches).reshape(whole, -1))
    if whole < len(examples):
        parts.append(of_batch(examples[whole:]))
    return jnp.concatenate(parts)


def _summary(config: Mapping[str, Any]) -> str:
    convolutions = "-".join(map(str, config["conv_units"]))
    normalised = ", batch normalisation" if config["batch_norm"] else ""
    hidden = f", hidden layers {'-'.join(map(str, config['fc_hidden']))}" if config["fc_hidden"] else ""
    pool = f", {config['pool']} pool" if config["pool"] else ""
    return f"convolutions {convolutions} with {config['activation']}{normalised}{pool}{hidden}"
