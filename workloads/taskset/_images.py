"""TaskSet's image data sets: shapes, stand-ins, and the cut into four splits."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workloads._workload import Provenance, ResidentData
from workloads.data import class_images, digits, idx
from workloads.taskset._quirks import RELEASED, Quirks


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Facts of a data set: what an image is, and how many classes there are."""

    shape: tuple[int, int, int]
    classes: int


IMAGE_SETS = {
    "cifar10": ImageSet((32, 32, 3), 10),
    "cifar100": ImageSet((32, 32, 3), 100),
    "coil100_32x32": ImageSet((32, 32, 3), 72),  # the label is the angle of view, not the object
    "colorectal_histology_32x32": ImageSet((32, 32, 3), 8),
    "deep_weeds_32x32": ImageSet((32, 32, 3), 9),
    "fashion_mnist": ImageSet((28, 28, 1), 10),
    "food101_32x32": ImageSet((32, 32, 3), 101),
    "food101_64x64": ImageSet((64, 64, 3), 101),
    "imagenet_resized/16x16": ImageSet((16, 16, 3), 1000),
    "imagenet_resized/32x32": ImageSet((32, 32, 3), 1000),
    "mnist": ImageSet((28, 28, 1), 10),
    "sun397_32x32": ImageSet((32, 32, 3), 397),
}
READABLE = ("mnist", "fashion_mnist")  # with data_dir, as IDX files

HELD_OUT = 360  # images of each held-out split of a stand-in
SYNTHETIC_TRAIN = 2400  # training images of a generated set; at least 4 per class
FAMILY_VALIDATION = 5000  # images of each validation split that families cut off a real training split


def load(dataset: list, data_dir: pathlib.Path | None, quirks: Quirks = RELEASED) -> ResidentData:
    """The four splits of a sampled config's data set, augmented as it says.

    Args:
      dataset: of a config: a key of IMAGE_SETS; arguments, whose num_train cuts the training split and
        saturates at what there is; and the augmentation or None.
      data_dir: where real data sets are, or None for stand-ins.
      quirks: just_train, augment_splits.
    """
    name, arguments, augmentation = dataset
    data = load_fixed(name, FAMILY_VALIDATION, data_dir)
    splits = dict(data.splits)
    num_train = arguments["num_train"]
    if num_train is not None:
        splits["train"] = {field: values[:num_train] for field, values in splits["train"].items()}
    if quirks.just_train == "honoured" and arguments["just_train"]:
        splits = dict.fromkeys(splits, splits["train"])
    transform = None if augmentation is None else augmentation_of(augmentation, quirks)
    return ResidentData(splits, data.provenance, transform)


def load_fixed(name: str, per_validation: int, data_dir: pathlib.Path | None) -> ResidentData:
    """The four splits: `inputs` as bytes [example, height, width, channel], and `targets`.

    Args:
      name: a key of IMAGE_SETS.
      per_validation: images of each of the two validation splits, cut off the head of a real training split.
      data_dir: where real data sets are, or None for stand-ins.
    """
    raw, provenance = _raw(name, data_dir, per_validation)
    splits = {split: {"inputs": images, "targets": labels} for split, (images, labels) in raw.items()}
    return ResidentData(splits, provenance)


def augmentation_of(settings: Mapping[str, Any], quirks: Quirks = RELEASED) -> Callable[..., Any]:
    """The transform of an augmented data set; `inputs` become floats in [0, 1]."""
    from workloads.taskset import _augment

    def transform(key, batch, split):
        images = batch["inputs"].astype("float32") / 255.0
        if split != "train" and quirks.augment_splits == "train_only":
            return {**batch, "inputs": _augment.centre_crop(images, settings)}
        return {**batch, "inputs": _augment.augment(key, images, settings)}

    return transform


def _raw(
    name: str, data_dir: pathlib.Path | None, per_validation: int
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Provenance]:
    held_out = {"inner_valid": HELD_OUT, "outer_valid": HELD_OUT, "test": HELD_OUT}
    if data_dir is not None and name in READABLE:
        return _published(name, idx.find_idx(data_dir, name), per_validation)
    if name == "mnist":
        return dict(digits.digits_as_mnist(held_out)), digits.AS_MNIST
    facts = IMAGE_SETS[name]
    sizes = {"train": max(SYNTHETIC_TRAIN, 4 * facts.classes), **held_out}
    shape = "x".join(map(str, facts.shape))
    provenance = Provenance(
        "synthetic",
        f"{sum(sizes.values()):,} images of {shape} in {facts.classes} classes, drawn by a random teacher",
        stands_in_for=name,
    )
    return dict(class_images.class_images(name, facts.shape, facts.classes, sizes)), provenance


def _published(
    name: str, folder: pathlib.Path, per_validation: int
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Provenance]:
    images, labels = idx.read_split(folder, "train")
    cut = min(per_validation, len(images) // 12)  # off the head, as TaskSet does
    splits = {
        "inner_valid": (images[:cut], labels[:cut]),
        "outer_valid": (images[cut : 2 * cut], labels[cut : 2 * cut]),
        "train": (images[2 * cut :], labels[2 * cut :]),
        "test": idx.read_split(folder, "t10k"),
    }
    total = len(images) + len(splits["test"][1])
    return splits, Provenance("real", f"{name}, {total:,} images")
