"""Synthetic images of classes: the shape of a real data set, learnable, and not trivially so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, UInt8

PARTS = 24  # patterns that all classes of a data set are put together from


def class_images(
    name: str, shape: tuple[int, int, int], classes: int, sizes: Mapping[str, int]
) -> dict[str, tuple[UInt8[np.ndarray, "e h w c"], Int[np.ndarray, " e"]]]:
    """Images of a random teacher, determined by the name.

    A class is a signed sum of three of 24 smooth patterns. An image is its class, moved by up to 2 pixels
    each way, mixed with up to 45 % of another class, with its own contrast and brightness, and with noise of
    every pixel. Classes share patterns, so a thousand classes can be learnt from a few images each.

    Args:
      name: of the data set that the images replace; seeds everything.
      shape: height, width, channels.
      classes: labels are 0 .. classes - 1, uniform.
      sizes: split name -> images.

    Returns:
      Bytes and labels by split.
    """
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    templates = _templates(generator, shape, classes)
    return {split: _draw(generator, templates, size) for split, size in sizes.items()}


def _templates(generator: np.random.Generator, shape: tuple[int, int, int], classes: int) -> np.ndarray:
    from scipy import ndimage

    height, width, channels = shape
    coarse = generator.normal(size=(PARTS, 5, 5, channels))
    zoom = (1, height / 5, width / 5, 1)
    parts = ndimage.zoom(coarse, zoom, order=3, mode="wrap", grid_mode=True)
    chosen = np.stack([generator.choice(PARTS, 3, replace=False) for _ in range(classes)])
    signs = generator.choice([-1.0, 1.0], size=(classes, 3))
    templates = np.einsum("cp,cphwk->chwk", signs, parts[chosen])
    return (templates / templates.std(axis=(1, 2, 3), keepdims=True)).astype(np.float32)


def _draw(generator: np.random.Generator, templates: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    classes = len(templates)
    labels = generator.integers(classes, size=size)
    others = generator.integers(classes, size=size)
    share = generator.uniform(0.0, 0.45, size)
    shifts = generator.integers(-2, 3, size=(size, 2))
    contrast = generator.uniform(0.6, 1.2, size)
    brightness = generator.normal(0.0, 0.3, size)
    images = np.empty((size, *templates.shape[1:]), dtype=np.uint8)
    for i in range(size):
        mixed = (1 - share[i]) * templates[labels[i]] + share[i] * templates[others[i]]
        moved = np.roll(mixed, tuple(shifts[i]), axis=(0, 1))
        noisy = contrast[i] * moved + brightness[i] + generator.normal(0.0, 0.7, size=moved.shape)
        images[i] = np.clip(127.5 + 48.0 * noisy, 0, 255)
    return images, labels.astype(np.int32)
