"""Synthetic images of classes: the shape of a real data set, learnable, and not trivially so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, UInt8

PARTS = 24  # patterns that all classes of a data set are put together from
CLUTTER = 0.5  # standard deviation of the random amount of every pattern; a class has amounts of -1, 0 and 1


def class_images(
    name: str, shape: tuple[int, int, int], classes: int, sizes: Mapping[str, int]
) -> dict[str, tuple[UInt8[np.ndarray, "e h w c"], Int[np.ndarray, " e"]]]:
    """Images of a random teacher, determined by the name.

    A class is a signed sum of three of 24 smooth patterns. An image is its class plus a random amount of
    every pattern, moved by up to 2 pixels each way, with its own contrast and brightness, and with noise of
    every pixel. Ten classes overlap a little, a thousand overlap much; they share patterns, so a thousand
    can be learnt from a few images each.

    Args:
      name: of the data set that the images replace; seeds everything.
      shape: height, width, channels.
      classes: labels are 0 .. classes - 1, uniform.
      sizes: split name -> images.

    Returns:
      Bytes and labels by split.
    """
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    parts = _parts(generator, shape)
    amounts = np.zeros((classes, PARTS))
    for row in amounts:
        row[generator.choice(PARTS, 3, replace=False)] = generator.choice([-1.0, 1.0], size=3)
    return {split: _draw(generator, parts, amounts, size) for split, size in sizes.items()}


def _parts(generator: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Smooth random patterns [part, height, width, channel] of standard deviation 1, which tile the plane."""
    from scipy import ndimage

    height, width, channels = shape
    coarse = generator.normal(size=(PARTS, 5, 5, channels))
    zoom = (1, height / 5, width / 5, 1)
    parts = np.asarray(ndimage.zoom(coarse, zoom, order=3, mode="grid-wrap", grid_mode=True))
    return (parts / parts.std(axis=(1, 2, 3), keepdims=True)).astype(np.float32)


def _draw(
    generator: np.random.Generator, parts: np.ndarray, amounts: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    labels = generator.integers(len(amounts), size=size)
    mixed = amounts[labels] + generator.normal(0.0, CLUTTER, size=(size, PARTS))
    shifts = generator.integers(-2, 3, size=(size, 2))
    contrast = generator.uniform(0.6, 1.2, size)
    brightness = generator.normal(0.0, 0.5, size)
    images = np.empty((size, *parts.shape[1:]), dtype=np.uint8)
    for i in range(size):  # one by one: a float array of all images would be the largest thing in memory
        image = np.roll(
            np.tensordot(mixed[i].astype(np.float32), parts, axes=1), tuple(shifts[i]), axis=(0, 1)
        )
        noise = generator.standard_normal(image.shape, dtype=np.float32)
        images[i] = np.clip(127.5 + 20.0 * (contrast[i] * image + brightness[i] + noise), 0, 255)
    return images, labels.astype(np.int32)
