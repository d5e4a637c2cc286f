"""When a trial is evaluated, and when and how it ends: AlgoPerf's rules."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

from submissions.api._trial_spec import TrialSpec
from submissions.api.training import Clock, Training
from submissions.statuses import Status

SELF_TUNING_FACTOR = 1.5  # times the runtime of external tuning (AlgoPerf 0.6 and 1.0)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What a trial may take, and how often it is looked at.

    Attributes:
      steps: asked for, from the start; None: the clock decides.
      steps_are_hinted: nobody asked, they are the step hint of a workload without a clock.
      seconds: of submission time; None: steps alone count.
      eval_steps: between evaluations; None: `eval_seconds` counts.
      eval_seconds: between evaluations, from the end of one to the start of the next.
      stop_at_targets: end when the validation and the test target have both been reached.
    """

    steps: int | None
    steps_are_hinted: bool
    seconds: float | None
    eval_steps: int | None
    eval_seconds: float | None
    stop_at_targets: bool

    @classmethod
    def of(cls, spec: TrialSpec, workload: Any) -> Schedule:
        """What was asked for, and the workload's own where nothing was."""
        seconds, period = workload.max_allowed_runtime_sec, workload.eval_period_time_sec
        factor = 1.0 if spec.ruleset == "external" else SELF_TUNING_FACTOR
        hinted = spec.max_global_steps is None and seconds is None
        by_clock = spec.eval_period_steps is None and period is not None
        return cls(
            steps=workload.step_hint if hinted else spec.max_global_steps,
            steps_are_hinted=hinted,
            seconds=None if seconds is None else factor * seconds,
            eval_steps=None if by_clock else spec.eval_period_steps or workload.eval_period,
            eval_seconds=period,
            stop_at_targets=spec.stop_at_targets,
        )

    def all_steps_made(self, step: int) -> bool:
        """Whether no step is left."""
        return self.steps is not None and step >= self.steps

    def is_due(self, step: int, clock: Clock) -> bool:
        """Whether to evaluate after a step: after the first always, as in AlgoPerf, then by steps or by the clock."""
        if self.eval_steps is not None:
            return step == 1 or step % self.eval_steps == 0
        if not clock.last_eval_time:
            return True
        assert self.eval_seconds is not None  # or there would be steps
        return time.time() - clock.last_eval_time >= self.eval_seconds

    def is_time_remaining(self, clock: Clock) -> bool:
        """Whether the budget is not used up."""
        return self.seconds is None or clock.accumulated_submission_time < self.seconds

    def ending(self, training: Training) -> tuple[Status, str] | None:
        """How and why training is over, None while it is not."""
        clock = training.clock
        if not clock.is_time_remaining:
            status = "done" if clock.validation_goal_reached else "timeout"
            return status, f"the runtime budget of {self.seconds:g} s is used up"
        if self.stop_at_targets and clock.validation_goal_reached and clock.test_goal_reached:
            return "done", "both targets are reached"
        if training.gave_up:
            return "stopped", "the submission ended its training"
        if self.all_steps_made(training.global_step):
            why = ", the workload has no clock" if self.steps_are_hinted else ""
            return "done", f"all {self.steps:,} steps are made{why}"
        return None


def diverged(eval_results: list[tuple[int, dict[str, Any]]]) -> str:
    """What shows that training has diverged, "" if nothing does: the loop sees no loss, but evaluations show one."""
    last = eval_results[-1][1] if eval_results else {}
    wrong = (f"{k} is {v}" for k, v in last.items() if k.startswith("validation/") and not math.isfinite(v))
    return next(wrong, "")
