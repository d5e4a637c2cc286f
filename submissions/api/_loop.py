"""One trial of a submission, by AlgoPerf's rules: its loop, its clock, its evaluations, and when it stops.

Seeds and splits, the order of the calls, what is timed and when is evaluated are those of AlgoPerf's runner (v0.6 and
v1.0; Dahl et al. 2023, arXiv:2306.07179, section 4). docs/run.md lists where the two differ.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

import submissions.api.loading as loading
from submissions import api
from submissions.api import _inputs as _run_inputs
from submissions.api import _logs as _run_logs
from submissions.api import checkpoints as _run_checkpoints
from submissions.api._trial_spec import TrialOutcome, TrialSpec

Progress = Callable[[int, int | None], None]  # (steps done, steps asked for)

SELF_TUNING_FACTOR = 1.5  # times the runtime of external tuning (AlgoPerf 0.6 and 1.0)


@dataclasses.dataclass
class _Clock:
    """Seconds, as `train_state` shows them to a submission that asks for it.

    Instants are those of time.time(), as in AlgoPerf: a submission may compare them with its own reading.
    """

    validation_goal_reached: bool = False
    test_goal_reached: bool = False
    is_time_remaining: bool = True
    training_complete: bool = False
    accumulated_submission_time: float = 0.0
    accumulated_eval_time: float = 0.0
    accumulated_logging_time: float = 0.0
    last_eval_time: float = 0.0
    last_step_end_time: float = 0.0

    def seen(self) -> Mapping[str, Any]:
        """As a submission gets it: it can look and not touch."""
        return MappingProxyType(self.__dict__)


@dataclasses.dataclass
class _State:
    """What a trial carries from step to step."""

    params: Any
    model_state: Any
    optimizer_state: Any
    global_step: int = 0
    batches: int = 0
    first_step_seconds: float = 0.0
    eval_results: list[tuple[int, dict[str, Any]]] = dataclasses.field(default_factory=list)


def train(spec: TrialSpec, progress: Progress | None = None) -> TrialOutcome:
    """Trains a trial to its end.

    Raises:
      ValueError, FileNotFoundError, ImportError: the submission or the workload cannot be used.
      Exception: whatever the submission raises.
    """
    return _Trial(spec).train(progress)


class _Trial:
    """A trial in the making: the submission, the workload, and their arguments."""

    gave_up = False  # the submission ended its training itself

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        api.install()
        self.spec_module = api.spec()
        self.submission = loading.load(spec.submission_path)
        self.workload = api.algoperf_workload(spec.workload, spec.data_dir, self.submission.device_axis)
        self.hyperparameters = _run_inputs.namedtuple(spec.hyperparameters)
        self.clock = _Clock()
        self.logs = _run_logs.TrialLogs(Path(spec.folder), resume=spec.resume)

    def train(self, progress: Progress | None) -> TrialOutcome:
        keys = self._start()
        self.logs.begin(self.spec, self.workload, self.state.global_step)
        asked = self._asked_steps()
        by_steps = self._eval_period_steps()
        max_seconds = self._max_seconds()
        clock, state = self.clock, self.state
        steps = _run_inputs.step_keys(keys, state.global_step)
        clock.last_step_end_time = time.time()
        said = 0.0
        reason = self._why_over(asked)
        for update_key, select_key in steps:
            if reason:
                break
            self._step(select_key, update_key)
            state.global_step += 1
            if asked is not None and state.global_step >= asked:
                clock.training_complete = True
            due = clock.training_complete or self._due(by_steps)
            if due or state.global_step == 1:
                # Steps may still be queued on the device. They belong to the submission's time, not to the pause.
                jax.block_until_ready((state.params, state.model_state))
            now = time.time()
            clock.accumulated_submission_time += now - clock.last_step_end_time
            if state.global_step == 1:
                state.first_step_seconds = clock.accumulated_submission_time
            if due and self.spec.skip_evals:
                clock.last_eval_time = now  # the next look at the budget comes a period later
                clock.is_time_remaining = (
                    max_seconds is None or clock.accumulated_submission_time < max_seconds
                )
            elif due:
                self._pause(keys, max_seconds)
                now = time.time()
            clock.last_step_end_time = now
            reason = self._why_over(asked)
            if progress and (reason or now - said > 0.5):
                said = now
                progress(state.global_step, asked)
        return self._finish(reason)

    def _start(self) -> Any:
        """Initialises everything, in AlgoPerf's order; returns the key of the steps."""
        spec, workload, submission = self.spec, self.workload, self.submission
        key = jax.random.PRNGKey(spec.seed)
        if spec.ruleset == "external":
            key, _ = jax.random.split(key)
        data_key, opt_key, model_key, key = jax.random.split(key, 4)
        batch_size = loading.batch_size(
            submission,
            spec.workload,
            _run_inputs.base_workload(spec.workload),
            default=getattr(workload, "batch_size", None),
        )
        self.eval_batch_size = self._eval_batch_size()
        queue = workload._build_input_queue(
            data_key, "train", data_dir=spec.data_dir, global_batch_size=batch_size
        )
        params, model_state = self._init_model(model_key)
        optimizer_state = submission.init_optimizer_state(
            workload, params, model_state, self.hyperparameters, opt_key
        )
        self.state = _State(params, model_state, optimizer_state)
        workload.attach_metrics_logger(self.logs.metrics_logger())
        if spec.save_checkpoints or spec.resume:
            _run_checkpoints.check_savable(optimizer_state)
        if spec.resume:
            self._restore()
        self.queue = _run_inputs.CountingQueue(iter(queue), self.state.batches)
        return key

    def _init_model(self, key: Any) -> tuple[Any, Any]:
        if not self.submission.device_axis:
            return self.workload.init_model_fn(key)
        rates = (getattr(self.hyperparameters, f"{name}dropout_rate", None) for name in ("", "aux_"))
        return self.workload.init_model_fn(key, *rates)  # AlgoPerf 0.5: the model has its rate from the start

    def _eval_batch_size(self) -> int:
        own, name = self.submission.get_eval_batch_size, self.spec.workload
        # Ours cut their splits themselves, and a submission has no answer to their names.
        if own is None or not name.startswith(api.INSTALLED):
            return self.workload.eval_batch_size
        return own(name.removeprefix(api.INSTALLED))

    def _step(self, select_key: Any, update_key: Any) -> None:
        state, submission, workload = self.state, self.submission, self.workload
        batch = submission.data_selection(
            workload,
            self.queue,
            state.optimizer_state,
            state.params,
            state.model_state,
            self.hyperparameters,
            state.global_step,
            select_key,
        )
        train_state = {"train_state": self.clock.seen()} if submission.wants_train_state else {}
        try:
            state.optimizer_state, state.params, state.model_state = submission.update_params(
                **self._arguments(update_key), batch=batch, **train_state
            )
        except self.spec_module.TrainingCompleteError:
            self.clock.training_complete = True
            self.gave_up = True
        else:
            constrain = getattr(workload, "project_params", None)
            if constrain is not None:
                state.params = constrain(state.params)
        state.batches = self.queue.taken

    def _arguments(self, key: Any) -> dict[str, Any]:
        """What update_params and prepare_for_eval have in common."""
        state = self.state
        return {
            "workload": self.workload,
            "current_param_container": state.params,
            "current_params_types": self.workload.model_params_types,
            "model_state": state.model_state,
            "hyperparameters": self.hyperparameters,
            "loss_type": self.workload.loss_type,
            "optimizer_state": state.optimizer_state,
            "eval_results": state.eval_results,
            "global_step": state.global_step,
            "rng": key,
        }

    def _due(self, by_steps: int | None) -> bool:
        """Whether an evaluation is due: after the first step always, as in AlgoPerf, then by steps or by the clock."""
        step = self.state.global_step
        if by_steps is not None:
            return step == 1 or step % by_steps == 0
        if not self.clock.last_eval_time:
            return True
        return time.time() - self.clock.last_eval_time >= self.workload.eval_period_time_sec

    def _pause(self, keys: Any, max_seconds: float | None) -> None:
        """Stops the submission's clock to evaluate, log and save."""
        state, clock, spec = self.state, self.clock, self.spec
        # The step whose keys these are has been counted already.
        step_key = jax.random.fold_in(keys, state.global_step - 1)
        _, _, prepare_key, eval_key = jax.random.split(step_key, 4)
        if self.submission.prepare_for_eval is not None:
            began = time.time()
            state.optimizer_state, state.params, state.model_state = self.submission.prepare_for_eval(
                **self._arguments(prepare_key)
            )
            jax.block_until_ready((state.params, state.model_state))
            clock.accumulated_submission_time += time.time() - began
        clock.is_time_remaining = max_seconds is None or clock.accumulated_submission_time < max_seconds
        if not clock.is_time_remaining:
            return  # work beyond the budget is not judged
        began = time.time()
        found = self.workload.eval_model(
            self.eval_batch_size,
            state.params,
            state.model_state,
            eval_key,
            spec.data_dir,
            spec.imagenet_v2_data_dir,
            state.global_step,
        )
        row: dict[str, Any] = {
            name: value if isinstance(value, int) else float(value) for name, value in found.items()
        }
        clock.last_eval_time = now = time.time()  # logging and saving count towards the next period
        clock.accumulated_eval_time += now - began
        clock.validation_goal_reached |= bool(self.workload.has_reached_validation_target(row))
        clock.test_goal_reached |= bool(self.workload.has_reached_test_target(row))
        row |= {
            "score": clock.accumulated_submission_time,
            "total_duration": clock.accumulated_submission_time
            + clock.accumulated_eval_time
            + clock.accumulated_logging_time,
            "accumulated_submission_time": clock.accumulated_submission_time,
            "accumulated_eval_time": clock.accumulated_eval_time,
            "accumulated_logging_time": clock.accumulated_logging_time,
            "global_step": state.global_step,
            "preemption_count": self.logs.preemption_count,
        }
        state.eval_results.append((state.global_step, row))
        self.logs.evaluation(row)
        if spec.save_checkpoints:
            self._save()
        clock.accumulated_logging_time += time.time() - now

    def _why_over(self, asked: int | None) -> str:
        """Why training is over, "" while it is not."""
        clock, step = self.clock, self.state.global_step
        if not clock.is_time_remaining:
            return f"the runtime budget of {self._max_seconds():g} s is used up"
        if self.spec.stop_at_targets and clock.validation_goal_reached and clock.test_goal_reached:
            return "both targets are reached"
        if self.gave_up:
            return "the submission ended its training"
        if asked is not None and step >= asked:
            hinted = self.spec.max_global_steps is None
            return f"all {asked:,} steps are made{', the workload has no clock' if hinted else ''}"
        return ""

    def _asked_steps(self) -> int | None:
        if self.spec.max_global_steps is not None or self._max_seconds() is not None:
            return self.spec.max_global_steps
        return self.workload.step_hint

    def _max_seconds(self) -> float | None:
        seconds = self.workload.max_allowed_runtime_sec
        factor = SELF_TUNING_FACTOR if self.spec.ruleset == "self" else 1.0
        return None if seconds is None else factor * seconds

    def _eval_period_steps(self) -> int | None:
        if self.spec.eval_period_steps is not None or self.workload.eval_period_time_sec is not None:
            return self.spec.eval_period_steps
        return self.workload.eval_period

    def _save(self) -> None:
        state = self.state
        kept = {
            "trial": dataclasses.asdict(self.clock),
            "global_step": state.global_step,
            "batches": state.batches,
            "first_step_seconds": state.first_step_seconds,
            "eval_results": state.eval_results,
            "preemption_count": self.logs.preemption_count,
        }
        arrays = (state.params, state.model_state, state.optimizer_state[0])
        _run_checkpoints.save(
            Path(self.spec.folder), state.global_step, arrays, kept, self.spec.save_intermediate_checkpoints
        )

    def _restore(self) -> None:
        """The last checkpoint, if there is one; a trial that was killed before its first begins anew."""
        state = self.state
        found = _run_checkpoints.last(Path(self.spec.folder))
        if found is None:
            self.logs.forget_after(0)
            return
        arrays = (state.params, state.model_state, state.optimizer_state[0])
        arrays, kept = _run_checkpoints.restore(found, arrays)
        state.params, state.model_state, saved = arrays
        state.optimizer_state = (saved, *state.optimizer_state[1:])
        state.global_step, state.batches = kept["global_step"], kept["batches"]
        state.first_step_seconds = kept["first_step_seconds"]
        state.eval_results = [(step, row) for step, row in kept["eval_results"]]
        self.clock = _Clock(**kept["trial"])
        if self.clock.last_eval_time:
            self.clock.last_eval_time = time.time()  # its origin is another one in this process
        if self.spec.max_global_steps is None or state.global_step < self.spec.max_global_steps:
            self.clock.training_complete = False
        self.logs.forget_after(state.global_step)

    def _finish(self, reason: str) -> TrialOutcome:
        state, clock = self.state, self.clock
        self.logs.end(clock.accumulated_submission_time, state.global_step)
        if self.spec.save_checkpoints:
            self._save()
        last = state.eval_results[-1][1] if state.eval_results else {}
        later = state.global_step - 1
        return TrialOutcome(
            trial=self.spec.trial,
            folder=self.spec.folder,
            status="done",
            reason=reason,
            global_step=state.global_step,
            score=clock.accumulated_submission_time,
            metrics={k: v for k, v in last.items() if "/" in k and not k.endswith("num_examples")},
            reached=clock.validation_goal_reached,
            seconds_per_step=(clock.accumulated_submission_time - state.first_step_seconds) / later
            if later > 0
            else None,
        )
