"""One trial of a submission, by AlgoPerf's rules: its clock, its evaluations, its logs and checkpoints.

Seeds and splits, the order of the calls, what is timed and when is evaluated are those of AlgoPerf's runner (v0.6 and
v1.0; Dahl et al. 2023, arXiv:2306.07179, section 4). docs/run.md lists where the two differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import submissions.api.loading as loading
from submissions import api
from submissions.api import _inputs, checkpoints
from submissions.api._logs import TrialLogs
from submissions.api._schedule import Schedule, diverged
from submissions.api._trial_spec import TrialOutcome, TrialSpec
from submissions.api.training import Training
from submissions.statuses import Status

Progress = Callable[[int, int | None], None]  # (steps done, steps asked for)


def train(spec: TrialSpec, progress: Progress | None = None) -> TrialOutcome:
    """Trains a trial to its end.

    Raises:
      ValueError, FileNotFoundError, ImportError: the submission or the workload cannot be used.
      Exception: whatever the submission raises.
    """
    return _Trial(spec).train(progress)


class _Trial:
    """A trial in the making."""

    def __init__(self, spec: TrialSpec) -> None:
        self.spec, self.folder = spec, Path(spec.folder)
        api.install()
        submission = loading.load(spec.submission_path)
        where = spec.workload if spec.workload_file is None else f"{spec.workload_file}:{spec.workload}"
        workload = api.algoperf_workload(where, spec.data_dir, submission.device_axis)
        self.eval_batch_size = _eval_batch_size(submission, spec.workload, workload)
        self.schedule = Schedule.of(spec, workload)
        self.logs = TrialLogs(self.folder, resume=spec.resume)
        batch_size = loading.batch_size(
            submission,
            spec.workload,
            _inputs.base_workload(spec.workload),
            default=getattr(workload, "batch_size", None),
        )
        self.training = Training(
            submission,
            workload,
            spec.hyperparameters,
            seed=spec.seed,
            batch_size=batch_size,
            data_dir=spec.data_dir,
        )
        workload.attach_metrics_logger(self.logs.metrics_logger())
        if spec.save_checkpoints or spec.resume:
            checkpoints.check_savable(self.training.optimizer_state)
        if spec.resume:
            self._restore()
        self.logs.begin(spec, workload)

    def train(self, progress: Progress | None) -> TrialOutcome:
        training, schedule, clock = self.training, self.schedule, self.training.clock
        clock.last_step_end_time = time.time()
        said = 0.0
        while (ending := schedule.ending(training)) is None:
            training.step()
            if schedule.all_steps_made(training.global_step):
                clock.training_complete = True
            due = clock.training_complete or schedule.is_due(training.global_step, clock)
            if due or training.global_step == 1:
                # Steps may still be queued on the device. They belong to the submission's time, not to the pause.
                jax.block_until_ready((training.params, training.model_state))
            now = time.time()
            clock.accumulated_submission_time += now - clock.last_step_end_time
            if training.global_step == 1:
                training.first_step_seconds = clock.accumulated_submission_time
            if due and self.spec.skip_evals:
                clock.last_eval_time = now  # the next look at the budget comes a period later
                clock.is_time_remaining = schedule.is_time_remaining(clock)
            elif due:
                self._pause()
                now = time.time()
            clock.last_step_end_time = now
            if progress and now - said > 0.5:
                said = now
                progress(training.global_step, schedule.steps)
        if progress:
            progress(training.global_step, schedule.steps)
        return self._finish(*ending)

    def _pause(self) -> None:
        """Stops the submission's clock to evaluate, log and save."""
        training, clock, spec = self.training, self.training.clock, self.spec
        preparation_key, evaluation_key = training.pause_keys()
        if training.submission.prepare_for_eval is not None:
            began = time.time()
            training.prepare_for_eval(preparation_key)
            jax.block_until_ready((training.params, training.model_state))
            clock.accumulated_submission_time += time.time() - began
        clock.is_time_remaining = self.schedule.is_time_remaining(clock)
        if not clock.is_time_remaining:
            return  # work beyond the budget is not judged
        began = time.time()
        row = training.evaluate(
            evaluation_key, self.eval_batch_size, spec.data_dir, spec.imagenet_v2_data_dir
        )
        clock.last_eval_time = now = time.time()  # logging and saving count towards the next period
        clock.accumulated_eval_time += now - began
        clock.validation_goal_reached |= bool(training.workload.has_reached_validation_target(row))
        clock.test_goal_reached |= bool(training.workload.has_reached_test_target(row))
        row |= {
            "score": clock.accumulated_submission_time,
            "total_duration": clock.accumulated_submission_time
            + clock.accumulated_eval_time
            + clock.accumulated_logging_time,
            "accumulated_submission_time": clock.accumulated_submission_time,
            "accumulated_eval_time": clock.accumulated_eval_time,
            "accumulated_logging_time": clock.accumulated_logging_time,
            "global_step": training.global_step,
            "preemption_count": self.logs.preemption_count,
        }
        training.eval_results.append((training.global_step, row))
        self.logs.evaluation(row)
        if spec.save_checkpoints:
            self._save()
        clock.accumulated_logging_time += time.time() - now

    def _save(self) -> None:
        arrays, kept = self.training.saved()
        keep_others = self.spec.save_intermediate_checkpoints
        checkpoints.save(self.folder, self.training.global_step, arrays, kept, keep_others)

    def _restore(self) -> None:
        """Goes on from the last checkpoint, if there is one; a trial that was killed before its first begins anew."""
        found, training = checkpoints.last(self.folder), self.training
        if found is not None:
            training.restore(*checkpoints.restore(found, training.saved()[0]))
            # More steps may be asked for than were made.
            training.clock.training_complete &= self.schedule.all_steps_made(training.global_step)
        self.logs.forget_after(training.global_step)

    def _finish(self, status: Status, reason: str) -> TrialOutcome:
        training, score = self.training, self.training.clock.accumulated_submission_time
        self.logs.end(score, training.global_step)
        if self.spec.save_checkpoints:
            self._save()
        if sign := diverged(training.eval_results):
            status, reason = "diverged", f"{reason}; {sign} at the last evaluation"
        last = training.eval_results[-1][1] if training.eval_results else {}
        later = training.global_step - 1
        return TrialOutcome(
            trial=self.spec.trial,
            folder=self.spec.folder,
            status=status,
            reason=reason,
            global_step=training.global_step,
            score=score,
            metrics={k: v for k, v in last.items() if "/" in k and not k.endswith("num_examples")},
            reached=training.clock.validation_goal_reached,
            seconds_per_step=(score - training.first_step_seconds) / later if later > 0 else None,
        )


def _eval_batch_size(submission: loading.Submission, name: str, workload: Any) -> int:
    # Ours cut their splits themselves, and a submission has no answer to their names.
    if submission.get_eval_batch_size is None or not name.startswith(api.INSTALLED):
        return workload.eval_batch_size
    return submission.get_eval_batch_size(name.removeprefix(api.INSTALLED))
