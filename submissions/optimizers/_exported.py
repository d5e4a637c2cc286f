"""Points and ranges as AlgoPerf's tuning_search_space.json has them, and how a submission reads them back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from submissions.optimizers._hyperparameters import ALIASES, COMPLEMENTS, REGULARIZATION, Optimizer
from submissions.spaces import Dimension, Interval, SearchSpace

Point = dict[str, float]
Space = dict[str, dict[str, Any]]


def exported_points(points: Sequence[Mapping[str, float]], optimizer: Optimizer) -> list[Point]:
    """The points in AlgoPerf's list form: a list of objects with equal keys, in the order of the points.

    A value keeps the spelling it was given (beta1 or one_minus_beta1), so that it stays the same float; what
    the points leave out is written as the rule's default, so that the file says all.

    Args:
      points: hyperparameter name -> finite number; all use the same names.
      optimizer: whose points they are.

    Raises:
      ValueError: no points, or a point with an unknown, missing, doubled or differing name, or a value
        outside its domain.

    Example:
      >>> import submissions
      >>> point = {"learning_rate": 1e-3, "one_minus_beta1": 0.1, "warmup_fraction": 0.02}
      >>> written = exported_points([point], submissions.optimizer("nadamw_optax"))[0]
      >>> written["warmup_factor"], written["one_minus_beta1"], written["beta2"]
      (0.02, 0.1, 0.999)
    """
    if not points:
        raise ValueError("points: the list is empty; a submission needs at least one point")
    written = []
    for number, point in enumerate(points):
        where = f"points[{number}]"
        for name, value in point.items():
            if not _is_finite_number(value):
                raise ValueError(f"{where}: {name} is {value!r}; it must be a finite number")
        canonical = optimizer.canonical(point, where=where)
        different = sorted(set(point) ^ set(points[0]))
        if different:
            raise ValueError(
                f"{where}: AlgoPerf wants equal names in all points, but only one of points[0] and this one "
                f"has {', '.join(different)}"
            )
        written.append(_spelt_as_given(canonical, point, optimizer))
    return written


def exported_space(space: Mapping[str, Mapping[str, Any]], optimizer: Optimizer) -> Space:
    """Ranges in AlgoPerf's form, checked: the same dimensions in the same order, under AlgoPerf's names.

    The order is kept because it decides which Halton base each dimension gets. What the space leaves out stays
    out of it for the same reason, and is a number in the submission.

    Args:
      space: tuning_search_space.json data: name -> {"min", "max", "scaling"} or {"feasible_points"}.
      optimizer: whose hyperparameters they are.

    Raises:
      ValueError: no dimensions, a dimension that is no range, or one that leaves its hyperparameter's domain.

    Example:
      >>> import submissions
      >>> space = {"learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}
      >>> exported_space(space, submissions.optimizer("lion_optax")) == space
      True
    """
    if not space:
        raise ValueError("search_space: has no dimensions; a submission without any gives one point")
    dimensions = dict(SearchSpace.from_json(space, "search_space").dimensions)
    corners = {name: _values(dimension) for name, dimension in dimensions.items()}
    lowest = {name: values[0] for name, values in corners.items()}
    for name, values in corners.items():
        for value in values:
            optimizer.canonical(lowest | {name: value}, where="search_space")
    return {_algoperfs_name(name, optimizer): dict(dimension) for name, dimension in space.items()}


def reads(given: Sequence[str] | Point, optimizer: Optimizer) -> dict[str, str]:
    """The Python expressions with which a submission reads what its rule is run with.

    Args:
      given: the names in tuning_search_space.json, read from `point`; or a whole point, written as numbers.
      optimizer: whose hyperparameters they are; those that are not given are its defaults.

    Returns:
      Name that the rule reads -> expression of `point` and `step_hint`.
    """
    expressions = {}
    for hyperparameter in (*optimizer.hyperparameters, *REGULARIZATION):
        name = hyperparameter.name
        spelling = next((n for n in given if COMPLEMENTS.get(n, ALIASES.get(n, n)) == name), None)
        if spelling is None:
            value = repr(hyperparameter.default)
        elif isinstance(given, Mapping):
            value = repr(given[spelling])
        else:
            value = f"point.{spelling}"
        expressions[name] = f"1.0 - {value}" if spelling in COMPLEMENTS else value
    if optimizer.whole_warmup_steps:
        expressions["warmup_steps"] = f"int({expressions.pop('warmup_fraction')} * step_hint)"
    regularization = {h.name: expressions.pop(h.name) for h in REGULARIZATION}
    return expressions | regularization


def _spelt_as_given(
    canonical: Mapping[str, float], point: Mapping[str, float], optimizer: Optimizer
) -> Point:
    written = {}
    for name, value in canonical.items():
        if f"one_minus_{name}" in point:
            # Not 1 - value: that would not be the number that was tuned.
            written[f"one_minus_{name}"] = float(point[f"one_minus_{name}"])
        elif name != "grad_clip" or name in point:  # a grad_clip of 0 would stop AlgoPerf's own baselines
            written[_algoperfs_name(name, optimizer)] = value
    return written


def _algoperfs_name(name: str, optimizer: Optimizer) -> str:
    """AlgoPerf's word for a warm-up of its own kind; another schedule's keeps its name."""
    return "warmup_factor" if name == "warmup_fraction" and optimizer.whole_warmup_steps else name


def _values(dimension: Dimension) -> tuple[float, ...]:
    """Those that decide whether all of them lie in a domain, which is an interval or a few values."""
    return (dimension.min, dimension.max) if isinstance(dimension, Interval) else dimension.feasible_points


def _is_finite_number(value: Any) -> bool:
    try:
        return not isinstance(value, str) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
