"""The trials of a run as jobs of an executor, whose results this process alone writes."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from results import studies
from submissions.api import TrialOutcome
from tuning.execution import executors, work
from tuning.execution.coordinate import InOrder, Rules, complete
from tuning.execution.executors import Executor
from tuning.execution.jobs import AnyJob, Result, TrialJob
from tuning.execution.seen import Seen
from tuning.execution.trials import parcel
from tuning.execution.trials._attendant import RunAttendant
from tuning.execution.trials._decided import Decided
from tuning.execution.trials._making import Making, begin, submission_files
from tuning.execution.trials._store import Trials
from tuning.execution.trials.record import RunRecord

IN_LINE = "inline"


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
        # A trial that reaches its targets in a minute says nothing of one that never does.
        self._rules, self._watch = Rules(deadline=deadline, factor=math.inf), watch
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
                size = parcel.said((folder / name).stat().st_size)
                raise ValueError(
                    f"{folder / name}: {size} are too much to travel to a worker; go on with this trial without "
                    "--executor, or --overwrite it"
                )

    def train(self, decided: Decided, record: RunRecord, attendant: RunAttendant) -> list[TrialOutcome]:
        """Trains what is missing of a run; see `_in_line.train_in_line`.

        Raises:
          GaveUp: a trial lost its worker, or took too long, again and again.
          ValueError: a trial was refused, or there are no workers but such as have something else than this process.
        """
        executor = self._started
        assert executor is not None
        here = work.here()
        work.let_go()
        needs = here if executor.device is None else dataclasses.replace(here, device=executor.device)
        make, store = Making(decided, needs), Trials(decided, record, attendant)
        with _Given(executor, record) as given:
            complete(
                InOrder(map(make.job, decided.missing)), given, _Held(),
                lambda _: store.tell(), attendant.stop, rules=self._rules, watch=self._watch, store=store,
            )  # fmt: skip
        _tidy(record, decided.asked.workload)
        return store.outcomes()


class _Given:
    """An executor that is given trials, of which what has not ended is given up where the run ends by an error: that
    may take days."""

    def __init__(self, executor: Executor, record: RunRecord) -> None:
        self._executor, self._record, self._futures = executor, record, set[Future[Result]]()

    def __enter__(self) -> _Given:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for future in list(self._futures) if kind is not None else ():
            self.abandon(future)

    @property
    def workers(self) -> int:
        return self._executor.workers

    @property
    def ahead(self) -> int:
        return self._executor.ahead

    @property
    def refusals(self) -> dict[str, str]:
        return getattr(self._executor, "refusals", {})

    def abandon(self, future: Future[Result]) -> None:
        self._executor.abandon(future)

    def interrupt(self, future: Future[Result]) -> None:
        self._executor.interrupt(future)

    def submit(self, job: AnyJob) -> Future[Result]:
        assert isinstance(job, TrialJob)
        begin(job, self._record)
        future = self._executor.submit(job)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        return future


def _tidy(record: RunRecord, workload: str) -> None:
    """Removes the folders for trials under way, where none is left that has not ended."""
    of_workload = studies.checkpoint_folder(record.folder, workload, 0).parent
    with contextlib.suppress(OSError):
        for folder in (of_workload, of_workload.parent):
            folder.rmdir()


class _Held:
    """Claims of a run, whose locks keep others from its trials."""

    def take(self, workload: str, number: int) -> bool:
        del workload, number
        return True

    def give_back(self, workload: str, number: int) -> None:
        """Its locks are given back when it ends."""
