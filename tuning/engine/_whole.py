"""Trainings as one program from start to end: the fastest way, for data on the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from tuning.engine import _programs, _sharding
from tuning.engine._programs import Compile
from tuning.engine._training import Training
from tuning.engine._trials import Inputs

Recorded = tuple[Any, Mapping[str, Any], Any]  # as `Training` returns them, on the host


@dataclasses.dataclass(frozen=True)
class Whole:
    """One program trains and evaluates all trials.

    Attributes:
      training: what is trained.
      compile: makes programs, or finds those that were made.
    """

    training: Training
    compile: Compile

    def program(self, inputs: Inputs) -> _programs.Program:
        """The program for these inputs."""
        function = _sharding.whole(self.training, inputs)
        return self.compile(("whole", self.training.key()), function, (inputs,))

    def run(self, inputs: Inputs) -> Recorded:
        """Trains and evaluates all trials."""
        return jax.device_get(self.program(inputs).call(inputs))
