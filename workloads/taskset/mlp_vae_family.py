"""TaskSet's `mlp_vae_family`: variational autoencoders of two perceptrons on images."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax

from workloads._workload import Workload
from workloads.initializers import Initializer
from workloads.layers import mlp, mlp_layers
from workloads.taskset import _classifiers, _draws, _nets, _unsupervised, _variational
from workloads.taskset.quirks import RELEASED, Quirks


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(0)["enc_hidden_units"], sample(0)["dec_hidden_units"]
      ([73], [74])
    """
    rng = _draws.generator(seed)
    encoder = _draws.choice(rng, (1, 2, 3, 4))
    enc_hidden_units = [_draws.log_int(rng, 32, 128) for _ in range(encoder)]
    decoder = _draws.choice(rng, (1, 2, 3))
    return {
        "enc_hidden_units": enc_hidden_units,
        "dec_hidden_units": [_draws.log_int(rng, 32, 128) for _ in range(decoder)],
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.image_dataset(rng),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/mlp_vae_family_seed<k>` as released."""
    return from_config(f"taskset/mlp_vae_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    The last of `enc_hidden_units` is no hidden layer but the number of latents.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    *encoder_units, latents = config["enc_hidden_units"]
    model = autoencoder(
        math.prod(_classifiers.image_shape(config["dataset"])),
        encoder_units,
        latents,
        config["dec_hidden_units"],
        config["activation"],
        _nets.initializer(*config["w_init"], quirks=quirks),
        _unsupervised.flat,
    )
    return _unsupervised.sampled_task(name, "mlp_vae_family", config, model, data_dir, quirks)


def autoencoder(
    pixels: int,
    encoder_units: Sequence[int],
    latents: int,
    decoder_units: Sequence[int],
    activation: str,
    w_init: Initializer,
    prepare: Callable[[jax.Array], jax.Array],
) -> _unsupervised.Model:
    """A variational autoencoder of two perceptrons, see `_variational`.

    Args:
      pixels: of an image.
      encoder_units, decoder_units: of every hidden layer.
      latents: length of z.
      activation: name of what follows each hidden layer.
      w_init: of all kernels.
      prepare: images as stored -> [example, pixel].
    """
    nets = {
        "encoder": mlp_layers((pixels, *encoder_units, 2 * latents), w_init),
        "decoder": mlp_layers((latents, *decoder_units, 2 * pixels), w_init),
    }

    def perceptron(params, x):
        return mlp(params, x, _nets.ACTIVATIONS[activation])

    made = _unsupervised.functions(
        lambda key: _unsupervised.init_nets(key, nets), _variational.losses(perceptron, perceptron, prepare)
    )
    layers = "-".join(map(str, (*encoder_units, f"({latents})", *decoder_units)))
    return _unsupervised.Model(
        "mlp",
        f"variational autoencoder {layers} with {activation}",
        _unsupervised.LIKELIHOOD,
        lambda constants: made,
        noise=_variational.add_noise,
    )
