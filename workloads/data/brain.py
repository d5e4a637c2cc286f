"""Slices of the MNI152 template, a magnetic resonance image (T1) of a head, from the package `nilearn` (BSD).

The template is the mean of 152 heads (Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033), one voxel a cubic
millimetre, mirrored so that left and right are equal. So there is one head, in magnitudes. Where the package is
absent, made-up heads of ellipses stand in.
"""

from __future__ import annotations

import importlib.metadata
import pathlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

PACKAGE = "nilearn"
FILE = "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
SHAPE = (197, 233, 189)  # left to right, back to front, bottom to top
# Coronal slices, back to front, that show more than the head's rim. Sagittal ones would come in equal pairs, and slices
# of two orientations cross.
SLICES = (33, 203)
# Blocks of slices, repeated from back to front; what is missing between them keeps neighbours out of other splits.
PERIOD = 85
BLOCKS = {"train": (0, 45), "validation": (50, 62), "test": (67, 80)}
ANGLE = 30.0  # degrees, to either side
SPACING = (3.2, 4.6)  # millimetres between pixels, for 40 of them in a row


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def slices_of(split: str) -> list[int]:
    """Which coronal slices belong to a split."""
    first, last = BLOCKS[split]
    return [i for i in range(*SLICES) if first <= (i - SLICES[0]) % PERIOD < last]


def windows(
    sizes: Mapping[str, int], side: int, seed: int = 0
) -> dict[str, Float[np.ndarray, "e side side"]]:
    """Split -> square windows of its slices, turned, shifted and at several spacings, with values up to 1.

    Args:
      sizes: windows of every split.
      side: of a window, in pixels.
      seed: of the choice.

    Raises:
      FileNotFoundError: the package is there, its file is not.
      ValueError: the file has another volume.
    """
    from scipy import ndimage

    volume = _volume()
    generator, found = np.random.default_rng(seed), {}
    steps = np.stack(np.meshgrid(*[np.arange(side) - (side - 1) / 2] * 2, indexing="ij"))  # [2, side, side]
    for split, size in sizes.items():
        numbers = generator.choice(slices_of(split), size)
        stack = np.empty((size, side, side), np.float32)
        for window, number in zip(stack, numbers, strict=True):
            spacing = generator.uniform(*SPACING) * 40 / side
            angle = np.deg2rad(generator.uniform(-ANGLE, ANGLE))
            turn = spacing * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            middle = np.array([98.0, 80.0]) + generator.uniform(-15, 15, 2)
            places = np.einsum("ij,jrc->irc", turn, steps) + middle[:, None, None]
            # A pixel is as wide as the distance between two: blurred so that nothing finer is folded into it.
            blurred = ndimage.gaussian_filter(volume[:, number], spacing / 2.355)
            window[:] = ndimage.map_coordinates(blurred, places, order=1)
        found[split] = stack
    return found


def ellipses(
    sizes: Mapping[str, int], side: int, seed: int = 0
) -> dict[str, Float[np.ndarray, "e side side"]]:
    """As `windows`, of made-up heads: a bright rim, and eight ellipses of any grey inside."""
    generator = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")

    def ellipse(middle, axes, angle):
        u = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
        v = (y - middle[1]) * np.cos(angle) - (x - middle[0]) * np.sin(angle)
        return 1 / (1 + np.exp(np.clip(6 * side * (np.hypot(u / axes[0], v / axes[1]) - 1) / 8, -30, 30)))

    def head():
        axes, angle = generator.uniform(0.6, 0.95, 2), generator.uniform(0, np.pi)
        image = ellipse((0, 0), axes, angle) - 0.6 * ellipse((0, 0), 0.9 * axes, angle)
        for _ in range(8):
            part = ellipse(generator.uniform(-0.5, 0.5, 2), generator.uniform(0.05, 0.3, 2), angle)
            image = image + generator.uniform(-0.3, 0.5) * part
        return np.clip(image, 0, 1)

    return {
        split: np.stack([head() for _ in range(size)]).astype(np.float32) for split, size in sizes.items()
    }


def _volume() -> np.ndarray:
    import nibabel

    path = pathlib.Path(str(importlib.metadata.distribution(PACKAGE).locate_file(FILE)))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; install {PACKAGE} again")
    volume = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
    if volume.shape != SHAPE:
        raise ValueError(f"{path}: a volume of {volume.shape}, not of {SHAPE}; install {PACKAGE}==0.14.1")
    return volume.astype(np.float32) / 255
