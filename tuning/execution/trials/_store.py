"""What came of a run's jobs, kept where trials in line would have left it. Whoever asked for them alone writes here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submissions.api import TrialOutcome
from tuning.execution.jobs import Result, TrialJob
from tuning.execution.trials import _trial_folder, parcel
from tuning.execution.trials._attendant import RunAttendant
from tuning.execution.trials._decided import Decided
from tuning.execution.trials._in_line import recorded
from tuning.execution.trials.record import RunRecord, trained_on
from tuning.execution.trials.sent import state_folder
from workloads.data import reading
from workloads.data.files import write_atomically


class Trials:
    """Keeps results of trials: their files where a trial in line would have written them, and their rows."""

    def __init__(self, decided: Decided, record: RunRecord, attendant: RunAttendant) -> None:
        self._decided, self._record, self._attendant = decided, record, attendant
        self._made: dict[int, TrialOutcome] = {}
        attendant.what = decided.asked.workload
        self.tell()

    def is_written(self, job: TrialJob) -> bool:
        """Whether the trial has ended."""
        return job.spec.trial in self._made

    def commit(self, job: TrialJob, result: Result) -> bool:
        """Writes the files of a trial, and its row.

        Raises:
          ValueError: it is the result of something else, or of other data than the other trials.
        """
        if self.is_written(job):
            return False
        about, files = parcel.opened(result.content)
        if about["belongs_to"] != job.belongs_to():
            raise ValueError(f"{job}: what came back belongs to something else")
        outcome, folder = TrialOutcome(**about["outcome"]), Path(job.spec.folder)
        self._check_data(job, about["data"], result.done.host)
        self._take_back(job, about)
        # What says how it ended comes last: killed before that, it is trained again.
        files.pop(_trial_folder.SPEC, None)
        files.pop(_trial_folder.OUTCOME, None)
        for name in sorted(files, key=lambda name: name.endswith(".npz")):
            write_atomically(folder / name, files[name])
        _trial_folder.write_spec(job.spec)
        _trial_folder.write_outcome(outcome)
        for old in reading.matching(folder, "checkpoint_*.npz"):
            if old.name not in about["names"]:
                old.unlink()
        self._record.add(outcome)
        shutil.rmtree(state_folder(job).parent, ignore_errors=True)
        for line in about["said"]:
            self._attendant.say(line)
        if outcome.status == "crashed":
            self._attendant.say(f"trial {outcome.trial} crashed: {outcome.reason}")
        self._made[outcome.trial] = outcome
        return True

    def tell(self) -> None:
        """Tells how many trials have ended."""
        total = len(self._decided.specs)
        self._attendant.progress(total - len(self._decided.missing) + len(self._made), total)

    def outcomes(self) -> list[TrialOutcome]:
        """How the trials ended; those that a stop kept from beginning are left out."""
        decided = self._decided
        return [
            self._made[trial] if trial in self._made else recorded(decided.ended[trial], self._record)
            for trial in decided.specs
            if trial in self._made or trial not in decided.missing
        ]

    def _check_data(self, job: TrialJob, mine: str | None, host: str) -> None:
        for other in reading.matching(self._decided.asked.folder, "trial_*"):
            if other == Path(job.spec.folder) or not (other / _trial_folder.OUTCOME).exists():
                continue
            theirs = trained_on(other)
            if None not in (mine, theirs) and mine != theirs:
                raise ValueError(
                    f"{job}: {host} trained it on {mine!r}, {other.name} was on {theirs!r}; give the same --data-dir "
                    "to all workers"
                )

    def _take_back(self, job: TrialJob, about: Mapping[str, Any]) -> None:
        """Takes what was too big to travel from where it is, if that is on this machine, or says that it is gone."""
        for name in about["stay"]:
            there = state_folder(job) / f"trial_{job.spec.trial}" / name
            if there.exists():
                os.replace(there, Path(job.spec.folder) / name)
                continue
            self._attendant.say(
                f"{job}: {name} is more than {parcel.said(parcel.MOST)}, and stayed with its worker, which has "
                "deleted it"
            )
