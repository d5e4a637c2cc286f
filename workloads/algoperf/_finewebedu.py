"""Streams of FineWeb-Edu in batches as AlgoPerf makes them: stretches of the text, shuffled to train on."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator

import jax
import numpy as np

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import ahead, finewebedu
from workloads.parts import WHOLE, Part

# AlgoPerf asks for 100,000 and takes whole batches of 256, of its validation split's million.
VALIDATION = 100_096
AHEAD = 8  # batches
EVAL_BATCH = 32  # AlgoPerf takes 256, whose logits are 53 GB; metrics do not depend on it


def read(data_dir: pathlib.Path, vocabulary: int, length: int) -> StreamedData:
    """The data set.

    Training sequences are shuffled over the whole split, anew for every epoch; epochs are laid end to end. AlgoPerf
    shuffles within windows of 1,000, by TensorFlow. Evaluations take the leading sequences of a split, as AlgoPerf's.

    Args:
      data_dir: in one of AlgoPerf's layouts.
      vocabulary: tokens must be less.
      length: of a sequence.

    Raises:
      FileNotFoundError, ValueError: see `finewebedu.find`; or a split is shorter than a sequence.
    """
    splits = finewebedu.find(data_dir)
    counts = {split: finewebedu.sequences(tokens, length) for split, tokens in splits.items()}
    for split, count in counts.items():
        if not count:
            raise ValueError(
                f"{data_dir / finewebedu.SPLITS[split]}: has {splits[split].size} tokens; a sequence takes {length + 1}"
            )

    def sequence(split: str, number: int) -> dict[str, np.ndarray]:
        found = finewebedu.sequence(splits[split], number, length)
        most = max(int(values.max()) for values in found.values())
        if most >= vocabulary:
            raise ValueError(
                f"{data_dir / finewebedu.SPLITS[split]}: sequence {number} has the token {most}; "
                f"there are {vocabulary:,}"
            )
        return found

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        return ahead.prefetched(batches(split, seed, batch_size, first_step, part), AHEAD)

    def batches(
        split: str, seed: int, batch_size: int, first_step: int, part: Part
    ) -> Iterator[StreamedBatch]:
        order, of_epoch = np.arange(0), -1
        for step in itertools.count(first_step):
            rows = []
            for place in part.places(step, batch_size):
                epoch, number = divmod(place, counts[split])
                if epoch != of_epoch:
                    order = np.random.default_rng((seed, epoch)).permutation(counts[split])
                    of_epoch = epoch
                rows.append(sequence(split, int(order[number])))
            yield _joined(rows)

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        for first in range(part.index * batch_size, counts[split], part.count * batch_size):
            some = range(first, min(first + batch_size, counts[split]))
            batch = _joined([sequence(split, number) for number in some])
            yield batch | {"weights": np.ones((len(some), length), np.float32)}

    sizes = counts | {"validation": min(counts["validation"], VALIDATION)}
    tokens = sum(split.size for split in splits.values())
    devices = jax.device_count()
    return StreamedData(
        endless,
        sizes,
        Provenance("real", f"FineWeb-Edu, {tokens:,} tokens of GPT-2 in sequences of {length:,}"),
        read_once=once,
        eval_batch_size=-(-EVAL_BATCH // devices) * devices,
        reads_parts=True,
    )


def _joined(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
