"""A submission on a workload: the trials of one study, each in a process of its own, with AlgoPerf's logs.

The second of the two engines: where `tuning.engine` trains many points of an optimizer as one program, this one runs
any AlgoPerf submission as AlgoPerf would.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import submissions.api.loading as loading
import workloads
from results import studies
from submissions import api
from submissions.api import TrialOutcome, TrialSpec, evaluations, failures, workload_folder
from tuning.execution import _packaged, _run_points, _trial_folder, _trial_process, kept_files, locks, team
from tuning.execution.record import RunRecord
from tuning.execution.seeding import seed_of_trial
from tuning.execution.stopping import Stop
from workloads import installed
from workloads.arithmetic import Arithmetic
from workloads.data import reading
from workloads.data.files import sweep

Progress = Callable[[str, int, int], None]  # (what, done, total)

SPACE = "tuning_search_space.json"  # as AlgoPerf calls it, in a submission's folder
SEEDS = 2**32  # JAX takes and NumPy demands seeds below


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
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    stop: Stop | None = None,
    several: team.Leader | None = None,
) -> list[TrialOutcome]:
    """Runs a submission's trials on a workload, one after the other.

    A trial that crashes is recorded with its reason, and the next one goes on. Trials that ended otherwise are not run
    again under `resume`; more trials than before are those that were there and as many new ones.

    Args:
      submission_path: of submission.py or its folder.
      optimizer: instead of a submission: a name, or FILE.py:FUNCTION, packaged in the experiment's folder. Without a
        tuning_search_space its own is searched.
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
      progress: called as progress(what, steps done, steps asked for).
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
        process trains.
    """
    given = {n: v for n, v in locals().items() if n not in ("progress", "flags", "say", "stop", "several")}
    if several is not None and not isolated:
        raise ValueError(
            "several hosts train a trial in a process of its own on each; leave isolated=False out"
        )
    attendant = _Attendant(progress, say, stop or Stop())
    self_tuning = _is_self_tuning(tuning_ruleset)
    if (submission_path is None) == (optimizer is None) or optimizer == "":
        raise ValueError("give either a submission_path or an optimizer")
    submission = None if submission_path is None else loading.submission_file(submission_path)
    if tuning_search_space is None and not self_tuning and submission is not None:
        beside = submission.parent / SPACE
        tuning_search_space = beside if beside.is_file() else None
    searched = optimizer is not None and not self_tuning
    if not searched:
        _check_ruleset(self_tuning, tuning_search_space, submission)
    _check_numbers(
        num_tuning_trials=num_tuning_trials,
        max_global_steps=max_global_steps,
        eval_period_steps=eval_period_steps,
    )
    _check(experiment_name, rng_seed, data_dir, imagenet_v2_data_dir, overwrite, resume)
    first, end = _slice(self_tuning, num_tuning_trials, hparam_start_index, hparam_end_index)
    workload = workloads.recorded_name(workload)
    arithmetic = _arithmetic(workload, precision, micro_batches)
    workloads.entry(workload)  # refuses unknown names
    _check_imagenet_v2(workload, data_dir, imagenet_v2_data_dir)
    own = workloads.own_file(workload)
    experiment = Path(experiment_dir).expanduser() / experiment_name
    folder = experiment / workload_folder(workload)
    folders = {trial: folder / f"trial_{trial}" for trial in range(first + 1, end + 1)}
    _check_room(folders, overwrite, resume)
    with contextlib.ExitStack() as held:
        taken = held.enter_context(
            locks.TrialLocks(experiment / studies.RECORD / folder.name / locks.FOLDER, experiment)
        )
        taken.take(
            (t for t, ended in _outcomes(folders, resume).items() if not _is_over(ended)), attendant.say
        )
        ended = _outcomes(folders, resume)  # now nobody else changes them
        missing = [trial for trial, outcome in ended.items() if not _is_over(outcome, attendant.say)]
        anew = overwrite and len(folders) == num_tuning_trials
        seed = rng_seed if rng_seed is not None else _drawn_seed(folder, anew, resume and self_tuning)
        space = None if tuning_search_space is None else Path(tuning_search_space).expanduser()
        if optimizer is not None:
            made = held.enter_context(_packaged.packaged(optimizer, experiment))
            digest = _packaged.fingerprint(made, optimizer)
            space = made / _packaged.SPACE if space is None and searched else space
        else:
            assert submission is not None
            made, digest = None, loading.fingerprint(submission)
        if space is not None and not space.is_file():
            raise FileNotFoundError(f"{space}: no such file; give a tuning_search_space.json")
        planned = None if space is None else _run_points.plan(folder, space, num_tuning_trials, seed, anew)
        points = None if planned is None else planned.points
        written = flags if flags is not None else {name: _plain(value) for name, value in given.items()}
        copy = studies.workload_copy(experiment / studies.RECORD / folder.name, workload)
        asked = TrialSpec(
            submission_path=str(submission or experiment / _packaged.FOLDER / "submission.py"),
            workload=workload,
            folder="",
            trial=0,
            seed=seed,
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
            submission_sha256=digest,
            workload_file=None if own is None else own.path,
            precision=precision,
            micro_batches=micro_batches,
        )
        specs = _of_trials(asked, folders, points)
        if not overwrite:
            for trial, spec in specs.items():
                _trial_folder.check_same(spec, ended[trial])
        stay = set(reading.matching(folder, "trial_*")) - set(folders.values() if overwrite else ())
        _trial_folder.check_arithmetic(asked, stay)
        if made is not None:
            _packaged.check(made, experiment, folders.values())
        if own is not None:
            kept_files.check_workload(copy.parents[1], workload, own, any(map(_has_begun, stay)))
        # Nothing was written so far but locks; from here on the run is what was asked for.
        if overwrite:
            for path in folders.values():
                if path.exists():
                    shutil.rmtree(path)
            if anew:
                (folder / _run_points.NAME).unlink(missing_ok=True)
        if made is not None:
            place = _packaged.keep(made, experiment, folders.values())
            submission = place / "submission.py"
            space = place / _packaged.SPACE if space is not None and space.parent == made else space
        if planned is not None:
            planned.write()
        assert submission is not None
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
            arithmetic=arithmetic,
        )
        if own is not None:
            kept_files.keep_workload(
                record.folder, workload, own, any(map(_has_begun, reading.matching(folder, "trial_*")))
            )
        sweep(record.folder)
        record.begin()
        if not missing:
            attendant.say(f"{folder}: all {len(folders)} trials have ended; there is nothing to train")
        outcomes = []
        for trial, spec in specs.items():
            if trial not in missing:
                outcome = _recorded(ended[trial], record)
            elif attendant.is_to_stop():
                break
            else:
                if own is not None:  # the file may change while a run goes on
                    spec = dataclasses.replace(spec, workload_file=str(own.where(copy)))
                attendant.what = f"{workload}, trial {trial} of {num_tuning_trials}"
                outcome = _train(spec, record, taken.of(trial) if isolated else None, attendant, several)
            outcomes.append(outcome)
    return outcomes


class _Attendant(api.Attendant):
    """Tells whoever called."""

    def __init__(self, progress: Progress | None, say: Callable[[str], None] | None, stop: Stop) -> None:
        self._progress, self._say, self.stop, self.what = progress, say, stop, ""

    def progress(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(self.what, done, total or 0)

    def say(self, what: str) -> None:
        if self._say is not None:
            self._say(what)
        else:
            super().say(what)

    def is_to_stop(self) -> bool:
        return self.stop.is_set()


def _of_trials(
    asked: TrialSpec, folders: Mapping[int, Path], points: Sequence[Mapping[str, Any]] | None
) -> dict[int, TrialSpec]:
    """What is asked of each trial: what is asked of all, in a folder, with a seed and at a point of its own."""
    return {
        trial: dataclasses.replace(
            asked,
            folder=str(path),
            trial=trial,
            seed=seed_of_trial(asked.seed, trial),
            hyperparameters=None if points is None else points[trial - 1],
        )
        for trial, path in folders.items()
    }


def _recorded(outcome: TrialOutcome | None, record: RunRecord) -> TrialOutcome:
    """A trial that has ended before, and has a row in the record."""
    assert outcome is not None
    if not record.holds(outcome.trial):
        record.add(outcome)
    return outcome


def _train(
    spec: TrialSpec,
    record: RunRecord,
    lock: int | None,
    attendant: _Attendant,
    several: team.Leader | None,
) -> TrialOutcome:
    """Trains a trial, in a process of its own where it has a lock for it, and records it, however it ends."""
    folder = Path(spec.folder)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)  # it is ours alone: its lock is held
    (folder / _trial_folder.OUTCOME).unlink(missing_ok=True)
    record.forget(spec.trial)
    try:
        if lock is not None:
            part = None if several is None else several.trial(dataclasses.asdict(spec))
            outcome = _trial_process.train_apart(spec, lock, attendant.stop, attendant, part=part)
        else:
            outcome = _here(spec, attendant)
    finally:  # of a trial that Ctrl-C ended, too
        ended = _trial_folder.read_outcome(folder)
        if ended is not None and not record.add(ended) and ended.status == "crashed":
            # It crashed before it had logs. What it was to be is known all the same, unless the workload is at fault.
            with contextlib.suppress(_trial_process.TrialCrashed, ValueError):
                _trial_process.begin_apart(spec, lock) if lock is not None else api.begin_logs(spec)
                record.add(ended)
    if outcome.status == "crashed":
        attendant.say(f"trial {spec.trial} crashed: {outcome.reason}")
    return outcome


def _here(spec: TrialSpec, attendant: api.Attendant) -> TrialOutcome:
    _trial_folder.write_spec(spec)
    try:
        outcome = api.train(spec, attendant)
    except failures.Refused:
        raise
    except Exception as error:
        if not _trial_folder.is_the_systems(error, Path(spec.folder)):
            why = failures.told(error, Path(spec.submission_path).parent)
            found = TrialOutcome(spec.trial, spec.folder, "crashed", why)
            _trial_folder.write_outcome(_trial_folder.with_last_evaluation(found))
        raise
    _trial_folder.write_outcome(outcome)
    return outcome


def _outcomes(folders: Mapping[int, Path], resume: bool) -> dict[int, TrialOutcome | None]:
    return {trial: _trial_folder.read_outcome(path) if resume else None for trial, path in folders.items()}


def _is_over(outcome: TrialOutcome | None, say: Callable[[str], None] = lambda _: None) -> bool:
    """Whether a trial is not trained again. One whose evaluations are gone is, from its last checkpoint."""
    if outcome is None or outcome.status not in _trial_folder.ENDED:
        return False
    why = _trial_folder.lacks_evaluations(outcome)
    if not why:
        return True
    there = bool(reading.matching(Path(outcome.folder), "checkpoint_*.npz"))
    does = (
        "goes on from its last checkpoint" if there else "has no checkpoint that they could be restored from"
    )
    say(f"{why}; trial {outcome.trial} had ended, and {does}")
    return not there


def _drawn_seed(folder: Path, anew: bool, self_tuning: bool) -> int:
    """The seed that a run without one drew here, or a new one."""
    seed = None if anew else _run_points.stored_seed(folder)
    spec = folder / "trial_1" / _trial_folder.SPEC
    if seed is None and self_tuning and spec.is_file():  # there are no points to be written beside
        seed = _trial_folder.read_spec(spec).seed
    return secrets.randbelow(SEEDS) if seed is None else seed


def _has_begun(folder: Path) -> bool:
    """Whether a trial has evaluated, or has ended otherwise than by a crash."""
    ended = _trial_folder.read_outcome(folder)
    return bool(evaluations(folder)) or (ended is not None and ended.status != "crashed")


def _is_self_tuning(ruleset: str) -> bool:
    if ruleset not in ("external", "self-tuning", "self"):
        raise ValueError(
            f"tuning_ruleset is {ruleset!r}; allowed: external, self-tuning (or self, as AlgoPerf spells it)"
        )
    return ruleset != "external"


def _arithmetic(workload: str, precision: str, micro_batches: int) -> Arithmetic:
    arithmetic = Arithmetic(precision, micro_batches)
    if workload.startswith(api.INSTALLED) and arithmetic != Arithmetic():
        raise ValueError(
            f"{workload}: an installed AlgoPerf computes its steps itself; leave precision and micro_batches out, or "
            "run on the native workload"
        )
    return arithmetic


def _check_ruleset(self_tuning: bool, space: Any, submission: Path | None) -> None:
    if not self_tuning and space is None:
        raise ValueError(
            f"the external ruleset needs a tuning_search_space, and there is no {SPACE} beside {submission}; give one, "
            "or choose the tuning_ruleset self-tuning"
        )
    if self_tuning and space is not None:
        raise ValueError("the self-tuning ruleset passes no hyperparameters: leave tuning_search_space out")


def _check_numbers(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; must be at least 1")
    trials = numbers["num_tuning_trials"]
    if trials is not None and trials > _run_points.MOST:
        raise ValueError(f"num_tuning_trials is {trials}; must be at most {_run_points.MOST}")


def _check(
    name: str,
    seed: int | None,
    data_dir: str | os.PathLike[str] | None,
    imagenet_v2_data_dir: str | os.PathLike[str] | None,
    *modes: bool,
) -> None:
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise ValueError(
            f"experiment_name is {name!r}; must be a folder in experiment_dir, such as my_submission/study_0"
        )
    if seed is not None and not 0 <= seed < SEEDS:
        raise ValueError(f"rng_seed is {seed}; must lie in 0..{SEEDS - 1}")
    for what, given in (("data_dir", data_dir), ("imagenet_v2_data_dir", imagenet_v2_data_dir)):
        if given is not None and not Path(given).expanduser().is_dir():
            raise FileNotFoundError(
                f"{what} {str(given)!r} is not a folder; leave it out to use the embedded data"
            )
    if all(modes):
        raise ValueError("overwrite and resume were both asked for; choose one")


def _check_imagenet_v2(
    workload: str, data_dir: str | os.PathLike[str] | None, given: str | os.PathLike[str] | None
) -> None:
    """Accepts a folder of test images where something reads it."""
    if given is None or workload.startswith(installed.PREFIX):
        return
    if not workload.startswith("algoperf/imagenet_") or "@" in workload:
        raise ValueError(
            f"imagenet_v2_data_dir {str(given)!r}: {workload} has no test images of ImageNet-v2; leave it out"
        )
    # AlgoPerf's own commands name one folder twice, in which both data sets are.
    if data_dir is None or not os.path.samefile(Path(data_dir).expanduser(), Path(given).expanduser()):
        raise ValueError(
            f"imagenet_v2_data_dir {str(given)!r}: {workload} reads imagenet_v2/ below data_dir; link it there, or "
            f"name one folder for both ({installed.PREFIX} workloads alone take two)"
        )


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


def _check_room(folders: Mapping[int, Path], overwrite: bool, resume: bool) -> None:
    for path in folders.values():
        if not overwrite and not resume and path.exists() and any(path.iterdir()):
            raise FileExistsError(f"{path}: exists already; --resume goes on with it, --overwrite deletes it")


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
