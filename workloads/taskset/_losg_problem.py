"""What a losg problem is, and the two changes of a problem that make another one: rescaled, or in logarithms."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Batch
from workloads._workload import Params
from workloads.taskset import _losg_data

EPSILON = 1e-6

Config = Mapping[str, Any]
Constants = Mapping[str, Any]


class Streams(NamedTuple):
    """Generators of what is drawn when a problem is made."""

    system: np.random.RandomState  # of W and y
    data: np.random.RandomState  # of the examples


@dataclasses.dataclass(frozen=True)
class Problem:
    """An objective and its start.

    Attributes:
      structure: plain JSON values; problems of equal structure have the same functions of their constants.
      constants: name -> array.
      init: (constants, key) -> parameters.
      objective: (constants, parameters, mini-batch) -> value.
      data: the set that mini-batches are cut from, None where the objective needs no examples.
      batch_size: examples of a mini-batch; 1 without examples.
      deviation: (parameters, mini-batch) -> relative standard deviation of gradient noise per entry; None for 1.
      loss_type: see `Workload`.
    """

    structure: list
    constants: Mapping[str, np.ndarray]
    init: Callable[[Constants, jax.Array], Params]
    objective: Callable[[Constants, Params, Batch], jax.Array]
    data: _losg_data.Examples | None = None
    batch_size: int = 1
    deviation: Callable[[Params, Batch], Params] | None = None
    loss_type: str = "MEAN_SQUARED_ERROR"  # the nearest of AlgoPerf's names


def rescaled(base: Problem, scale: float) -> Problem:
    """f(x / scale), from a start that is scale times f's."""

    def init(constants, key):
        return jax.tree.map(lambda p: constants["scale"] * p, base.init(constants, key))

    def objective(constants, params, batch):
        return base.objective(constants, jax.tree.map(lambda p: p / constants["scale"], params), batch)

    return dataclasses.replace(
        base,
        structure=["rescaled", base.structure],
        constants={**base.constants, "scale": np.asarray(scale, np.float32)},
        init=init,
        objective=objective,
    )


def logarithm(base: Problem) -> Problem:
    """ln(f + 1e-6) - ln(1e-6); not a number where f < -1e-6, which some problems with examples reach."""

    def objective(constants, params, batch):
        return jnp.log(base.objective(constants, params, batch) + EPSILON) - math.log(EPSILON)

    return dataclasses.replace(base, structure=["logarithm", base.structure], objective=objective)
