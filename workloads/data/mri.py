"""Magnetic resonance images of which a part of the frequencies was measured, as fastMRI makes them.

A slice's k-space are its frequencies, the lowest in the middle. Of its columns those in the middle are kept, and of the
others so many at random that one of four is kept in all.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Complex, Float

CENTRE = 0.08  # share of the columns that are kept in the middle
ACCELERATION = 4
CLIP = 6.0


def kept_columns(uniform: Float[np.ndarray, "slice columns"]) -> Bool[np.ndarray, "slice columns"]:
    """Which columns are measured.

    Args:
      uniform: between 0 and 1; the others are kept where this is small.
    """
    width = uniform.shape[-1]
    low = int(np.float32(width) * np.float32(CENTRE))
    share = (np.float32(width) / np.float32(ACCELERATION) - np.float32(low)) / np.float32(width - low)
    first = (width - low + 1) // 2
    middle = np.zeros(width, bool)
    middle[first : first + low] = True
    return middle | (uniform < share)


def frequencies(images: np.ndarray) -> Complex[np.ndarray, "slice rows columns"]:
    """k-space of images [slice, row, column], orthonormal."""
    axes = (1, 2)
    spectrum = np.fft.fft2(np.fft.ifftshift(images, axes), axes=axes, norm="ortho")
    return np.fft.fftshift(spectrum, axes)


def magnitudes(kspace: Complex[np.ndarray, "slice rows columns"], side: int) -> np.ndarray:
    """Images of k-space, the square in the middle of them, [slice, side, side]."""
    axes = (1, 2)
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes), axes=axes, norm="ortho"), axes)
    rows, columns = ((size - side) // 2 for size in images.shape[1:])
    return np.abs(images[:, rows : rows + side, columns : columns + side])


def examples(
    kspace: Complex[np.ndarray, "slice rows columns"],
    targets: Float[np.ndarray, "slice side side"],
    largest: Float[np.ndarray, " slice"],
    kept: Bool[np.ndarray, "slice columns"],
) -> dict[str, np.ndarray]:
    """What the model is to make the targets of, and the targets, both normalised by the former's mean and deviation.

    Args:
      kspace: of every slice.
      targets: magnitudes that all frequencies give.
      largest: magnitude of the volume that a slice is of.
      kept: see `kept_columns`.

    Returns:
      AlgoPerf's fields: `inputs` and `targets`, clipped at six deviations, `mean`, `std`, `volume_max`.
    """
    images = magnitudes(kspace * kept[:, None], targets.shape[-1])
    mean, std = images.mean((1, 2)), images.std((1, 2))
    normalised = [
        np.clip((x - mean[:, None, None]) / std[:, None, None], -CLIP, CLIP) for x in (images, targets)
    ]
    fields = {
        "inputs": normalised[0],
        "targets": normalised[1],
        "mean": mean,
        "std": std,
        "volume_max": largest,
    }
    return {name: np.asarray(values, np.float32) for name, values in fields.items()}
