"""TaskSet's image data sets: what they are, where they are read from, their stand-ins, and the cut into four splits.

The original cuts TFDS's train split by position: first the inner validation, then the outer one, then the test split
where TFDS has none, and trains on the rest. Resized sets are resized bicubically, without keeping the aspect ratio.

Everything stays as bytes until a batch is drawn. The largest, ImageNet at 32x32, is 3.9 GB, all of it on the device
while it trains; where that is too much, JAX stops with RESOURCE_EXHAUSTED when the arrays are put there.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workloads._source import Provenance, ResidentData
from workloads.data import class_images, digits, mnist, resized, tfds_folder
from workloads.taskset.quirks import RELEASED, Quirks

Labelled = tuple[np.ndarray, np.ndarray]  # images [example, height, width, channel], labels [example]


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """A data set.

    Attributes:
      shape: height, width and channels of an image as TaskSet uses it.
      classes: labels are 0 .. classes - 1.
      tfds: its name in TFDS, with the config.
      published: images of its train split as published.
      per_validation: images of each validation split in the sampled families; fixed tasks say their own.
      label: the feature with the label, by TFDS version: the first of these that there is.
      outer_valid, test: TFDS splits that play these roles; None: cut off the train split.
    """

    shape: tuple[int, int, int]
    classes: int
    tfds: str
    published: int
    per_validation: int = 5000
    label: tuple[str, ...] = ("label",)
    outer_valid: str | None = None
    test: str | None = None


IMAGE_SETS = {
    "cifar10": ImageSet((32, 32, 3), 10, "cifar10", 50_000, test="test"),
    "cifar100": ImageSet((32, 32, 3), 100, "cifar100", 50_000, test="test"),
    # The label is the angle of view, not the object.
    "coil100_32x32": ImageSet((32, 32, 3), 72, "coil100", 7200, 800, ("angle_label", "label")),
    "colorectal_histology_32x32": ImageSet((32, 32, 3), 8, "colorectal_histology", 5000, 700),
    "deep_weeds_32x32": ImageSet((32, 32, 3), 9, "deep_weeds", 17_509, 2000),
    "fashion_mnist": ImageSet((28, 28, 1), 10, "fashion_mnist", 60_000, test="test"),
    "food101_32x32": ImageSet((32, 32, 3), 101, "food101", 101_000),
    "food101_64x64": ImageSet((64, 64, 3), 101, "food101", 101_000),
    "imagenet_resized/16x16": ImageSet(
        (16, 16, 3), 1000, "imagenet_resized/16x16", 1_281_167, test="validation"
    ),
    "imagenet_resized/32x32": ImageSet(
        (32, 32, 3), 1000, "imagenet_resized/32x32", 1_281_167, test="validation"
    ),
    "mnist": ImageSet((28, 28, 1), 10, "mnist", 60_000, test="test"),
    "sun397_32x32": ImageSet((32, 32, 3), 397, "sun397/tfds", 76_128, outer_valid="validation", test="test"),
}
MNIST = ("mnist", "fashion_mnist")  # also read as the IDX files in which they were published

HELD_OUT = 360  # images of each held-out split of a stand-in
SYNTHETIC_TRAIN = 2400  # training images of a generated set; at least 4 per class


def load(dataset: list, data_dir: pathlib.Path | None, quirks: Quirks = RELEASED) -> ResidentData:
    """The four splits of a sampled config's data set, augmented as it says.

    Args:
      dataset: of a config: a key of IMAGE_SETS; arguments, whose num_train cuts the training split and
        saturates at what there is; and the augmentation or None.
      data_dir: where real data sets are, or None for stand-ins.
      quirks: just_train, augment_splits.
    """
    name, arguments, augmentation = dataset
    data = load_fixed(name, IMAGE_SETS[name].per_validation, data_dir)
    splits = dict(data.splits)
    num_train = arguments["num_train"]
    if num_train is not None:
        splits["train"] = {field: values[:num_train] for field, values in splits["train"].items()}
    if quirks.just_train == "honoured" and arguments["just_train"]:
        splits = dict.fromkeys(splits, splits["train"])
    transform = None if augmentation is None else augmentation_of(augmentation, quirks)
    return ResidentData(splits, data.provenance, transform)


def load_fixed(name: str, per_validation: int, data_dir: pathlib.Path | None) -> ResidentData:
    """The four splits: `inputs` as bytes [example, height, width, channel], and `targets`. Arrays are read only.

    Args:
      name: a key of IMAGE_SETS.
      per_validation: images of each split that is cut off a real train split. A set of less than half the published
        size, such as a sample of it, is cut in proportion.
      data_dir: where real data sets are, in TFDS's layout, or None for stand-ins.

    Raises:
      FileNotFoundError: the set is not in data_dir.
      ValueError: its files are corrupt, or are not what they should be.
    """
    if data_dir is None:
        raw, provenance = _stand_in(name)
    else:
        published, provenance = _published(name, data_dir)
        raw = cut(published, per_validation, IMAGE_SETS[name].published)
    splits = {split: {"inputs": images, "targets": labels} for split, (images, labels) in raw.items()}
    return ResidentData(splits, provenance)


def cut(published: Mapping[str, Labelled], per_validation: int, published_size: int) -> dict[str, Labelled]:
    """The four splits: what is missing of inner_valid, outer_valid and test comes off the head of train, in this order.

    Args:
      published: `train`, and those of the other splits that the data set has itself.
      per_validation, published_size: see `load_fixed` and `ImageSet.published`.

    Example:
      >>> parts = cut({"train": (np.arange(10), np.arange(10)), "test": (np.arange(3), np.arange(3))}, 2, 10)
      >>> {name: labels.tolist() for name, (_, labels) in parts.items()}
      {'inner_valid': [0, 1], 'outer_valid': [2, 3], 'test': [0, 1, 2], 'train': [4, 5, 6, 7, 8, 9]}
    """
    images, labels = published["train"]
    size = per_validation
    if 2 * len(labels) < published_size:
        size = per_validation * len(labels) // published_size
    splits: dict[str, Labelled] = {}
    start = 0
    for name in ("inner_valid", "outer_valid", "test"):
        if name in published:
            splits[name] = published[name]
        else:
            splits[name] = images[start : start + size], labels[start : start + size]
            start += size
    return {**splits, "train": (images[start:], labels[start:])}


def augmentation_of(settings: Mapping[str, Any], quirks: Quirks = RELEASED) -> Callable[..., Any]:
    """The transform of an augmented data set; `inputs` become floats in [0, 1]."""
    from workloads.taskset import _augment

    def transform(key, batch, split):
        images = batch["inputs"].astype("float32") / 255.0
        if split != "train" and quirks.augment_splits == "train_only":
            return {**batch, "inputs": _augment.centre_crop(images, settings)}
        return {**batch, "inputs": _augment.augment(key, images, settings)}

    return transform


@functools.cache
def _stand_in(name: str) -> tuple[dict[str, Labelled], Provenance]:
    held_out = {"inner_valid": HELD_OUT, "outer_valid": HELD_OUT, "test": HELD_OUT}
    if name == "mnist":
        return _read_only(digits.digits_as_mnist(held_out)), digits.AS_MNIST
    facts = IMAGE_SETS[name]
    sizes = {"train": max(SYNTHETIC_TRAIN, 4 * facts.classes), **held_out}
    shape = "x".join(map(str, facts.shape))
    provenance = Provenance(
        "synthetic",
        f"{sum(sizes.values()):,} images of {shape} in {facts.classes} classes, drawn by a random teacher",
        stands_in_for=name,
    )
    return _read_only(class_images.class_images(name, facts.shape, facts.classes, sizes)), provenance


@functools.lru_cache(maxsize=16)  # hundreds of tasks use a dozen sets
def _published(name: str, data_dir: pathlib.Path) -> tuple[dict[str, Labelled], Provenance]:
    """The splits as published, before any cut."""
    facts = IMAGE_SETS[name]
    splits = mnist.read(data_dir, name) if name in MNIST else _tfds_splits(facts, data_dir)
    for split, (_, labels) in splits.items():
        if len(labels) and not 0 <= labels.min() <= labels.max() < facts.classes:
            raise ValueError(
                f"{name} in {data_dir}: {split} has labels from {labels.min()} to {labels.max()}, "
                f"expected 0 to {facts.classes - 1}; is it the data set that TFDS calls {facts.tfds}?"
            )
    total = sum(len(labels) for _, labels in splits.values())
    return _read_only(splits), Provenance("real", f"{name}, {total:,} images")


def _tfds_splits(facts: ImageSet, data_dir: pathlib.Path) -> dict[str, Labelled]:
    folder = tfds_folder.find(data_dir, facts.tfds)
    label = next((name for name in facts.label if name in folder.features), facts.label[0])
    # food101 has had a validation split since version 2, which was part of train before.
    whole = "train+validation" if facts.tfds == "food101" and "validation" in folder.splits else "train"
    roles = {"train": whole, "outer_valid": facts.outer_valid, "test": facts.test}
    return {
        role: resized.resized_images(data_dir, facts.tfds, split, label, facts.shape)
        for role, split in roles.items()
        if split is not None
    }


def _read_only(splits: Mapping[str, Labelled]) -> dict[str, Labelled]:
    """The same, safe to share: writing to them is an error."""
    for arrays in splits.values():
        for array in arrays:
            array.flags.writeable = False
    return dict(splits)
