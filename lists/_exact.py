"""Exact lists: the best of all sets of K points, by dynamic programming over sets of workloads.

Judging a list by its fastest point on each workload splits the workloads among the points. So the best
K points are found by asking how to split the workloads into K blocks, each served by its best single
point: 3^N steps for N workloads, where trying all sets of 5 out of 200 points would take 2.5 billion.

On more workloads than that an integer program finds them; see `lists._median`.

We count what a point saves rather than what it costs: g[p, w] = log tau - log min(f[p, w], tau) >= 0,
and a list saves sum_w max_p g[p, w]. Sets of workloads are the integers 0 .. 2^N - 1, one bit each.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from lists._cost import PENALTY, TIE, capped_logs, check_size
from lists._greedy import ChosenList, greedy
from lists._median import best_rows_of_many
from lists._ties import LOWEST_ID, MERIT, by_merit, check_ties, rows_of

MAX_WORKLOADS = 16  # 3^16 = 43 million steps for each point of the list: seconds; 3^20 would be minutes

NONE = ChosenList((), ())

_TABLED_BITS = 8  # splits of so many workloads are tabled (3^8 = 6,561 pairs), larger ones halved
_BLOCK = 1 << 22  # at most so many savings at once: 32 MiB


def exact(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> ChosenList:
    """List of the best `size` points, of all the sets there are.

    argmin over sets L of `size` points of C_tau(L). Costs within a relative 1e-12 of the lowest tie. Where fewer
    than `size` points reach the optimum, the fewest that do make the list, and the tie rule fills it up; of
    several such sets the lexicographically first one wins, with points in the order of the tie rule. With
    ties="lowest-id" it is the lexicographically first of all optimal sets of `size` rows ({0, 5, 9} before
    {0, 6, 7}), however few of its points are needed. The needed ones stand in greedy's order, so every
    beginning of the list is worth trying, but only the whole is optimal: the best 3 points need not be among the
    best 4.

    Args:
      values: step or time fractions, positive, inf where the target was missed. On more than 16 workloads any of
        several optimal sets may be the list.
      size: points in the list, from 1 to the number of rows.
      penalty: tau, at least 1; see `cost`.
      ties, places: see `greedy`.

    Returns:
      The list with the cost after each point; the last is the optimum.

    Raises:
      ValueError: more than 16 workloads with ties="lowest-id", or an optimum on so many that cannot be proven; a size,
        penalty or tie rule out of range; NaN, or values not positive.

    Example:
      Greedy takes the all-rounder first and then cannot get rid of it:

      >>> values = np.array([[0.3, 0.3], [0.1, 2.0], [2.0, 0.1]])
      >>> greedy(values, size=2).points, round(greedy(values, size=2).costs[-1], 3)
      ((0, 1), 0.173)
      >>> exact(values, size=2).points, round(exact(values, size=2).costs[-1], 3)
      ((1, 2), 0.1)

    Reference: the exhaustive alternative of Medapati et al. 2025, arXiv:2503.03986, Table 13.
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    check_ties(ties)
    if ties == LOWEST_ID:
        rows = best_rows(math.log(penalty) - logs, size)
        order = greedy(np.asarray(values)[rows], size, penalty, ties=ties)
        return ChosenList(rows_of(rows, order.points), order.costs, order.adds)
    preferred = by_merit(values, penalty, places)
    rows = rows_of(preferred, fewest_rows(math.log(penalty) - logs[preferred], size))
    needed = greedy(np.asarray(values)[list(rows)], len(rows), penalty, ties=LOWEST_ID) if rows else NONE
    return filled_up(ChosenList(rows_of(rows, needed.points), needed.costs), preferred, size, penalty)


def fewest_rows(gains: Float[np.ndarray, "point workload"], size: int) -> list[int]:
    """The fewest rows, at most `size`, that save as much as the best `size`; the first such set, ascending.

    On many workloads any such set of which no row can be left out.
    """
    if gains.shape[1] > MAX_WORKLOADS:
        return best_rows_of_many(gains, size)
    useful = gains[:, gains.any(axis=0)]
    workloads = useful.shape[1]
    if workloads == 0:
        return []
    single = functools.reduce(np.maximum, (block.max(axis=0) for block in _savings_by_set(useful)))
    # More points than workloads save nothing further. by_count[k - 1] is what the best k points save together.
    split, by_count = single, [single[-1]]
    for _ in range(1, min(size, workloads)):
        split = _best_split(split, single)
        by_count.append(split[-1])
    enough = max(by_count) - gains.shape[1] * TIE
    return best_rows(gains, 1 + next(k for k, saved in enumerate(by_count) if saved >= enough))


