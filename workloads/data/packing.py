"""Several pairs of sentences in a row, as AlgoPerf packs them for its Transformer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SIDES = ("inputs", "targets")


def padded(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], length: int) -> dict[str, np.ndarray]:
    """A pair a row: inputs, targets and weights, int32 [row, length]; the weights are 1 where the target is real."""
    rows = {side: np.zeros((len(pairs), length), np.int32) for side in SIDES}
    for number, pair in enumerate(pairs):
        for side, tokens in zip(SIDES, pair, strict=True):
            rows[side][number, : len(tokens)] = tokens
    return rows | {"weights": (rows["targets"] > 0).astype(np.int32)}


def packed(
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]], length: int, restart: int | None = None
) -> dict[str, np.ndarray]:
    """As many pairs a row as fit, in their order.

    A pair is added to the row if there is room for it on both sides; otherwise it begins the next.

    Args:
      pairs: tokens, none of them 0, of source and target; at most `length` a side.
      length: of a row.
      restart: after so many pairs a row is finished in any case; None: after `length`, as in AlgoPerf.

    Returns:
      Of both sides the tokens, `_position` within the own sentence, and `_segmentation`, the sentence's number from 1;
      `weights` as `padded` has them; int32 [row, length].
    """
    rows: list[list[tuple[Sequence[int], Sequence[int]]]] = []
    used = [0, 0]
    for number, pair in enumerate(pairs):
        sizes = [len(tokens) for tokens in pair]
        fits = all(have + more <= length for have, more in zip(used, sizes, strict=True))
        if number % (restart or length) == 0 or not fits:
            rows.append([])
            used = [0, 0]
        rows[-1].append(pair)
        used = [have + more for have, more in zip(used, sizes, strict=True)]
    names = [f"{side}{kind}" for side in SIDES for kind in ("", "_position", "_segmentation")]
    found = {name: np.zeros((len(rows), length), np.int32) for name in names}
    for row, together in enumerate(rows):
        for number, side in enumerate(SIDES):
            at = 0
            for segment, pair in enumerate(together, start=1):
                end = at + len(pair[number])
                found[side][row, at:end] = pair[number]
                found[f"{side}_position"][row, at:end] = np.arange(end - at)
                found[f"{side}_segmentation"][row, at:end] = segment
                at = end
    return found | {"weights": (found["targets"] > 0).astype(np.int32)}
