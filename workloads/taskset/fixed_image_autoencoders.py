"""TaskSet's fixed autoencoders of images, plain and variational, of perceptrons and of convolutions."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._workload import Workload
from workloads.taskset import (
    _conv_autoencoders,
    _images,
    _nets,
    _unsupervised,
    _variational,
    mlp_ae_family,
    mlp_vae_family,
)
from workloads.taskset.quirks import RELEASED, Quirks

Image = tuple[int, int, int]  # height, width, channels

# What the name says where the released code does something else: quirk `misnamed_tasks`.
AS_NAMED: dict[str, dict[str, Any]] = {
    "FixedImageConvAE_mnist_32x64x32x64x32_bs512": {"dec_units": [64, 32]},
    "FixedImageConvVAE_mnist_32x64x32x64x32_bs128": {"dataset": "mnist"},
    "Imagenet32x30_FC_VAE_128x64x32x64x128_relu_bs256": {"dataset": "imagenet_resized/32x32"},
}


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """The workload of a fixed autoencoder.

    Args:
      name: of the workload, `taskset/<name of the task>`.
      config: its entry in `fixed.json`.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    if quirks.misnamed_tasks == "as_named":
        config = {**config, **AS_NAMED.get(name.removeprefix("taskset/"), {})}
    model = MODELS[config["group"]](_images.IMAGE_SETS[config["dataset"]].shape, config)
    return _unsupervised.fixed_task(name, config, model, data_dir, quirks)


def _centred(images: jax.Array) -> jax.Array:
    return _unsupervised.centred(_nets.pixels(images))


def _mlp_ae(image: Image, config: Mapping[str, Any]) -> _unsupervised.Model:
    """Mean squared error of sigmoid(net(x)) against x in [0, 1]."""
    return mlp_ae_family.autoencoder(
        math.prod(image), config["hidden"], config["activation"], _nets.SONNET, "sigmoid", "l2", "reduce_mean"
    )


def _mlp_vae(image: Image, config: Mapping[str, Any]) -> _unsupervised.Model:
    """As the sampled family, but centred."""
    return mlp_vae_family.autoencoder(
        math.prod(image),
        config["enc_units"],
        config["n_z"],
        config["dec_units"],
        config["activation"],
        _nets.SONNET,
        lambda images: _unsupervised.centred(_unsupervised.flat(images)),
    )


def _conv_ae(image: Image, config: Mapping[str, Any]) -> _unsupervised.Model:
    """Mean squared error of sigmoid(net(x)) against x in [0, 1]."""
    activation, latents = _nets.ACTIVATIONS[config["activation"]], config["latents"]
    nets = {
        "encoder": _conv_autoencoders.encoder_layers(image, config["enc_units"], latents, _nets.SONNET),
        "decoder": _conv_autoencoders.decoder_layers(latents, image, config["dec_units"], _nets.SONNET),
    }

    def losses(params, batch, key):
        del key
        x = _nets.pixels(batch["inputs"])
        z = _conv_autoencoders.encode(params["encoder"], x, activation)
        outputs = jax.nn.sigmoid(_conv_autoencoders.decode(params["decoder"], z, image, activation))
        return jnp.mean(jnp.square(x - outputs), axis=(1, 2, 3))

    made = _unsupervised.functions(lambda key: _unsupervised.init_nets(key, nets), losses)
    return _unsupervised.Model(
        "conv", f"autoencoder {_summary(config, latents)}", "MEAN_SQUARED_ERROR", lambda constants: made
    )


def _conv_vae(image: Image, config: Mapping[str, Any]) -> _unsupervised.Model:
    """See `_variational`; images are centred."""
    activation, latents = _nets.ACTIVATIONS[config["activation"]], config["n_z"]
    outputs = (*image[:2], 2 * image[2])
    nets = {
        "encoder": _conv_autoencoders.encoder_layers(image, config["enc_units"], 2 * latents, _nets.SONNET),
        "decoder": _conv_autoencoders.decoder_layers(latents, outputs, config["dec_units"], _nets.SONNET),
    }
    losses = _variational.losses(
        lambda params, x: _conv_autoencoders.encode(params, x, activation),
        lambda params, z: _conv_autoencoders.decode(params, z, outputs, activation),
        _centred,
    )
    made = _unsupervised.functions(lambda key: _unsupervised.init_nets(key, nets), losses)
    return _unsupervised.Model(
        "conv",
        f"variational autoencoder {_summary(config, latents)}",
        _unsupervised.LIKELIHOOD,
        lambda constants: made,
        noise=_variational.add_noise,
    )


def _summary(config: Mapping[str, Any], latents: int) -> str:
    layers = "-".join(map(str, (*config["enc_units"], f"({latents})", *config["dec_units"])))
    return f"of convolutions {layers} with {config['activation']}"


# group of fixed.json -> (shape of the images, config) -> what is trained
MODELS: dict[str, Callable[[Image, Mapping[str, Any]], _unsupervised.Model]] = {
    "image_conv_ae": _conv_ae,
    "image_conv_vae": _conv_vae,
    "mlp_ae": _mlp_ae,
    "mlp_vae": _mlp_vae,
}
