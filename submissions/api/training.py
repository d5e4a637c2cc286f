"""A submission in training: AlgoPerf's calls, in its order and with its random numbers, a step at a time.

Nothing here says when a trial is evaluated or ends (`_schedule`), or reads a clock (`_loop`).
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from submissions.api import _inputs
from submissions.api._install import spec
from submissions.api.failures import calling
from submissions.api.loading import Submission


@dataclasses.dataclass
class Clock:
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


class TrialKeys(NamedTuple):
    """Random keys from which a trial derives all others, in AlgoPerf's order."""

    data: Any
    optimizer: Any
    model: Any
    steps: Any


def trial_keys(seed: int, external: bool) -> TrialKeys:
    """The keys that AlgoPerf's runner derives from the seed of a trial.

    Args:
      seed: of the trial.
      external: under the external ruleset the key is split once more.
    """
    key = jax.random.PRNGKey(seed)
    if external:
        key, _ = jax.random.split(key)
    return TrialKeys(*jax.random.split(key, 4))


class Training:
    """A submission on a workload, and what it carries from step to step.

    Attributes:
      params, model_state, optimizer_state: as the last call left them.
      global_step: steps made.
      eval_results: (step, row) of every evaluation so far; whoever evaluates adds to it.
      clock: whoever measures sets it.
      first_step_seconds: of submission time; whoever measures sets it.
      gave_up: the submission ended its training itself.
    """

    def __init__(
        self,
        submission: Submission,
        workload: Any,
        point: Mapping[str, Any] | None,
        *,
        seed: int,
        batch_size: int,
        data_dir: str | None = None,
    ) -> None:
        """Initialises everything, in AlgoPerf's order.

        Args:
          submission: whose functions are called.
          workload: a `spec.Workload`; if the submission has a device axis, one that has it too.
          point: hyperparameters; None under the self-tuning ruleset.
          seed: all randomness comes from it.
          batch_size: examples per step, over all devices.
          data_dir: of real data.

        Raises:
          Exception: whatever the submission raises, with a note of the call, see `failures`.
        """
        self.submission, self.workload = submission, workload
        self.hyperparameters = _inputs.namedtuple(point)
        keys = trial_keys(seed, external=point is not None)
        self._key = keys.steps
        queue = workload._build_input_queue(
            keys.data, "train", data_dir=data_dir, global_batch_size=batch_size
        )
        self._queue = _inputs.CountingQueue(iter(queue))
        self.params, self.model_state = self._init_model(keys.model)
        with calling("init_optimizer_state"):
            self.optimizer_state = submission.init_optimizer_state(
                workload, self.params, self.model_state, self.hyperparameters, keys.optimizer
            )
        self.global_step = 0
        self.eval_results: list[tuple[int, dict[str, Any]]] = []
        self.clock, self.first_step_seconds, self.gave_up = Clock(), 0.0, False
        self._complete = spec().TrainingCompleteError
        self._step_keys = _inputs.step_keys(self._key, 0)

    def step(self) -> None:
        """Takes a batch and updates. Nothing waits for the device.

        A step whose update raises TrainingCompleteError counts, and is the last.
        """
        update_key, select_key = next(self._step_keys)
        with calling("data_selection", self.global_step):
            batch = self.submission.data_selection(
                self.workload,
                self._queue,
                self.optimizer_state,
                self.params,
                self.model_state,
                self.hyperparameters,
                self.global_step,
                select_key,
            )
        train_state = {"train_state": self.clock.seen()} if self.submission.wants_train_state else {}
        try:
            with calling("update_params", self.global_step):
                self.optimizer_state, self.params, self.model_state = self.submission.update_params(
                    **self._arguments(update_key), batch=batch, **train_state
                )
        except self._complete:
            self.clock.training_complete = self.gave_up = True
        else:
            constrain = getattr(self.workload, "project_params", None)  # only our workloads have one
            if constrain is not None:
                self.params = constrain(self.params)
        self.global_step += 1

    def pause_keys(self) -> tuple[Any, Any]:
        """Random keys of the preparation and of the evaluation after the last step."""
        _, _, preparation, evaluation = jax.random.split(
            jax.random.fold_in(self._key, self.global_step - 1), 4
        )
        return preparation, evaluation

    def prepare_for_eval(self, key: Any) -> None:
        """The submission's last word before an evaluation, if it has one."""
        if self.submission.prepare_for_eval is not None:
            with calling("prepare_for_eval", self.global_step):
                self.optimizer_state, self.params, self.model_state = self.submission.prepare_for_eval(
                    **self._arguments(key)
                )

    def evaluate(
        self, key: Any, batch_size: int, data_dir: str | None, imagenet_v2_data_dir: str | None
    ) -> dict[str, Any]:
        """The workload's metrics of the parameters, "<role>/<metric>" -> number."""
        found = self.workload.eval_model(
            batch_size,
            self.params,
            self.model_state,
            key,
            data_dir,
            imagenet_v2_data_dir,
            self.global_step,
        )
        return {name: value if isinstance(value, int) else float(value) for name, value in found.items()}

    def saved(self) -> tuple[Any, dict[str, Any]]:
        """What goes on beside `eval_results`: a tree of arrays, and JSON.

        What a submission keeps outside its arrays is not in it.
        """
        arrays = (self.params, self.model_state, self.optimizer_state[0])
        return arrays, {
            "trial": dataclasses.asdict(self.clock),
            "global_step": self.global_step,
            "batches": self._queue.taken,
            "first_step_seconds": self.first_step_seconds,
            "gave_up": self.gave_up,
        }

    def restore(
        self, arrays: Any, kept: Mapping[str, Any], eval_results: Iterable[tuple[int, Mapping[str, Any]]]
    ) -> None:
        """Goes on from what `saved` gave, and from the evaluations of that time.

        Raises:
          KeyError, TypeError, ValueError: `kept` is not what it gave; nothing has changed then.
        """
        clock = Clock(**kept["trial"])
        evaluated = [(int(step), dict(row)) for step, row in eval_results]
        global_step, batches = int(kept["global_step"]), int(kept["batches"])
        first_step_seconds = float(kept["first_step_seconds"])
        if not global_step >= 0 or not batches >= 0 or not math.isfinite(first_step_seconds):
            raise ValueError(f"global_step is {global_step}, batches are {batches}")
        self.params, self.model_state, state = arrays
        self.optimizer_state = (state, *self.optimizer_state[1:])
        self.global_step, self.first_step_seconds = global_step, first_step_seconds
        self.eval_results, self.clock = evaluated, clock
        self.gave_up = bool(kept.get("gave_up", False))  # older checkpoints do not say it
        if clock.last_eval_time:
            clock.last_eval_time = time.time()  # that of another process says nothing in this one
        self._queue.skip_to(batches)
        self._step_keys = _inputs.step_keys(self._key, global_step)

    def _init_model(self, key: Any) -> tuple[Any, Any]:
        if not self.submission.device_axis:
            return self.workload.init_model_fn(key)
        rates = (getattr(self.hyperparameters, f"{name}dropout_rate", None) for name in ("", "aux_"))
        return self.workload.init_model_fn(key, *rates)  # AlgoPerf 0.5: the model has its rate from the start

    def _arguments(self, key: Any) -> dict[str, Any]:
        """What update_params and prepare_for_eval have in common."""
        return {
            "workload": self.workload,
            "current_param_container": self.params,
            "current_params_types": self.workload.model_params_types,
            "model_state": self.model_state,
            "hyperparameters": self.hyperparameters,
            "loss_type": self.workload.loss_type,
            "optimizer_state": self.optimizer_state,
            "eval_results": self.eval_results,
            "global_step": self.global_step,
            "rng": key,
        }
