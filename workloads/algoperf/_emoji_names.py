"""Data of the Transformer at the smaller scales: names of emoji, from German and other languages into English.

Packed rows for training, as at full scale, but packed once: the rows come in another order every epoch, what is in a
row stays. Evaluations see one short sentence a row.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from workloads._source import Provenance, ResidentData
from workloads.data import emoji_names, packing, pieces

GERMAN = ("de",)
MORE = ("de", "es", "fr", "it", "pt")  # a name says in which it is
LEAST = 3  # words of a reference: shorter ones have no n-grams to speak of
SENTENCES = 64  # of an evaluation, at most: every one is translated by beam search, for every trial
MADE_UP = {"train": 2400, "validation": SENTENCES, "test": SENTENCES}


class Limits(NamedTuple):
    """What does not fit is left out.

    Attributes:
      languages: from which English is made.
      vocabulary: tokens.
      length: of a row.
      decoded: of a translation with the token before it.
    """

    languages: tuple[str, ...]
    vocabulary: int
    length: int
    decoded: int


@dataclasses.dataclass(frozen=True)
class SentenceData(ResidentData):
    """Sentences, and the pieces that their tokens stand for; None: for themselves."""

    pieces: pieces.Pieces | None = None

    def text(self, tokens: np.ndarray) -> str:
        """Of a sentence's tokens."""
        if self.pieces is None:
            return " ".join(str(token) for token in tokens.tolist() if token >= pieces.SPECIAL)
        return self.pieces.text(tokens)


@functools.lru_cache(maxsize=4)  # the variants have the same
def sentences(limits: Limits) -> SentenceData:
    """The names of emoji where their package is installed; else sentences of a made-up pair of languages."""
    version = emoji_names.version()
    if version is None:
        return _made_up(limits)
    found = emoji_names.pairs(limits.languages)
    learnt = pieces.learn([text for pair in found["train"] for text in pair], limits.vocabulary)
    tokens = {
        split: [(learnt.tokens(pair.source), learnt.tokens(pair.target)) for pair in of_split]
        for split, of_split in found.items()
    }
    worth = {
        split: [
            pair
            for pair, words in zip(tokens[split], found[split], strict=True)
            if len(words.target.split()) >= LEAST
        ]
        for split in ("validation", "test")
    }
    provenance = Provenance(
        "embedded",
        f"names of emoji (emoji {version}, after Unicode CLDR): {', '.join(limits.languages)} to en, as byte-pair "
        "pieces; splits by the English name without skin tones",
        "WMT17 German to English",
    )
    return SentenceData(_splits({**tokens, **worth}, limits), provenance, pieces=learnt)


def _splits(tokens, limits: Limits) -> dict[str, dict[str, np.ndarray]]:
    def fitting(pairs, most):
        return [pair for pair in pairs if max(map(len, pair)) <= most]

    # Names alike follow each other; neighbours in a row should not be of one subject.
    train = fitting(tokens["train"], limits.length)
    order = np.random.default_rng(0).permutation(len(train))
    splits = {"train": packing.packed([train[i] for i in order], limits.length, restart=len(train))}
    for split in ("validation", "test"):
        # So that a translation may be as long as the reference.
        short = fitting(tokens[split], limits.decoded - 1)
        chosen = np.random.default_rng(0).permutation(len(short))[:SENTENCES]
        splits[split] = packing.padded([short[i] for i in sorted(chosen)], limits.decoded - 1)
    return splits


def _made_up(limits: Limits) -> SentenceData:
    """Words follow Zipf's law; each has one translation, and every second word changes places with the next."""
    rng = np.random.default_rng(0)
    words = limits.vocabulary - pieces.SPECIAL
    translated = pieces.SPECIAL + rng.permutation(words)
    frequency = 1.0 / np.arange(1, words + 1)
    tokens = {}
    for split, count in MADE_UP.items():
        tokens[split] = []
        for _ in range(count):
            source = rng.choice(words, rng.integers(3, limits.decoded - 2), p=frequency / frequency.sum())
            target = translated[source]
            even = target[: len(target) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
            target = np.concatenate([even, target[len(even) :]])
            pair = ([*(pieces.SPECIAL + source).tolist(), pieces.END], [*target.tolist(), pieces.END])
            tokens[split].append(pair)
    provenance = Provenance(
        "synthetic",
        "random words by Zipf's law, each with one translation, every second pair of neighbours changing places",
        "WMT17 German to English",
    )
    return SentenceData(_splits(tokens, limits), provenance)
