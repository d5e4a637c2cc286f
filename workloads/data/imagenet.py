"""ImageNet, and ImageNet-v2 to test on, in the folders that TensorFlow Datasets prepares: their records in any order.

AlgoPerf's set-up makes `DIR/imagenet2012/5.1.0` (Russakovsky et al. 2015, arXiv:1409.0575) and
`DIR/imagenet_v2/matched-frequency/3.0.0` (Recht et al. 2019, arXiv:1902.10811). TFDS has turned the odd files of the
original, a PNG and some CMYK pictures, into RGB JPEGs. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from workloads.data import record_index, tfds_folder, tfrecord

TRAINED, TESTED = "imagenet2012:5.1.0", "imagenet_v2/matched-frequency:3.0.0"
SPLITS = {"train": (TRAINED, "train"), "validation": (TRAINED, "validation"), "test": (TESTED, "test")}
FEATURES = ("image", "label")
JPEG = b"\xff\xd8"  # how the content of one begins
EPOCHS_KEPT = 2  # orders in memory; ten megabytes each


@dataclasses.dataclass(frozen=True)
class Examples:
    """Of a split: pictures as JPEG files, and classes.

    Attributes:
      folder, split: where, and the split's name there.
      classes: how many there are.
    """

    folder: tfds_folder.Folder
    split: str
    classes: int

    @functools.cached_property
    def records(self) -> record_index.Records:
        """Found when they are first needed."""
        return record_index.index(self.folder, self.split)

    def __len__(self) -> int:
        return self.folder.size(self.split)

    def in_order(self) -> Int[np.ndarray, " record"]:
        """Numbers of the records in the order in which TFDS reads a split that it does not shuffle."""
        return tfds_folder.interleaved([size for _, size in self.folder.splits[self.split]])

    def read(self, numbers: Sequence[int]) -> tuple[list[bytes], list[int]]:
        """Pictures and classes of records.

        Raises:
          FileNotFoundError, ValueError: a record is damaged, or does not hold what it should; the message names it.
        """
        pairs = [self._read(number) for number in numbers]
        return [content for content, _ in pairs], [label for _, label in pairs]

    def named(self, number: int) -> str:
        """A record in words."""
        path, within = self.records.place(number)
        return f"{path}: record {within}"

    def _read(self, number: int) -> tuple[bytes, int]:
        payload = self.records.read(number)
        try:
            values = tfrecord.parse_example(payload, FEATURES)
        except ValueError as error:
            raise ValueError(f"{self.named(number)}: {error}") from None
        image: Any = values.get("image", ())
        label: Any = values.get("label", ())
        if len(image) != 1 or not isinstance(image[0], bytes):
            raise ValueError(f"{self.named(number)}: has {len(image)} values where one picture should be")
        if not image[0].startswith(JPEG):
            raise ValueError(
                f"{self.named(number)}: its picture begins with {image[0][:4]!r} and is no JPEG, as all of TFDS's are; "
                "prepare the data set again"
            )
        if len(label) != 1 or isinstance(label[0], bytes) or not 0 <= label[0] < self.classes:
            shown = label[0] if len(label) == 1 else f"{len(label)} values"
            raise ValueError(f"{self.named(number)}: label is {shown}; there are {self.classes} classes")
        return image[0], int(label[0])


def find(data_dir: pathlib.Path, classes: int) -> dict[str, Examples]:
    """The splits `train`, `validation` and `test`.

    Args:
      data_dir: with the folders of both data sets.
      classes: of a label.

    Raises:
      FileNotFoundError: a folder or one of its files is not there.
      ValueError: a file is too short.
    """
    folders = {name: tfds_folder.find(data_dir, name) for name in (TRAINED, TESTED)}
    found = {}
    for split, (name, there) in SPLITS.items():
        folders[name].check_sizes(there)
        found[split] = Examples(folders[name], there, classes)
    return found


def shuffled(records: int, seed: int, first: int, count: int) -> Int[np.ndarray, " example"]:
    """Records of some consecutive examples of a training.

    Epochs lie end to end; each is a permutation that the seed and its number decide, so no example before the first
    is needed to know it.

    Args:
      records: of the split.
      seed: of the training.
      first: number of the first example, counted over all epochs.
      count: of examples.
    """
    return shuffled_at(records, seed, np.arange(first, first + count))


def shuffled_at(records: int, seed: int, numbers: Int[np.ndarray, " example"]) -> Int[np.ndarray, " example"]:
    """As `shuffled`, of examples with these numbers."""
    orders = {epoch: _order(records, seed, epoch) for epoch in np.unique(numbers // records).tolist()}
    return np.array([orders[number // records][number % records] for number in numbers.tolist()], np.int64)


@functools.lru_cache(EPOCHS_KEPT)
def _order(records: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(records)
