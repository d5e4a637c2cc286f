"""One trial of a submission, by AlgoPerf's rules: its clock, its evaluations, its logs and checkpoints.

Seeds and splits, the order of the calls, what is timed and when is evaluated are those of AlgoPerf's runner (v0.6 and
v1.0; Dahl et al. 2023, arXiv:2306.07179, section 4). docs/run.md lists where the two differ.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

import submissions.api.loading as loading
from submissions import api
from submissions.api import _inputs, checkpoints
from submissions.api._logs import KEPT, TrialLogs
from submissions.api._schedule import Schedule, diverged
from submissions.api._together import Together
from submissions.api._trial_spec import Attendant, TrialOutcome, TrialSpec
from submissions.api.failures import Refused, calling
from submissions.api.row_file import Mark, RowFile
from submissions.api.training import Training
from submissions.statuses import Status
from workloads import processes


def train(spec: TrialSpec, attendant: Attendant) -> TrialOutcome:
    """Trains a trial to its end; see `submissions.api.train`."""
    return _Trial(spec, attendant).train()


class _Trial:
    """A trial in the making."""

    def __init__(self, spec: TrialSpec, attendant: Attendant) -> None:
        self.spec, self.folder, self.attendant = spec, Path(spec.folder), attendant
        api.install()
        with calling("import"):
            submission = loading.load(spec.submission_path)
        try:
            workload = api.algoperf_workload(spec.workload_to_load, spec.data_dir, submission.device_axis)
            if hasattr(workload, "by"):  # ours
                workload = workload.by(spec.arithmetic)
        except ValueError as error:
            raise Refused(str(error)) from error
        self.eval_batch_size = _eval_batch_size(submission, spec.workload, workload)
        self.schedule = Schedule.of(spec, workload)
        self.together = Together(self.schedule.eval_steps is not None, submission.wants_train_state)
        self._check_together(workload)
        self.logs = TrialLogs(self.folder, resume=spec.resume)
        self.logs.preemption_count = self.together.first(self.logs.preemption_count)
        self.rows = RowFile(self.folder / KEPT)
        with calling("get_batch_size"):
            batch_size = loading.batch_size(
                submission,
                spec.workload,
                _inputs.base_workload(spec.workload),
                default=getattr(workload, "batch_size", None),
            )
        try:
            spec.arithmetic.check_batch(spec.workload, batch_size, jax.device_count())
        except ValueError as error:
            raise Refused(str(error)) from error
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
            with calling("init_optimizer_state"):
                checkpoints.check_savable(self.training.optimizer_state)
        if spec.resume:
            self._restore()
        self.logs.begin(spec, workload)

    def train(self) -> TrialOutcome:
        training, schedule, clock = self.training, self.schedule, self.training.clock
        attendant = self.attendant
        clock.last_step_end_time = time.time()
        said, saved = 0.0, True
        while (ending := schedule.ending(training)) is None:
            training.step()
            if saved:
                attendant.unsaved()
                saved = False
            if schedule.all_steps_made(training.global_step):
                clock.training_complete = True
            due, stop = self.together.agreed(
                training.global_step, schedule.is_due(training.global_step, clock), attendant.is_to_stop()
            )
            due |= clock.training_complete
            if due or training.global_step == 1:
                # Steps may still be queued on the device. They belong to the submission's time, not to the pause.
                jax.block_until_ready((training.params, training.model_state))
            now = time.time()
            clock.accumulated_submission_time += now - clock.last_step_end_time
            self.together.share_if_seen(clock)
            if training.global_step == 1:
                training.first_step_seconds = clock.accumulated_submission_time
            if due and self.spec.skip_evals:
                clock.last_eval_time = now  # the next look at the budget comes a period later
                self.together.share(clock)
                clock.is_time_remaining = schedule.is_time_remaining(clock)
            elif due:
                attendant.evaluating()
                saved = self._pause()
                now = time.time()
            clock.last_step_end_time = now
            if now - said > 0.5:
                said = now
                attendant.progress(training.global_step, schedule.steps)
            if stop and schedule.ending(training) is None:
                return self._stop(saved)
        attendant.progress(training.global_step, schedule.steps)
        return self._finish(*ending)

    def _pause(self) -> bool:
        """Stops the submission's clock to evaluate, log and save; returns whether it saved."""
        training, clock, spec = self.training, self.training.clock, self.spec
        preparation_key, evaluation_key = training.pause_keys()
        if training.submission.prepare_for_eval is not None:
            began = time.time()
            training.prepare_for_eval(preparation_key)
            jax.block_until_ready((training.params, training.model_state))
            clock.accumulated_submission_time += time.time() - began
        self.together.share(clock)
        clock.is_time_remaining = self.schedule.is_time_remaining(clock)
        if not clock.is_time_remaining:
            return False  # work beyond the budget is not judged
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
        row = self.together.first(row)
        training.eval_results.append((training.global_step, row))
        self.logs.evaluation(row)
        if spec.save_checkpoints:
            if self.together.leads:
                self.rows.add(row)
            self._save()
        clock.accumulated_logging_time += time.time() - now
        self.together.share(clock)
        return spec.save_checkpoints

    def _check_together(self, workload: Any) -> None:
        """Accepts a trial that several processes train, see `Together`."""
        if self.together.alone:
            return
        if self.spec.workload.startswith(api.INSTALLED):
            raise Refused(
                f"{self.spec.workload}: an installed AlgoPerf trains on one host; run the native workload"
            )
        try:
            self.together.check_alike(data=str(workload.workload.data.provenance))
        except ValueError as error:
            raise Refused(str(error)) from error

    def _save(self) -> None:
        arrays, kept = self.training.saved()
        arrays = processes.whole(arrays)
        if not self.together.leads:
            self.attendant.saved()
            return
        kept["evaluations"] = self.rows.mark._asdict()
        keep_others = self.spec.save_intermediate_checkpoints
        checkpoints.save(self.folder, self.training.global_step, arrays, kept, keep_others, self._owner())
        self.attendant.saved()

    def _owner(self) -> dict[str, Any]:
        """What a checkpoint of this trial belongs to."""
        return {"workload": self.spec.workload, "trial": self.spec.trial, "seed": self.spec.seed}

    def _restore(self) -> None:
        """Goes on from the last checkpoint that is whole, and says so where that is not the last.

        A trial without one begins anew: it was killed before its first, or all are damaged. Of several processes the
        first reads it, and tells the others.
        """
        if self.together.leads:
            self._restore_here()
        if not self.together.alone:
            self._follow()

    def _restore_here(self) -> None:
        self.logs.check_data(self.training.workload, self.spec)
        like, damaged = self.training.saved()[0], []
        for file in checkpoints.newest_first(self.folder):
            try:
                self._restore_from(file, like)
            except checkpoints.Damaged as error:
                damaged.append(str(error))
            else:
                break
        training = self.training
        for said in damaged:
            begins = f"goes on from step {training.global_step}" if training.global_step else "begins anew"
            self.attendant.say(f"{said}; trial {self.spec.trial} {begins}")
        try:
            mended = self.logs.go_on(training.global_step, training.eval_results)
        except ValueError as error:
            raise Refused(str(error)) from error
        for said in mended:
            self.attendant.say(said)

    def _follow(self) -> None:
        """Goes on with the state of process 0."""
        training = self.training
        arrays, kept = training.saved()
        state = self.together.first({"kept": kept, "evaluations": training.eval_results})
        if not state["kept"]["global_step"]:
            return
        values = processes.from_first(checkpoints.numbers(processes.whole(arrays)))
        if not self.together.leads:
            training.restore(checkpoints.of_numbers(values, arrays), state["kept"], state["evaluations"])

    def _restore_from(self, file: Path, like: Any) -> None:
        training = self.training
        try:
            arrays, kept = checkpoints.restore(file, like, self._owner())
        except checkpoints.Damaged:
            raise
        except ValueError as error:
            raise Refused(f"{error}; delete the file to train this trial anew, or --overwrite") from error
        try:
            training.restore(arrays, kept, self._evaluations(kept))
        except Refused:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise checkpoints.Damaged(f"{file}: damaged (its header: {error})") from error
        # More steps may be asked for than were made.
        training.clock.training_complete &= training.gave_up or self.schedule.all_steps_made(
            training.global_step
        )

    def _evaluations(self, kept: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
        """Those that a checkpoint counts on, behind which others will be added."""
        if "evaluations" not in kept:  # the first versions held them all in every checkpoint
            evaluations = [(int(step), dict(row)) for step, row in kept["eval_results"]]
            self.rows.replace([row for _, row in evaluations])
            return evaluations
        mark = Mark.of(kept["evaluations"])
        try:
            rows = self.rows.read(mark)
        except ValueError as error:
            # The table that people read says the same, and a checksum says whether it does.
            try:
                self.rows.replace(self.logs.evaluations())
                rows = self.rows.read(mark)
            except ValueError:
                raise Refused(f"{error}; restore the file, or --overwrite the trial") from error
            self.attendant.say(f"{error}; they are restored from the table of evaluations")
        return [(row["global_step"], row) for row in rows]

    def _stop(self, saved: bool) -> TrialOutcome:
        """Saves what was made since the last checkpoint, and ends."""
        if self.spec.save_checkpoints and not saved:
            self._save()
        return self._outcome(
            "interrupted", f"stopped after step {self.training.global_step:,} to go on later"
        )

    def _finish(self, status: Status, reason: str) -> TrialOutcome:
        training = self.training
        self.logs.end(training.clock.accumulated_submission_time, training.global_step)
        if self.spec.save_checkpoints:
            self._save()
        if sign := diverged(training.eval_results):
            status, reason = "diverged", f"{reason}; {sign} at the last evaluation"
        return self._outcome(status, reason)

    def _outcome(self, status: Status, reason: str) -> TrialOutcome:
        training, score = self.training, self.training.clock.accumulated_submission_time
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
