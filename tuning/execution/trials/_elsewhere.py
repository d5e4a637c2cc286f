"""The trials of a run as jobs of an executor, whose results this process alone writes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from results import studies
from submissions import environment
from submissions.api import TrialOutcome, loading
from tuning.execution import _trial_folder, executors, kept_files, work
from tuning.execution.coordinate import InOrder, Rules, complete
from tuning.execution.executors import Executor
from tuning.execution.jobs import Needs, Result, SentFile, TrialJob
from tuning.execution.record import RunRecord, trained_on
from tuning.execution.seen import Seen
from tuning.execution.trials import parcel
from tuning.execution.trials._attendant import RunAttendant
from tuning.execution.trials._decided import Decided
from tuning.execution.trials._in_line import recorded
from tuning.execution.trials.sent import CACHE, state_folder
from workloads import own_files
from workloads.data import reading
from workloads.data.files import sweep, write_atomically
from workloads.own_files import is_file_form, parts

IN_LINE = "inline"
MOST = 16 << 20  # bytes of a submission's folder, which travels with every trial


def chosen(
    name: str,
    workers: int | None,
    options: Mapping[str, Any] | None,
    deadline: float | None,
    watch: Callable[[Seen], None] | None,
    *,
    isolated: bool,
) -> Elsewhere | None:
    """The executor of a run as `run` was told; None: its trials train in line.

    Raises:
      ValueError: no such executor, one that does not take an option, or that cannot do what is asked.
    """
    executors.executor(name, options)
    if name != IN_LINE and isolated:
        return Elsewhere(name, workers, options, deadline, watch)
    if name != IN_LINE:
        raise ValueError(f"executor {name!r} has a process for every trial; leave isolated out")
    if workers not in (None, 1) or deadline is not None:
        raise ValueError(
            "executor 'inline' trains one trial after the other, however long they take; choose another"
        )
    return None


class Elsewhere:
    """An executor for the trials of a run; started as a context."""

    def __init__(
        self,
        name: str,
        workers: int | None,
        options: Mapping[str, Any] | None,
        deadline: float | None,
        watch: Callable[[Seen], None] | None,
    ) -> None:
        """Takes what `run` was told of it."""
        self._how = name, workers, options
        self._rules, self._watch = Rules(deadline=deadline), watch
        self._started: Executor | None = None

    def __enter__(self) -> Elsewhere:
        name, workers, options = self._how
        self._started = executors.start(name, workers, work.Kept(), options)
        return self

    def __exit__(self, *_: object) -> None:
        if self._started is not None:
            self._started.close()

    def check(self, decided: Decided) -> None:
        """Accepts trials that can travel.

        Raises:
          ValueError: a submission's folder, or what a trial goes on with, is too big.
        """
        if decided.asked.submission is not None:  # else it is ours, and not in its place yet
            submission_files(decided.asked.submission, decided.asked.experiment)
        for trial in decided.missing if decided.of_all.resume else ():
            folder = Path(decided.specs[trial].folder)
            for name in parcel.too_big(folder):
                raise ValueError(
                    f"{folder / name}: {_size(folder / name)} are too much to travel to a worker; go on with this "
                    "trial without --executor, or --overwrite it"
                )

    def train(self, decided: Decided, record: RunRecord, attendant: RunAttendant) -> list[TrialOutcome]:
        """Trains what is missing of a run; see `_in_line.train_in_line`.

        Raises:
          GaveUp: a trial lost its worker, or took too long, again and again.
          ValueError: a trial was refused, or there are no workers but such as have something else than this process.
        """
        started = self._started
        assert started is not None
        here = work.here()
        work.let_go()
        needs = here if started.device is None else dataclasses.replace(here, device=started.device)
        make, store = _Making(decided, needs), _Store(decided, record, attendant)
        complete(
            InOrder(make.job(trial, record) for trial in decided.missing), started, _Held(),
            lambda _: store.tell(), attendant.stop, rules=self._rules, watch=self._watch, store=store,
        )  # fmt: skip
        _tidy(record, decided.asked.workload)
        return store.outcomes()


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
                f"{submission.parent}: more than {_bytes(MOST)} lie in the submission's folder, all of which travels "
                "to workers; give it a folder of its own"
            )
        content = file.read_bytes()
        found[file] = SentFile(str(file), own_files.sha256(content), content)
    return tuple(found.values())


def _tidy(record: RunRecord, workload: str) -> None:
    """Removes the folders for trials under way, where none is left that has not ended."""
    of_workload = studies.checkpoint_folder(record.folder, workload, 0).parent
    with contextlib.suppress(OSError):
        for folder in (of_workload, of_workload.parent):
            folder.rmdir()


class _Making:
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

    def job(self, trial: int, record: RunRecord) -> TrialJob:
        """The job of a trial, which begins with that."""
        decided, spec = self._decided, self._decided.specs[trial]
        folder = Path(spec.folder)
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)  # it is ours alone: its lock is held
        (folder / _trial_folder.OUTCOME).unlink(missing_ok=True)
        record.forget(trial)
        begun = parcel.pack(folder, {}) if spec.resume and parcel.names(folder) else None
        _trial_folder.write_spec(spec)
        return TrialJob(
            study=str(record.folder.resolve()),
            spec=spec,
            submission=self._submission,
            needs=self._needs,
            host=environment.host(),
            optimizer_file=self._optimizer,
            workload_file=None if decided.own is None else kept_files.sent(decided.own),
            begun=begun,
            compiles=CACHE not in os.environ,
        )


class _Store:
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
                f"{job}: {name} is more than {_bytes(parcel.MOST)}, and stayed with its worker, which has deleted it"
            )


class _Held:
    """Claims of a run, whose locks keep others from its trials."""

    def take(self, workload: str, number: int) -> bool:
        del workload, number
        return True

    def give_back(self, workload: str, number: int) -> None:
        """Its locks are given back when it ends."""


def _bytes(count: int) -> str:
    return f"{count >> 20} MiB"


def _size(file: Path) -> str:
    return _bytes(file.stat().st_size)
