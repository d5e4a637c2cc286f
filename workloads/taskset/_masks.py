"""Masks that make a perceptron autoregressive: output d may depend on inputs before d only.

Germain et al. 2015, arXiv:1502.03509. A layer's mask is given by two ranks, one per input and one per output of the
layer: output j may see input i where readers[j] >= sources[i]. Two vectors, compared where a mask is needed, take no
memory; the masks of 3,072 pixels themselves would take megabytes in every compiled program.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

NEVER = np.iinfo(np.int32).max  # rank of an input that no output may see


class Ranks(NamedTuple):
    """Of one layer."""

    sources: Int[np.ndarray, " inputs"]
    readers: Int[np.ndarray, " outputs"]

    def mask(self) -> Bool[Array, "inputs outputs"]:
        """Where a kernel may be other than zero."""
        return jnp.asarray(self.readers)[None, :] >= jnp.asarray(self.sources)[:, None]


def block_ranks(pixels: int, hidden_units: Sequence[int]) -> list[Ranks]:
    """Masks of TensorFlow Probability's `masked_dense`: each layer is cut into as many blocks as there are pixels.

    A block of a layer of n units has n // pixels of them; units that are left over see everything and are seen by
    nobody. Where a hidden layer has fewer units than there are pixels its blocks are empty: then the mask before it is
    all ones and the mask behind it all zeros, so that no output depends on any input.

    Args:
      pixels: inputs; there are two outputs for each.
      hidden_units: of every hidden layer.
    """
    sizes = (pixels, *hidden_units, 2 * pixels)
    ranks = []
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        inputs_per_block, outputs_per_block = inputs // pixels, outputs // pixels
        sources, readers = np.full(inputs, NEVER), np.full(outputs, pixels)  # of empty blocks
        if inputs_per_block:
            blocks = np.arange(inputs) // inputs_per_block
            sources = np.where(blocks < pixels, blocks, NEVER)
        if outputs_per_block:
            # The first layer is strict: block k sees the blocks before k.
            readers = np.arange(outputs) // outputs_per_block - (layer == 0)
        ranks.append(Ranks(sources.astype(np.int32), readers.astype(np.int32)))
    return ranks


def made_ranks(pixels: int, hidden_units: Sequence[int]) -> list[Ranks]:
    """Masks by degrees, right for any number of hidden units.

    Pixel d has degree d, from 1; the degrees of hidden units are spread evenly over 1 .. pixels - 1. A hidden unit sees
    what has at most its degree, and the outputs of pixel d see degrees below d.

    Args:
      pixels: inputs; there are two outputs for each, side by side.
      hidden_units: of every hidden layer.
    """
    degrees = [np.arange(1, pixels + 1)]
    degrees += [np.ceil(np.linspace(1, max(pixels - 1, 1), units)) for units in hidden_units]
    outputs = np.repeat(np.arange(pixels), 2)
    return [
        Ranks(sources.astype(np.int32), readers.astype(np.int32))
        for sources, readers in itertools.pairwise([*degrees, outputs])
    ]


RANKS: dict[str, Callable[[int, Sequence[int]], list[Ranks]]] = {
    #  quirk maf_masks   ranks of every layer
    "tfp_degenerate": block_ranks,
    "made": made_ranks,
}


def masked(params: dict, ranks: Sequence[Ranks]) -> dict:
    """A perceptron's parameters Dense_0, Dense_1, ... with their kernels masked."""
    kernels: list[jax.Array] = [
        jnp.where(rank.mask(), params[f"Dense_{i}"]["kernel"], 0.0) for i, rank in enumerate(ranks)
    ]
    return {f"Dense_{i}": {**params[f"Dense_{i}"], "kernel": kernel} for i, kernel in enumerate(kernels)}
