"""Estimates made in this process: what each estimator carries stays on the device."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np

from tuning.meta_training._estimate import Carried, Made
from tuning.meta_training._slots import Drawn, Slot, Slots
from tuning.meta_training.plan import Plan


class Estimated(NamedTuple):
    """One estimate, wherever it was made.

    Attributes:
      workload, data: what was trained, and on which data.
      gradient: like the weights.
      loss, steps, compile_seconds: see `tuning.meta_training.sent.Answer`.
    """

    workload: str
    data: str
    gradient: Any
    loss: float
    steps: int
    compile_seconds: float


class InLine:
    """The estimators of a meta-training, in this process; their estimates are made in a pool of threads."""

    def __init__(self, plan: Plan, parts: int, weights: Any) -> None:
        self._slots, self._parts = Slots(plan, parts, weights), range(parts)
        self._of: dict[int, tuple[Slot, list[Carried | None]]] = {}
        self._data: dict[str, str] = {}

    @property
    def workers(self) -> int:
        """This process."""
        return 1

    def data(self) -> dict[str, str]:
        """Workload -> the data of it, of those that estimators have had."""
        return dict(self._data)

    def draw(self, number: int, drawn: Drawn, weights: Any) -> None:
        """Gives an estimator a task, which begins with weights."""
        slot = self._slot(number, drawn)
        self._of[number] = slot, [self._slots.begin(slot, part, weights) for part in self._parts]
        if drawn.at == 0:
            self._slots.compile_seconds()  # before the first step: of no interval

    def resume(
        self, number: int, drawn: Drawn, weights: Any, carried: Sequence[Sequence[np.ndarray]], fresh: Any
    ) -> None:
        """Gives an estimator the task that it had, and what that had come to.

        Args:
          number, drawn: of the estimator and its task.
          weights: of the optimizer.
          carried: arrays of every part; none of one that has not begun, or that carries nothing.
          fresh: weights with which parts begin that have not.
        """
        slot = self._slot(number, drawn)
        self._of[number] = (
            slot,
            [
                slot.carried(arrays, weights)
                if arrays
                else self._slots.begin(slot, part, weights if fresh is None else fresh)
                for part, arrays in enumerate(carried)
            ],
        )

    def _slot(self, number: int, drawn: Drawn) -> Slot:
        slot = self._slots.slot(number, drawn)
        self._data[slot.task.workload.name] = slot.data
        return slot

    def kept(self, number: int) -> tuple[list[list[Any]], Any]:
        """The arrays that every part carries, and weights with which parts begin that have not; None: all have."""
        return [jax.tree.leaves(carried) for carried in self._of[number][1]], None

    def estimates(
        self,
        asked: Sequence[tuple[int, int]],
        outer_step: int,
        weights: Any,
        pool: ThreadPoolExecutor | None = None,
    ) -> list[Estimated]:
        """Estimates, in order.

        Args:
          asked: estimators and their parts.
          outer_step: after which the weights are these.
          weights: of the optimizer.
          pool: of threads; None: one after the other.
        """

        def one(which: tuple[int, int]) -> Made:
            number, part = which
            slot, carried = self._of[number]
            made = self._slots.estimate(slot, part, weights, outer_step, carried[part])
            carried[part] = made.carried
            return made

        found = list(pool.map(one, asked) if pool else map(one, asked))
        spent = [self._slots.compile_seconds()] + [0.0] * len(found)
        return [
            Estimated(
                self._of[number][0].task.workload.name, self._of[number][0].data, made.estimate.gradient,
                float(made.estimate.loss), int(made.steps), seconds,
            )
            for (number, _), made, seconds in zip(asked, found, spent, strict=False)
        ]  # fmt: skip
