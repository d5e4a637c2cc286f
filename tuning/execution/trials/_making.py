"""Jobs made of a run: what each trial's takes with it."""

from __future__ import annotations

import os
from pathlib import Path

from submissions import environment
from submissions.api import loading
from tuning.execution import kept_files
from tuning.execution.jobs import Needs, SentFile, TrialJob
from tuning.execution.trials import _trial_folder, parcel
from tuning.execution.trials._decided import Decided
from tuning.execution.trials.record import RunRecord
from tuning.execution.trials.sent import CACHE
from workloads import own_files
from workloads.data.files import sweep
from workloads.own_files import is_file_form, parts

MOST = 16 << 20  # bytes of a submission's folder, which travels with every trial


class Making:
    """Makes the jobs of a run. What does not depend on the trial is made once."""

    def __init__(self, decided: Decided, needs: Needs) -> None:
        self._decided, self._needs = decided, needs
        self._submission = submission_files(Path(decided.of_all.submission_path), decided.asked.experiment)
        self._optimizer = None
        optimizer = decided.asked.optimizer
        if optimizer is not None and is_file_form(optimizer):
            file = parts(optimizer)[0].resolve()
            content = file.read_bytes()
            self._optimizer = SentFile(str(file), own_files.sha256(content), content)

    def job(self, trial: int) -> TrialJob:
        """The job of a trial; nothing is written."""
        decided, spec = self._decided, self._decided.specs[trial]
        folder = Path(spec.folder)
        begun = None
        if spec.resume and parcel.names(folder):
            begun = parcel.pack(folder, {}, without=(_trial_folder.OUTCOME,))
        return TrialJob(
            study=str(decided.asked.record.resolve()),
            spec=spec,
            submission=self._submission,
            needs=self._needs,
            host=environment.host(),
            optimizer_file=self._optimizer,
            workload_file=None if decided.own is None else kept_files.sent(decided.own),
            begun=begun,
            compiles=CACHE not in os.environ,
        )


def begin(job: TrialJob, record: RunRecord) -> None:
    """Writes down what is about to be trained, in the folder of the trial: that is ours alone, as its lock is held."""
    folder = Path(job.spec.folder)
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    (folder / _trial_folder.OUTCOME).unlink(missing_ok=True)
    record.forget(job.spec.trial)
    _trial_folder.write_spec(job.spec)


def submission_files(submission: Path, experiment: Path) -> tuple[SentFile, ...]:
    """The files of a submission: what it imports of its own, and whatever else lies in its folder or below.

    Args:
      submission: its file.
      experiment: folder of its trials, which may be one of those.

    Raises:
      ValueError: they are too many.
    """
    found, size, below = {}, 0, set(loading.sources(submission))
    left_out = experiment.resolve()
    for where, folders, names in os.walk(submission.parent):
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__pycache__")) and Path(where, name).resolve() != left_out
        ]
        below |= {Path(where, name) for name in names if not name.startswith(".")}
    for file in sorted(below):
        if not file.is_file():
            continue
        size += file.stat().st_size
        if size > MOST:
            raise ValueError(
                f"{submission.parent}: more than {parcel.said(MOST)} lie in the submission's folder, all of which "
                "travels to workers; give it a folder of its own"
            )
        content = file.read_bytes()
        found[file] = SentFile(str(file), own_files.sha256(content), content)
    return tuple(found.values())
