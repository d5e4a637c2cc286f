"""Folders that `tf.data.Dataset.save` makes, of one tensor of whole numbers an element, without TensorFlow.

`snapshot.metadata` names the folder `<run>` whose `00000000.shard/*.snapshot` hold the elements in order: TFRecord
files, a record a tensor. Both messages are TensorFlow's (`snapshot.proto`, `tensor.proto`); the fields that are needed
are described here. Needs the extra `shortlist[tfds]`.
"""

from __future__ import annotations

import functools
import pathlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from workloads.data import reading, tfrecord

VERSION = 2  # of the files: TFRecord
TYPES = {3: np.dtype("<i4"), 9: np.dtype("<i8")}  # TensorFlow's numbers of its types


class Described(NamedTuple):
    """What is said of a data set: the name of its run, and how many elements it has."""

    run: str
    elements: int


def described(path: pathlib.Path) -> Described:
    """The content of a `snapshot.metadata`.

    Raises:
      ValueError: it is not understood, or the data set was never finished.
    """
    message = _parsed("Metadata", reading.read_bytes(path), str(path))
    run, types = message.run_id, list(message.dtype)
    if (
        message.version != VERSION
        or len(types) != 1
        or types[0] not in TYPES
        or "/" in run
        or run in ("", ".")
    ):
        raise ValueError(
            f"{path}: describes version {message.version} with tensors of types {types}; "
            f"version {VERSION} with one tensor of whole numbers is understood"
        )
    if not message.finalized:
        raise ValueError(f"{path}: says that saving was never finished; make the data set again")
    return Described(run, message.num_elements)


def files(folder: pathlib.Path, found: Described) -> list[pathlib.Path]:
    """Its files, in order.

    Raises:
      FileNotFoundError: there are none.
      ValueError: there is more than one shard, of which TensorFlow's order depends on the machine.
    """
    shards = reading.matching(folder / found.run, "*.shard")
    if len(shards) > 1:
        raise ValueError(
            f"{folder / found.run}: has {len(shards)} shards; AlgoPerf's dataset_setup makes one"
        )
    there = reading.matching(shards[0], "*.snapshot") if shards else []
    if not there:
        raise FileNotFoundError(
            f"{folder / found.run}: has no *.shard/*.snapshot, which {folder.name}'s snapshot.metadata names; "
            "make the data set again"
        )
    return there


def values(record: bytes) -> Int[np.ndarray, " value"]:
    """The numbers of a record.

    Raises:
      ValueError: it is no tensor of that kind.
    """
    tensor = _parsed("Tensor", record, "record")
    dtype = TYPES.get(tensor.dtype)
    sizes = [size.size for size in tensor.tensor_shape.dim]
    if dtype is None or len(sizes) != 1 or len(tensor.tensor_content) != sizes[0] * dtype.itemsize:
        raise ValueError(
            f"a tensor of type {tensor.dtype} and shape {sizes} in {len(tensor.tensor_content)} bytes; "
            "must be a row of whole numbers"
        )
    return np.frombuffer(tensor.tensor_content, dtype)


def _parsed(name: str, content: bytes, where: str) -> Any:
    try:
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise tfrecord.missing(error) from None
    try:
        return _message(name).FromString(content)
    except DecodeError as error:
        raise ValueError(f"{where}: is no {name.lower()} of TensorFlow's ({error})") from None


@functools.cache
def _message(name: str) -> Any:
    """Metadata = {2: run_id, 4: version, 5: repeated dtype, 6: num_elements, 1000: finalized};
    Tensor = {1: dtype, 2: tensor_shape = {2: repeated dim = {1: size}}, 4: tensor_content}.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kind = descriptor_pb2.FieldDescriptorProto
    package = "shortlist.tensor_records"
    file = descriptor_pb2.FileDescriptorProto(
        name="shortlist/tensor_records.proto", package=package, syntax="proto3"
    )

    def message(name: str, **fields: tuple[int, Any]) -> None:
        made = file.message_type.add(name=name)
        for field, (number, type_) in fields.items():
            repeated = field in ("dim", "dtype") and name != "Tensor"
            label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
            added = made.field.add(name=field, number=number, label=label)
            if isinstance(type_, str):
                added.type, added.type_name = kind.TYPE_MESSAGE, f".{package}.{type_}"
            else:
                added.type = type_

    message("Dim", size=(1, kind.TYPE_INT64))
    message("Shape", dim=(2, "Dim"))
    message(
        "Tensor",
        dtype=(1, kind.TYPE_INT32),
        tensor_shape=(2, "Shape"),
        tensor_content=(4, kind.TYPE_BYTES),
    )
    message(
        "Metadata",
        run_id=(2, kind.TYPE_STRING),
        version=(4, kind.TYPE_INT64),
        dtype=(5, kind.TYPE_INT32),
        num_elements=(6, kind.TYPE_INT64),
        finalized=(1000, kind.TYPE_BOOL),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
