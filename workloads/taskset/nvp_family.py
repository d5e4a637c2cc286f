"""TaskSet's `nvp_family`: normalising flows of 1 to 4 coupling layers (Real NVP) on images."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from workloads._workload import Workload
from workloads.initializers import Initializer
from workloads.layers import mlp, mlp_layers
from workloads.taskset import _classifiers, _draws, _flows, _nets, _unsupervised
from workloads.taskset.quirks import RELEASED, Quirks

OFFSET = 123919936  # of this family's generator


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(0)["hidden_units"], sample(0)["num_bijectors"]
      ([34, 76], 3)
    """
    return _flows.draw(_draws.generator(seed, OFFSET))


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/nvp_family_seed<k>` as released."""
    return from_config(f"taskset/nvp_family_seed{k}", sample(k), data_dir)


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
    model = flow(
        math.prod(_classifiers.image_shape(config["dataset"])),
        config["hidden_units"],
        config["num_bijectors"],
        config["activation"],
        _nets.initializer(*config["w_init"], quirks=quirks),
    )
    return _unsupervised.sampled_task(name, "nvp_family", config, model, data_dir, quirks)


def flow(
    pixels: int, hidden_units: Sequence[int], bijectors: int, activation: str, w_init: Initializer
) -> _unsupervised.Model:
    """Coupling layers, see `_flows`. Permutation i, counted from 0, is `numpy.random.RandomState(i).permutation`'s.

    Args:
      pixels: of an image; the first half of them, rounded down, is left as it is.
      hidden_units: of the perceptron of every bijector.
      bijectors: how many.
      activation: name of what follows each hidden layer.
      w_init: of all kernels.
    """
    masked = pixels // 2
    layers = mlp_layers((masked, *hidden_units, 2 * (pixels - masked)), w_init)
    orders = [np.random.RandomState(i).permutation(pixels) for i in range(bijectors - 1)]

    def init(key):
        return _unsupervised.init_nets(key, {f"bijector_{i}": layers for i in range(bijectors)})

    def net(params, x):
        return mlp(params, x, _nets.ACTIVATIONS[activation])

    made = _flows.functions(init, _flows.coupling(net, masked), bijectors, _flows.permutations(orders))
    return _unsupervised.Model(
        "flow",
        f"Real NVP of {bijectors} x {'-'.join(map(str, hidden_units))} with {activation}",
        _unsupervised.LIKELIHOOD,
        lambda constants: made,
        noise=_flows.add_noise,
    )
