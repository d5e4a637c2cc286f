"""Leave one workload out: does a list built on the others work on a workload it has never seen?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from lists._constructions import construct, named
from lists._cost import PENALTY, capped_logs, check_size, cost
from lists._greedy import ChosenList
from lists._ties import MERIT
from results import late


@dataclasses.dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Lists built without one workload each, and how they do on it.

    Attributes:
      method: the construction, a key of `CONSTRUCTIONS`.
      penalty: tau, for building and for judging.
      ties: the tie rule, a key of `TIES`.
      by_size: by_size[w][k - 1] is the list of k points built without workload w. Its costs are those on
        the other workloads. Where the construction grows its lists, those of one workload are beginnings of each
        other; exact lists of different sizes are solved one by one and need not have a point in common.
      held_out: held_out[w, k - 1] is the fraction at which by_size[w][k - 1] reaches the target of
        workload w: the lowest of its points', inf if all miss it. Not capped. Read-only.
      held_out_by_adding: the same of the points that lower the cost on the other workloads. The others were chosen
        by the tie rule alone: where only they reach the target, that was not learnt. Read-only.
    """

    method: str
    penalty: float
    ties: str
    by_size: tuple[tuple[ChosenList, ...], ...]
    held_out: Float[np.ndarray, "workload size"]
    held_out_by_adding: Float[np.ndarray, "workload size"]

    @property
    def lists(self) -> tuple[ChosenList, ...]:
        """The list of full size built without each workload."""
        return tuple(sizes[-1] for sizes in self.by_size)

    @property
    def trained(self) -> tuple[int, ...]:
        """How many left-out workloads reach their target, for lists of 1, 2, ... points."""
        return tuple(int(count) for count in np.isfinite(self.held_out).sum(axis=0))

    @property
    def adds(self) -> tuple[int, ...]:
        """How many points of each workload's list lower the cost on the other workloads; the rest is filling."""
        return tuple(one.adds or 0 for one in self.lists)

    @property
    def unlearnt(self) -> Bool[np.ndarray, "workload size"]:
        """Where the target is reached by points alone that add nothing on the others: by the tie rule's luck."""
        return np.isfinite(self.held_out) & np.isinf(self.held_out_by_adding)

    @property
    def trained_by_adding(self) -> tuple[int, ...]:
        """`trained`, counting only points that lower the cost on the workloads that built the list."""
        return tuple(int(count) for count in np.isfinite(self.held_out_by_adding).sum(axis=0))

    @property
    def late(self) -> tuple[int, ...]:
        """How many of `trained` reach their target only after the whole budget, at a fraction above 1."""
        return tuple(int(count) for count in late(self.held_out).sum(axis=0))

    @property
    def held_out_costs(self) -> tuple[float, ...]:
        """Geometric mean over workloads of min(held-out fraction, tau), for lists of 1, 2, ... points."""
        return tuple(cost(column[np.newaxis], self.penalty) for column in self.held_out.T)


def leave_one_out(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    method: str = "greedy",
    progress: Callable[[str, int, int], None] | None = None,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    by_repeat: Float[np.ndarray, "point workload repeat"] | None = None,
    stop_when_covered: bool = False,
) -> LeaveOneOut:
    """Builds a list without each workload in turn and reads off how it does there.

    The column judged is never read while its lists are built, so no lucky trial was chosen for being lucky
    there. It still is a single measurement per point: the paper reran each chosen point five times
    on the left-out workload and reports medians.

    Args:
      values: step or time fractions, positive, inf where the target was missed. At least 2 workloads.
      size: points in the largest list; every shorter one is reported too.
      penalty: tau, at least 1; see `cost`.
      method: the construction, a key of `CONSTRUCTIONS`.
      progress: called as progress("leave one out", workloads done, workloads).
      ties, places, by_repeat: see `construct`; the places and repeats on the workload left out are not read either.
      stop_when_covered: leave out of every list the points that add nothing on the other workloads, so that a list
        may be shorter than asked.

    Returns:
      The lists of 1 .. size points for each workload, and their fractions on it.

    Raises:
      ValueError: fewer than 2 workloads, an unknown method, or what the method itself refuses.

    Example:
      >>> result = leave_one_out(np.array([[0.5, np.inf], [0.9, 0.8]]), size=2)
      >>> result.lists[0].points, result.held_out.tolist(), result.trained
      ((1, 0), [[0.9, 0.5], [inf, 0.8]], (1, 2))

    Reference: Medapati et al. 2025, arXiv:2503.03986, Tables 5 (greedy) and 13 (both).
    """
    named(method)
    values = np.asarray(values, dtype=np.float64)
    capped_logs(values, penalty)  # refuses bad input with the caller's own row and column numbers
    check_size(size, len(values))
    workloads = values.shape[1]
    if workloads < 2:
        raise ValueError("values has 1 workload; leaving one out takes at least 2")

    by_size = []
    for w in range(workloads):
        of_workload = _lists_of_every_size(
            np.delete(values, w, axis=1), size, penalty, method, ties=ties,
            places=None if places is None else np.delete(places, w, axis=1),
            by_repeat=None if by_repeat is None else np.delete(by_repeat, w, axis=1),
        )  # fmt: skip
        by_size.append(tuple(one.covered() for one in of_workload) if stop_when_covered else of_workload)
        if progress is not None:
            progress("leave one out", w + 1, workloads)

    held_out = _reached(by_size, values)
    adding = [[one.first(one.adds or 0) for one in sizes] for sizes in by_size]
    return LeaveOneOut(method, penalty, ties, tuple(by_size), held_out, _reached(adding, values))


def _reached(
    by_size: Sequence[Sequence[ChosenList]], values: Float[np.ndarray, "point workload"]
) -> Float[np.ndarray, "workload size"]:
    """The lowest fraction of each list's points on the workload that it was built without."""
    reached = np.array(
        [
            [values[list(one.points), w].min(initial=np.inf) for one in sizes]
            for w, sizes in enumerate(by_size)
        ]
    )
    reached.flags.writeable = False
    return reached


def _lists_of_every_size(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float,
    method: str,
    *,
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
    by_repeat: Float[np.ndarray, "point workload repeat"] | None,
) -> tuple[ChosenList, ...]:
    def build(points: int) -> ChosenList:
        return construct(values, points, penalty, method, ties=ties, places=places, by_repeat=by_repeat)

    sizes = range(1, size + 1)
    if named(method).grows:
        whole = build(size)
        return tuple(whole.first(k) for k in sizes)
    return tuple(build(k) for k in sizes)
