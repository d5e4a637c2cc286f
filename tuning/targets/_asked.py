"""What is asked of the procedure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import workloads
from tuning.targets._references import Tuned


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is asked of the procedure.

    Attributes:
      reference: the reference set, optimizer by optimizer. All of them begin from the same parameters and batches.
      seeds: how often the best point of every optimizer is trained again; an odd number makes the median one of the
        values.
      part_of_budget: only evaluations up to this part of the step hint count, in (0, 1].
      seed: of the whole procedure.
      width: trials of the reference set that are trained together.
    """

    reference: Sequence[Tuned]
    seeds: int = 19
    part_of_budget: float = 0.5
    seed: int = 0
    width: int = 20

    def __post_init__(self) -> None:
        if not 0 < self.part_of_budget <= 1:
            raise ValueError(f"part_of_budget is {self.part_of_budget}, must lie in (0, 1]")
        if self.seeds < 1 or not self.points:
            raise ValueError(f"{self.seeds} seeds and {self.points} points; at least one of each is needed")
        names = [one.name for one in self.reference]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"reference {', '.join(twice)} is named twice; name every one once")

    @property
    def points(self) -> int:
        """Of all references."""
        return sum(len(one.points) for one in self.reference)

    @property
    def trials(self) -> int:
        """Trainings of one workload."""
        return self.points + self.seeds * len(self.reference)

    def check(self, workload: workloads.Workload) -> None:
        """Accepts a workload that is evaluated early enough.

        Raises:
          ValueError: none of its evaluations counts.
        """
        if workload.eval_period > self.part_of_budget * workload.step_hint:
            raise ValueError(
                f"{workload.name}: no evaluation within {self.part_of_budget} of {workload.step_hint} steps "
                f"(eval_period {workload.eval_period}); choose a larger part"
            )
