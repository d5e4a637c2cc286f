"""A list for a workload on which nothing was trained: from what was trained on those that are like it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, capped_logs, check_size
from lists._greedy import ChosenList, grow, how_many_add
from lists._listed import listed
from lists._ties import MERIT, by_keys, check_ties, grades

KINDS = ("family", "data_set", "cost_class", "loss_type", "metric")  # alike or not
NUMBERS = ("parameters", "batch_size", "step_hint")  # alike by their ratio
DECADES = 2.0  # a ratio of 100 is as unlike as can be
WIDTH = 0.5


def unlikeness(
    new: Mapping[str, Any], library: Sequence[Mapping[str, Any]]
) -> Float[np.ndarray, " workload"]:
    """How unlike a workload is to each of a library, from 0 to 1, by facts alone.

    The mean over the facts that both have: 0 or 1 for those of `KINDS` (equal or not), and
    min(|log10 ratio| / 2, 1) for those of `NUMBERS`.

    Args:
      new: its facts; other keys are ignored, and so are facts that are None.
      library: those of the library's workloads.

    Raises:
      ValueError: a workload that has no fact in common with the new one.

    Example:
      >>> unlikeness({"metric": "wer", "parameters": 1e6}, [{"metric": "wer", "parameters": 1e5}, {"metric": "bleu"}])
      array([0.25, 1.  ])
    """
    found = []
    for number, facts in enumerate(library):
        parts = [float(new[key] != facts[key]) for key in KINDS if _both(new, facts, key)]
        parts += [
            min(abs(math.log10(new[key] / facts[key])) / DECADES, 1.0)
            for key in NUMBERS
            if _both(new, facts, key)
        ]
        if not parts:
            known = ", ".join((*KINDS, *NUMBERS))
            raise ValueError(
                f"workload {number} of the library shares no fact with the new one; facts are {known}"
            )
        found.append(sum(parts) / len(parts))
    return np.array(found)


def likeness_weights(
    unlike: Float[np.ndarray, " workload"], width: float = WIDTH
) -> Float[np.ndarray, " workload"]:
    """Weights of workloads, their sum 1: w = exp(-unlikeness / width) over its sum.

    Args:
      unlike: see `unlikeness`.
      width: positive; inf weighs all alike.

    Example:
      >>> likeness_weights(np.array([0.0, 1.0]), width=math.inf).tolist()
      [0.5, 0.5]
    """
    if not width > 0:
        raise ValueError(f"width is {width:g}; must be positive")
    weights = np.exp(-(np.asarray(unlike) - np.min(unlike)) / width)
    return weights / weights.sum()


def recommend(
    values: Float[np.ndarray, "point workload"],
    weights: Float[np.ndarray, " workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
) -> ChosenList:
    """Greedy's list on a library whose workloads count by their likeness to a new one.

    L_k = L_(k-1) + argmin_p sum_w weight[w] min over the list and p of log min(f, tau). Equal weights give `greedy`.

    Args:
      values, size, penalty, ties, places: of the library; see `greedy`. In the tie rule, too, workloads count by
        their weights.
      weights: of its workloads, not negative, their sum positive; see `likeness_weights`.

    Returns:
      The list; `costs` are C_tau on the library, every workload alike, while `adds` counts the points that lower
      the weighted cost.

    Raises:
      ValueError: what `greedy` refuses; weights that are not so, or not one per workload.

    Example:
      >>> values = np.array([[0.5, np.inf], [np.inf, 0.5]])
      >>> recommend(values, np.array([0.1, 0.9]), 2).points
      (1, 0)
    """
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != logs.shape[1:]:
        raise ValueError(
            f"weights has shape {weights.shape} for {logs.shape[1]} workloads; one each is needed"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError("weights must be finite and not negative, and their sum positive")
    check_ties(ties)
    # A mean of columns each times its weight and their number is the weighted mean.
    share = weights / weights.sum() * len(weights)
    order = np.arange(len(logs))
    if ties == MERIT:
        reach = np.isfinite(values) @ share
        keys = [
            -reach,
            (logs * share).mean(axis=1),
            *([] if places is None else [(places * share).mean(axis=1)]),
        ]
        order = by_keys(*(grades(key) for key in keys))
    rows, means = grow(np.ascontiguousarray(logs[order] * share), size)
    return listed(values, order[list(rows)], penalty, how_many_add(means, math.log(penalty)))


def _both(new: Mapping[str, Any], facts: Mapping[str, Any], key: str) -> bool:
    return new.get(key) is not None and facts.get(key) is not None
