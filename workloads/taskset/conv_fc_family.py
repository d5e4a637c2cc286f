"""TaskSet's `conv_fc_family`: 1 to 5 convolutions, then a perceptron of up to 3 hidden layers, on images."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import jax

from workloads._workload import Workload
from workloads.layers import init_layers, mlp, mlp_layers
from workloads.taskset import _classifiers, _convolutions, _draws, _images, _nets
from workloads.taskset.quirks import RELEASED, Quirks


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(2)["hidden_units"], sample(2)["padding"], sample(2)["fc_hidden_units"]
      ([56], ['VALID'], [40, 84])
    """
    rng = _draws.generator(seed)
    stack = _convolutions.draw(rng)
    hidden = _draws.choice(rng, (0, 1, 2, 3))
    return stack | {
        "fc_hidden_units": [_draws.log_int(rng, 32, 128) for _ in range(hidden)],
        "use_bias": _draws.choice(rng, (True, False)),
        "dataset": _draws.image_dataset(rng),
        "center_data": _draws.choice(rng, (True, False)),
    }


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/conv_fc_family_seed<k>` as released."""
    return from_config(f"taskset/conv_fc_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    `use_bias` concerns the convolutions; `w_init` and the activation also the perceptron.

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
    features = math.prod(_convolutions.map_shape(image, stack))
    classes = _images.IMAGE_SETS[config["dataset"][0]].classes
    sizes = (features, *config["fc_hidden_units"], classes)
    w_name, w_scale = config["w_init"]
    w_init = _nets.initializer(w_name, w_scale, quirks)
    activation = _nets.ACTIVATIONS[config["activation"]]
    convolutions = _convolutions.kernels(image[-1], stack, w_init)
    layers = convolutions | mlp_layers(sizes, w_init)
    unbiased = () if config["use_bias"] else tuple(convolutions)

    def init(key):
        return init_layers(jax.random.split(key, len(layers)), layers, unbiased), ()

    def logits(params, images):
        x = _convolutions.apply(params, images, stack, activation)
        return mlp(params, x.reshape(x.shape[0], -1), activation)

    return _classifiers.sampled_task(
        name, "conv_fc_family", "conv", config, (init, logits), _summary(config), data_dir, quirks
    )


def _summary(config: dict[str, Any]) -> str:
    convolutions = "-".join(map(str, config["hidden_units"]))
    hidden = "-".join(map(str, config["fc_hidden_units"])) or "none"
    return f"convolutions {convolutions}, hidden layers {hidden}, with {config['activation']}"
