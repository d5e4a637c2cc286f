"""Writes documents in tokens as AlgoPerf's set-ups do; `documents_golden/` holds some that their libraries wrote."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np
import pyarrow

from workloads.data import tfrecord

RUN = "1234567890123456789"


def write_arrow(
    folder: pathlib.Path, documents: Sequence[Sequence[int]], files: int = 1, batch: int = 1000
) -> None:
    """As `datasets.Dataset.save_to_disk`."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{files:05d}.arrow" for i in range(files)]
    schema = pyarrow.schema({"input_ids": pyarrow.list_(pyarrow.int32())})
    for name, part in zip(names, np.array_split(np.arange(len(documents)), files), strict=True):
        table = pyarrow.table({"input_ids": [documents[i] for i in part]}, schema=schema)
        with pyarrow.ipc.new_stream(str(folder / name), schema) as stream:
            stream.write_table(table, max_chunksize=batch)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))


def write_saved(
    folder: pathlib.Path, documents: Sequence[Sequence[int]], elements: int | None = None
) -> pathlib.Path:
    """As `tf.data.Dataset.save`; returns the file with the documents."""
    shard = folder / RUN / "00000000.shard"
    shard.mkdir(parents=True)
    (shard / "00000000.snapshot").write_bytes(b"".join(tfrecord.frame(tensor(d)) for d in documents))
    count = len(documents) if elements is None else elements
    run = b"\x12" + bytes([len(RUN)]) + RUN.encode()
    said = run + b"\x18\x01" + b"\x20\x02" + b"\x2a\x01\x09" + b"\x30" + varint(count) + b"\xc0\x3e\x01"
    (folder / "snapshot.metadata").write_bytes(said)
    return shard / "00000000.snapshot"


def tensor(values: Sequence[int]) -> bytes:
    """A serialized TensorProto of int64."""
    content = np.array(values, "<i8").tobytes()
    size = b"\x08" + varint(len(values)) if len(values) else b""
    dim = b"\x12" + varint(len(size)) + size
    body = b"\x08\x09\x12" + varint(len(dim)) + dim
    return body + (b"\x22" + varint(len(content)) + content if content else b"")


def varint(value: int) -> bytes:
    """A whole number, 7 bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
