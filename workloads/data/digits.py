"""Handwritten digits that ship with scikit-learn, and the same at MNIST's size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, UInt8

from workloads._source import Provenance

EXAMPLES = 1797  # all of them

EMBEDDED = Provenance(
    kind="embedded",
    source="1,797 handwritten digits of 8x8 pixels from UCI 'Optical Recognition of Handwritten Digits', "
    "as shipped with scikit-learn",
)
AS_MNIST = Provenance(
    kind="embedded",
    source="1,797 handwritten digits of 8x8 pixels as shipped with scikit-learn, enlarged to 20x20 by cubic "
    "interpolation and framed to 28x28",
    stands_in_for="MNIST",
)

Split = tuple[np.ndarray, np.ndarray]  # images [example, height, width, 1], labels [example]


def digits(
    held_out: Mapping[str, int],
) -> dict[str, tuple[Float[np.ndarray, "e 8 8 1"], Int[np.ndarray, " e"]]]:
    """Digits of 8x8 pixels in [0, 1] with their labels, split at random but always in the same way.

    Args:
      held_out: split name -> number of examples; what remains becomes `train`.

    Example:
      >>> {name: len(labels) for name, (_, labels) in digits({"test": 360}).items()}
      {'test': 360, 'train': 1437}
    """
    images, labels = _all()
    return _split((images / 16.0).astype(np.float32)[..., None], labels, held_out)


def digits_as_mnist(
    held_out: Mapping[str, int],
) -> dict[str, tuple[UInt8[np.ndarray, "e 28 28 1"], Int[np.ndarray, " e"]]]:
    """The same digits in MNIST's format: 28x28 bytes, the figure in the middle 20x20, ink is 255."""
    from scipy import ndimage

    images, labels = _all()
    # Cubic splines overshoot at the edges of a stroke, hence the clip.
    zoomed = [ndimage.zoom(image, 20 / 8, order=3, mode="nearest", grid_mode=True) for image in images]
    enlarged = np.stack([np.asarray(image) for image in zoomed])
    inked = np.clip(np.rint(enlarged * (255.0 / 16.0)), 0, 255).astype(np.uint8)
    return _split(np.pad(inked, ((0, 0), (4, 4), (4, 4)))[..., None], labels, held_out)


def _all() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels).reshape(-1, 8, 8), np.asarray(labels).astype(np.int32)


def _split(images: np.ndarray, labels: np.ndarray, held_out: Mapping[str, int]) -> dict[str, Split]:
    order = np.random.default_rng(0).permutation(len(images))  # writers follow each other in the file
    splits: dict[str, Split] = {}
    start = 0
    for name, size in held_out.items():
        chosen = order[start : start + size]
        splits[name] = images[chosen], labels[chosen]
        start += size
    splits["train"] = images[order[start:]], labels[order[start:]]
    return splits
