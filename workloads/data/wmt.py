"""German and English sentences of WMT, as TFDS prepares them for AlgoPerf, in tokens of AlgoPerf's SentencePiece model.

Training pairs are those of WMT 2017, validation and test those of WMT 2014. Needs the extras `shortlist[tfds]` and
`shortlist[algoperf]`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Int, UInt16

from workloads.data import caches, files, packing, reading, sentencepieces, tfds_folder
from workloads.data.pieces import END
from workloads.slow import told_when_slow

TRAIN, HELD_OUT = "wmt17_translate/de-en:1.0.0", "wmt14_translate/de-en:1.0.0"
SIDES = ("de", "en")  # source and target
MODEL = "wmt_sentencepiece_model"
FORMAT = 1  # of the cache; a new number makes it anew
CHUNK = 8192  # pairs that are tokenised at a time


@dataclasses.dataclass(frozen=True)
class Layout:
    """What lies in the data folder.

    Attributes:
      train, held_out: TFDS's folders; the second has the splits `validation` and `test`.
      model: path of the SentencePiece model.
    """

    train: tfds_folder.Folder
    held_out: tfds_folder.Folder
    model: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Pairs in tokens, end to end, the source of a pair before its target.

    Attributes:
      tokens: of all.
      lengths: tokens of a sentence, the one that ends it among them.
      known: how many of them are not 0, see `packing.known`.
    """

    tokens: UInt16[np.ndarray, " token"]
    lengths: UInt16[np.ndarray, "pair 2"]
    known: UInt16[np.ndarray, "pair 2"]

    @functools.cached_property
    def starts(self) -> Int[np.ndarray, " pair"]:
        """Where in `tokens` a pair begins."""
        ends = np.cumsum(self.lengths.sum(axis=1, dtype=np.int64))
        return ends - self.lengths.sum(axis=1, dtype=np.int64)

    def pair(self, number: int) -> packing.Pair:
        """Its tokens."""
        start = int(self.starts[number])
        middle = start + int(self.lengths[number, 0])
        return self.tokens[start:middle], self.tokens[middle : middle + int(self.lengths[number, 1])]

    def packed(self, number: int) -> packing.Pair:
        """Those of them that AlgoPerf packs."""
        source, target = self.pair(number)
        return source[: self.known[number, 0]], target[: self.known[number, 1]]


def find(data_dir: pathlib.Path) -> Layout:
    """The files, none of them read yet.

    Raises:
      FileNotFoundError: some of them are not there.
    """
    train, held_out = (tfds_folder.find(data_dir, name) for name in (TRAIN, HELD_OUT))
    train.check_sizes("train")
    for split in ("validation", "test"):
        held_out.check_sizes(split)
    reading.check_file(
        data_dir / MODEL, "no such file; AlgoPerf's dataset_setup trains this SentencePiece model on the data"
    )
    return Layout(train, held_out, (data_dir / MODEL).resolve())


def processor(layout: Layout, vocabulary: int) -> Any:
    """SentencePiece's, with the layout's model.

    Args:
      layout: of the data.
      vocabulary: the most tokens that there may be.

    Raises:
      ValueError: the model has more, or ends sentences by another token than AlgoPerf's.
    """
    found = sentencepieces.load(layout.model)
    if found.vocab_size() > vocabulary or found.eos_id() != END:
        raise ValueError(
            f"{layout.model}: has {found.vocab_size():,} tokens and ends sentences by token {found.eos_id()}; "
            f"at most {vocabulary:,} are right, and {END}"
        )
    return found


