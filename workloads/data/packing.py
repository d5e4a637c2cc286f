"""Several pairs of sentences in a row, as AlgoPerf packs them for its Transformer.

Grain packs by this rule too, but one row after the other: it does not say from lengths alone which pairs share a row,
so that no row could be found without making all before it, and it has nothing of AlgoPerf's 0 inside a sentence. SeqIO
has it written for TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int

SIDES = ("inputs", "targets")

Pair = tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray]  # tokens of source and target


def padded(pairs: Sequence[Pair], length: int) -> dict[str, np.ndarray]:
    """A pair a row: inputs, targets and weights, int32 [row, length]; the weights are 1 where the target is real."""
    rows = {side: np.zeros((len(pairs), length), np.int32) for side in SIDES}
    for number, pair in enumerate(pairs):
        for side, tokens in zip(SIDES, pair, strict=True):
            rows[side][number, : len(tokens)] = tokens
    return rows | {"weights": (rows["targets"] > 0).astype(np.int32)}


def packed(pairs: Sequence[Pair], length: int, restart: int | None = None) -> dict[str, np.ndarray]:
    """As many pairs a row as fit, in their order; see `begins` and `laid_out`.

    Args:
      pairs: at most `length` tokens a side.
      length: of a row.
      restart: see `begins`; None: `length`, as in AlgoPerf.
    """
    kept = [(known(source), known(target)) for source, target in pairs]
    sizes = np.array([[len(tokens) for tokens in pair] for pair in kept], np.int64).reshape(-1, len(SIDES))
    starts = np.flatnonzero(begins(sizes, length, restart or length))
    ends = [*starts[1:].tolist(), len(kept)]
    return laid_out([kept[start:end] for start, end in zip(starts.tolist(), ends, strict=True)], length)


def known(tokens: Sequence[int] | np.ndarray) -> Sequence[int] | np.ndarray:
    """What AlgoPerf packs of a sentence: as many of its first tokens as are not 0.

    It counts them to tell a sentence from the padding behind it. A model made by its set-up has 0 for what it does not
    know, so that for every such token inside the last one is cut off, the end of the sentence first.

    Example:
      >>> known([5, 0, 7, 2])
      [5, 0, 7]
    """
    return tokens[: int(np.count_nonzero(tokens))]


def begins(sizes: Int[np.ndarray, "pair 2"], length: int, restart: int) -> Bool[np.ndarray, " pair"]:
    """Whether a pair begins a row.

    A pair is added to the row before it if there is room for it on both sides.

    Args:
      sizes: tokens of source and target, as they are packed.
      length: of a row.
      restart: after so many pairs a row is finished in any case.
    """
    pairs, blocks = len(sizes), -(-len(sizes) // restart)
    # All blocks at once, place by place: their rows do not depend on each other.
    filled = np.resize(np.asarray(sizes, np.int32), (blocks * restart, 2)).reshape(blocks, restart, 2)
    sources, targets = np.ascontiguousarray(filled.transpose(2, 1, 0))  # [place, block]
    found = np.ones((restart, blocks), bool)
    source, target = sources[0].copy(), targets[0].copy()  # of the rows so far
    for place in range(1, restart):
        source += sources[place]
        target += targets[place]
        found[place] = full = (source > length) | (target > length)
        np.copyto(source, sources[place], where=full)
        np.copyto(target, targets[place], where=full)
    return found.T.reshape(-1)[:pairs]


def laid_out(rows: Iterable[Sequence[Pair]], length: int) -> dict[str, np.ndarray]:
    """Rows of pairs that fit, as arrays.

    Returns:
      Of both sides the tokens, `_position` within the own sentence, and `_segmentation`, the sentence's number from 1,
      0 where the token is 0; `weights` as `padded` has them; int32 [row, length].
    """
    rows = list(rows)
    names = [f"{side}{kind}" for side in SIDES for kind in ("", "_position", "_segmentation")]
    found = {name: np.zeros((len(rows), length), np.int32) for name in names}
    places = np.arange(length, dtype=np.int32)
    for number, side in enumerate(SIDES):
        tokens, position, segment = (found[f"{side}{kind}"] for kind in ("", "_position", "_segmentation"))
        for row, pairs in enumerate(rows):
            at = 0
            for i, pair in enumerate(pairs, start=1):
                end = at + len(pair[number])
                tokens[row, at:end] = pair[number]
                position[row, at:end] = places[: end - at]
                segment[row, at:end] = i
                at = end
        segment[tokens == 0] = 0
    return found | {"weights": (found["targets"] > 0).astype(np.int32)}
