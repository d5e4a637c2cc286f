"""Data sets of the losg tasks, drawn on the host by NumPy's legacy generator in the original's order of calls.

The original leaves these generators unseeded, so its data differ in every run. Here they follow from the config's
seed (`losg_data_seed`), so that a study can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

Rng = np.random.RandomState
Examples = Mapping[str, np.ndarray]  # field -> [example, ...]

DEPTH, WIDTH = 6, 20  # of the net that labels `random_mlp`
IDS, FLIPPED = 5, 0.25  # ids per example of `noisy_parity`, and the share of wrong labels


def random_mlp(rng: Rng, examples: int, features: int) -> Examples:
    """Standard normal inputs, labelled 1 where the first output of a random net is positive, else 0.

    The net has six relu layers of 20 units, without biases, and weights of variance 2 / features in every layer.
    """
    inputs = rng.normal(size=(examples, features))
    x, scale = inputs, math.sqrt(2.0 / features)
    for _ in range(DEPTH):
        x = np.maximum(x @ (scale * rng.normal(size=(x.shape[1], WIDTH))), 0.0)
    return {"inputs": inputs.astype(np.float32), "targets": (x[:, 0] > 0.0).astype(np.int32)}


def random_symmetric(rng: Rng, examples: int, features: int) -> Examples:
    """Standard normal inputs, each with its negative: their mean is zero. An odd one is left out."""
    half = rng.normal(size=(examples // 2, features)).astype(np.float32)
    return {"inputs": np.concatenate([half, -half])}


def noisy_parity(rng: Rng, examples: int) -> Examples:
    """Five ids, 0 or 1; the label is the parity of their sum, flipped for one example in four."""
    ids = rng.randint(0, 2, (examples, IDS))
    flipped = rng.binomial(1, FLIPPED, examples)
    return {"inputs": ids.astype(np.int32), "targets": ((ids.sum(axis=1) + flipped) % 2).astype(np.int32)}


def tiled(data: Examples, batch_size: int) -> Examples:
    """The set repeated, where it is smaller than two batches, until it is not.

    The original repeats its set for ever, shuffles through a buffer of one set's length, and cuts batches, which may
    hold an example several times. Two batches' worth of copies, shuffled, give counts that vary as much as these
    (about half as much as in drawing with replacement).
    """
    examples = len(data["inputs"])
    copies = max(1, -(-2 * batch_size // examples))
    return {field: np.concatenate([values] * copies) for field, values in data.items()}
