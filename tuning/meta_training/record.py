"""The record of a meta-training: a row for every interval of outer steps, and one for every change of settings."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuning.meta_training import learner


@dataclasses.dataclass(frozen=True)
class Row:
    """What is recorded of an interval of outer steps. Rows of earlier versions lack what has a default here.

    Attributes:
      outer_step: after it.
      meta_loss: mean over the interval and its estimators.
      gradient_norm: mean over the interval, of gradients before the clip.
      seconds: that the interval took, compilation included.
      compile_seconds: of these; of several workers the sum, which may be more.
      inner_steps: training steps of tasks taken since the beginning, both signs counted.
      inner_steps_per_second: in this interval.
      workloads: name -> mean meta-loss on it in this interval.
      accepted: gradients of which weights were made in this interval.
      refused: gradients that came too late.
      staleness: mean over the accepted ones, in outer steps.
      workers: at the end of the interval; 1 without an executor.
      distance: of the weights from those that it began with, Euclidean.
    """

    outer_step: int
    meta_loss: float
    gradient_norm: float
    seconds: float
    compile_seconds: float
    inner_steps: int
    inner_steps_per_second: float
    workloads: Mapping[str, float]
    accepted: int = 0
    refused: int = 0
    staleness: float = 0.0
    workers: int = 1
    distance: float = 0.0


def change(outer_step: int, changed: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The row of a change.

    Args:
      outer_step: outer steps made before it.
      changed: name -> [before, after].
    """
    return {"outer_step": outer_step, "changed": {name: list(both) for name, both in changed.items()}}


class Tally:
    """What an interval has come to so far."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.losses: dict[str, list[float]] = {}
        self.norms: list[Any] = []
        self.ages: list[int] = []
        self.taken, self.refused, self.compile_seconds = 0, 0, 0.0

    def estimate(self, workload: str, loss: float, steps: int, compile_seconds: float) -> None:
        """Counts an estimate, whatever becomes of it."""
        self.losses.setdefault(workload, []).append(loss)
        self.taken += steps
        self.compile_seconds += compile_seconds

    def row(self, outer_step: int, inner_steps: int, workers: int, distance: float) -> Row:
        """The row, at the end of the interval."""
        seconds = time.perf_counter() - self.began
        everything = [loss for values in self.losses.values() for loss in values]
        return Row(
            outer_step,
            learner.recorded_loss(everything),
            float(np.mean([float(norm) for norm in self.norms])),
            seconds,
            self.compile_seconds,
            inner_steps,
            self.taken / seconds,
            {name: learner.recorded_loss(values) for name, values in self.losses.items()},
            len(self.ages),
            self.refused,
            float(np.mean(self.ages)) if self.ages else 0.0,
            workers,
            distance,
        )
