"""Labelled images of a TFDS folder at one size, decoded once and kept on disk.

A set is decoded and resized one image at a time, straight into a file of the user's cache
($XDG_CACHE_HOME/shortlist/images, else ~/.cache/shortlist/images), and used from there as a memory map: neither
making nor using it holds it in memory, and processes share the pages. The cache may be deleted at any time.
"""

from __future__ import annotations

import pathlib

import numpy as np
from jaxtyping import Int, UInt8

from workloads.data import caches, files, pictures, tfds_folder

FORMAT = 1  # of the files; a new number makes all of them anew


def resized_images(
    data_dir: pathlib.Path, dataset: str, split: str, label: str, shape: tuple[int, int, int]
) -> tuple[UInt8[np.ndarray, "e h w c"], Int[np.ndarray, " e"]]:
    """Images and labels of a split, in the order of its files. Read only.

    Args:
      data_dir, dataset: see `tfds_folder.find`.
      split: see `tfds_folder.Folder.parts`.
      label: name of the feature.
      shape: height and width that images of another size are resized to (see `pictures.resize`), and channels.

    Raises:
      FileNotFoundError, ValueError: see `tfds_folder.find` and `tfds_folder.iterate`.
    """
    source = tfds_folder.find(data_dir, dataset)
    source.check_sizes(split)
    folder = caches.made_once(
        "images",
        "decoded images",
        _key(source, split, label, shape),
        lambda folder: _write(folder, source, split, label, shape),
    )
    return np.load(folder / "inputs.npy", mmap_mode="r"), np.load(folder / "targets.npy")


def _write(
    folder: pathlib.Path, source: tfds_folder.Folder, split: str, label: str, shape: tuple[int, int, int]
) -> None:
    image = _image_feature(source)
    size = source.size(split)
    inputs = np.lib.format.open_memmap(folder / "inputs.npy", mode="w+", dtype=np.uint8, shape=(size, *shape))
    with files.naming(folder / "inputs.npy"):
        files.reserve(folder / "inputs.npy")
    targets = np.empty(size, np.int32)
    for i, example in enumerate(tfds_folder.iterate(source, split, (image, label))):
        decoded = pictures.resize(example[image], *shape[:2])
        if decoded.shape != shape:
            raise ValueError(f"{source.path}: images have {decoded.shape[-1]} channels, expected {shape[-1]}")
        inputs[i], targets[i] = (
            decoded,
            _label(example[label], f"{source.path}: {split}: example {i}: {label}"),
        )
    inputs.flush()
    np.save(folder / "targets.npy", targets)


def _label(value: object, where: str) -> int:
    if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "iu":
        raise ValueError(f"{where} is {value!r}; must be one whole number")
    number = int(value.reshape(()))
    if not 0 <= number < 2**31:
        raise ValueError(f"{where} is {number}, which no class has as its number")
    return number


def _image_feature(source: tfds_folder.Folder) -> str:
    images = [name for name, feature in source.features.items() if feature.kind == "image"]
    if len(images) != 1:
        raise ValueError(f"{source.path}: {len(images)} of its features are images; expected one")
    return images[0]


def _key(source: tfds_folder.Folder, split: str, label: str, shape: tuple[int, int, int]) -> str:
    """Depends on the source, by the size and time of its files, and on what is made of it."""
    parts = source.parts(split)
    cuts = [(start, stop) for _, start, stop in parts]
    return caches.key_of((file for file, _, _ in parts), FORMAT, cuts, label, shape)
