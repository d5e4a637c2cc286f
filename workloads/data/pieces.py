"""Small pieces of words as tokens: byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) of characters."""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

# As SentencePiece numbers them for AlgoPerf, whose 1 also begins sentences that have a beginning.
PADDING, UNKNOWN, END = 0, 1, 2
SPECIAL = 3
WORD = "\u2581"  # begins every word, in the place of the blank before it


@dataclasses.dataclass(frozen=True)
class Pieces:
    """A vocabulary.

    Attributes:
      names: the pieces, of which the first has the token SPECIAL.
      merges: pairs of neighbours that become one piece, in their order.
    """

    names: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]

    def tokens(self, text: str) -> list[int]:
        """Of a text, END behind them."""
        return [*(token for word in text.split() for token in self._of_word(word)), END]

    def text(self, tokens: np.ndarray) -> str:
        """Of tokens; special ones have none."""
        names = self.names
        known = (
            names[token - SPECIAL] for token in tokens.tolist() if SPECIAL <= token < SPECIAL + len(names)
        )
        return "".join(known).replace(WORD, " ").strip()

    @functools.cached_property
    def _of_word(self) -> Callable[[str], list[int]]:
        number = {name: SPECIAL + i for i, name in enumerate(self.names)}
        rank = {pair: i for i, pair in enumerate(self.merges)}

        @functools.cache
        def of_word(word: str) -> list[int]:
            return [number.get(piece, UNKNOWN) for piece in _merged((*WORD, *word), rank)]

        return of_word


def learn(texts: Iterable[str], vocabulary: int) -> Pieces:
    """All characters of the texts, and the pieces that come of merging the most frequent pair again and again.

    Of pairs that are equally frequent the first in the order of characters is taken.

    Args:
      texts: to learn from.
      vocabulary: tokens in all, the special ones among them; characters are taken by frequency if there are more.
    """
    words = collections.Counter(word for text in texts for word in text.split())
    spelled = {word: (*WORD, *word) for word in words}
    characters = collections.Counter()
    for word, times in words.items():
        for character in spelled[word]:
            characters[character] += times
    ordered = sorted(characters, key=lambda c: (-characters[c], c))
    names, merges = ordered[: vocabulary - SPECIAL], []
    count: collections.Counter = collections.Counter()
    where = collections.defaultdict(set)  # pair -> words that have it
    for word, pieces in spelled.items():
        _count(count, where, word, pieces, words[word])
    while len(names) < vocabulary - SPECIAL:
        best = min(count, key=lambda pair: (-count[pair], pair), default=None)
        if best is None or count[best] < 2:
            break
        merges.append(best)
        names.append("".join(best))
        for word in list(where[best]):
            _count(count, where, word, spelled[word], -words[word])
            spelled[word] = _joined(spelled[word], best)
            _count(count, where, word, spelled[word], words[word])
    return Pieces(tuple(names), tuple(merges))


def _count(count, where, word: str, pieces: Sequence[str], times: int) -> None:
    for pair in itertools.pairwise(pieces):
        count[pair] += times
        if times > 0:
            where[pair].add(word)
        elif count[pair] <= 0:
            del count[pair]


def _joined(pieces: Sequence[str], pair: tuple[str, str]) -> tuple[str, ...]:
    found, i = [], 0
    while i < len(pieces):
        if tuple(pieces[i : i + 2]) == pair:
            found.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            found.append(pieces[i])
            i += 1
    return tuple(found)


def _merged(pieces: Sequence[str], rank: dict[tuple[str, str], int]) -> Sequence[str]:
    while True:
        best = min(itertools.pairwise(pieces), key=lambda pair: rank.get(pair, len(rank)), default=None)
        if best is None or best not in rank:
            return pieces
        pieces = _joined(pieces, best)
