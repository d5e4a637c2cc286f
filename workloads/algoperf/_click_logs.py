"""Criteo's click logs themselves, in AlgoPerf's batches."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import criteo
from workloads.data.epochs import epoch_steps
from workloads.parts import WHOLE, Part

EVAL_BATCH_SIZE = 131_072  # AlgoPerf's


def read(data_dir: pathlib.Path, eval_batch_size: int = EVAL_BATCH_SIZE) -> StreamedData:
    """The data set, of which nothing is kept in memory but what is read ahead.

    An epoch of training goes through the shards in an order that the seed and its number decide, and through every
    shard line by line, as AlgoPerf's does, whose order TensorFlow's generator decides; its incomplete last batch is
    left out. A stream that begins inside a shard reads it up to there, and parses nothing of that.

    Args:
      data_dir: with the shards.
      eval_batch_size: of evaluations.

    Raises:
      FileNotFoundError, ValueError: see `criteo.shards`.
    """
    shards = criteo.shards(data_dir)
    sizes = {split: sum(shard.rows for shard in of_split) for split, of_split in shards.items()}

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        per_epoch, rows = epoch_steps(split, sizes[split], batch_size), part.rows(batch_size)
        kept = criteo.EVERY if part == WHOLE else criteo.Kept(batch_size, rows.start, rows.stop)
        pieces = _epochs(shards[split], seed, per_epoch * batch_size, first_step * batch_size, kept)
        return _fields(pieces, batch_size // part.count)

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        # Evaluations see a part of the training rows: of many days, and the same every time.
        order = _shuffled(shards[split], 0, 0) if split == "train" else shards[split]
        first = part.index * batch_size
        kept = criteo.EVERY
        if part != WHOLE:
            kept = criteo.Kept(part.count * batch_size, first, first + batch_size)
        return _fields(criteo.pieces(order, 0, sizes[split], kept), batch_size)

    source = (
        f"Criteo's terabyte of click logs, {sizes['train']:,} rows of 23 days to train on; of the 24th day "
        f"{sizes['test']:,} to test on and then {sizes['validation']:,} to validate"
    )
    return StreamedData(endless, sizes, Provenance("real", source), once, eval_batch_size, reads_parts=True)


def _shuffled(shards: Sequence[criteo.Shard], seed: int, epoch: int) -> list[criteo.Shard]:
    return [shards[i] for i in np.random.default_rng((seed, epoch)).permutation(len(shards))]


def _epochs(
    shards: Sequence[criteo.Shard], seed: int, rows: int, first_row: int, kept: criteo.Kept
) -> Iterator[criteo.Piece]:
    """What is read from a row on of epochs that are laid end to end, so many rows of each."""
    epoch, row = divmod(first_row, rows)
    for number in itertools.count(epoch):
        yield from criteo.pieces(_shuffled(shards, seed, number), row, rows, kept)
        row = 0


def _fields(pieces: Iterable[criteo.Piece], batch_size: int) -> Iterator[StreamedBatch]:
    for inputs, targets in criteo.batches(pieces, batch_size):
        yield {"inputs": inputs, "targets": targets}
