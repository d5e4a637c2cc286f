"""An estimate that was asked for by another process: made here, and sent back.

What the tasks of an estimator have come to travels with the job and comes back with the result, and the learner keeps
it. So any worker can make the next estimate, the one that made the last may be killed at any moment, and no number
depends on how many workers there are. A worker keeps the data, tasks and programs of the meta-training that it works
for, and nothing that could not be made again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import msgspec
import numpy as np

from submissions import environment
from tuning.execution.jobs import Done, EstimateJob, Result, SentFile
from tuning.meta_training._slots import Drawn, Slots
from tuning.meta_training.plan import Plan


class Kept(Protocol):
    """What is used of `tuning.execution.work.Kept`."""

    lock: Any
    meta_trainings: dict[str, Any]
    data_dir: str | None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What comes back.

    Attributes:
      workload: that was trained.
      data: which data it has, in words.
      gradient: its arrays, in the order of the weights'.
      loss: mean of L+ and L- over tasks.
      steps: of training, either sign counted.
      carried: what the tasks have come to; None of estimators of whole trainings.
      compile_seconds: since this process last said so.
    """

    workload: str
    data: str
    gradient: bytes
    loss: float
    steps: int
    carried: bytes | None
    compile_seconds: float

    def packed(self) -> bytes:
        """As it travels."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def opened(cls, content: bytes) -> Answer:
        """Reads what `packed` made."""
        return msgspec.msgpack.decode(content, type=cls)


def packed(arrays: Sequence[Any]) -> bytes:
    """Arrays as they travel, bit for bit."""
    found = [np.asarray(x) for x in arrays]
    return msgspec.msgpack.encode([(x.dtype.name, x.shape, x.tobytes()) for x in found])


def opened(content: bytes) -> list[np.ndarray]:
    """Reads what `packed` made."""
    found = msgspec.msgpack.decode(content, type=list[tuple[str, tuple[int, ...], bytes]])
    return [np.frombuffer(data, np.dtype(kind)).reshape(shape) for kind, shape, data in found]


def estimate_sent(job: EstimateJob, kept: Kept, place: Callable[[SentFile], Path]) -> Result:
    """Makes an estimate.

    Args:
      job: what is asked for.
      kept: what this process keeps from one job to the next.
      place: where a user's own file lies in this process.
    """
    began = time.perf_counter()
    weights = tree(job.weights)
    slots = _slots(job, kept, place, weights)
    slot = slots.slot(job.estimator, Drawn(job.drawn_at, job.shares))
    if job.carried is not None:
        carried = slot.carried(opened(job.carried), weights)
    else:
        carried = slots.begin(slot, job.part, tree(job.begin_with or job.weights))
    made = slots.estimate(slot, job.part, weights, job.outer_step, carried, job.turn)
    compile_seconds = slots.compile_seconds()
    answer = Answer(
        slot.task.workload.name,
        slot.data,
        packed(jax.tree.leaves(made.estimate.gradient)),
        float(made.estimate.loss),
        int(made.steps),
        None if made.carried is None else packed(jax.tree.leaves(made.carried)),
        compile_seconds,
    )
    seconds = time.perf_counter() - began
    done = Done(
        1, int(compile_seconds > 0), compile_seconds, seconds, environment.host(), environment.device()
    )
    return Result(answer.packed(), done)


@functools.lru_cache(2)
def tree(content: bytes) -> Any:
    """The tree of a weight file; workers are given the same again and again."""
    from flax import serialization

    return jax.tree.map(jax.numpy.asarray, serialization.msgpack_restore(content))


def _slots(job: EstimateJob, kept: Kept, place: Callable[[SentFile], Path], weights: Any) -> Slots:
    """The tasks of the meta-training of a job, from its last job on this process where there was one."""
    files = {name: file.sha256 for name, file in job.files.items()}
    about = [job.study, job.plan, job.parts, files, job.data_dir]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    with kept.lock:
        found = kept.meta_trainings.get(key)
    if found is None:
        placed = {name: place(file) for name, file in job.files.items()}
        data_dir = job.data_dir if kept.data_dir is None else kept.data_dir
        plan = Plan.from_json(_moved(job.plan, placed, data_dir))
        with kept.lock:
            if key not in kept.meta_trainings:
                kept.meta_trainings.clear()  # one at a time: they hold data and programs
                kept.meta_trainings[key] = Slots(plan, job.parts, weights)
            found = kept.meta_trainings[key]
    return found


def _moved(plan: Mapping[str, Any], files: Mapping[str, Path], data_dir: str | None) -> dict[str, Any]:
    """A plan whose workloads and data lie where this process has them."""
    among = {**plan["distribution"], "data_dir": data_dir}
    if "workloads" in among:
        among["workloads"] = [
            f"{files[name]}:{name.rpartition('.py:')[2]}" if name in files else name
            for name in among["workloads"]
        ]
    return {**plan, "distribution": among}
