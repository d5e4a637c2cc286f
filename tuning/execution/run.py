"""A submission on a workload: the trials of one study, each in a process of its own, with AlgoPerf's logs.

The second of the two engines: where `tuning.engine` trains many points of an optimizer as one program, this one runs
any AlgoPerf submission as AlgoPerf would.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import submissions.api.loading as loading
import workloads
from results import studies
from submissions.api import TrialOutcome, TrialSpec, evaluations, train, workload_folder
from submissions.statuses import STATUSES
from tuning.execution import _run_points, kept_files
from tuning.execution.record import RunRecord
from tuning.execution.seeding import seed_of_trial
from workloads.data.files import write_atomically

Progress = Callable[[str, int, int], None]  # (what, done, total)

SPACE = "tuning_search_space.json"  # as AlgoPerf calls it, in a submission's folder
OUTCOME, SPEC, CONSOLE = "outcome.json", "trial.json", "console.log"
SEEDS = 2**32  # JAX takes and NumPy demands seeds below
TO_BE_RESUMED = ("crashed", "interrupted")  # statuses of trials that --resume goes on with


def run(
    *,
    submission_path: str | os.PathLike[str],
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
    isolated: bool = True,
    flags: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[TrialOutcome]:
    """Runs a submission's trials on a workload, one after the other.

    A trial that crashes is recorded with its reason, and the next one goes on. Trials that ended otherwise are not run
    again under `resume`.

    Args:
      submission_path: of submission.py or its folder.
      workload: name, see `workloads.load`, FILE.py:NAME among them; or `algoperf-installed/<name>`.
      experiment_dir, experiment_name: logs go to <experiment_dir>/<experiment_name>/<workload>_jax/trial_<i>. For
        scoring, AlgoPerf wants names such as my_submission/study_0.
      tuning_ruleset: "external", with a search space, or "self-tuning", without one, which AlgoPerf spells "self".
      tuning_search_space: JSON file, a list of points or ranges; by default the one beside the submission.
      num_tuning_trials: of the study; several machines may each run a slice of them.
      hparam_start_index, hparam_end_index: the slice, from 0, without its end.
      rng_seed: of the study, in [0, 2^32): the order of the points, and all randomness of the trials. None draws one.
      max_global_steps: at most so many steps per trial. A workload without a clock ends at its step hint otherwise.
      eval_period_steps: steps between evaluations, instead of the workload's time between them.
      stop_at_targets: end a trial that has reached the validation and the test target.
      data_dir: of real data.
      imagenet_v2_data_dir: as in AlgoPerf.
      overwrite: delete what lies in the trials' folders.
      resume: go on with what lies there, from the last checkpoint.
      save_checkpoints: after every evaluation and at the end.
      save_intermediate_checkpoints: keep all of them.
      skip_evals: evaluate never; then the runtime budget is never looked at either.
      isolated: a process per trial. Without, trials run in this one, which sees workloads that it registered itself.
      flags: to be written into flags_<p>.json; by default these arguments.
      progress: called as progress(what, steps done, steps asked for).

    Returns:
      How each trial of the slice ended.

    Raises:
      FileNotFoundError: no such submission, search space or data.
      FileExistsError: there are trials already, and neither overwrite nor resume was asked for.
      ValueError: arguments that contradict each other, or a submission that cannot be called.
    """
    given = {name: value for name, value in locals().items() if name not in ("progress", "flags")}
    submission = loading.submission_file(submission_path)
    self_tuning = tuning_ruleset in ("self-tuning", "self")
    if tuning_search_space is None and not self_tuning and (submission.parent / SPACE).is_file():
        tuning_search_space = submission.parent / SPACE
    if not self_tuning and tuning_ruleset != "external":
        raise ValueError(
            f"tuning_ruleset is {tuning_ruleset!r}; allowed: external, self-tuning (or self, as AlgoPerf spells it)"
        )
    if tuning_search_space is None and not self_tuning:
        raise ValueError(
            f"the external ruleset needs a tuning_search_space, and there is no {SPACE} beside {submission}; give one, "
            "or choose the tuning_ruleset self-tuning"
        )
    _check(self_tuning, tuning_search_space, num_tuning_trials, rng_seed, max_global_steps, overwrite, resume)
    workload = workloads.recorded_name(workload)
    experiment = Path(experiment_dir).expanduser() / experiment_name
    folder = experiment / workload_folder(workload)
    first, end = _slice(self_tuning, num_tuning_trials, hparam_start_index, hparam_end_index)
    folders = {trial: folder / f"trial_{trial}" for trial in range(first + 1, end + 1)}
    _make_room(folder, folders, overwrite, resume, whole=(first, end) == (0, num_tuning_trials))
    seed = rng_seed
    if seed is None:
        seed = _run_points.stored_seed(folder)
    if seed is None and resume and self_tuning:
        seed = _earlier_seed(folders[1])  # there are no points to be written beside
    if seed is None:
        seed = secrets.randbelow(SEEDS)
    points: list[dict[str, Any]] | None = None
    space = None
    if tuning_search_space is not None:
        space = Path(tuning_search_space).expanduser()
        if not space.is_file():
            raise FileNotFoundError(f"{space}: no such file; give a tuning_search_space.json")
        points = _run_points.points(folder, space, num_tuning_trials, seed)
    written = flags if flags is not None else {name: _plain(value) for name, value in given.items()}
    record = RunRecord.of(
        experiment=experiment,
        submission=submission,
        workload=workload,
        points=points,
        search_space=space,
        seed=seed,
        steps=max_global_steps,
        eval_period=eval_period_steps,
        data_dir=None if data_dir is None else str(data_dir),
    )
    own = workloads.own_file(workload)
    if own is not None:
        kept_files.keep_workload(record.folder, workload, own, _any_trained(folder))
    record.begin()
    outcomes = []
    for trial, trial_folder in folders.items():
        ended = _outcome(trial_folder) if resume else None
        if ended is not None and ended.status in set(STATUSES) - set(TO_BE_RESUMED):
            if not record.holds(trial):
                record.add(ended)
            outcomes.append(ended)
            continue
        spec = TrialSpec(
            submission_path=str(submission),
            workload=workload,
            folder=str(trial_folder),
            trial=trial,
            seed=seed_of_trial(seed, trial),
            hyperparameters=None if points is None else points[trial - 1],
            data_dir=None if data_dir is None else str(Path(data_dir).expanduser()),
            max_global_steps=max_global_steps,
            eval_period_steps=eval_period_steps,
            stop_at_targets=stop_at_targets,
            skip_evals=skip_evals,
            save_checkpoints=save_checkpoints,
            save_intermediate_checkpoints=save_intermediate_checkpoints,
            resume=resume,
            imagenet_v2_data_dir=None if imagenet_v2_data_dir is None else str(imagenet_v2_data_dir),
            flags=dict(written),
            workload_file=None
            if own is None
            else str(own.where(studies.workload_copy(record.folder, workload))),
        )
        trial_folder.mkdir(parents=True, exist_ok=True)
        (trial_folder / OUTCOME).unlink(missing_ok=True)
        record.forget(trial)
        what = f"{workload}, trial {trial} of {num_tuning_trials}"
        try:
            outcomes.append((_in_own_process if isolated else _here)(spec, what, progress))
        finally:  # of a trial that Ctrl-C ended, too
            if (ended := _outcome(trial_folder)) is not None:
                record.add(ended)
    return outcomes


def _check(
    self_tuning: bool, space: Any, trials: int, seed: int | None, steps: int | None, *modes: bool
) -> None:
    if self_tuning and space is not None:
        raise ValueError("the self-tuning ruleset passes no hyperparameters: leave tuning_search_space out")
    if trials < 1:
        raise ValueError(f"num_tuning_trials is {trials}; must be at least 1")
    if seed is not None and not 0 <= seed < SEEDS:
        raise ValueError(f"rng_seed is {seed}; must lie in 0..{SEEDS - 1}")
    if steps is not None and steps < 1:
        raise ValueError(f"max_global_steps is {steps}; must be at least 1")
    if all(modes):
        raise ValueError("overwrite and resume were both asked for; choose one")


def _slice(self_tuning: bool, trials: int, start: int | None, end: int | None) -> tuple[int, int]:
    if self_tuning:
        if trials != 1 or start is not None or end is not None:
            raise ValueError(
                "the self-tuning ruleset has one trial; leave num_tuning_trials and the slice out"
            )
        return 0, 1
    first, last = start or 0, trials if end is None else end
    if not 0 <= first < last <= trials:
        raise ValueError(
            f"hparam_start_index {first} and hparam_end_index {last} are no slice of {trials} trials; they count from "
            "0, and the end is left out"
        )
    return first, last


def _make_room(folder: Path, folders: Mapping[int, Path], overwrite: bool, resume: bool, whole: bool) -> None:
    taken = [trial for trial, path in folders.items() if path.exists() and any(path.iterdir())]
    if taken and not overwrite and not resume:
        raise FileExistsError(
            f"{folders[taken[0]]}: exists already; --resume goes on with it, --overwrite deletes it"
        )
    if overwrite:
        for path in folders.values():
            shutil.rmtree(path, ignore_errors=True)
        if whole:
            (folder / _run_points.NAME).unlink(missing_ok=True)


def _here(spec: TrialSpec, what: str, progress: Progress | None) -> TrialOutcome:
    outcome = train(spec, progress and (lambda done, total: progress(what, done, total or 0)))
    _write_outcome(outcome)
    return outcome


def _in_own_process(spec: TrialSpec, what: str, progress: Progress | None) -> TrialOutcome:
    """A trial whose end, however bad, is not ours."""
    folder = Path(spec.folder)
    write_atomically(folder / SPEC, json.dumps(dataclasses.asdict(spec), indent=1).encode() + b"\n")
    reading, writing = os.pipe()
    with (folder / CONSOLE).open("ab") as console:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuning.execution.run", str(folder / SPEC), str(writing)],
            stdout=console,
            stderr=console,
            pass_fds=(writing,),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    os.close(writing)
    try:
        with os.fdopen(reading) as lines:
            for line in lines:
                done, total = json.loads(line)
                if progress:
                    progress(what, done, total or 0)
        status = process.wait()
    except BaseException as error:  # Ctrl-C, above all: the trial shall not go on alone
        process.kill()
        process.wait()
        if isinstance(error, KeyboardInterrupt):
            _write_outcome(TrialOutcome(spec.trial, spec.folder, "interrupted", "by the keyboard"))
        raise
    outcome = _outcome(folder)
    if outcome is None:
        outcome = TrialOutcome(spec.trial, spec.folder, "crashed", _cause(status, folder / CONSOLE))
        _write_outcome(outcome)
    return outcome


def _cause(status: int, console: Path) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; the system may have run out of memory" if -status == signal.SIGKILL else ""
        return f"the process was ended by {name}{hint}, see {console}"
    lines = console.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else f'exit status {status}'}, see {console}"


def _any_trained(folder: Path) -> bool:
    """Whether a trial has ended well, or has begun to, in a folder of them."""
    return any(
        bool(evaluations(trial)) or ((ended := _outcome(trial)) is not None and ended.status != "crashed")
        for trial in folder.glob("trial_*")
    )


def _earlier_seed(folder: Path) -> int | None:
    """The seed with which a trial began; None if it never did."""
    file = folder / SPEC
    return json.loads(file.read_text(encoding="utf-8"))["seed"] if file.is_file() else None


def _outcome(folder: Path) -> TrialOutcome | None:
    file = folder / OUTCOME
    return TrialOutcome(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def _write_outcome(outcome: TrialOutcome) -> None:
    content = json.dumps(dataclasses.asdict(outcome), indent=1)
    write_atomically(Path(outcome.folder) / OUTCOME, content.encode() + b"\n")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def _die_with_reader(pipe: int) -> None:
    """Ends this process when the one that reads its pipe is gone, however that ended: nobody waits for the trial."""
    poll = select.poll()
    poll.register(pipe, 0)  # no events asked for: what is left is that the other end was closed
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _main(spec_file: str, pipe: str) -> None:
    """What the process of a trial does."""
    threading.Thread(target=_die_with_reader, args=(int(pipe),), daemon=True).start()
    spec = TrialSpec(**json.loads(Path(spec_file).read_text(encoding="utf-8")))
    with os.fdopen(int(pipe), "w") as lines:

        def report(done: int, total: int | None) -> None:
            print(json.dumps([done, total]), file=lines, flush=True)

        _write_outcome(train(spec, report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