def held_out(layout: Layout, split: str, model: Any, longest: int) -> Corpus:
    """The pairs of a split of WMT 2014 in the order in which TFDS reads them, without those that are too long.

    Args:
      layout: of the data.
      split: `validation` or `test`.
      model: see `processor`.
      longest: tokens that a side may have, the end among them.

    Raises:
      ValueError: a record does not hold what it should, or there is no such pair.
    """
    folder = layout.held_out
    examples = list(tfds_folder.iterate(folder, split, SIDES))
    order = tfds_folder.interleaved([size for _, size in folder.splits[split]])
    parts = list(_tokenised(folder, (examples[i] for i in order), model, longest))
    if not sum(len(lengths) for _, lengths, _ in parts):
        raise _empty(folder, split, longest)
    return Corpus(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def leading(layout: Layout, model: Any, longest: int) -> Iterator[packing.Pair]:
    """Training pairs in the order of the files, which TFDS shuffled when it wrote them, without those too long."""
    for part in _tokenised(
        layout.train, tfds_folder.iterate(layout.train, "train", SIDES), model, longest, chunk=256
    ):
        corpus = Corpus(*part)
        yield from (corpus.pair(number) for number in range(len(corpus.lengths)))


def training(layout: Layout, model: Any, longest: int) -> Corpus:
    """All training pairs in the order of the files, without those that are too long.

    The first time they are tokenised into a file of the cache, under 1 GB for WMT 2017 after some minutes; from then on
    the file is used as a memory map.

    Args:
      layout, model, longest: as of `held_out`.

    Raises:
      ValueError: a record does not hold what it should, or there is no place for a cache.
    """
    folder = caches.made_once(
        "sentences",
        "tokenised sentences",
        caches.key_of((*(file for file, _ in layout.train.splits["train"]), layout.model), FORMAT, longest),
        lambda folder: _write(folder, layout, model, longest),
    )
    tokens = np.memmap(folder / "tokens", np.uint16, "r")
    return Corpus(tokens, np.load(folder / "lengths.npy"), np.load(folder / "known.npy"))


def _write(folder: pathlib.Path, layout: Layout, model: Any, longest: int) -> None:
    examples = tfds_folder.iterate(layout.train, "train", SIDES)
    lengths, known = [], []
    doing = f"tokenising {layout.train.size('train'):,} pairs of sentences, once, into {folder.parent},"
    with told_when_slow(doing), files.naming(folder / "tokens"), (folder / "tokens").open("wb") as file:
        for tokens, *counts in _tokenised(layout.train, examples, model, longest):
            file.write(tokens.tobytes())
            for kept, count in zip((lengths, known), counts, strict=True):
                kept.append(count)
    if not lengths or not sum(map(len, lengths)):
        raise _empty(layout.train, "train", longest)
    np.save(folder / "lengths.npy", np.concatenate(lengths))
    np.save(folder / "known.npy", np.concatenate(known))


def _empty(folder: tfds_folder.Folder, split: str, longest: int) -> ValueError:
    return ValueError(f"{folder.path}: split {split!r} has no pair of at most {longest} tokens a side")


def _tokenised(
    folder: tfds_folder.Folder,
    examples: Iterable[dict[str, Any]],
    model: Any,
    longest: int,
    chunk: int = CHUNK,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The fields of a `Corpus` of so many pairs after the other."""
    examples = iter(examples)
    while some := list(itertools.islice(examples, chunk)):
        texts = [example[side] for example in some for side in SIDES]
        if not all(isinstance(text, bytes) for text in texts):
            raise ValueError(f"{folder.path}: must hold texts; its {' and '.join(SIDES)} are tokens already")
        sentences = model.encode(texts, out_type=int, add_eos=True)
        pairs = [
            pair
            for pair in zip(sentences[::2], sentences[1::2], strict=True)
            if max(map(len, pair)) <= longest
        ]
        sentences = [sentence for pair in pairs for sentence in pair]
        lengths = np.array([len(sentence) for sentence in sentences], np.int64)
        tokens = np.fromiter(itertools.chain.from_iterable(sentences), np.uint16, lengths.sum())
        ends = np.concatenate([[0], np.cumsum(tokens != 0)])[np.cumsum(lengths)]
        known = np.diff(ends, prepend=0)
        yield tokens, lengths.reshape(-1, 2).astype(np.uint16), known.reshape(-1, 2).astype(np.uint16)
