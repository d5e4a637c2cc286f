"""MNIST and Fashion-MNIST in either of the forms in which people keep them."""

from __future__ import annotations

import pathlib

import numpy as np

from workloads.data import idx, resized, tfds_folder

SHAPE, CLASSES = (28, 28, 1), 10


def read(data_dir: pathlib.Path, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Splits `train` and `test`: bytes [example, 28, 28, 1], and labels, in their published order.

    TFDS's order is not that of the IDX files.

    Args:
      data_dir: with a TFDS folder of that name, or else IDX files where `idx.find_idx` looks for them.
      name: `mnist` or `fashion_mnist`.

    Raises:
      FileNotFoundError: neither is there.
      ValueError: files are corrupt, or hold other images or labels.
    """
    if tfds_folder.is_prepared(data_dir, name):
        where = data_dir / name
        splits = {
            split: resized.resized_images(data_dir, name, split, "label", SHAPE)
            for split in ("train", "test")
        }
    else:
        where = idx.find_idx(data_dir, name)
        splits = {"train": idx.read_split(where, "train"), "test": idx.read_split(where, "t10k")}
    for split, (images, labels) in splits.items():
        if images.shape[1:] != SHAPE or not len(images):
            raise ValueError(
                f"{where}: {split} has {len(images)} images of {images.shape[1:]}; expected some of {SHAPE}"
            )
        if not 0 <= labels.min() <= labels.max() < CLASSES:
            raise ValueError(
                f"{where}: {split} has labels from {labels.min()} to {labels.max()}; expected 0 to {CLASSES - 1}"
            )
    return splits
