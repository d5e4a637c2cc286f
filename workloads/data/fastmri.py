"""fastMRI's knees (Zbontar et al. 2018, arXiv:1811.08839), measured by a single coil, in the folders that AlgoPerf's
set-up makes.

A volume is an HDF5 file with the frequencies of its slices (`kspace` [slice, row, column]), the images that all of them
give (`reconstruction_esc`), and as attribute `max` the latter's largest value. Of the validation volumes, in order of
name, the first hundred validate and the others are the test split. Needs the extra `shortlist[algoperf]`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Complex64, Float32

from workloads.data import reading

TRAINING, VALIDATION = "knee_singlecoil_train", "knee_singlecoil_val"  # folders
VALIDATION_VOLUMES = 100
FREQUENCIES, IMAGES, LARGEST = "kspace", "reconstruction_esc", "max"


@dataclasses.dataclass(frozen=True)
class Volume:
    """A file.

    Attributes:
      path: where it lies.
      slices: how many it has.
    """

    path: pathlib.Path
    slices: int


@dataclasses.dataclass(frozen=True)
class Slice:
    """What is measured of a slice.

    Attributes:
      frequencies: the lowest in the middle.
      image: that all of them give.
      largest: of its volume's images; 0 where the file does not say.
    """

    frequencies: Complex64[np.ndarray, "row column"]
    image: Float32[np.ndarray, "side side"]
    largest: float


def volumes(data_dir: pathlib.Path, side: int) -> dict[str, list[Volume]]:
    """Split -> its volumes in order of name. Of a file the header is read.

    Args:
      data_dir: with the folders.
      side: of the images.

    Raises:
      FileNotFoundError: a folder is missing or empty.
      ValueError: a file is no such volume, too few of them are there for a test split, or h5py is missing.
    """
    found = {}
    for folder in (TRAINING, VALIDATION):
        paths = reading.matching(data_dir / folder, "*.h5")
        if not paths:
            raise FileNotFoundError(
                f"{data_dir / folder}: no *.h5 in it; AlgoPerf's dataset_setup makes it of fastMRI's single-coil knees"
            )
        found[folder] = [Volume(path, _slices(path, side)) for path in paths]
    held_out = found[VALIDATION]
    if len(held_out) <= VALIDATION_VOLUMES:
        raise ValueError(
            f"{data_dir / VALIDATION}: has {len(held_out)} volumes; the first {VALIDATION_VOLUMES} validate, and those "
            "behind them are tested on"
        )
    return {
        "train": found[TRAINING],
        "validation": held_out[:VALIDATION_VOLUMES],
        "test": held_out[VALIDATION_VOLUMES:],
    }


def read(volume: Volume, number: int) -> Slice:
    """A slice of a volume; nothing else of it is read.

    Raises:
      ValueError: the file cannot be read.
    """
    with _opened(volume.path) as file:
        largest = float(file.attrs.get(LARGEST, 0.0))
        return Slice(file[FREQUENCIES][number], file[IMAGES][number], largest)


def _slices(path: pathlib.Path, side: int) -> int:
    with _opened(path) as file:
        found = {}
        for name, dtype in ((FREQUENCIES, "complex64"), (IMAGES, "float32")):
            stored = file.get(name)
            shape, kind = getattr(stored, "shape", None), getattr(stored, "dtype", None)
            if shape is None or len(shape) != 3 or kind != dtype:
                has = "nothing" if stored is None else f"{kind} of shape {shape}"
                raise ValueError(f"{path}: {name!r} is {has}; must be {dtype} [slice, row, column]")
            found[name] = shape
    (slices, rows, columns), images = found[FREQUENCIES], found[IMAGES]
    if images != (slices, side, side) or min(rows, columns) < side:
        raise ValueError(
            f"{path}: images of shape {images} to frequencies of {(slices, rows, columns)}; must be "
            f"{(slices, side, side)}, no larger than these"
        )
    return slices


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    """A file of HDF5, whose errors name it."""
    reading.check_file(path)
    h5py = _h5py()
    try:
        # Nobody writes these files, and not every file system can lock them.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except (OSError, KeyError) as error:
        raise ValueError(f"{path}: no HDF5, cut short or damaged: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _h5py() -> ModuleType:
    try:
        import h5py
    except ModuleNotFoundError:
        raise ValueError("fastMRI's files need a package: pip install 'shortlist[algoperf]'") from None
    return h5py
