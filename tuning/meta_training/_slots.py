"""The tasks of a plan's estimators, and the programs that train them: what makes estimates, in whatever process.

Everything that is drawn follows from the seed, the number of an estimator, and the outer step at which its task was
drawn, so that any process that is told these has the same task.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import json
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from submissions import Rule
from tuning.engine.mappings import crowded
from tuning.engine.population import trial_seed
from tuning.meta_training import schedules
from tuning.meta_training._estimate import Carried, Made, Programs
from tuning.meta_training._unroll import Unroll, World
from tuning.meta_training.distribution import Distribution, Listed, Task, scale_of
from tuning.meta_training.plan import Plan
from workloads import copies

PROGRAMS = 64  # structures whose programs are kept, or fewer where a process cannot hold as many


class Drawn(NamedTuple):
    """How the task of an estimator was drawn.

    Attributes:
      at: outer step.
      shares: weights of the workloads that it was drawn by; None: the plan's.
    """

    at: int
    shares: tuple[float, ...] | None = None


@dataclasses.dataclass
class Slot:
    """The task of one estimator, with its arrays.

    Attributes:
      number: of the estimator.
      drawn: how the task was drawn.
      task: what is trained.
      programs: that train it.
      worlds: arrays of each part.
    """

    number: int
    drawn: Drawn
    task: Task
    programs: Programs
    worlds: list[World]
    _held: Any  # arrays on the device, which others share while somebody holds them
    _structure: Any = None

    @property
    def data(self) -> str:
        """Which data the workload has, in words."""
        return str(self.task.workload.data.provenance)

    def carried(self, leaves: Sequence[np.ndarray], weights: Any) -> Carried:
        """What is carried, of its leaves in order.

        Raises:
          ValueError: they are another's.
        """
        if self._structure is None:
            self._structure = self.programs.carried_like(weights, self.worlds[0])
        expected, structure = jax.tree.flatten(self._structure)
        if [x.shape for x in leaves] != [x.shape for x in expected]:
            raise ValueError(
                f"{self.task.workload.name}: what its tasks had come to is of another version or plan, with "
                f"{len(leaves)} arrays for {len(expected)}"
            )
        # Copied: programs take the memory of what they are given.
        return jax.tree.unflatten(structure, [jnp.array(x) for x in leaves])


class Slots:
    """The newest task of every estimator that was asked for, and programs. Threads may share it."""

    def __init__(self, plan: Plan, parts: int, weights: Any) -> None:
        """
        Args:
          plan: of the training.
          parts: that an estimate is cut into.
          weights: of the optimizer; their shapes alone count.
        """
        self.plan, self.parts, self._rule = plan, parts, _rule(plan, weights)
        self._lock = threading.Lock()
        self._slots: dict[int, Slot] = {}
        self._scales: dict[str, np.ndarray] = {}
        self._programs: collections.OrderedDict[Any, Programs] = collections.OrderedDict()
        self._of_shares: dict[tuple[float, ...], Distribution] = {}
        self._counted = 0.0

    def slot(self, number: int, drawn: Drawn) -> Slot:
        """The task of an estimator; made where the last one asked for was another."""
        with self._lock:
            slot = self._slots.get(number)
            if slot is None or slot.drawn != drawn:
                slot = self._slots[number] = self._made(number, drawn)
            return slot

    def begin(self, slot: Slot, part: int, weights: Any) -> Carried | None:
        """What a part of an estimator carries before its first estimate, by the weights at which its task was drawn."""
        seed = trial_seed(self.plan.seed, "begin", slot.number, slot.drawn.at)
        return slot.programs.begin(weights, slot.worlds[part], seed, self.plan.offset)

    def estimate(
        self,
        slot: Slot,
        part: int,
        weights: Any,
        outer_step: int,
        carried: Carried | None,
        turn: int | None = None,
    ) -> Made:
        """An estimate of a part of an estimator; what was carried is used up.

        Args:
          slot, part: whose.
          weights: of the optimizer, after `outer_step` outer steps.
          outer_step: that it is for.
          carried: from its estimate before.
          turn: of an asynchronous training, in which an estimator may give several at one outer step: how many were
            asked for before; None: what is random follows from the outer step.
        """
        plan = self.plan
        bounds = plan.lengths.bounds(outer_step)
        world = slot.worlds[part]._replace(bounds=jnp.asarray(bounds, jnp.int32))
        when = (outer_step,) if turn is None else ("asynchronous", turn)
        length = 0
        if plan.whole:
            rng = np.random.default_rng(trial_seed(plan.seed, "length", *when, slot.number))
            length = schedules.drawn(bounds, rng, plan.estimator.multiple)  # type: ignore[union-attr]
        seed = trial_seed(plan.seed, "estimate", *when, slot.number)
        return jax.block_until_ready(slot.programs.estimate(weights, world, seed, length, carried))

    def compile_seconds(self) -> float:
        """What compiling has taken since the last call."""
        with self._lock:
            total = sum(_seconds(each) for each in self._programs.values())
            since, self._counted = total - self._counted, total
        return max(0.0, since)

    def _made(self, number: int, drawn: Drawn) -> Slot:
        plan = self.plan
        key = jax.random.key(trial_seed(plan.seed, "task", number, drawn.at))
        task = self._distribution(drawn.shares).draw(key, drawn.at)
        held, worlds = self._worlds(task, plan.lengths.bounds(drawn.at))
        return Slot(number, drawn, task, self._programs_of(task), worlds, held)

    def _distribution(self, shares: tuple[float, ...] | None) -> Distribution:
        if shares is None:
            return self.plan.distribution
        if shares not in self._of_shares:
            assert isinstance(self.plan.distribution, Listed)
            self._of_shares[shares] = self.plan.distribution.weighted(shares)
        return self._of_shares[shares]

    def _programs_of(self, task: Task) -> Programs:
        signs = 1 if "gradient" in self.plan.describe()["estimator"]["kind"] else 2
        unroll = Unroll(task, self._rule, signs, self.plan.shared_batches, self.plan.meta_loss)
        key = unroll.key()
        if key in self._programs:
            self._programs.move_to_end(key)
            return self._programs[key]
        self._programs[key] = Programs(self.plan.estimator, unroll)
        while len(self._programs) > PROGRAMS or (len(self._programs) > 1 and crowded()):
            _, gone = self._programs.popitem(last=False)
            self._counted -= _seconds(gone)
            del gone
            gc.collect()  # programs and what made them refer to each other
        return self._programs[key]

    def _worlds(self, task: Task, bounds: tuple[int, int]) -> tuple[Any, list[World]]:
        """Copies on the device, and the arrays of every part of an estimator."""
        workload = task.workload
        splits = dict.fromkeys(workload.eval_splits.values())
        held = (
            copies.of_fields(workload.shared.constants if workload.shared else {}),
            {split: copies.of_fields(workload.data.arrays(split)) for split in splits},
        )
        constants, data = jax.tree.map(lambda copy: copy.device, held)
        scale = jnp.asarray(self._scale(task) if self.plan.scaled else (0.0, 0.0), jnp.float32)
        numbers = np.arange(self.plan.tasks, dtype=np.int32).reshape(self.parts, -1)
        low_high = jnp.asarray(bounds, jnp.int32)
        return held, [World(low_high, scale, constants, data, jnp.asarray(part)) for part in numbers]

    def _scale(self, task: Task) -> np.ndarray:
        name = task.workload.name
        if name not in self._scales:
            self._scales[name] = scale_of(task)
        return self._scales[name]


# One object for one optimizer, so that its programs are compiled once in a process.
_RULES: dict[Any, Rule] = {}


def _rule(plan: Plan, weights: Any) -> Rule:
    """The rule for weights of these shapes. Programs are given the weights themselves."""
    leaves, structure = jax.tree.flatten(weights)
    switches = {**plan.learned.switches, **plan.switches}
    key = (
        plan.optimizer,
        json.dumps(switches, sort_keys=True),
        structure,
        tuple(np.shape(x) for x in leaves),
    )
    if key not in _RULES:
        _RULES[key] = plan.learned.make(weights, **switches)
    return _RULES[key]


def _seconds(programs: Programs) -> float:
    return sum(one.compile_seconds for one in list(programs.compiled))
