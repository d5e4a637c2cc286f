"""TaskSet's `conv_pooling_family`: 1 to 5 convolutions, a pool over the whole map, and a linear layer, on images."""

from __future__ import annotations

import pathlib
from typing import Any

import jax

from workloads._workload import Workload
from workloads.layers import dense, init_layers, mlp_layers
from workloads.taskset import _classifiers, _convolutions, _draws, _images, _nets
from workloads.taskset.quirks import RELEASED, Quirks


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order. Its convolutions are those of `conv_fc_family`.

    Example:
      >>> sample(2)["hidden_units"], sample(2)["padding"], sample(2)["pool_type"]
      ([56], ['VALID'], 'squared_mean')
    """
    rng = _draws.generator(seed)
    return _convolutions.draw(rng) | {
        "pool_type": _draws.choice(rng, ("mean", "max", "squared_mean")),
        "use_bias": _draws.choice(rng, (True, False)),
        "dataset": _draws.image_dataset(rng),
        "center_data": _draws.choice(rng, (True, False)),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/conv_pooling_family_seed<k>` as released."""
    return from_config(f"taskset/conv_pooling_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    `use_bias` concerns the convolutions; `w_init` also the linear layer.

    Args:
      name: of the workload.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.

    Raises:
      ValueError: the convolutions leave nothing of the images.
    """
    image = _classifiers.image_shape(config["dataset"])
    stack = _convolutions.of_config(config)
    _, _, features = _convolutions.map_shape(image, stack)
    classes = _images.IMAGE_SETS[config["dataset"][0]].classes
    w_name, w_scale = config["w_init"]
    w_init = _nets.initializer(w_name, w_scale, quirks)
    activation = _nets.ACTIVATIONS[config["activation"]]
    pool = _convolutions.POOLS[config["pool_type"]]
    convolutions = _convolutions.kernels(image[-1], stack, w_init)
    layers = convolutions | mlp_layers((features, classes), w_init)
    unbiased = () if config["use_bias"] else tuple(convolutions)

    def init(key):
        return init_layers(jax.random.split(key, len(layers)), layers, unbiased), ()

    def logits(params, images):
        x = _convolutions.apply(params, images, stack, activation)
        return dense(params["Dense_0"], pool(x))

    return _classifiers.sampled_task(
        name, "conv_pooling_family", "conv", config, (init, logits), _summary(config), data_dir, quirks
    )


def _summary(config: dict[str, Any]) -> str:
    convolutions = "-".join(map(str, config["hidden_units"]))
    pool = config["pool_type"].replace("_", " ")
    return f"convolutions {convolutions} with {config['activation']}, {pool} pool"
