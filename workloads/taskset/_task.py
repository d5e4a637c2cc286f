"""What all tasks of TaskSet share: judged by the loss, four splits, 10,000 steps.

On stand-ins the budget is a scale: 400 steps for TaskSet's 10,000, evaluated every 10 for its every 200. TaskSet's
tasks know neither dropout nor label smoothing as hyperparameters; both are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from workloads._source import GeneratedData, ResidentData
from workloads._workload import Functions, Metric, Params, SharedProgram, Workload

SPLITS = ("train", "inner_valid", "outer_valid", "test")
EVAL_SPLITS = {
    "train": "train",
    "inner_validation": "inner_valid",  # may be used while training
    "validation": "outer_valid",  # selects hyperparameters
    "test": "test",
}
STEPS, EVAL_PERIOD, EVAL_BATCHES = 10_000, 200, 50


def task(
    name: str,
    family: str,
    summary: str,
    functions: Functions,
    data: ResidentData | GeneratedData,
    batch_size: int,
    loss_type: str,
    shared: SharedProgram | None = None,
    constraint: Callable[[Params], Params] | None = None,
) -> Workload:
    """A workload with TaskSet's metric, splits and budget.

    Args:
      name, family, summary, data, batch_size, loss_type, shared, constraint: see `Workload`.
      functions: see `Workload`; the metrics' sums hold "loss" and "examples".
    """
    stand_in = data.provenance.stands_in_for is not None
    return Workload(
        name=name,
        cost_class=family,
        summary=summary,
        **functions._asdict(),
        data=data,
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=400 if stand_in else STEPS,
        eval_period=10 if stand_in else EVAL_PERIOD,
        batch_size=batch_size,
        loss_type=loss_type,
        eval_splits=EVAL_SPLITS,
        eval_examples=256 if stand_in else EVAL_BATCHES * batch_size,
        shared=shared,
        constraint=constraint,
    )


def one_program(structure: Any, functions: Functions) -> SharedProgram:
    """Lets all tasks of this structure be trained by one compiled program.

    Args:
      structure: plain JSON values that determine the functions and the transform of the data completely: a config
        without what only chooses the data, and with the name of the family.
      functions: of a task of this structure.
    """
    return SharedProgram(json.dumps(structure, sort_keys=True), {}, lambda constants: functions)
