"""A submission on a workload: the trials of one study, each in a process of its own, with AlgoPerf's logs.

The second of the two engines: where `tuning.engine` trains many points of an optimizer as one program, this one runs
any AlgoPerf submission as AlgoPerf would.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from submissions.api import TrialOutcome
from tuning.execution import team
from tuning.execution.seen import Seen
from tuning.execution.stopping import Stop
from tuning.execution.trials._asked import Asked
from tuning.execution.trials._attendant import Progress, RunAttendant
from tuning.execution.trials._decided import decide
from tuning.execution.trials._elsewhere import IN_LINE, chosen
from tuning.execution.trials._in_line import train_in_line

_NO_FLAGS = (
    "executor",
    "workers",
    "options",
    "deadline",
    "watch",
    "progress",
    "say",
    "stop",
    "several",
)  # change no number


def run(
    *,
    submission_path: str | os.PathLike[str] | None = None,
    optimizer: str | None = None,
    workload: str,
    experiment_dir: str | os.PathLike[str],
    experiment_name: str,
    tuning_ruleset: Literal["external", "self-tuning", "self"] = "external",
    tuning_search_space: str | os.PathLike[str] | None = None,
    num_tuning_trials: int = 1,
    hparam_start_index: int | None = None,
    hparam_end_index: int | None = None,
    rng_seed: int | None = None,
    max_global_steps: int | None = None,
    eval_period_steps: int | None = None,
    stop_at_targets: bool = True,
    data_dir: str | os.PathLike[str] | None = None,
    imagenet_v2_data_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    save_checkpoints: bool = True,
    save_intermediate_checkpoints: bool = False,
    skip_evals: bool = False,
    precision: str = "float32",
    micro_batches: int = 1,
    isolated: bool = True,
    flags: Mapping[str, Any] | None = None,
    executor: str = IN_LINE,
    workers: int | None = None,
    options: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    watch: Callable[[Seen], None] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    stop: Stop | None = None,
    several: team.Leader | None = None,
) -> list[TrialOutcome]:
    """Runs a submission's trials on a workload: one after the other, or as jobs of an executor.

    A trial that crashes is recorded with its reason, and the next one goes on. Trials that ended otherwise are not run
    again under `resume`; more trials than before are those that were there and as many new ones.

    Args:
      submission_path: of submission.py or its folder.
      optimizer: instead of a submission: a name, FILE.py:FUNCTION, or NAME@FILE of a learned one, packaged in the
        experiment's folder. Without a tuning_search_space its own is searched; a learned one runs as it was trained.
      workload: name, see `workloads.load`, FILE.py:NAME among them, or `algoperf-installed/<name>`.
      experiment_dir, experiment_name: logs go to <experiment_dir>/<experiment_name>/<workload>_jax/trial_<i>. For
        scoring, AlgoPerf wants names such as my_submission/study_0.
      tuning_ruleset: "external", with a search space, or "self-tuning", without one, which AlgoPerf spells "self".
      tuning_search_space: JSON file, a list of points or ranges; by default the one beside the submission.
      num_tuning_trials: of the study; several machines may each run a slice of them. With `resume` it may grow.
      hparam_start_index, hparam_end_index: the slice, from 0, without its end.
      rng_seed: of the study, in [0, 2^32): the order of the points, and all randomness of the trials. None draws one.
      max_global_steps: at most so many steps per trial. A workload without a clock ends at its step hint otherwise.
      eval_period_steps: steps between evaluations, instead of the workload's time between them.
      stop_at_targets: end a trial that has reached the validation and the test target.
      data_dir: of real data.
      imagenet_v2_data_dir: as in AlgoPerf, for workloads of an installed one; others read what is below `data_dir`.
      overwrite: delete what lies in the trials' folders.
      resume: go on with what lies there, from the last checkpoint.
      save_checkpoints: after every evaluation and at the end.
      save_intermediate_checkpoints: keep all of them.
      skip_evals: evaluate never; then the runtime budget is never looked at either.
      precision, micro_batches: how steps are computed, see `workloads.arithmetic.Arithmetic`: in the workload's model
        and loss, so that it serves every submission. Not for `algoperf-installed/` ones, which compute as they do.
      isolated: a process per trial. Without, trials run in this one, which sees workloads that it registered itself.
      flags: to be written into flags_<p>.json; by default these arguments.
      executor: "inline" for one trial after the other on this machine, or another name of
        `tuning.execution.executors.EXECUTORS`; it changes no number but those that clocks say.
      workers: trials at a time; None: the executor's default.
      options: what else the executor takes, by name.
      deadline: seconds that a trial may take, after which its worker is given up; None: many times what the longest
        took.
      watch: told what is seen of the workers.
      progress: called as progress(what, steps done, steps asked for), or with an executor (workload, trials done,
        trials in all).
      say: called with what a person must know, a line each; None: standard error.
      stop: set to have the trial under way save itself and end, and no other begin.
      several: the other hosts that train every trial along, see `tuning.execution.team`.

    Returns:
      How each trial of the slice ended; those after a stop are left out.

    Raises:
      FileNotFoundError: no such submission, search space or data.
      FileExistsError: there are trials already, and neither overwrite nor resume was asked for.
      OSError: a file could not be written; what was saved is kept, and `resume` goes on.
      ValueError: arguments that contradict each other or what `resume` finds, a damaged file, a trial that another
        process trains, an unknown executor.
      RuntimeError: a trial lost its worker, or took too long, again and again.
    """
    given = dict(locals())
    asked = Asked.of({name: value for name, value in given.items() if name not in _NO_FLAGS})
    attendant = RunAttendant(progress, say, stop or Stop())
    elsewhere = chosen(executor, workers, options, deadline, watch, isolated=isolated)
    if several is not None and (elsewhere is not None or not isolated):
        raise ValueError(
            "several hosts train one trial after the other, each in a process of its own; choose one way"
        )
    with contextlib.ExitStack() as held:
        taken = held.enter_context(asked.locks())
        decided = decide(asked, held, taken, attendant.say)
        if decided.missing and elsewhere is not None:
            elsewhere.check(decided)
            held.enter_context(elsewhere)
        record = decided.begin()
        if not decided.missing:
            attendant.say(
                f"{asked.folder}: all {len(decided.specs)} trials have ended; there is nothing to train"
            )
        elif elsewhere is not None:
            return elsewhere.train(decided, record, attendant)
        return train_in_line(decided, record, taken if isolated else None, attendant, several)
