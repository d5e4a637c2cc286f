"""VeLO's image sets, at the size that a task asks for, and what classifiers of them have in common."""

from __future__ import annotations

import functools
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads import classification
from workloads._source import Provenance, ResidentData
from workloads._workload import Functions, ModelState, Params
from workloads.functions import Init
from workloads.taskset import _images as taskset_images

# (params, model_state, images [example, row, column, channel] in [0, 1], key, train) -> (logits, model_state)
Forward = Callable[[Params, ModelState, jax.Array, jax.Array, bool], tuple[jax.Array, ModelState]]


def shape_of(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Rows, columns and channels of an image that the net sees."""
    size = config["image_size"]
    return size, size, taskset_images.IMAGE_SETS[config["dataset"]].shape[-1]


def classes_of(config: Mapping[str, Any]) -> int:
    """How many classes the data set has."""
    return taskset_images.IMAGE_SETS[config["dataset"]].classes


def load(config: Mapping[str, Any], data_dir: pathlib.Path | None) -> ResidentData:
    """Four splits of bytes: of a published training split a tenth is inner, and a tenth outer validation.

    VeLO's program trains on the first hundredth of CIFAR-100, by a slip; here on eight tenths, as of the others.

    Args:
      config: with `dataset` and `image_size`.
      data_dir: where real data sets are, or None for stand-ins.
    """
    splits, provenance = _resized(config["dataset"], config["image_size"], data_dir)
    return ResidentData(splits, provenance)


@functools.lru_cache(maxsize=32)  # many tasks, few sets and sizes
def _resized(
    name: str, size: int, data_dir: pathlib.Path | None
) -> tuple[dict[str, dict[str, np.ndarray]], Provenance]:
    data = taskset_images.load_fixed(name, taskset_images.IMAGE_SETS[name].published // 10, data_dir)
    return {
        split: {**fields, "inputs": resize(fields["inputs"], size)} for split, fields in data.splits.items()
    }, (data.provenance)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Bilinear, each pixel from its two by two neighbours however small the result, rounded to bytes."""
    if images.shape[1:3] == (size, size):
        return images
    rows, columns = (_neighbours(length, size) for length in images.shape[1:3])
    made = np.empty((len(images), size, size, images.shape[-1]), np.uint8)
    for start in range(0, len(images), 4096):
        part = images[start : start + 4096].astype(np.float32)
        part = _between(_between(part, 1, *rows), 2, *columns)
        made[start : start + 4096] = np.rint(part)
    made.flags.writeable = False
    return made


def _neighbours(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every new place: the old one before it, the one behind, and how near it is to that."""
    places = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
    before = np.floor(places).astype(int)
    return before, np.minimum(before + 1, length - 1), (places - before).astype(np.float32)


def _between(
    x: np.ndarray, axis: int, before: np.ndarray, behind: np.ndarray, share: np.ndarray
) -> np.ndarray:
    share = share.reshape(-1, *(1,) * (x.ndim - axis - 1))
    return x.take(before, axis) * (1 - share) + x.take(behind, axis) * share


def flat(images: jax.Array) -> jax.Array:
    """Bytes [example, row, column, channel] as vectors in [0, 1]."""
    return pixels(images).reshape(images.shape[0], -1)


def pixels(images: jax.Array) -> jax.Array:
    """Bytes as floats in [0, 1]."""
    return images.astype(jnp.float32) / 255.0


def inputs_of(config: Mapping[str, Any]) -> int:
    """Numbers in an image."""
    return math.prod(shape_of(config))


def classifier(init: Init, forward: Forward) -> Functions:
    """A workload's functions: softmax cross-entropy, and sums that count right answers too."""

    def apply(params, model_state, batch, key, train, dropout_rate):
        del dropout_rate  # a task has its own, or none
        return forward(params, model_state, pixels(batch["inputs"]), key, train)

    return classification.unsmoothed(init, apply)
