"""TaskSet's image data sets: shapes, stand-ins, and the cut into four splits."""

from __future__ import annotations

import dataclasses
import pathlib

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
    "deep_weeds_32x32": ImageSet((32, 32, 3), 9),
    "fashion_mnist": ImageSet((28, 28, 1), 10),
    "food101_32x32": ImageSet((32, 32, 3), 101),
    "imagenet_resized/16x16": ImageSet((16, 16, 3), 1000),
    "imagenet_resized/32x32": ImageSet((32, 32, 3), 1000),
    "mnist": ImageSet((28, 28, 1), 10),
    "sun397_32x32": ImageSet((32, 32, 3), 397),
}
SPLITS = ("train", "inner_valid", "outer_valid", "test")
EVAL_SPLITS = {"train": "train", "validation": "outer_valid", "test": "test"}
READABLE = ("mnist", "fashion_mnist")  # with data_dir, as IDX files

HELD_OUT = 360  # images of each held-out split of a stand-in
SYNTHETIC_TRAIN = 2400  # training images of a generated set; at least 4 per class
REAL_VALIDATION = 5000  # images of each validation split cut off the head of a real training split

DRAWS = 8  # numbers that decide the augmentation of an image


def load(dataset: list, data_dir: pathlib.Path | None, quirks: Quirks = RELEASED) -> ResidentData:
    """The four splits: `inputs` as bytes [example, height, width, channel], `targets`, and `draws`.

    `draws` are the uniform numbers that decide how an example is augmented when it is evaluated: always in
    the same way. They are there only if the config augments.

    Args:
      dataset: of a config: a key of IMAGE_SETS; arguments, whose num_train cuts the training split and
        saturates at what there is; and the augmentation or None.
      data_dir: where MNIST or Fashion-MNIST are, or None for stand-ins. Other sets have no reader yet, so
        their stand-ins are used in any case.
      quirks: just_train.
    """
    name, arguments, augmentation = dataset
    raw, provenance = _raw(name, data_dir)
    num_train = arguments["num_train"]
    if num_train is not None:
        images, labels = raw["train"]
        raw["train"] = images[:num_train], labels[:num_train]
    if quirks.just_train == "honoured" and arguments["just_train"]:
        raw = dict.fromkeys(SPLITS, raw["train"])
    splits = {}
    for split in SPLITS:
        images, labels = raw[split]
        splits[split] = {"inputs": images, "targets": labels}
    if augmentation is not None:
        generator = np.random.default_rng(0)
        for fields in splits.values():
            fields["draws"] = generator.random((len(fields["targets"]), DRAWS), dtype=np.float32)
    return ResidentData(splits, provenance)


def _raw(
    name: str, data_dir: pathlib.Path | None
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Provenance]:
    held_out = {"inner_valid": HELD_OUT, "outer_valid": HELD_OUT, "test": HELD_OUT}
    if data_dir is not None and name in READABLE:
        return _published(name, idx.find_idx(data_dir, name))
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
    name: str, folder: pathlib.Path
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Provenance]:
    images, labels = idx.read_split(folder, "train")
    # TaskSet cuts its validations off the head of the training split: 5,000 each of 60,000.
    cut = min(REAL_VALIDATION, len(images) // 12)
    splits = {
        "inner_valid": (images[:cut], labels[:cut]),
        "outer_valid": (images[cut : 2 * cut], labels[cut : 2 * cut]),
        "train": (images[2 * cut :], labels[2 * cut :]),
        "test": idx.read_split(folder, "t10k"),
    }
    total = len(images) + len(splits["test"][1])
    return splits, Provenance("real", f"{name}, {total:,} images")
