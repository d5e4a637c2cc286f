"""FineWeb-Edu (Penedo et al. 2024, arXiv:2406.17557), 10 billion tokens, in the layouts of AlgoPerf's set-up.

A split is one long text: documents in tokens of GPT-2, each with its end, one behind the other. AlgoPerf v1.0 keeps it
as `tf.data` saves a data set; its newer set-up as Hugging Face's `datasets` does. Both are read where they lie: a
stretch of tokens is found without reading what is before it.
"""

from __future__ import annotations

import array
import dataclasses
import pathlib
from typing import Annotated, Protocol

import msgspec
import numpy as np
import pyarrow
from jaxtyping import Int

from workloads.data import caches, reading, tensor_records, tfrecord
from workloads.slow import told_when_slow

SPLITS = {"train": "train", "validation": "val"}  # ours -> the folder
COLUMN = "input_ids"
HUGGING_FACE, TENSORFLOW = "state.json", "snapshot.metadata"
FORMAT = 1  # of the index in the cache


class Tokens(Protocol):
    """A split.

    Attributes:
      size: its tokens.
    """

    @property
    def size(self) -> int: ...

    def read(self, start: int, stop: int) -> Int[np.ndarray, " token"]:
        """A stretch of it."""
        ...


def find(data_dir: pathlib.Path) -> dict[str, Tokens]:
    """The splits.

    Args:
      data_dir: with the folders `train` and `val`.

    Raises:
      FileNotFoundError: one is not there, or a file of it.
      ValueError: a file is not what it should be.
    """
    return {split: _tokens(data_dir / folder) for split, folder in SPLITS.items()}


def _tokens(folder: pathlib.Path) -> Tokens:
    if reading.lies(folder / HUGGING_FACE):
        return in_arrow(folder)
    if reading.lies(folder / TENSORFLOW):
        return saved(folder)
    raise FileNotFoundError(
        f"{folder}: neither {TENSORFLOW} nor {HUGGING_FACE} is there; give the folder that AlgoPerf's dataset_setup "
        f"made of FineWeb-Edu, fineweb_edu_10B, with {' and '.join(SPLITS.values())} in it"
    )


@dataclasses.dataclass(frozen=True)
class ArrowTokens:
    """In Arrow files that are mapped into memory.

    Attributes:
      stretches: of neighbouring documents, in order.
      ends: of the stretches.
    """

    stretches: list[np.ndarray]
    ends: Int[np.ndarray, " stretch"]

    @property
    def size(self) -> int:
        """Tokens."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, start: int, stop: int) -> Int[np.ndarray, " token"]:
        """See `Tokens`."""
        first, last = np.searchsorted(self.ends, [start, stop - 1], "right").tolist()
        parts = []
        for number in range(first, last + 1):
            tokens = self.stretches[number]
            before = int(self.ends[number]) - len(tokens)
            parts.append(tokens[max(start - before, 0) : stop - before])
        return np.concatenate(parts)


class _File(msgspec.Struct):
    # Of this folder alone.
    filename: Annotated[str, msgspec.Meta(pattern=r"^[^/\\\0]+\.arrow$")]


class _State(msgspec.Struct):
    """Of a `state.json`; it says more."""

    data_files: Annotated[list[_File], msgspec.Meta(min_length=1)] = msgspec.field(name="_data_files")


def in_arrow(folder: pathlib.Path) -> ArrowTokens:
    """A data set as `datasets.Dataset.save_to_disk` leaves it.

    Raises:
      FileNotFoundError, ValueError: see `find`.
    """
    state = reading.read_json(folder / HUGGING_FACE)
    try:
        files = [folder / file.filename for file in msgspec.convert(state, _State).data_files]
    except msgspec.ValidationError as error:
        raise ValueError(f"{folder / HUGGING_FACE}: {error}; make the data set again") from None
    stretches = []
    for file in files:
        reading.check_file(file, f"no such file, though {HUGGING_FACE} names it; make the data set again")
        try:
            # Documents of a batch of records lie end to end; nothing of them is read here.
            for batch in pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))):
                stretches.append(_flat(batch))
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise ValueError(f"{file}: {error}; make the data set again") from None
    return ArrowTokens(stretches, np.cumsum([len(tokens) for tokens in stretches], dtype=np.int64))


def _flat(batch: pyarrow.RecordBatch) -> np.ndarray:
    if COLUMN not in batch.schema.names:
        raise ValueError(f"has no column {COLUMN!r}; its columns are {', '.join(batch.schema.names)}")
    column = batch.column(COLUMN)
    kind = column.type
    if not (pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind)) or not (
        pyarrow.types.is_integer(kind.value_type)
    ):
        raise ValueError(f"its column {COLUMN!r} holds {kind}; must be lists of whole numbers")
    return column.flatten().to_numpy(zero_copy_only=True)


@dataclasses.dataclass(frozen=True)
class SavedTokens:
    """In records of tensors, one a document.

    Attributes:
      files: in order.
      bounds: where in its file a document's record begins and ends.
      ends: of the documents, in tokens.
      documents: of the files, ends.
    """

    files: list[pathlib.Path]
    bounds: Int[np.ndarray, "document 2"]
    ends: Int[np.ndarray, " document"]
    documents: Int[np.ndarray, " file"]

    @property
    def size(self) -> int:
        """Tokens."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def read(self, start: int, stop: int) -> Int[np.ndarray, " token"]:
        """See `Tokens`."""
        first, last = np.searchsorted(self.ends, [start, stop - 1], "right").tolist()
        tokens = np.concatenate([self._document(number) for number in range(first, last + 1)])
        before = int(self.ends[last]) - len(tokens)
        return tokens[start - before : stop - before]

    def _document(self, number: int) -> np.ndarray:
        file = self.files[int(np.searchsorted(self.documents, number, "right"))]
        return tensor_records.values(tfrecord.read_at(file, *self.bounds[number].tolist()))


