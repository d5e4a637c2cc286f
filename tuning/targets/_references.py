"""The optimizers whose trainings set targets, and where their points come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import submissions
from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.strategies import halton


@dataclasses.dataclass(frozen=True)
class Reference:
    """An optimizer, and where its reference points are drawn from.

    Attributes:
      optimizer: its name.
      space: of its points, which are quasi-random.
    """

    optimizer: str
    space: SearchSpace


def _momentum(use_nesterov: float) -> SearchSpace:
    space = submissions.optimizer("sgd_optax").search_space
    assert space is not None
    return SearchSpace.from_json({**space, "use_nesterov": {"feasible_points": [use_nesterov]}})


def references() -> dict[str, Reference]:
    """The four that set AlgoPerf's targets (Dahl et al. 2023, arXiv:2306.07179, target setting), by name."""
    return {
        "adamw": Reference("adamw_optax", MEDAPATI_TABLE_1),
        "nadamw": Reference("nadamw_optax", MEDAPATI_TABLE_1),
        "nesterov": Reference("sgd_optax", _momentum(1.0)),
        "heavy_ball": Reference("sgd_optax", _momentum(0.0)),
    }


@dataclasses.dataclass(frozen=True)
class Tuned:
    """Reference points of one optimizer.

    Attributes:
      name: of the reference, such as `nesterov`.
      optimizer: that trains them.
      points: its reference set.
    """

    name: str
    optimizer: str
    points: Sequence[Point]


def reference_points(names: Sequence[str], points: int, first: int) -> tuple[Tuned, ...]:
    """Rows first, first + 1, ... of each reference's quasi-random points.

    Raises:
      ValueError: no such reference.
    """
    known = references()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no reference {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(
        Tuned(name, known[name].optimizer, halton.points(known[name].space, points, start=first))
        for name in names
    )
