"""VeLO's `image_conv`: 0 to 3 convolutions of 3x3, the mean over the map, and a linear layer, on images."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._workload import Workload
from workloads.layers import conv, dense, init_layers
from workloads.velo import _draws, _images, _sampled, _task


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes. The first convolutions have stride 2, as many as were drawn and there are."""
    channels, layers = _draws.log_int(rng, 4, 64), _draws.choice(rng, (0, 1, 2, 3))
    strided = min(_draws.choice(rng, (0, 1, 2)), layers)
    strides = [2] * strided + [1] * (layers - strided)
    return {"channels": channels, "strides": strides, **_draws.images(rng, (4, 32), 512)}


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Initialiser and activation of a draw."""
    return _draws.initializer(rng) | _draws.activation(rng)


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """See `velo.normalizer`."""
    del drawn
    return _task.classes_normalizer(_images.classes_of(config))


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload; the initialiser makes the convolutions' kernels only."""
    strides, features = config["strides"], [_images.shape_of(config)[-1]]
    features += [config["channels"]] * len(strides)

    def bind(numbers):
        w_init, activation = _sampled.initializer(numbers), _sampled.activation(numbers)
        layers = {
            f"Conv_{i}": ((3, 3, features[i], features[i + 1]), w_init) for i in range(len(strides))
        } | {"Dense_0": ((features[-1], _images.classes_of(config)), _sampled.LINEAR)}

        def init(key):
            return init_layers(jax.random.split(key, len(layers)), layers), ()

        def forward(params, model_state, images, key, train):
            del key, train
            x = images
            for i, stride in enumerate(strides):
                x = activation(conv(params[f"Conv_{i}"], x, stride))
            return dense(params["Dense_0"], jnp.mean(x, axis=(1, 2))), model_state

        return _images.classifier(init, forward)

    summary = f"{len(strides)} convolutions of {config['channels']}"
    return _task.task(
        name, "image_conv", "conv", summary, config, drawn, bind, _images.load(config, data_dir)
    )  # fmt: skip
