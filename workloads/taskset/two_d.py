"""TaskSet's eight fixed problems of two variables: four bowls and four test functions, without data or noise.

The original starts every replica of all eight from one seed of TensorFlow's generator, whose numbers cannot be rebuilt:
the bowls from N(0, 1), the others from a box. So do we, from one seed of NumPy's: the bowls share one point, the
others one place relative to their boxes. `init` ignores its key; equal hyperparameters give equal curves.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from workloads._workload import Workload
from workloads.taskset import _losg_problems
from workloads.taskset._losg_functions import FUNCTIONS
from workloads.taskset._losg_problem import Problem, Streams
from workloads.taskset._losg_task import losg_task
from workloads.taskset.quirks import RELEASED, Quirks

SEED = 123  # the original's

# name in `fixed.json` -> in `FUNCTIONS`
NAMES = {name.lower(): name for name in FUNCTIONS}


def from_config(
    name: str, config: Mapping[str, Any], data_dir: pathlib.Path | None = None, quirks: Quirks = RELEASED
) -> Workload:
    """A workload of any config of the group. The bowls share a program.

    Args:
      name: of the workload.
      config: `problem`, and for a Bowl its `condition_number`.
      data_dir: not used, there are no data.
      quirks: none concerns these tasks.
    """
    del data_dir, quirks
    rng = np.random.RandomState(SEED)
    unused = Streams(rng, rng)
    if config["problem"] == "Bowl":
        bowl = {"cond": config["condition_number"], "angle": 0.0}
        problem, box = _losg_problems.bowl(bowl, unused), None
        summary = f"TaskSet bowl of two variables, condition number {config['condition_number']:g}"
    else:
        function = NAMES[config["problem"].lower()]
        problem, box = _losg_problems.of_two_variables({"problem": function}, unused), FUNCTIONS[function].box
        summary = f"TaskSet test function of two variables, {config['problem']}"
    start = rng.uniform(*box) if box else rng.normal(size=2)
    return losg_task(name, summary, _from(start, problem))


def _from(start: np.ndarray, problem: Problem) -> Problem:
    """The problem with a fixed start."""
    return dataclasses.replace(
        problem,
        structure=["fixed start", problem.structure],
        constants={**problem.constants, "start": start.astype(np.float32)},
        init=lambda constants, key: {"x": jnp.asarray(constants["start"])},
    )
