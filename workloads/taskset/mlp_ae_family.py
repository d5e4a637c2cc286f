"""TaskSet's `mlp_ae_family`: perceptrons of 1 to 6 hidden layers that reconstruct images."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from workloads._workload import Workload
from workloads.initializers import Initializer
from workloads.layers import mlp, mlp_init
from workloads.taskset import _classifiers, _draws, _nets, _unsupervised
from workloads.taskset.quirks import RELEASED, Quirks

OUTPUTS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "linear_center": lambda x: x,
    "linear": lambda x: x,
}
CENTRED = ("tanh", "linear_center")  # of these outputs the images are centred, as inputs and as targets
ERRORS: dict[str, Callable[[jax.Array], jax.Array]] = {"l1": jnp.abs, "l2": jnp.square}
REDUCTIONS: dict[str, Callable[..., jax.Array]] = {"reduce_mean": jnp.mean, "reduce_sum": jnp.sum}
LOSS_TYPES = {"l1": "MEAN_ABSOLUTE_ERROR", "l2": "MEAN_SQUARED_ERROR"}


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(0)["hidden_units"], sample(0)["output_type"]
      ([73, 103, 105, 104, 76], 'tanh')
    """
    rng = _draws.generator(seed)
    layers = _draws.choice(rng, (1, 2, 3, 4, 5, 6))
    return {
        "hidden_units": [_draws.log_int(rng, 32, 128) for _ in range(layers)],
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.image_dataset(rng),
        "output_type": _draws.choice(rng, ("tanh", "tanh", "sigmoid", "sigmoid", "linear_center", "linear")),
        "loss_type": _draws.choice(rng, ("l2", "l2", "l1")),
        "reduction_type": _draws.choice(rng, ("reduce_mean", "reduce_sum")),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/mlp_ae_family_seed<k>` as released."""
    return from_config(f"taskset/mlp_ae_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    model = autoencoder(
        math.prod(_classifiers.image_shape(config["dataset"])),
        config["hidden_units"],
        config["activation"],
        _nets.initializer(*config["w_init"], quirks=quirks),
        config["output_type"],
        config["loss_type"],
        config["reduction_type"],
    )
    return _unsupervised.sampled_task(name, "mlp_ae_family", config, model, data_dir, quirks)


def autoencoder(
    pixels: int,
    hidden_units: Sequence[int],
    activation: str,
    w_init: Initializer,
    output_type: str,
    loss_type: str,
    reduction_type: str,
) -> _unsupervised.Model:
    """A perceptron that reconstructs its input: the mean over the batch of sum or mean_i |f(x)_i - x_i|^(1 or 2).

    Args:
      pixels: length of x.
      hidden_units: of every hidden layer.
      activation: name of what follows each of them.
      w_init: of all kernels.
      output_type: key of OUTPUTS.
      loss_type: key of ERRORS.
      reduction_type: over the pixels; key of REDUCTIONS.
    """
    sizes = (pixels, *hidden_units, pixels)
    between, output = _nets.ACTIVATIONS[activation], OUTPUTS[output_type]
    error, reduction = ERRORS[loss_type], REDUCTIONS[reduction_type]

    def init(key):
        return mlp_init(key, sizes, w_init)

    def losses(params, batch, key):
        del key
        x = _unsupervised.flat(batch["inputs"])
        x = _unsupervised.centred(x) if output_type in CENTRED else x
        return reduction(error(output(mlp(params, x, between)) - x), axis=-1)

    made = _unsupervised.functions(init, losses)
    return _unsupervised.Model(
        "mlp",
        f"autoencoder {'-'.join(map(str, hidden_units))} with {activation}",
        LOSS_TYPES[loss_type],
        lambda constants: made,
    )