def saved(folder: pathlib.Path) -> SavedTokens:
    """A data set as `tf.data.Dataset.save` leaves it.

    The first time all of it is read once, to check it and to note in the cache where documents are.

    Raises:
      FileNotFoundError, ValueError: see `find`.
    """
    described = tensor_records.described(folder / TENSORFLOW)
    files = tensor_records.files(folder, described)
    index = caches.made_once(
        "documents",
        "places of documents",
        caches.key_of(files, FORMAT),
        lambda index: _write(index, files, described.elements),
    )
    return SavedTokens(
        files, *(np.load(index / f"{name}.npy", mmap_mode="r") for name in ("bounds", "ends", "documents"))
    )


def _write(index: pathlib.Path, files: list[pathlib.Path], documents: int) -> None:
    bounds, sizes, ends = array.array("q"), array.array("q"), []
    size = sum(file.stat().st_size for file in files)
    with told_when_slow(f"looking through {size / 1e9:.1f} GB of documents, once, below {files[0].parent},"):
        for file in files:
            offset = 0
            for number, record in enumerate(tfrecord.records(file)):
                try:
                    sizes.append(len(tensor_records.values(record)))
                except ValueError as error:
                    raise ValueError(f"{file}: record {number}: {error}") from None
                bounds.append(offset)
                offset += tfrecord.HEADER.size + len(record) + 4
                bounds.append(offset)
            ends.append(len(sizes))
    if len(sizes) != documents:
        raise ValueError(
            f"{files[0].parent}: has {len(sizes)} documents, but {TENSORFLOW} says {documents}; make the data set again"
        )
    np.save(index / "bounds.npy", np.array(bounds, np.int64).reshape(-1, 2))
    np.save(index / "ends.npy", np.cumsum(sizes, dtype=np.int64))
    np.save(index / "documents.npy", np.array(ends, np.int64))


def sequences(tokens: Tokens, length: int) -> int:
    """How many stretches of `length` and one more token there are; what is left over is left out."""
    return tokens.size // (length + 1)


def sequence(tokens: Tokens, number: int, length: int) -> dict[str, np.ndarray]:
    """inputs and targets, the tokens after them, of one stretch. int32 [length]."""
    start = number * (length + 1)
    found = tokens.read(start, start + length + 1).astype(np.int32)
    return {"inputs": found[:-1], "targets": found[1:]}
