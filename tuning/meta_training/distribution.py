"""Which tasks an optimizer is trained on.

A distribution is one function, `draw(key, outer_step) -> Task`. A task is a workload, in the project's sense: its
structure decides which program trains it, and everything else is arrays. Whoever wants tasks that differ in more than
the seed of their training, such as a parametric family or a wrapper that augments another distribution, writes another
object with `draw`, `names` and `describe`:

* what Python decides, such as the number of layers, goes into the workload, and its `shared.key`;
* what is drawn anew for every single task of a program, such as a scale of the parameters, goes into constants:
  `sample(constants, key)` draws those of one task from the workload's, inside the program, and the workload's
  `shared.bind` uses them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

import workloads
from results.meta_trainings import CAP
from tuning.engine import _programs
from workloads import Regularization, Workload

BATCHES_OF_SCALE = 8


@dataclasses.dataclass(frozen=True)
class Task:
    """What one estimator trains.

    Attributes:
      workload: its data live on the device.
      sample: (the workload's constants, key) -> those of one task, traced; None: all tasks have the workload's own. It
        must be the same object for workloads of equal `shared.key`.
    """

    workload: Workload
    sample: Callable[[Mapping[str, Any], Any], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        if not self.workload.data.on_device:
            raise ValueError(
                f"{self.workload.name}: its data are streamed; meta-training takes workloads whose data live on the "
                "device, such as TaskSet's and the embedded ones"
            )
        if self.sample is not None and self.workload.shared is None:
            raise ValueError(f"{self.workload.name}: has no constants to sample, as it shares no program")


class Distribution(Protocol):
    """What tasks are drawn from."""

    def draw(self, key: jax.Array, outer_step: int) -> Task:
        """The task of a key: equal arguments give an equal one. Not traced.

        Args:
          key: of its randomness.
          outer_step: at which it is drawn, for distributions that change.
        """
        ...

    @property
    def names(self) -> Sequence[str]:
        """Of the workloads that may be drawn, or of their families, for people."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """JSON that determines it."""
        ...


@dataclasses.dataclass(frozen=True)
class Listed:
    """Workloads by name, drawn with weights.

    Attributes:
      names: as `workloads.load` takes them.
      weights: of each, positive; they need not sum to 1.
      data_dir: real data; None: embedded ones.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    data_dir: str | None = None
    _loaded: dict[str, Task] = dataclasses.field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("no workloads to train on; name some, or a family")
        if len(self.weights) != len(self.names) or not all(0 < w < float("inf") for w in self.weights):
            raise ValueError(
                f"{len(self.names)} workloads have weights {list(self.weights)}; each needs a positive one"
            )

    def draw(self, key: jax.Array, outer_step: int) -> Task:
        """See `Distribution.draw`."""
        del outer_step
        share = np.cumsum(self.weights) / np.sum(self.weights)
        number = int(np.searchsorted(share, float(jax.random.uniform(key)), side="right"))
        return self.task(self.names[min(number, len(self.names) - 1)])

    def task(self, name: str) -> Task:
        """The task of a name, loaded once: two estimators of one workload share its data."""
        if name not in self._loaded:
            self._loaded[name] = Task(workloads.load(name, self.data_dir))
        return self._loaded[name]

    def weighted(self, weights: tuple[float, ...]) -> Listed:
        """The same workloads drawn by other weights; what is loaded is shared."""
        made = dataclasses.replace(self, weights=weights)
        object.__setattr__(made, "_loaded", self._loaded)
        return made

    def describe(self) -> dict[str, Any]:
        """See `Distribution.describe`."""
        return {"workloads": list(self.names), "weights": list(self.weights), "data_dir": self.data_dir}


def listed(
    names: Sequence[str], family_names: Sequence[str] = (), data_dir: str | Path | None = None
) -> Listed:
    """A distribution from the command line: workloads, and all workloads of families.

    Args:
      names: each NAME or NAME=WEIGHT; the weight is 1 where there is none.
      family_names: each FAMILY or FAMILY=WEIGHT; the weight is the family's, whatever number of workloads it has.
      data_dir: see `Listed`.

    Raises:
      ValueError: no such family, a weight that is no number, or a workload named twice.
    """
    weighted: dict[str, float] = {}

    def add(name: str, weight: float) -> None:
        if name in weighted:
            raise ValueError(f"workload {name!r} is named twice; give it one weight")
        weighted[name] = weight

    for text in names:
        name, weight = _weighted(text)
        add(name, weight)
    for text in family_names:
        family, weight = _weighted(text)
        found = [row["name"] for row in workloads.select(family) if row["rejected"] is None]
        for name in found:
            add(name, weight / len(found))
    return Listed(tuple(weighted), tuple(weighted.values()), None if data_dir is None else str(data_dir))


def _weighted(text: str) -> tuple[str, float]:
    """NAME=WEIGHT in two. What stands behind the last = may be a quirk of TaskSet's instead, NAME@quirk=value."""
    name, _, weight = text.rpartition("=")
    try:
        return name or text, float(weight) if name else 1.0
    except ValueError:
        return text, 1.0


def scale_of(task: Task) -> np.ndarray:
    """What losses of a task are judged by, so that tasks of any unit can be averaged: float32 [2], divisor and cap.

    A loss counts as loss / |loss of fresh parameters|, at most `CAP`. The divisor is the median of `BATCHES_OF_SCALE`
    initialisations and batches of keys that never change: of a mean, one initialisation that explodes would be all.
    """

    def initial(constants: Any, data: Any, key: jax.Array) -> jax.Array:
        workload = task.workload
        keys = jax.random.split(key, 4)
        if task.sample is not None:
            constants = task.sample(constants, keys[0])
        functions = workload.shared.bind(constants) if workload.shared else workload
        split = workload.eval_splits["train"]
        batch = workload.data.fresh(data, keys[1], split, workload.batch_size)
        params, model_state = functions.init(keys[2])
        return functions.loss(params, model_state, batch, keys[3], False, Regularization())[0]

    workload = task.workload
    data = jax.tree.map(jnp.asarray, dict(workload.data.arrays(workload.eval_splits["train"])))
    constants = dict(workload.shared.constants) if workload.shared else {}
    keys = jax.random.split(jax.random.key(0), BATCHES_OF_SCALE)
    structure = (workload.shared.key if workload.shared else id(workload), task.sample, workload.batch_size)
    arguments = (jax.tree.map(jnp.asarray, constants), data, keys)
    program, _ = _programs.program(
        ("scale of losses", structure), jax.vmap(initial, (None, None, 0)), arguments
    )
    losses = np.asarray(program.call(*arguments), np.float64)
    finite = losses[np.isfinite(losses)]
    divisor = abs(np.median(finite)) if len(finite) else 0.0
    return np.asarray([divisor or 1.0, CAP], np.float32)
