"""Reader of the IDX files in which MNIST and Fashion-MNIST are published."""

from __future__ import annotations

import gzip
import math
import pathlib
import zlib

import numpy as np
from jaxtyping import Int, UInt8

from workloads.data import reading

# file -> what its first four bytes must be: zero, zero, type 8 (bytes), number of axes
IMAGES, LABELS = 0x00000803, 0x00000801


def find_idx(data_dir: pathlib.Path, name: str) -> pathlib.Path:
    """The folder with the four IDX files of a data set.

    Tried in this order: data_dir/name, data_dir/name/raw, data_dir/NAME/raw (torchvision's layout),
    data_dir itself.

    Raises:
      FileNotFoundError: in none of them.
    """
    torchvision = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}.get(name, name)
    tried = [data_dir / name, data_dir / name / "raw", data_dir / torchvision / "raw", data_dir]
    for folder in tried:
        if _file(folder, "train-images-idx3-ubyte") is not None:
            return folder
    raise FileNotFoundError(
        f"no train-images-idx3-ubyte[.gz] of {name} in {', '.join(map(str, tried))}; "
        f"put its four IDX files in the first of these, or make it with 'tfds build {name} --data_dir {data_dir}', "
        "or leave data_dir out to use embedded data"
    )


def read_split(
    folder: pathlib.Path, prefix: str
) -> tuple[UInt8[np.ndarray, "e h w 1"], Int[np.ndarray, " e"]]:
    """Images and labels of one split.

    Args:
      folder: as `find_idx` returns it.
      prefix: `train` or `t10k`.

    Raises:
      FileNotFoundError: a file is missing.
      ValueError: a file is not what its name says, is cut short, or the two disagree in length.
    """
    images = read_idx(_existing(folder, f"{prefix}-images-idx3-ubyte"), IMAGES)
    labels = read_idx(_existing(folder, f"{prefix}-labels-idx1-ubyte"), LABELS)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {prefix} has {len(images)} images but {len(labels)} labels")
    return images[..., None], labels.astype(np.int32)


def read_idx(path: pathlib.Path, magic: int) -> UInt8[np.ndarray, ...]:
    """The bytes of an IDX file, plain or gzipped: magic number and sizes (big-endian), then the array."""
    size = reading.check_file(path).st_size
    zipped = path.suffix == ".gz"
    with gzip.open(path) if zipped else path.open("rb") as file:
        try:
            axes = magic & 0xFF
            header = np.frombuffer(file.read(4 * (1 + axes)), dtype=np.uint8)
            header = header[: len(header) // 4 * 4].view(">u4")
            if len(header) != 1 + axes or header[0] != magic:
                got = int(header[0]) if len(header) else None
                raise ValueError(f"{path}: starts with {got}, not with {magic}; it is not such an IDX file")
            shape = tuple(int(length) for length in header[1:])
            # Before memory is taken for it. Deflate makes no more than 1,032 bytes of one.
            possible = size * 1032 if zipped else size - 4 * (1 + axes)
            if math.prod(shape) > possible:
                holds = f"at most {possible}" if zipped else str(possible)
                raise ValueError(f"{path}: says {shape} but holds {holds} bytes; fetch it again")
            body = np.frombuffer(file.read(math.prod(shape) + 1), dtype=np.uint8)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: not a whole gzip file ({error}); fetch it again") from None
    if len(body) != math.prod(shape):
        there = len(body) if len(body) < math.prod(shape) else "more"
        raise ValueError(f"{path}: says {shape} but holds {there} bytes; fetch it again")
    return body.reshape(shape)


def _file(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if reading.lies(path):  # whatever it is; who reads it says so
            return path
    return None


def _existing(folder: pathlib.Path, name: str) -> pathlib.Path:
    path = _file(folder, name)
    if path is None:
        raise FileNotFoundError(f"{folder / name}[.gz] is missing; the four IDX files belong in one folder")
    return path
