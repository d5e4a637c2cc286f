"""Leave one workload out: does a list built on the others work on a workload it has never seen?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, capped_logs, check_size, cost
from lists._exact import exact
from lists._greedy import ChosenList, greedy

METHODS: dict[str, Callable[[np.ndarray, int, float], ChosenList]] = {
    "greedy": greedy,
    "exact": exact,
}


@dataclasses.dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Lists built without one workload each, and how they do on it.

    Attributes:
      method: "greedy" or "exact".
      penalty: tau, for building and for judging.
      by_size: by_size[w][k - 1] is the list of k points built without workload w. Its costs are those on
        the other workloads. Greedy lists of one workload are beginnings of each other; exact lists of
        different sizes are solved one by one and need not have a point in common.
      held_out: held_out[w, k - 1] is the fraction at which by_size[w][k - 1] reaches the target of
        workload w: the lowest of its points', inf if all miss it. Not capped. Read-only.
    """

    method: str
    penalty: float
    by_size: tuple[tuple[ChosenList, ...], ...]
    held_out: Float[np.ndarray, "workload size"]

    @property
    def lists(self) -> tuple[ChosenList, ...]:
        """The list of full size built without each workload."""
        return tuple(sizes[-1] for sizes in self.by_size)

    @property
    def trained(self) -> tuple[int, ...]:
        """How many left-out workloads reach their target, for lists of 1, 2, ... points."""
        return tuple(int(count) for count in np.isfinite(self.held_out).sum(axis=0))

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
) -> LeaveOneOut:
    """Builds a list without each workload in turn and reads off how it does there.

    The column judged is never read while its lists are built, so no lucky trial was chosen for being lucky
    there. It still is a single measurement per point: the paper reran each chosen point five times
    on the left-out workload and reports medians.

    Args:
      values: step or time fractions, positive, inf where the target was missed. At least 2 workloads.
      size: points in the largest list; every shorter one is reported too.
      penalty: tau, at least 1; see `cost`.
      method: "greedy" or "exact".
      progress: called as progress("leave one out", workloads done, workloads).

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
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; must be one of {', '.join(METHODS)}")
    values = np.asarray(values, dtype=np.float64)
    capped_logs(values, penalty)  # refuses bad input with the caller's own row and column numbers
    check_size(size, len(values))
    workloads = values.shape[1]
    if workloads < 2:
        raise ValueError("values has 1 workload; leaving one out takes at least 2")

    by_size = []
    for w in range(workloads):
        by_size.append(_lists_of_every_size(np.delete(values, w, axis=1), size, penalty, method))
        if progress is not None:
            progress("leave one out", w + 1, workloads)

    held_out = np.array(
        [[chosen.best(values[:, [w]])[0] for chosen in sizes] for w, sizes in enumerate(by_size)]
    )
    held_out.flags.writeable = False
    return LeaveOneOut(method, penalty, tuple(by_size), held_out)


def _lists_of_every_size(
    values: Float[np.ndarray, "point workload"], size: int, penalty: float, method: str
) -> tuple[ChosenList, ...]:
    sizes = range(1, size + 1)
    if method == "greedy":
        whole = greedy(values, size, penalty)
        return tuple(whole.first(k) for k in sizes)
    return tuple(METHODS[method](values, k, penalty) for k in sizes)
