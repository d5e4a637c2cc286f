"""TaskSet's `mlp_family`: perceptrons of 1 to 6 hidden layers that classify images.

Configs are exact for every seed. Models, losses and initialisers follow the released code; curves agree only
statistically with the released ones, and only on the real data. TaskSet judges by the loss, so the metric is
the loss of `outer_valid`.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax.numpy as jnp

from workloads import _layers, _losses
from workloads._workload import Functions, Workload
from workloads.taskset import _draws, _images, _nets, _task
from workloads.taskset._quirks import RELEASED, Quirks

OFFSET = 99123491  # of this family's generator


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(8)["layer_sizes"], sample(8)["activation"]
      ([33], 'relu')
    """
    rng = _draws.generator(seed, OFFSET)
    layers = _draws.choice(rng, (1, 2, 3, 4, 5, 6))
    return {
        "layer_sizes": [_draws.log_int(rng, 16, 128) for _ in range(layers)],
        "activation": _draws.activation(rng),
        "w_init": _draws.initializer(rng),
        "dataset": _draws.image_dataset(rng),
        "center_data": _draws.choice(rng, (True, False)),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/mlp_family_seed<k>` as released."""
    return from_config(f"taskset/mlp_family_seed{k}", sample(k), data_dir)


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
    dataset, arguments, augmentation = config["dataset"]
    facts = _images.IMAGE_SETS[dataset]
    crop = augmentation["crop_amount"] if augmentation else 0
    height, width, channels = facts.shape
    sizes = ((height - crop) * (width - crop) * channels, *config["layer_sizes"], facts.classes)
    activation = _nets.ACTIVATIONS[config["activation"]]
    w_name, w_scale = config["w_init"]
    w_init = _nets.initializer(w_name, w_scale, quirks)
    last = len(sizes) - 2

    def logits(params, batch):
        x = _nets.pixels(batch["inputs"]).reshape(batch["inputs"].shape[0], -1)
        x = 2.0 * x - 1.0 if config["center_data"] else x
        for i in range(last):
            x = activation(_layers.dense(params[f"Dense_{i}"], x))
        return _layers.dense(params[f"Dense_{last}"], x)

    def init(key):
        return _layers.mlp_init(key, sizes, w_init), ()

    def loss(params, model_state, batch, key, train, regularization):
        del key, train, regularization
        return jnp.mean(_losses.cross_entropy(logits(params, batch), batch["targets"])), model_state

    def metrics(params, model_state, batch, key):
        del model_state, key
        return _losses.classification_sums(logits(params, batch), batch["targets"])

    return _task.task(
        name,
        "mlp",
        _summary(config),
        Functions(init, loss, metrics),
        _images.load(config["dataset"], data_dir, quirks),
        arguments["bs"],
        "SOFTMAX_CROSS_ENTROPY",
    )


def _summary(config: dict[str, Any]) -> str:
    layers = "-".join(map(str, config["layer_sizes"]))
    augmented = ", augmented" if config["dataset"][2] else ""
    return f"TaskSet perceptron {layers} with {config['activation']} on {config['dataset'][0]}{augmented}"
