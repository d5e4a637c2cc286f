"""TaskSet's `maf_family`: normalising flows of 1 to 4 masked autoregressive layers on images.

The original draws its permutations without a seed, anew in every run. Here they follow from the name of the
workload, so that a study can be repeated.
"""

from __future__ import annotations

import hashlib
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from workloads._workload import Workload
from workloads.initializers import Initializer
from workloads.layers import mlp, mlp_layers
from workloads.taskset import _classifiers, _draws, _flows, _masks, _nets, _unsupervised
from workloads.taskset.quirks import RELEASED, Quirks

OFFSET = 6123348  # of this family's generator


def sample(seed: int) -> dict[str, Any]:
    """The config of a seed, keys in the original order.

    Example:
      >>> sample(0)["hidden_units"], sample(0)["num_bijectors"]
      ([55], 2)
    """
    return _flows.draw(_draws.generator(seed, OFFSET))


def build(data_dir: pathlib.Path | None, k: int) -> Workload:
    """`taskset/maf_family_seed<k>` as released."""
    return from_config(f"taskset/maf_family_seed{k}", sample(k), data_dir)


def from_config(
    name: str, config: dict[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the family, with switches for what the released code did differently.

    Args:
      name: of the workload; the permutations follow from it.
      config: as `sample` returns it.
      data_dir: see `workloads.load`.
      quirks: released behaviour by default.
    """
    model = flow(
        name,
        math.prod(_classifiers.image_shape(config["dataset"])),
        config["hidden_units"],
        config["num_bijectors"],
        config["activation"],
        _nets.initializer(*config["w_init"], quirks=quirks),
        quirks,
    )
    return _unsupervised.sampled_task(name, "maf_family", config, model, data_dir, quirks)


def flow(
    name: str,
    pixels: int,
    hidden_units: Sequence[int],
    bijectors: int,
    activation: str,
    w_init: Initializer,
    quirks: Quirks,
) -> _unsupervised.Model:
    """Masked autoregressive layers, see `_flows` and `_masks`.

    Kernels are masked when they are drawn. Afterwards, by quirk `maf_kernel_constraint`: `by_optimizer`: the mask is
    a constraint, and optimizers that ignore constraints let masked weights grow; `always`: it is applied in the
    forward pass.

    Args:
      name: of the workload; the permutations follow from it.
      pixels: of an image.
      hidden_units: of the perceptron of every bijector.
      bijectors: how many.
      activation: name of what follows each hidden layer.
      w_init: of all kernels, before they are masked.
      quirks: maf_masks, maf_kernel_constraint.
    """
    layers = mlp_layers((pixels, *hidden_units, 2 * pixels), w_init)
    ranks = _masks.RANKS[quirks.maf_masks](pixels, hidden_units)
    always = quirks.maf_kernel_constraint == "always"

    def constraint(params):
        return {bijector: _masks.masked(net, ranks) for bijector, net in params.items()}

    def init(key):
        return constraint(_unsupervised.init_nets(key, {f"bijector_{i}": layers for i in range(bijectors)}))

    def net(params, x):
        return mlp(_masks.masked(params, ranks) if always else params, x, _nets.ACTIVATIONS[activation])

    return _unsupervised.Model(
        "flow",
        f"masked autoregressive flow of {bijectors} x {'-'.join(map(str, hidden_units))} with {activation}",
        _unsupervised.LIKELIHOOD,
        lambda constants: _flows.functions(init, _flows.autoregressive(net), bijectors, constants),
        constants=_flows.permutations(_orders(name, pixels, bijectors)),
        noise=_flows.add_noise,
        constraint=None if always else constraint,
    )


def _orders(name: str, pixels: int, bijectors: int) -> list[np.ndarray]:
    """The permutations between the bijectors, determined by the name."""
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    return [generator.permutation(pixels) for _ in range(bijectors - 1)]
