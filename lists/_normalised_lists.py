"""Lists by normalised loss: the list costs on each task what its best point costs there.

The cost of a list is the mean over tasks, J / tasks of the paper's sum J, so that sets of tasks of different
sizes can be compared; the order of points is the same.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lists._cost import check_size
from lists._exact import NONE, best_rows, fewest_rows, filled_up
from lists._greedy import ChosenList, grow, how_many_add
from lists._ties import LOWEST_ID, MERIT, by_mean, check_ties, rows_of

WORST = 1.0  # of a normalised loss, and so what the empty list costs


def normalised_cost(costs: Float[np.ndarray, "point task"]) -> float:
    """Cost of the list formed by all rows: mean over tasks of the lowest entry; 1 for the empty list.

    Args:
      costs: normalised losses of the list's points, finite, at most 1; see `point_costs`.

    Raises:
      ValueError: entries that are not finite or above 1, no tasks.

    Example:
      >>> normalised_cost(np.array([[0.2, 1.0], [0.6, 0.4]]))
      0.30000000000000004

    Reference: Metz et al. 2020, arXiv:2002.11887, equation 3, divided by the number of tasks.
    """
    check_costs(costs)
    return float(costs.min(axis=0, initial=WORST).mean())


def greedy_normalised(costs: Float[np.ndarray, "point task"], size: int, *, ties: str = MERIT) -> ChosenList:
    """List built one point at a time, each the one that lowers the mean over tasks most.

    theta_k = argmin over points of sum over tasks of min(b[task], f(task, point)), b the list's cost so far.
    Costs within 1e-12 of the lowest tie, and the tie rule decides; a point is never taken twice. So a
    shorter list is always the beginning of a longer one. Each point takes one pass over the table. Once no
    point lowers the cost the tie rule alone fills the list up; `adds` of the result says how many came before.

    Args:
      costs: normalised losses f(task, point), finite, at most 1; see `point_costs`.
      size: points in the list, from 1 to the number of rows.
      ties: "merit": the point with the lower mean over all tasks, then the lowest row (there are no targets to
        reach, and the mean is the metric). "lowest-id": the lowest row.

    Returns:
      The list with its `normalised_cost` after each point.

    Raises:
      ValueError: a size or tie rule out of range, entries that are not finite or above 1, no tasks.

    Example:
      >>> greedy_normalised(np.array([[0.5, 0.5], [0.1, 1.0], [1.0, 0.3]]), size=2)
      ChosenList(points=(0, 1), costs=(0.5, 0.3))

    Reference: Metz et al. 2020, arXiv:2002.11887, equations 4 and 5 (which state no tie rule).
    """
    check_costs(costs)
    check_size(size, len(costs))
    check_ties(ties)
    order = by_mean(costs) if ties == MERIT else np.arange(len(costs))
    # One memory layout for all, so that every row is summed in the same order and equal rows tie exactly.
    chosen, means = grow(np.array(costs[order], dtype=np.float64, order="C"), size)
    return ChosenList(rows_of(order, chosen), means, how_many_add(means, WORST))


def exact_normalised(costs: Float[np.ndarray, "point task"], size: int, *, ties: str = MERIT) -> ChosenList:
    """List of the best `size` points of all the sets there are.

    argmin over sets of `size` points of `normalised_cost`; ties and order as in `exact`.

    Args:
      costs: see `greedy_normalised`.
      size: points in the list, from 1 to the number of rows.
      ties: see `greedy_normalised`.

    Raises:
      ValueError: what `exact` refuses, or what `greedy_normalised` refuses.

    Example:
      >>> exact_normalised(np.array([[0.3, 0.3], [0.1, 1.0], [1.0, 0.1]]), size=2)
      ChosenList(points=(1, 2), costs=(0.55, 0.1))
    """
    check_costs(costs)
    check_size(size, len(costs))
    check_ties(ties)
    gains = WORST - np.asarray(costs, dtype=np.float64)
    if ties == LOWEST_ID:
        rows = tuple(best_rows(gains, size))
    else:
        preferred = by_mean(costs)
        rows = rows_of(preferred, fewest_rows(gains[preferred], size))
    order = greedy_normalised(costs[list(rows)], len(rows), ties=LOWEST_ID) if rows else NONE
    chosen = ChosenList(rows_of(rows, order.points), order.costs, order.adds)
    return chosen if ties == LOWEST_ID else filled_up(chosen, preferred, size, WORST)


def normalised_floor(costs: Float[np.ndarray, "point task"], chosen: ChosenList) -> tuple[float, ...]:
    """What no list of 1, 2, ... points can go below, however it is built.

    What a list saves is submodular: a set of k points added to any list saves at most the sum of what each
    saves alone. So with L_j the first j points of the list, and s_j(p) what point p saves beyond it,

    floor(k) = max(max over j of cost(L_j) - sum of the k greatest s_j(p), cost of all points together)

    Args:
      costs: the table that `chosen` was built from.
      chosen: any list; a good one gives a tight bound.

    Returns:
      One bound per length of the list: the optimum lies between it and `chosen.costs`.

    Example:
      >>> costs = np.array([[0.3, 0.3], [0.1, 1.0], [1.0, 0.1]])
      >>> [round(bound, 12) for bound in normalised_floor(costs, greedy_normalised(costs, 2))]
      [0.3, 0.1]

    Reference: Nemhauser, Wolsey and Fisher 1978, Mathematical Programming 14, the bound behind proposition 4.1.
    """
    check_costs(costs)
    so_far = np.full(costs.shape[1], WORST)
    floors = np.full(len(chosen.points), costs.min(axis=0).mean())
    for row in (None, *chosen.points):
        if row is not None:
            so_far = np.minimum(so_far, costs[row])
        saved = np.sort(so_far.mean() - np.minimum(costs, so_far).mean(axis=1))[::-1]
        floors = np.maximum(floors, so_far.mean() - np.cumsum(saved[: len(floors)]))
    return tuple(floors.tolist())


def check_costs(costs: Float[np.ndarray, "point task"]) -> None:
    """Raises ValueError unless costs is point x task, every entry finite and at most 1."""
    if costs.ndim != 2:
        raise ValueError(f"costs must have two axes, point x task, not shape {costs.shape}")
    if costs.shape[1] == 0:
        raise ValueError("costs has no tasks; at least one column is needed")
    wrong = ~(np.isfinite(costs) & (costs <= WORST))
    if wrong.any():
        p, t = np.argwhere(wrong)[0]
        raise ValueError(
            f"costs[{p}, {t}] is {costs[p, t]:g}; must be finite and at most 1, the cost of a point that "
            "never gets below the loss at initialisation, or diverges"
        )
