"""TaskSet's `mlp_family`: perceptrons of 1 to 6 hidden layers that classify images.

Configs are exact for every seed. Models, losses and initialisers follow the released code; curves agree only
statistically with the released ones, and only on the real data. TaskSet judges by the loss, so the metric is
the loss of `outer_valid`.
"""

from __future__ import annotations

import math
import pathlib
from typing import Any

from workloads._workload import Workload
from workloads.layers import mlp, mlp_init
from workloads.taskset import _classifiers, _draws, _images, _nets
from workloads.taskset.quirks import RELEASED, Quirks

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
    image = _classifiers.image_shape(config["dataset"])
    classes = _images.IMAGE_SETS[config["dataset"][0]].classes
    sizes = (math.prod(image), *config["layer_sizes"], classes)
    w_name, w_scale = config["w_init"]
    w_init = _nets.initializer(w_name, w_scale, quirks)
    activation = _nets.ACTIVATIONS[config["activation"]]

    def init(key):
        return mlp_init(key, sizes, w_init), ()

    def logits(params, images):
        return mlp(params, images.reshape(images.shape[0], -1), activation)

    return _classifiers.sampled_task(
        name, "mlp_family", "mlp", config, (init, logits), _summary(config), data_dir, quirks
    )


def _summary(config: dict[str, Any]) -> str:
    layers = "-".join(map(str, config["layer_sizes"]))
    return f"perceptron {layers} with {config['activation']}"
