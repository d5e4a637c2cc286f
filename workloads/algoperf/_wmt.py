"""Streams of WMT's sentences in batches as AlgoPerf makes them: packed rows to train on, a pair a row to evaluate."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from workloads._source import Provenance, StreamedBatch, StreamedData
from workloads.data import ahead, packing, wmt
from workloads.parts import WHOLE, Part

AHEAD = 8  # batches
EVAL_BATCH = 128  # AlgoPerf's


@dataclasses.dataclass(frozen=True)
class Sentences(StreamedData):
    """Streams of sentences, and the SentencePiece model that their tokens are of."""

    model: Any = None

    def text(self, tokens: np.ndarray) -> str:
        """Of a sentence's tokens; the model has no piece for those beyond its own, as for 0."""
        ours = np.where(tokens < self.model.vocab_size(), tokens, self.model.unk_id())
        return self.model.decode(ours.tolist())


def read(data_dir: pathlib.Path, vocabulary: int, length: int) -> Sentences:
    """The data set; training pairs are read and tokenised when they are first asked for, see `wmt.training`.

    Rows are packed of pairs in a random order of the whole split, a new one every epoch. AlgoPerf's order is shuffled
    by TensorFlow within windows of 1,024 pairs. Given the same order its rows are the same. Training pairs are
    evaluated on in the order of the files.

    Args:
      data_dir: in AlgoPerf's layout.
      vocabulary: the most tokens that there may be.
      length: of a row; pairs with a longer side are left out.

    Raises:
      FileNotFoundError, ValueError: see `wmt.find` and `wmt.processor`.
    """
    layout = wmt.find(data_dir)
    model = wmt.processor(layout, vocabulary)
    held_out = {split: wmt.held_out(layout, split, model, length) for split in ("validation", "test")}
    training = functools.cache(lambda: wmt.training(layout, model, length))

    def endless(
        split: str, seed: int, batch_size: int, first_step: int, part: Part = WHOLE
    ) -> Iterator[StreamedBatch]:
        rows = Rows(training() if split == "train" else held_out[split], seed, length)
        return ahead.prefetched(
            (_rows(rows, part.places(step, batch_size)) for step in itertools.count(first_step)), AHEAD
        )

    def once(split: str, batch_size: int, part: Part = WHOLE) -> Iterator[StreamedBatch]:
        if split == "train":
            pairs = wmt.leading(layout, model, length)
        else:
            pairs = map(held_out[split].pair, range(len(held_out[split].lengths)))
        for number in itertools.count():
            some = list(itertools.islice(pairs, batch_size))
            if not some:
                return
            if part.has_turn(number):
                yield packing.padded(some, length)

    sizes = {"train": layout.train.size("train")} | {split: len(of.lengths) for split, of in held_out.items()}
    source = (
        f"WMT 2017 German to English (TFDS 1.0.0), {sizes['train']:,} pairs; validation and test of WMT 2014"
    )
    return Sentences(
        endless, sizes, Provenance("real", source), once, EVAL_BATCH, reads_parts=True, model=model
    )


def _rows(rows: Rows, chosen: range) -> StreamedBatch:
    return packing.laid_out(map(rows.__getitem__, chosen), rows.length)


class _Epoch(NamedTuple):
    """Rows that are full when an epoch's pairs have come.

    Attributes:
      first: number of its first row.
      pairs: in order.
      bounds: of the rows among the pairs, one more than there are rows.
      left: pairs that wait for those of the next epoch.
    """

    first: int
    pairs: Int[np.ndarray, " pair"]
    bounds: Int[np.ndarray, " bound"]
    left: Int[np.ndarray, " pair"]

    @property
    def end(self) -> int:
        return self.first + len(self.bounds) - 1


class Rows:
    """Packed rows of shuffled epochs, laid end to end, by their number.

    How many rows an epoch has depends on its order. So those before are laid out first, which needs but the lengths of
    their sentences.

    Attributes:
      length: of a row.
    """

    def __init__(self, corpus: wmt.Corpus, seed: int, length: int) -> None:
        """Nothing is laid out yet.

        Args:
          corpus: of the pairs.
          seed: of the orders.
          length: of a row. As in AlgoPerf a row is finished in any case after as many pairs as it has tokens.
        """
        self._corpus, self._seed, self.length = corpus, seed, length
        self._begin()

    def order(self, epoch: int) -> Int[np.ndarray, " pair"]:
        """The pairs of an epoch, which depend on its number and the seed alone."""
        return np.random.default_rng((self._seed, epoch)).permutation(len(self._corpus.lengths))

    def __getitem__(self, number: int) -> list[packing.Pair]:
        epoch = self._epoch_of(number)
        start, end = epoch.bounds[number - epoch.first :][:2].tolist()
        return [self._corpus.packed(pair) for pair in epoch.pairs[start:end].tolist()]

    def _begin(self) -> None:
        none = np.zeros(0, np.int64)
        self._epochs = collections.deque([_Epoch(0, none, np.zeros(1, np.int64), none)], maxlen=2)
        self._next = 0

    def _epoch_of(self, number: int) -> _Epoch:
        if number < self._epochs[0].first:
            self._begin()
        while number >= self._epochs[-1].end:
            self._epochs.append(self._after(self._epochs[-1]))
            self._next += 1
        return next(epoch for epoch in self._epochs if epoch.first <= number < epoch.end)

    def _after(self, epoch: _Epoch) -> _Epoch:
        pairs = np.concatenate([epoch.left, self.order(self._next)])
        pairs, left = np.split(pairs, [len(pairs) // self.length * self.length])
        begins = packing.begins(self._corpus.known[pairs], self.length, self.length)
        return _Epoch(epoch.end, pairs, np.append(np.flatnonzero(begins), len(pairs)), left)
