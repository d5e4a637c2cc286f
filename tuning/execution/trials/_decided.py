"""What the trials of a run are, and whether they may go on with what is there."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import submissions.api.loading as loading
import workloads
from results import studies
from submissions.api import TrialOutcome, TrialSpec, evaluations
from tuning.execution import kept_files
from tuning.execution.seeding import seed_of_trial
from tuning.execution.trials import _packaged, _run_points, _trial_folder
from tuning.execution.trials._asked import SEEDS, Asked
from tuning.execution.trials.locks import TrialLocks
from tuning.execution.trials.record import RunRecord
from workloads.data import reading
from workloads.data.files import sweep
from workloads.own_files import OwnFile


@dataclasses.dataclass(frozen=True)
class Decided:
    """The trials of a run, of which nothing is written yet.

    Attributes:
      asked: what was asked for.
      of_all: what is asked of all trials alike, with the seed of the study.
      specs: number -> what is asked of that trial, for those of the slice.
      ended: number -> how it ended; None: it has not.
      missing: numbers of those that are to be trained.
      own: the user's own file that defines the workload; None where there is none.
    """

    asked: Asked
    of_all: TrialSpec
    specs: dict[int, TrialSpec]
    ended: dict[int, TrialOutcome | None]
    missing: list[int]
    own: OwnFile | None
    _made: Path | None
    _space: Path | None
    _points: _run_points.Plan | None

    @property
    def workload_copy(self) -> Path:
        """Where the record keeps the user's own file."""
        return studies.workload_copy(self.asked.record, self.asked.workload)

    def spec(self, trial: int) -> TrialSpec:
        """What is asked of a trial now: a user's own file may change while a run goes on."""
        spec = self.specs[trial]
        if self.own is None:
            return spec
        return dataclasses.replace(spec, workload_file=str(self.own.where(self.workload_copy)))

    def begin(self) -> RunRecord:
        """Writes down what is to be trained: from here on the run is what was asked for."""
        asked, folder, own = self.asked, self.asked.folder, self.own
        for trial, path in asked.folders.items():
            if asked.overwrite and path.exists():
                shutil.rmtree(path)
            if asked.overwrite or trial not in self.missing:  # of a worker that was killed
                state = studies.checkpoint_folder(asked.record, asked.workload, trial - 1)
                shutil.rmtree(state, ignore_errors=True)
        if asked.anew:
            (folder / _run_points.NAME).unlink(missing_ok=True)
        submission, space = asked.submission, self._space
        if self._made is not None:
            place = _packaged.keep(self._made, asked.experiment, asked.folders.values())
            submission = place / "submission.py"
            space = place / _packaged.SPACE if space is not None and space.parent == self._made else space
        if self._points is not None:
            self._points.write()
        assert submission is not None
        points = None if self._points is None else self._points.points
        record = RunRecord.of(asked.experiment, submission, points, space, self.of_all)
        if own is not None:
            begun = any(map(_has_begun, reading.matching(folder, "trial_*")))
            kept_files.keep_workload(record.folder, asked.workload, own, begun)
        sweep(record.folder)
        record.begin()
        return record


def decide(
    asked: Asked, held: contextlib.ExitStack, taken: TrialLocks, say: Callable[[str], None]
) -> Decided:
    """Looks at what there is, and writes nothing but locks.

    Args:
      asked: what is asked for.
      held: keeps what is packaged until the run is over.
      taken: locks of the trials that are not over are taken.
      say: told what a person must know.

    Raises:
      FileNotFoundError: no such search space.
      ValueError: what is asked contradicts what is there, a damaged file, a trial that another process trains.
    """
    folders, folder, resume = asked.folders, asked.folder, asked.of_trials.resume
    taken.take((t for t, ended in _outcomes(folders, resume).items() if not _is_over(ended)), say)
    ended = _outcomes(folders, resume)  # now nobody else changes them
    missing = [trial for trial, outcome in ended.items() if not _is_over(outcome, say)]
    seed = asked.seed
    if seed is None:
        seed = _drawn_seed(folder, asked.anew, resume and asked.self_tuning)
    made, space = None, asked.space
    if asked.optimizer is not None:
        made = held.enter_context(_packaged.packaged(asked.optimizer, asked.experiment, asked.self_tuning))
        digest = _packaged.fingerprint(made, asked.optimizer)
        space = made / _packaged.SPACE if space is None and not asked.self_tuning else space
    else:
        digest = loading.fingerprint(asked.of_trials.submission_path)
    if space is not None and not space.is_file():
        raise FileNotFoundError(f"{space}: no such file; give a tuning_search_space.json")
    points = None if space is None else _run_points.plan(folder, space, asked.trials, seed, asked.anew)
    of_all = dataclasses.replace(asked.of_trials, seed=seed, submission_sha256=digest)
    specs = _of_trials(of_all, folders, None if points is None else points.points)
    own = workloads.own_file(asked.workload)
    decided = Decided(asked, of_all, specs, ended, missing, own, made, space, points)
    if not asked.overwrite:
        for trial, spec in specs.items():
            _trial_folder.check_same(spec, ended[trial])
    stay = set(reading.matching(folder, "trial_*")) - set(folders.values() if asked.overwrite else ())
    _trial_folder.check_arithmetic(of_all, stay)
    if made is not None:
        _packaged.check(made, asked.experiment, folders.values())
    if own is not None:
        kept_files.check_workload(asked.record, asked.workload, own, any(map(_has_begun, stay)))
    return decided


def _of_trials(
    of_all: TrialSpec, folders: Mapping[int, Path], points: Sequence[Mapping[str, Any]] | None
) -> dict[int, TrialSpec]:
    """What is asked of each trial: what is asked of all, in a folder, with a seed and at a point of its own."""
    return {
        trial: dataclasses.replace(
            of_all,
            folder=str(path),
            trial=trial,
            seed=seed_of_trial(of_all.seed, trial),
            hyperparameters=None if points is None else points[trial - 1],
        )
        for trial, path in folders.items()
    }


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
