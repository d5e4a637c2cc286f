"""Informed lists: what is expected of a point from its hyperparameters, learnt on another library, joins the evidence.

Two libraries need not have a point, a workload or a horizon in common: a small regression from hyperparameters to cost
carries the one's experience to the other's points.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from lists._cost import PENALTY, capped_logs, check_size
from lists._greedy import ChosenList, greedy, grow, how_many_add
from lists._listed import listed, tie_order
from lists._nested import best_inside
from lists._ties import MERIT

WEIGHTS = (0.25, 0.5, 0.75)
RIDGES = tuple(10.0**k for k in range(-3, 5))


def expected_costs(
    features: Float[np.ndarray, "point feature"],
    costs: Float[np.ndarray, " point"],
    new: Float[np.ndarray, "new_point feature"],
) -> Float[np.ndarray, " new_point"]:
    """What points are expected to cost, from the costs of others: ridge regression on features, squares and products.

    Features are standardised by those of the library. Of `RIDGES` it takes the one with the least error where each
    point is left out in turn. What is new is drawn into the library's range first: a square must not extrapolate.

    Args:
      features: of the library's points, such as the logarithm of the learning rate.
      costs: of the same points, such as their mean normalised loss over the library's tasks.
      new: features of the points that are asked about, in the same order.

    Raises:
      ValueError: other numbers of points or features; fewer than 3 points; entries that are not finite.

    Example:
      >>> x = np.linspace(-1, 1, 9)[:, None]
      >>> expected_costs(x, x[:, 0] ** 2, np.array([[0.1], [0.8]])).round(1)
      array([0. , 0.6])
    """
    features, new = (np.asarray(each, dtype=np.float64) for each in (features, new))
    costs = np.asarray(costs, dtype=np.float64)
    if features.ndim != 2 or new.ndim != 2 or features.shape[1] != new.shape[1]:
        raise ValueError(f"features has shape {features.shape} and new {new.shape}; must be point x feature")
    if costs.shape != features.shape[:1] or len(costs) < 3:
        raise ValueError(
            f"costs has shape {costs.shape} for {len(features)} points; one of each of 3 or more"
        )
    if not all(np.isfinite(each).all() for each in (features, costs, new)):
        raise ValueError("features, costs and new must be finite")
    middle, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    within = np.clip(new, features.min(axis=0), features.max(axis=0))
    design, asked = (_with_products((each - middle) / spread) for each in (features, within))
    centre = design.mean(axis=0)
    left, singular, right = np.linalg.svd(design - centre, full_matrices=False)
    of_cost = left.T @ (costs - costs.mean())
    errors, fits = [], []
    for ridge in RIDGES:
        kept = singular**2 / (singular**2 + ridge)
        residual = costs - costs.mean() - left @ (kept * of_cost)
        leverage = (left**2) @ kept + 1 / len(costs)
        errors.append(float(np.mean((residual / np.maximum(1 - leverage, 1e-9)) ** 2)))
        fits.append(right.T @ (singular / (singular**2 + ridge) * of_cost))
    return costs.mean() + (asked - centre) @ fits[int(np.argmin(errors))]


def informed(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float = PENALTY,
    *,
    prior: Float[np.ndarray, " point"],
    ties: str = MERIT,
    places: Float[np.ndarray, "point workload"] | None = None,
    weights: Sequence[float] = WEIGHTS,
) -> ChosenList:
    """Greedy's list on costs that are drawn towards what was expected of their point.

    c[p, w] = (1 - weight) log min(f[p, w], tau) + weight m[p]

    m is the prior on the scale of these workloads: the regression of the points' mean logarithms on it, with a slope of
    at least 0. The weight, 0 or one of `weights`, is the one that leave-one-out on these workloads likes best; where
    none is better than 0, the list is greedy's.

    Args:
      values, size, penalty, ties, places: see `greedy`.
      prior: what each point is expected to cost, on any scale, lower better, such as `expected_costs`.
      weights: those tried beside 0, each below 1.

    Raises:
      ValueError: what `greedy` refuses; a prior that is not one finite number per point; a weight out of range.

    Example:
      >>> values = np.array([[0.4, np.inf, np.inf], [np.inf, 0.4, 0.9], [0.5, 0.5, np.inf], [0.5, np.inf, 0.5]])
      >>> informed(values, 1, prior=np.array([0.9, 0.9, 0.1, 0.5]), weights=(0.9,)).points
      (2,)
    """
    prior = np.asarray(prior, dtype=np.float64)
    if prior.shape != np.shape(values)[:1] or not np.isfinite(prior).all():
        raise ValueError(f"prior has shape {prior.shape} for {len(values)} points; one finite number each")
    for weight in weights:
        if not 0.0 <= weight < 1.0:
            raise ValueError(f"a weight is {weight:g}; must be at least 0 and below 1")
    towards = [functools.partial(_towards, prior=prior, weight=weight) for weight in weights]
    return best_inside(values, size, penalty, [greedy, *towards], ties=ties, places=places)


def _towards(
    values: Float[np.ndarray, "point workload"],
    size: int,
    penalty: float,
    *,
    ties: str,
    places: Float[np.ndarray, "point workload"] | None,
    prior: Float[np.ndarray, " point"],
    weight: float,
) -> ChosenList:
    logs = capped_logs(values, penalty)
    check_size(size, len(logs))
    order = tie_order(values, penalty, ties, places)
    alone, away = logs.mean(axis=1), prior - prior.mean()
    slope = max(float(away @ alone) / max(float(away @ away), 1e-300), 0.0)
    expected = alone.mean() + slope * away
    costs = (1 - weight) * logs + weight * expected[:, None]
    rows, means = grow(np.ascontiguousarray(costs[order]), size)
    return listed(values, order[list(rows)], penalty, how_many_add(means, float(np.log(penalty))))


def _with_products(features: Float[np.ndarray, "point feature"]) -> Float[np.ndarray, "point term"]:
    first, second = np.triu_indices(features.shape[1])
    return np.concatenate([features, features[:, first] * features[:, second]], axis=1)
