"""TFRecord files and the `tf.train.Example` messages in them, without TensorFlow.

A record is its length (8 bytes, little-endian), a checksum of those 8 bytes, the payload, and a checksum of the
payload. A checksum is a CRC-32C, turned right by 15 bits, plus 0xa282ead8. Both are verified. Needs the extra
`shortlist[tfds]`.

Reference: TensorFlow's guide "TFRecord and tf.train.Example", section "TFRecords format details".
"""

from __future__ import annotations

import functools
import os
import pathlib
import struct
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from jaxtyping import Int

from workloads.data import reading

Value = list[bytes] | np.ndarray  # of a feature: byte strings, or float32 or int64 [value]

MASK = 0xA282EAD8
HEADER = struct.Struct("<QI")  # length, its checksum


def records(
    path: pathlib.Path, start: int = 0, stop: int | None = None, whole: bool = False
) -> Iterator[bytes]:
    """Payloads of a file's records, one at a time.

    Args:
      path: an uncompressed TFRecord file.
      start: records to pass over.
      stop: number of the record to end before; None: the end of the file.
      whole: whether that is all that the file may hold.

    Raises:
      ValueError: the file is cut short or too long, or a checksum is wrong; the message names the file and the byte.
    """
    _crc32c()  # or a word on what to install, before anything is opened
    size = reading.check_file(path).st_size
    with path.open("rb") as file:
        offset = number = 0
        while stop is None or number < stop:
            header = file.read(HEADER.size)
            if not header:
                if stop is None:
                    return
                raise _too_short(path, number, stop)
            length = _length(header, path, offset, size)
            body = file.read(length + 4)
            if len(body) < length + 4:
                raise _corrupt(path, offset, "the file was cut while it was read")
            if number >= start:
                yield _payload(body, path, offset)
            offset += HEADER.size + len(body)
            number += 1
        if whole and offset < size and number == stop:
            raise _too_long(path, stop)


def offsets(path: pathlib.Path, count: int) -> Int[np.ndarray, " bound"]:
    """Where the records of a file begin, and behind them where the last one ends; only their headers are read.

    Args:
      path: an uncompressed TFRecord file.
      count: of its records.

    Raises:
      ValueError: the file holds fewer or more, or the checksum of a length is wrong; the message names file and byte.
    """
    _crc32c()
    size = reading.check_file(path).st_size
    bounds = np.zeros(count + 1, np.int64)
    with path.open("rb", buffering=0) as file:
        offset = 0
        if hasattr(os, "posix_fadvise"):  # what lies between the headers need not come along
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        for number in range(count):
            file.seek(offset)
            header = file.read(HEADER.size)
            if not header:
                raise _too_short(path, number, count)
            offset += HEADER.size + _length(header, path, offset, size) + 4
            bounds[number + 1] = offset
    if offset < size:
        raise _too_long(path, count)
    return bounds


