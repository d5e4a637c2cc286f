"""Records of a TFDS split in any order, of which none is held in memory.

Where every record lies is found once, from the headers of the files, and kept in the user's cache
($XDG_CACHE_HOME/shortlist/records, else ~/.cache/shortlist/records): for ImageNet 20 MB. The cache may be deleted at
any time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import io
import json
import pathlib

import numpy as np
from jaxtyping import Int

from workloads.data import files, tfds_folder, tfrecord
from workloads.data.caches import cache_folder

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
      FileNotFoundError, ValueError: see `tfrecord.offsets`.
      OSError: the cache cannot be written.
    """
    of_split = folder.splits[split]
    paths = tuple(path for path, _ in of_split)
    sizes = [size for _, size in of_split]
    starts = np.cumsum([0, *sizes])
    kept = _cache() / f"{_key(folder, split)}.npy"
    if not kept.is_file():
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(tfrecord.offsets, paths, sizes))
        bounds = [np.stack([of_file[:-1], of_file[1:]], axis=1) for of_file in found]
        content = io.BytesIO()
        np.save(content, np.concatenate([np.zeros((0, 2), np.int64), *bounds]))
        try:
            files.write_atomically(kept, content.getvalue())
        except OSError as error:
            raise OSError(
                f"{kept.parent}: no place for where records lie: {error.strerror}; set XDG_CACHE_HOME to a folder that "
                "may be written"
            ) from error
    return Records(paths, starts, np.load(kept))


def _key(folder: tfds_folder.Folder, split: str) -> str:
    """Depends on the files by their place, size and time, and on how many records they are said to hold."""
    parts = [
        (str(path.resolve()), size, path.stat().st_size, path.stat().st_mtime_ns)
        for path, size in folder.splits[split]
    ]
    return hashlib.sha256(json.dumps([FORMAT, parts]).encode()).hexdigest()[:32]


def _cache() -> pathlib.Path:
    folder = cache_folder()
    if folder is None:
        raise ValueError(
            "where records lie is kept, which needs a place, and this user has no home; set XDG_CACHE_HOME to a folder"
        )
    return folder / "records"
