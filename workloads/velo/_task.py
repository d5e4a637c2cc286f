"""What all tasks of VeLO's families share, and what those that classify do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import ResidentData
from workloads._workload import Functions, Metric, Regularization, SharedProgram, Workload
from workloads.velo import _sampled

STEPS, EVAL_PERIOD = 1000, 50  # an evaluation schedule of our own; VeLO trained 200 to 200,000 steps
EVAL_EXAMPLES = 256
EVAL_SPLITS = {
    "train": "train",
    "inner_validation": "inner_valid",  # the optimizer may see it
    "validation": "outer_valid",  # the meta-objective may
    "test": "test",
}
UNREGULARIZED = Regularization()
Bind = Callable[[Mapping[str, Any]], Functions]


def task(
    name: str,
    family: str,
    cost_class: str,
    summary: str,
    config: Mapping[str, Any],
    drawn: Mapping[str, float],
    bind: Bind,
    data: ResidentData,
    loss_type: str = "SOFTMAX_CROSS_ENTROPY",
) -> Workload:
    """The workload of a seed's draw.

    Args:
      name: of the workload.
      family: a key of `velo.FAMILIES`.
      cost_class: see `Workload`.
      summary: what the net is, to be followed by the data set.
      config: as `sample` returns it; it determines `bind`.
      drawn: as `draw` returns it.
      bind: see `SharedProgram`.
      data: splits train, inner_valid, outer_valid and test.
      loss_type: see `Workload`.
    """
    constants = _sampled.constants(drawn)
    return Workload(
        name=name,
        cost_class=cost_class,
        summary=f"VeLO {summary} on {config['dataset']}",
        **bind(constants)._asdict(),
        data=data,
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=STEPS,
        eval_period=EVAL_PERIOD,
        batch_size=config["batch_size"],
        loss_type=loss_type,
        eval_splits=EVAL_SPLITS,
        eval_examples=EVAL_EXAMPLES,
        shared=SharedProgram(json.dumps([family, dict(config)], sort_keys=True), constants, bind),
    )


def classes_normalizer(classes: int) -> Callable[[jax.Array], jax.Array]:
    """(clip(loss, 0, ln 2C) - ln(C / 5)) * 10 / ln C of C classes or tokens."""

    def normalized(loss):
        worst = math.log(2 * classes)
        return (finite(loss, worst).clip(0, worst) - math.log(classes / 5)) * 10 / math.log(classes)

    return normalized


def finite(loss: jax.Array, worst: float) -> jax.Array:
    """The loss, or the worst one where it is none: a training that diverged counts as bad, not as 0."""
    return jnp.nan_to_num(jnp.asarray(loss), nan=worst, posinf=worst, neginf=worst)
