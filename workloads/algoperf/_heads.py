"""Slices of heads with a part of their frequencies, for the scales below the full one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from workloads._source import Provenance, ResidentData
from workloads.data import brain, mri


def resident(side: int, sizes: Mapping[str, int]) -> ResidentData:
    """Slices of a real head where the package that has it is installed, and ellipses where not.

    As in AlgoPerf's, every image keeps its columns of frequencies for good. Of the image that all frequencies give, a
    fifth of each side lies outside the square that is reconstructed.

    Args:
      side: of the images.
      sizes: split -> images.
    """
    version, around = brain.version(), side * 5 // 4
    windows = (brain.ellipses if version is None else brain.windows)(sizes, around)
    splits = {
        split: _examples(images, side, np.random.default_rng([number, 1]))
        for number, (split, images) in enumerate(windows.items())
    }
    if version is None:
        source = (
            f"made-up heads of ellipses (the package {brain.PACKAGE}, whose head is used, is not installed)"
        )
        return ResidentData(splits, Provenance("synthetic", f"{source}, {MASKED}", "fastMRI"))
    source = (
        f"coronal slices of the MNI152 template, the mean T1 image of 152 heads (nilearn {version}, BSD), turned and "
        f"shifted; blocks of slices for validation and test; {MASKED}"
    )
    return ResidentData(splits, Provenance("embedded", source, "fastMRI"))


MASKED = "a quarter of the columns of the magnitudes' Fourier transform is kept, not of a scanner's data"


def _examples(images: np.ndarray, side: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    kspace = mri.frequencies(images)
    kept = mri.kept_columns(generator.random(images.shape[::2]))
    largest = np.full(len(images), images.max())
    return mri.examples(kspace, mri.magnitudes(kspace, side), largest, kept)
