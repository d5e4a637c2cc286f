"""Records of a TFDS split in any order, of which none is held in memory.

Where every record lies is found once, from the headers of the files, and kept in the user's cache (`records`, see
`caches`): for ImageNet 20 MB.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib

import numpy as np
from jaxtyping import Int

from workloads.data import caches, tfds_folder, tfrecord

BOUNDS = "bounds.npy"
FORMAT = 1  # of the kept arrays; a new number makes all of them anew
THREADS = 16  # that look for records; they wait for the disk


@dataclasses.dataclass(frozen=True)
class Records:
    """Of a split.

    Attributes:
      files: that hold them, in order.
      starts: number of every file's first record, and the number of all.
      bounds: where every record begins and ends in its file.
    """

    files: tuple[pathlib.Path, ...]
    starts: Int[np.ndarray, " file+1"]
    bounds: Int[np.ndarray, "record 2"]

    def __len__(self) -> int:
        return len(self.bounds)

    def read(self, number: int) -> bytes:
        """The payload of a record, whose checksums are verified.

        Raises:
          FileNotFoundError, ValueError: see `tfrecord.read_at`.
        """
        file, _ = self.place(number)
        begin, end = self.bounds[number].tolist()
        return tfrecord.read_at(file, begin, end)

    def place(self, number: int) -> tuple[pathlib.Path, int]:
        """The file that holds a record, and the record's number within it."""
        file = int(np.searchsorted(self.starts, number, "right")) - 1
        return self.files[file], number - int(self.starts[file])


def index(folder: tfds_folder.Folder, split: str) -> Records:
    """Where the records of a split are.

    Args:
      folder: as `tfds_folder.find` returns it.
      split: a whole one, no part.

    Raises:
      FileNotFoundError, ValueError: see `tfrecord.offsets`; or, as OSError, `caches.made_once`.
    """
    of_split = folder.splits[split]
    paths = tuple(path for path, _ in of_split)
    sizes = [size for _, size in of_split]
    starts = np.cumsum([0, *sizes])

    def write(to: pathlib.Path) -> None:
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(tfrecord.offsets, paths, sizes))
        bounds = [np.stack([of_file[:-1], of_file[1:]], axis=1) for of_file in found]
        np.save(to / BOUNDS, np.concatenate([np.zeros((0, 2), np.int64), *bounds]))

    kept = caches.made_once("records", "offsets of records", caches.key_of(paths, FORMAT, sizes), write)
    return Records(paths, starts, np.load(kept / BOUNDS))
