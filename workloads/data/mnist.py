"""MNIST and Fashion-MNIST in either of the forms in which people keep them."""

from __future__ import annotations

import pathlib

import numpy as np

from workloads.data import idx, resized, tfds_folder


def read(data_dir: pathlib.Path, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Splits `train` and `test`: bytes [example, 28, 28, 1], and labels, in their published order.

    TFDS's order is not that of the IDX files.

    Args:
      data_dir: with a TFDS folder of that name, or else IDX files where `idx.find_idx` looks for them.
      name: `mnist` or `fashion_mnist`.

    Raises:
      FileNotFoundError: neither is there.
      ValueError: files are corrupt.
    """
    if tfds_folder.is_prepared(data_dir, name):
        shape = (28, 28, 1)
        return {
            split: resized.resized_images(data_dir, name, split, "label", shape)
            for split in ("train", "test")
        }
    folder = idx.find_idx(data_dir, name)
    return {"train": idx.read_split(folder, "train"), "test": idx.read_split(folder, "t10k")}
