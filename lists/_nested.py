"""Constructions chosen by what they would have done: leave-one-out on the workloads at hand picks one, then builds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, TIE, capped_logs, check_penalty, check_size
from lists._greedy import ChosenList, greedy
from lists._hedged import hedged
from lists._listed import listed
from lists._shrunk import shrunk
from lists._ties import MERIT

PENALTIES = (1.0, 1.25, 1.5, 3.0, 5.0)


def best_penalty(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> ChosenList:
    """Greedy's list by the penalty that leave-one-out on these workloads likes best.

    Lists built with each penalty are judged by `penalty`; where another is not better than `penalty` itself,
    that one stays.

    Args:
      values, size, penalty, ties, places: see `greedy`.
      penalties: those tried beside `penalty`, each at least 1.

    Raises:
      ValueError: what `greedy` refuses, for any of the penalties.

    Example:
      >>> values = np.array([[0.9, np.inf, 0.9], [0.5, 0.5, np.inf]])
      >>> best_penalty(values, 1, penalties=(1.5,)).points
      (1,)
    """
    for tried in penalties:
        check_penalty(tried)
    candidates = [functools.partial(_at, built_with=tried) for tried in (penalty, *penalties)]
    return best_inside(values, size, penalty, candidates, ties=ties, places=places)


def nested(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> ChosenList:
    """The list of greedy, hedged or shrunk, whichever leave-one-out on these workloads likes best.

    Where neither is better than greedy there, it is greedy's.

    Args:
      values, size, penalty, ties, places: see `hedged`.

    Raises:
      ValueError: what these refuse.
    """
    candidates = [
        greedy,
        hedged,
        functools.partial(hedged, reliability=0.4),
        shrunk,
        functools.partial(shrunk, shrinkage=0.9),
    ]
    return best_inside(values, size, penalty, candidates, ties=ties, places=places)


def best_inside(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float,
    candidates: Sequence[Callable[..., ChosenList]],
    *,
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
) -> ChosenList:
    """The list of the candidate whose lists cost least on workloads that they did not see, of these workloads.

    The cost of a candidate is the mean over left-out workloads and over lengths 1 .. size of log min(f, tau) of
    the list built without the workload. Equal ones, and a single workload, go to the first candidate.

    Args:
      candidates: constructions with the arguments of `hedged`, each of which grows its lists.
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    build = functools.partial(_build, values, size, penalty, ties=ties, places=places)
    workloads = logs.shape[1]
    scores = [0.0] * len(candidates)
    for w in range(workloads) if workloads > 1 else ():
        others = [v for v in range(workloads) if v != w]
        for c, candidate in enumerate(candidates):
            points = list(build(candidate, columns=others).points)
            scores[c] += float(np.minimum.accumulate(logs[points, w]).mean())
    best = next(c for c, score in enumerate(scores) if score <= min(scores) + TIE * max(workloads, 1))
    return build(candidates[best], columns=list(range(workloads)))


def _build(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float,
    candidate: Callable[..., ChosenList],
    *,
    columns: list[int],
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
) -> ChosenList:
    return candidate(
        np.asarray(values, dtype=np.float64)[:, columns], size, penalty, ties=ties,
        places=None if places is None else places[:, columns],
    )  # fmt: skip


def _at(values: np.ndarray, size: int, penalty: float, *, built_with: float, **how: object) -> ChosenList:
    """Greedy's list by another penalty, with its costs by the one asked for."""
    built = greedy(values, size, built_with, **how)  # type: ignore[arg-type]
    # How far below its own start the list goes is what its points add, whatever the other penalty makes of it.
    return listed(values, built.points, penalty, built.adds or 0)
