"""What is asked of a trial of a submission, and how it ended."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Literal

from submissions.statuses import Status
from workloads.arithmetic import Arithmetic
from workloads.installed import PREFIX

Ruleset = Literal["external", "self-tuning"]


@dataclasses.dataclass(frozen=True)
class TrialSpec:
    """All that determines a trial; plain JSON, so that a process of its own can be given it.

    Attributes:
      submission_path: of the submission's file or folder.
      workload: name, see `workloads.load`; behind `algoperf-installed/` a real AlgoPerf's.
      folder: where its logs go.
      trial: from 1.
      seed: of this trial.
      hyperparameters: a point; None under the self-tuning ruleset.
      data_dir: of real data.
      max_global_steps: at most so many steps; None: a workload without a clock ends at its step hint.
      eval_period_steps: steps between evaluations; None: by the workload's clock, or its own period if it has none.
      stop_at_targets: end when the validation and the test target have both been reached.
      skip_evals: evaluate never.
      save_checkpoints: after every evaluation, and at the end.
      save_intermediate_checkpoints: keep all of them, not only the last.
      resume: go on from the last checkpoint.
      imagenet_v2_data_dir: test images of AlgoPerf's ImageNet workloads.
      flags: what was asked for, to be written down.
      submission_sha256: of the submission's own files, see `loading.fingerprint`; None where nobody knows.
      precision, micro_batches: see `workloads.arithmetic.Arithmetic`.
      workload_file: the user's own that registers the workload; None: it is known by its name.
    """

    submission_path: str
    workload: str
    folder: str
    trial: int
    seed: int
    hyperparameters: Mapping[str, Any] | None = None
    data_dir: str | None = None
    max_global_steps: int | None = None
    eval_period_steps: int | None = None
    stop_at_targets: bool = True
    skip_evals: bool = False
    save_checkpoints: bool = True
    save_intermediate_checkpoints: bool = False
    resume: bool = False
    imagenet_v2_data_dir: str | None = None
    flags: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    submission_sha256: str | None = None
    workload_file: str | None = None
    precision: str = "float32"
    micro_batches: int = 1

    @property
    def arithmetic(self) -> Arithmetic:
        """How its steps are computed."""
        return Arithmetic(self.precision, self.micro_batches)

    @property
    def workload_to_load(self) -> str:
        """The workload as `workloads.load` finds it in any process: with the file, where it is a user's own."""
        return self.workload if self.workload_file is None else f"{self.workload_file}:{self.workload}"

    @property
    def ruleset(self) -> Ruleset:
        """AlgoPerf's: with hyperparameters, or without."""
        return "self-tuning" if self.hyperparameters is None else "external"


class Attendant:
    """Who looks after a trial while it trains: this one lets it train."""

    def progress(self, done: int, total: int | None) -> None:
        """So many steps are made, of so many asked for if steps were; about twice a second."""

    def unsaved(self) -> None:
        """A step is made that no checkpoint has."""

    def evaluating(self) -> None:
        """An evaluation begins."""

    def saved(self) -> None:
        """A checkpoint has all that was made."""

    def say(self, what: str) -> None:
        """Something that a person must know, in one line."""
        print(what, file=sys.stderr, flush=True)

    def is_to_stop(self) -> bool:
        """Whether the trial shall save itself and end; asked after every step."""
        return False


@dataclasses.dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended.

    Attributes:
      trial: from 1.
      folder: with its logs.
      status: see `submissions.statuses`.
      reason: why it stopped, for people.
      global_step: steps made.
      score: seconds of submission time.
      metrics: of the last evaluation, "<role>/<metric>" -> value.
      reached: the validation target was reached, at some evaluation.
      seconds_per_step: submission time per step, without the first step, which compiles; None before the second.
    """

    trial: int
    folder: str
    status: Status
    reason: str
    global_step: int = 0
    score: float = 0.0
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    reached: bool = False
    seconds_per_step: float | None = None


def workload_folder(workload: str) -> str:
    """Name of the folder with a workload's trials: AlgoPerf's own for its own workloads.

    Ours keep their family in front, so that nobody takes `algoperf.mnist_jax`, on whatever data, for an official run.

    Example:
      >>> workload_folder("algoperf-installed/mnist"), workload_folder("algoperf/mnist")
      ('mnist_jax', 'algoperf.mnist_jax')
    """
    return f"{workload.removeprefix(PREFIX).replace('/', '.')}_jax"
