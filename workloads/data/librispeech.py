"""LibriSpeech in the layout that AlgoPerf's set-up makes: recordings and tokens as NumPy files, and a tokenizer."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from workloads._source import Provenance, StreamedData
from workloads.data.epochs import epoch_steps
from workloads.parts import WHOLE, Part

SPLITS = {
    "train": ("train-clean-100", "train-clean-360", "train-other-500"),
    "validation": ("dev-clean", "dev-other"),
    "test": ("test-clean",),
}
SAMPLES, TOKENS = 320_000, 256  # of the longest recording and text
TOKENIZER = "spm_model.vocab"  # a SentencePiece model, whatever its name says

Batch = dict[str, tuple[np.ndarray, np.ndarray]]


def read(data_dir: pathlib.Path, eval_batch_size: int, samples: int = SAMPLES) -> StreamedData:
    """Batches of AlgoPerf's fields: audio and tokens, each with its paddings, 1 where there is nothing.

    An epoch of training is a permutation that the seed and its number decide; its incomplete last batch is left out.

    Args:
      data_dir: with a table <part>.csv, and a folder <part> of its files, for every part of `SPLITS`.
      eval_batch_size: of evaluations.
      samples: to which recordings are filled up.

    Raises:
      FileNotFoundError: a table is missing.
      ValueError: a table names nothing.
    """
    stems = {split: _stems(data_dir, parts) for split, parts in SPLITS.items()}

    def batches(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        files = stems[split]
        per_epoch = epoch_steps(split, len(files), batch_size)
        step = first_step
        order, of_epoch = np.arange(0), -1
        while True:
            epoch, place = divmod(step, per_epoch)
            if epoch != of_epoch:
                order, of_epoch = np.random.default_rng((seed, epoch)).permutation(len(files)), epoch
            rows = part.places(place, batch_size)
            yield _batch([files[row] for row in order[rows.start : rows.stop]], samples)
            step += 1

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[Batch]:
        files = stems[split]
        for first in range(part.index * batch_size, len(files), part.count * batch_size):
            yield _batch(files[first : first + batch_size], samples)

    sizes = {split: len(files) for split, files in stems.items()}
    provenance = Provenance("real", f"LibriSpeech, {sum(sizes.values()):,} utterances")
    return StreamedData(batches, sizes, provenance, once, eval_batch_size, reads_parts=True)


def _stems(data_dir: pathlib.Path, parts: Sequence[str]) -> list[pathlib.Path]:
    """Of every utterance, the path of its files without what they end with."""
    found = []
    for part in parts:
        table = data_dir / f"{part}.csv"
        if not table.is_file():
            raise FileNotFoundError(f"{table} is missing; AlgoPerf's dataset_setup makes it of LibriSpeech")
        with table.open(newline="") as file:
            rows = list(csv.reader(file))[1:]  # the first names the columns
        if not rows:
            raise ValueError(f"{table} names no utterance")
        found += [data_dir / part / row[1] for row in rows]
    return found


def _batch(stems: Sequence[pathlib.Path], samples: int) -> Batch:
    audio = [np.load(f"{stem}_audio.npy") for stem in stems]
    tokens = [np.load(f"{stem}_targets.npy") for stem in stems]
    return {"inputs": _filled(stems, audio, samples), "targets": _filled(stems, tokens, TOKENS)}


def _filled(stems: Sequence[pathlib.Path], rows: Sequence[Any], length: int) -> tuple[np.ndarray, np.ndarray]:
    values, paddings = np.zeros((len(rows), length), np.float32), np.ones((len(rows), length), np.float32)
    for i, row in enumerate(rows):
        if len(row) > length:
            raise ValueError(f"{stems[i]} has {len(row):,} entries; the longest may have {length:,}")
        values[i, : len(row)] = row
        paddings[i, : len(row)] = 0.0
    return values, paddings