def read_at(path: pathlib.Path, offset: int, end: int) -> bytes:
    """The payload of the record between two of a file's `offsets`.

    Raises:
      FileNotFoundError, ValueError: the file is gone, has become shorter, or a checksum is wrong.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        content = file.read(end - offset)
    header, body = content[: HEADER.size], content[HEADER.size :]
    if HEADER.size + _length(header, path, offset, end) + 4 != len(content):
        raise _corrupt(path, offset, f"{end - offset} bytes were expected, not {len(content)}")
    return _payload(body, path, offset)


def frame(payload: bytes) -> bytes:
    """A payload as a record: what `records` reads back."""
    checksum = _crc32c()
    length = struct.pack("<Q", len(payload))
    return b"".join(
        (
            length,
            struct.pack("<I", _masked(checksum(length))),
            payload,
            struct.pack("<I", _masked(checksum(payload))),
        )
    )


def parse_example(payload: bytes, names: Collection[str] | None = None) -> dict[str, Value]:
    """Feature name -> its values in a serialized `tf.train.Example`; a feature that holds no list is left out.

    Args:
      payload: of a record.
      names: the features to take; None: all.

    Raises:
      ValueError: the bytes are no such message.
    """
    from google.protobuf.message import DecodeError

    try:
        message = _example_class().FromString(payload)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example ({error})") from None
    values: dict[str, Value] = {}
    for name, feature in message.features.feature.items():
        if names is not None and name not in names:
            continue
        kind = feature.WhichOneof("kind")
        if kind == "bytes_list":
            values[name] = list(feature.bytes_list.value)
        elif kind is not None:
            dtype = np.int64 if kind == "int64_list" else np.float32
            values[name] = np.array(getattr(feature, kind).value, dtype=dtype)
    return values


def serialize_example(values: dict[str, Any]) -> bytes:
    """The inverse of `parse_example`: byte strings, floats or integers, in a list or an array, by feature."""
    message = _example_class()()
    for name, value in values.items():
        feature = message.features.feature[name]
        if len(value) and isinstance(value[0], bytes):
            feature.bytes_list.value.extend(value)
        elif np.issubdtype(np.asarray(value).dtype, np.floating):
            feature.float_list.value.extend(np.asarray(value).tolist())
        else:
            feature.int64_list.value.extend(np.asarray(value, dtype=np.int64).tolist())
    return message.SerializeToString(deterministic=True)


def missing(error: ImportError) -> ValueError:
    """What to tell who reads such files without the packages for it."""
    return ValueError(
        f"TFDS folders need a package that is not installed ({error}): pip install 'shortlist[tfds]'"
    )


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def _length(header: bytes, path: pathlib.Path, offset: int, end: int) -> int:
    """Of a payload, as its header says, if the rest of the record lies before the end."""
    if len(header) < HEADER.size:
        raise _corrupt(path, offset, "the file ends inside its header")
    length, expected = HEADER.unpack(header)
    if _masked(_crc32c()(header[:8])) != expected:
        raise _corrupt(path, offset, "the checksum of its length is wrong")
    left = end - offset - HEADER.size
    if length + 4 > left:  # before memory is taken for it
        raise _corrupt(path, offset, f"{length + 4} bytes should follow, but only {left} do")
    return length


def _payload(body: bytes, path: pathlib.Path, offset: int) -> bytes:
    """What is behind a header, without the checksum at its end, which is verified."""
    payload = body[:-4]
    if _masked(_crc32c()(payload)) != int.from_bytes(body[-4:], "little"):
        raise _corrupt(path, offset, "the checksum of its payload is wrong")
    return payload


def _too_short(path: pathlib.Path, number: int, expected: int) -> ValueError:
    return ValueError(f"{path}: ends after {number} records, but {expected} were expected; make it again")


def _too_long(path: pathlib.Path, expected: int | None) -> ValueError:
    return ValueError(f"{path}: has more than the {expected} records that were expected; make it again")


def _corrupt(path: pathlib.Path, offset: int, what: str) -> ValueError:
    return ValueError(f"{path}: corrupt record at byte {offset}: {what}; make the file again")


def _crc32c():
    try:
        from google_crc32c import value
    except ImportError as error:
        raise missing(error) from None
    return value


@functools.cache
def _example_class() -> Any:
    """The message class, from the published definition of `example.proto` and `feature.proto`.

    Feature = one of {1: bytes_list, 2: float_list, 3: int64_list}, each {1: repeated value, packed};
    Features = {1: map from string to Feature}; Example = {1: Features}.
    """
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise missing(error) from None

    kind = descriptor_pb2.FieldDescriptorProto
    package = "shortlist.tfrecord"
    file = descriptor_pb2.FileDescriptorProto(
        name="shortlist/tfrecord.proto", package=package, syntax="proto3"
    )

    def field(message, name, number, type_, type_name=None, repeated=False, **more):
        label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
        made = message.field.add(name=name, number=number, type=type_, label=label, **more)
        if type_name:
            made.type_name = f".{package}.{type_name}"

    lists = {"bytes_list": kind.TYPE_BYTES, "float_list": kind.TYPE_FLOAT, "int64_list": kind.TYPE_INT64}
    feature = descriptor_pb2.DescriptorProto(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, type_) in enumerate(lists.items(), start=1):
        field(file.message_type.add(name=name), "value", 1, type_, repeated=True)
        field(feature, name, number, kind.TYPE_MESSAGE, name, oneof_index=0)
    file.message_type.append(feature)

    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    field(entry, "key", 1, kind.TYPE_STRING)
    field(entry, "value", 2, kind.TYPE_MESSAGE, "Feature")
    field(features, "feature", 1, kind.TYPE_MESSAGE, "Features.FeatureEntry", repeated=True)
    field(file.message_type.add(name="Example"), "features", 1, kind.TYPE_MESSAGE, "Features")

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))
