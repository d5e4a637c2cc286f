"""The trials of a run, one after the other on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from submissions import api
from submissions.api import TrialOutcome, TrialSpec, failures
from tuning.execution import team
from tuning.execution.trials import _trial_folder, _trial_process
from tuning.execution.trials._attendant import RunAttendant
from tuning.execution.trials._decided import Decided
from tuning.execution.trials.locks import TrialLocks
from tuning.execution.trials.record import RunRecord
from workloads.data.files import sweep


def train_in_line(
    decided: Decided,
    record: RunRecord,
    taken: TrialLocks | None,
    attendant: RunAttendant,
    several: team.Leader | None = None,
) -> list[TrialOutcome]:
    """Trains what is missing of a run.

    Args:
      decided: the trials.
      record: of the run.
      taken: their locks, for processes of their own; None: all of them train in this process.
      attendant: whoever looks after the run.
      several: the other hosts that train every trial along.

    Returns:
      How each trial of the slice ended; those after a stop are left out.
    """
    outcomes = []
    for trial in decided.specs:
        if trial not in decided.missing:
            outcome = recorded(decided.ended[trial], record)
        elif attendant.is_to_stop():
            break
        else:
            attendant.what = f"{decided.asked.workload}, trial {trial} of {decided.asked.trials}"
            lock = None if taken is None else taken.of(trial)
            outcome = _train(decided.spec(trial), record, lock, attendant, several)
        outcomes.append(outcome)
    return outcomes


def recorded(outcome: TrialOutcome | None, record: RunRecord) -> TrialOutcome:
    """A trial that has ended before, and has a row in the record."""
    assert outcome is not None
    if not record.holds(outcome.trial):
        record.add(outcome)
    return outcome


def _train(
    spec: TrialSpec,
    record: RunRecord,
    lock: int | None,
    attendant: RunAttendant,
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
