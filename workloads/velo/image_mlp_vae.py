"""VeLO's `image_mlp_vae`: variational autoencoders of two perceptrons on images."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._workload import Workload
from workloads.layers import mlp, mlp_layers
from workloads.taskset import _unsupervised, _variational
from workloads.velo import _draws, _images, _sampled, _task


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes: encoder and decoder have each their own width and depth."""
    return {
        "encoder": [_draws.log_int(rng, 4, 128)] * _draws.choice(rng, (0, 1, 2, 3, 4)),
        "decoder": [_draws.log_int(rng, 4, 128)] * _draws.choice(rng, (0, 1, 2, 3, 4)),
        "latents": _draws.log_int(rng, 2, 128),
        **_draws.images(rng, (4, 32), 512),
    }


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Initialiser, activation, and how the loss is made."""
    return _draws.initializer(rng) | _draws.activation(rng) | _draws.flags(rng, "center_data", "per_dim_loss")


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """The loss a pixel, between 0 and 10; see `velo.normalizer`."""
    pixels = _images.inputs_of(config)

    def normalized(loss):
        return _task.finite(loss if drawn["per_dim_loss"] else loss / pixels, 10.0).clip(0, 10)

    return normalized


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload; its loss is that of TaskSet's autoencoders, divided by the pixels where the draw says so."""
    pixels, latents = _images.inputs_of(config), config["latents"]

    def bind(numbers):
        w_init, activation = _sampled.initializer(numbers), _sampled.activation(numbers)
        nets = {
            "encoder": mlp_layers((pixels, *config["encoder"], 2 * latents), w_init),
            "decoder": mlp_layers((latents, *config["decoder"], 2 * pixels), w_init),
        }

        def prepare(images):
            x = _images.flat(images)
            return jnp.where(numbers["center_data"], 2.0 * (x - 0.5), x)

        def perceptron(params, x):
            return mlp(params, x, activation)

        negative_elbo = _variational.losses(perceptron, perceptron, prepare)

        def losses(params, batch, key):
            loss = negative_elbo(params, batch, key)
            return jnp.where(numbers["per_dim_loss"], loss / pixels, loss)

        return _unsupervised.functions(lambda key: _unsupervised.init_nets(key, nets), losses)

    layers = "-".join(map(str, (*config["encoder"], f"({latents})", *config["decoder"])))
    data = _unsupervised.then(_images.load(config, data_dir), _variational.add_noise)
    summary = f"variational autoencoder {layers}"
    return _task.task(
        name, "image_mlp_vae", "mlp", summary, config, drawn, bind, data, _unsupervised.LIKELIHOOD
    )  # fmt: skip
