"""Draws that VeLO's families share."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jax

# Two of these five are the same, as released: normal with variance scale / fan in.
INITIALIZERS = ("orthogonal", "uniform_scale", "variance_normal", "variance_normal", "variance_uniform")
ACTIVATIONS = (
    "relu", "relu", "relu6", "selu", "tanh", "cos", "sin", "sigmoid", "silu", "silu", "gelu", "leaky_relu",
)  # fmt: skip
SCALES = (0.5, 2.0)  # of an initialiser
IMAGE_SETS = ("mnist", "fashion_mnist", "cifar10", "cifar100", "imagenet_resized/16x16")
# 32k: pieces of words; TFDS has 8k of them.
TEXT_SETS = (
    "lm1b/subwords8k",
    "lm1b/bytes",
    "tokenized_wikipedia/20190301.en_subwords8k",
    "tokenized_wikipedia/20190301.en_bytes",
)


def generator(family: str, *numbers: int) -> np.random.Generator:
    """The generator of a seed of a family, or of a draw of it.

    Raises:
      ValueError: a negative number.
    """
    if min(numbers) < 0:
        raise ValueError(f"{family}: seed is {min(numbers)}; must be 0 or more")
    return np.random.default_rng([zlib.crc32(family.encode()), *numbers])


def choice(rng: np.random.Generator, values: Sequence[Any]) -> Any:
    """One of the values, uniformly."""
    return values[int(rng.integers(len(values)))]


def log_int(rng: np.random.Generator, low: int, high: int) -> int:
    """exp of a uniform draw between the logarithms, cut to a whole number: `high` itself never comes up."""
    return int(math.exp(rng.uniform(math.log(low), math.log(high))))


def log_float(rng: np.random.Generator, low: float, high: float) -> float:
    """exp of a uniform draw between the logarithms."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def images(rng: np.random.Generator, sizes: tuple[int, int], batches: int) -> dict[str, Any]:
    """Data set, size along a side, and batch size from 4."""
    return {
        "dataset": choice(rng, IMAGE_SETS),
        "image_size": log_int(rng, *sizes),
        "batch_size": log_int(rng, 4, batches),
    }


def texts(rng: np.random.Generator) -> dict[str, Any]:
    """Data set, length, batch size and vocabulary."""
    return {
        "dataset": choice(rng, TEXT_SETS),
        "length": log_int(rng, 4, 512),
        "batch_size": log_int(rng, 4, 512),
        "vocabulary": log_int(rng, 100, 10_000),
    }


def initializer(rng: np.random.Generator) -> dict[str, float]:
    """Number and scale of an initialiser, see `_sampled`."""
    return {
        "initializer": int(rng.integers(len(INITIALIZERS))),
        "initial_scale": float(np.float32(rng.uniform(*SCALES))),
    }


def activation(rng: np.random.Generator) -> dict[str, float]:
    """Number of an activation, see `_sampled`."""
    return {"activation": int(rng.integers(len(ACTIVATIONS)))}


def flags(rng: np.random.Generator, *names: str) -> dict[str, float]:
    """True or false, evenly, as 1 or 0."""
    return {name: int(rng.integers(2)) for name in names}


_DRAWN = (
    "initializer", "initial_scale", "activation", "log_loss", "center_data", "constrain_output", "per_dim_loss",
)  # fmt: skip


def resampled(constants: Mapping[str, Any], key: jax.Array) -> dict[str, Any]:
    """The numbers of another draw in the place of those that are there; see `velo.resampled`."""
    import jax
    import jax.numpy as jnp

    counts = {"initializer": len(INITIALIZERS), "activation": len(ACTIVATIONS)}
    made = dict(constants)
    for number, name in enumerate(sorted({*constants} & {*_DRAWN})):
        noise = jax.random.fold_in(key, number)
        if name == "initial_scale":
            made[name] = jax.random.uniform(noise, (), jnp.float32, *SCALES)
        else:
            made[name] = jax.random.randint(noise, (), 0, counts.get(name, 2), jnp.int32)
    return made
