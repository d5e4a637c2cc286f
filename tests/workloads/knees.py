"""Small volumes in the form of fastMRI's."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import numpy as np

WIDTHS = (18, 22, 20)


def write(
    folder: pathlib.Path,
    training: Sequence[int] = (3, 1, 4, 2, 3),
    held_out: int = 103,
    rows: int = 24,
    widths: Sequence[int] = WIDTHS,
    side: int = 12,
) -> None:
    """Writes volumes of so many slices each, and so many held-out ones of one slice or two."""
    counts = {
        "knee_singlecoil_train": training,
        "knee_singlecoil_val": [1 + (i % 40 == 7) for i in range(held_out)],
    }
    rng = np.random.default_rng(0)
    for name, slices in counts.items():
        (folder / name).mkdir(parents=True)
        for i, count in enumerate(slices):
            path = folder / name / f"file{1000000 + 3 * i}.h5"
            volume(path, rng, count, rows, widths[i % len(widths)], side)


def volume(
    path: pathlib.Path, rng: np.random.Generator, slices: int, rows: int, width: int, side: int
) -> None:
    """Writes a volume, its high frequencies 0 so that large ones are small files."""
    import h5py

    kspace = np.zeros((slices, rows, width), np.complex64)
    low = (slice(None), slice(rows // 2 - 6, rows // 2 + 6), slice(width // 2 - 6, width // 2 + 6))
    noise = rng.normal(size=(2, slices, 12, 12))
    kspace[low] = noise[0] + 1j * noise[1]
    blocks = rng.random((slices, 4, 4)).repeat(-(-side // 4), 1).repeat(-(-side // 4), 2)
    images = blocks[:, :side, :side].astype(np.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("kspace", data=kspace, compression="gzip", compression_opts=1)
        file.create_dataset("reconstruction_esc", data=images, compression="gzip", compression_opts=1)
        file.attrs["max"] = images.max()