def filled_up(
    needed: ChosenList, preferred: Sequence[int] | Int[np.ndarray, " point"], size: int, empty: float
) -> ChosenList:
    """A list of points that are all needed, with as many others, in the order of preference, as make `size`.

    Args:
      needed: the list; may be empty.
      preferred: all rows.
      size: points in the result.
      empty: what the empty list costs.
    """
    rest = [int(row) for row in preferred if row not in needed.points][: size - len(needed.points)]
    last = needed.costs[-1] if needed.costs else empty
    return ChosenList(needed.points + tuple(rest), needed.costs + (last,) * len(rest), len(needed.points))


def best_rows(gains: Float[np.ndarray, "point workload"], size: int) -> list[int]:
    """The `size` rows with the greatest sum over columns of the greatest gain: of equal sets the first, ascending."""
    workloads = gains.shape[1]
    _check_workloads(workloads)

    # Lexicographic order, one point at a time: the lowest row that some optimal set contains, given those
    # already taken. A taken point is accounted for by leaving only what others can save beyond it.
    taken: list[int] = []
    enough = -math.inf
    while len(taken) < size:
        savings = _savings_with_each(gains, others=size - len(taken) - 1)
        savings[taken] = -math.inf
        if not taken:
            enough = savings.max() - workloads * TIE
        # Rounding may leave the best a hair below what was promised; it still is the best.
        point = int(np.flatnonzero(savings >= min(enough, savings.max()))[0])
        taken.append(point)
        enough -= gains[point].sum()
        gains = np.maximum(gains - gains[point], 0.0)
        # A workload on which nobody can save more splits nothing; one less makes the rest 3 times faster.
        gains = gains[:, gains.any(axis=0)]
    return sorted(taken)


def _check_workloads(workloads: int) -> None:
    if workloads > MAX_WORKLOADS:
        raise ValueError(
            f"exact lists take at most {MAX_WORKLOADS} workloads, not {workloads}, with this tie rule; "
            "choose some of them or another rule, or use the greedy method"
        )


def _savings_with_each(
    gains: Float[np.ndarray, "point workload"], others: int
) -> Float[np.ndarray, " point"]:
    """What the best list saves that holds point p and `others` more, for every p."""
    workloads = gains.shape[1]
    if others == 0 or workloads == 0:
        return gains.sum(axis=1)
    single = functools.reduce(np.maximum, (block.max(axis=0) for block in _savings_by_set(gains)))
    # More blocks than workloads save nothing further.
    rest = _best_blocks(single, min(others, workloads))
    # Point p serves a set, the others its complement: in this numbering the same sets in reverse.
    return np.concatenate([(block + rest[::-1]).max(axis=1) for block in _savings_by_set(gains)])


def _savings_by_set(
    gains: Float[np.ndarray, "point workload"],
) -> Iterator[Float[np.ndarray, "_ set"]]:
    """sum over w in S of g[p, w] for every set S, for some points at a time."""
    points, workloads = gains.shape
    step = max(1, _BLOCK >> workloads)
    for start in range(0, points, step):
        sums = np.zeros((min(step, points - start), 1))
        for w in range(workloads):
            sums = np.concatenate([sums, sums + gains[start : start + step, w : w + 1]], axis=1)
        yield sums


def _best_blocks(single: Float[np.ndarray, " set"], blocks: int) -> Float[np.ndarray, " set"]:
    """What `blocks` points save on each set, from what one point saves: by repeated squaring."""
    if blocks == 1:
        return single
    half = _best_blocks(single, blocks // 2)
    even = _best_split(half, half)
    return _best_split(even, single) if blocks % 2 else even


def _best_split(a: Float[np.ndarray, " set"], b: Float[np.ndarray, " set"]) -> Float[np.ndarray, " set"]:
    """c[S] = max over T within S of a[T] + b[S without T]."""
    if len(a) <= 1 << _TABLED_BITS:
        part, rest, starts = _splits(len(a))
        return np.maximum.reduceat(a[part] + b[rest], starts)
    # The highest workload is either outside S, or inside and on one of the two sides.
    half = len(a) // 2
    without = _best_split(a[:half], b[:half])
    inside = np.maximum(_best_split(a[half:], b[:half]), _best_split(a[:half], b[half:]))
    return np.concatenate([without, inside])


@functools.cache
def _splits(
    sets: int,
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Int[np.ndarray, " set"]]:
    """All (T, S without T) in order of S, and where each S begins."""
    masks = np.arange(sets)
    whole, part = np.nonzero((masks[:, None] & masks) == masks)
    return part, whole - part, np.searchsorted(whole, masks)
