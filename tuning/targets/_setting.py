"""Targets of many workloads, set by whoever trains: what is kept meanwhile, and what a kill leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

import workloads
from results.studies import Programs
from tuning.engine import _spread
from tuning.execution import executors, kept_files, work
from tuning.execution.claims import Claims
from tuning.execution.coordinate import Rules, complete
from tuning.execution.jobs import Job, Needs
from tuning.execution.making import maker
from tuning.execution.seen import Seen
from tuning.execution.stopping import Stop
from tuning.targets._asked import Asked
from tuning.targets._measured import MeasuredTarget
from tuning.targets._trainings import Trainings
from workloads import Workload
from workloads.data.files import sweep

Progress = Callable[[str, int, int], None]
IN_LINE = "inline"


def set_targets(
    names: Iterable[str],
    asked: Asked,
    folder: Path,
    *,
    data_dir: Path | None = None,
    executor: str = IN_LINE,
    workers: int | None = None,
    options: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    watch: Callable[[Seen], None] | None = None,
    progress: Progress | None = None,
    found: Callable[[str, MeasuredTarget], None] | None = None,
    stop: Stop | None = None,
) -> dict[str, MeasuredTarget]:
    """Sets the targets of workloads by `best-median`.

    What was trained is kept in a folder until all targets are set, so that the same call after a kill trains what is
    missing, and comes to the same numbers. Several processes may do the same at once: each trains what no other does.

    Args:
      names: of the workloads, as `workloads.load` takes them.
      asked: of the procedure.
      folder: made when missing, and removed once all targets are set. What is asked for otherwise, of other data, with
        other versions or another device, has nothing in common with what lies there.
      data_dir: where real data sets lie; embedded ones otherwise.
      executor, workers, options, deadline, watch: who trains, see `tuning.studies.tune.tune`. They change no number.
      progress: called as (workload, trials done, trials in all).
      found: called with each target as soon as it is set.
      stop: set, from any thread, to end with what is done by then; what has begun is let end.

    Returns:
      The targets that were set, by the names of their workloads.

    Raises:
      ValueError: a workload or an executor is unknown, or every reference point diverged.
      RuntimeError: a cohort lost its worker, or took too long, again and again.
      KeyboardInterrupt: stopped before anything was trained.
    """
    stop, kept, row = Stop() if stop is None else stop, work.Kept(), executors.executor(executor, options)
    names = tuple(map(workloads.recorded_name, names))
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} is named twice; name every workload once")
    where = None if data_dir is None else str(data_dir.resolve())
    loaded = [_loaded(name, where, kept) for name in names]
    for workload in loaded:
        asked.check(workload)
    given = dict(options or {})
    if "cost_classes" in row.options:
        given["cost_classes"] = sorted({workload.cost_class for workload in loaded})
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    targets: dict[str, MeasuredTarget] = {}

    def take(target: MeasuredTarget, of: Trainings) -> None:
        targets[of.workload.name] = target
        kept.forget(of.workload.name)
        if found is not None:
            found(of.workload.name, target)

    made: list[Path] = []  # what nobody needs any more
    try:
        with Claims(folder) as claims, closing(executors.start(executor, workers, kept, given)) as started:
            if stop.is_set():  # what a handler of a signal raises can get lost in a callback of JAX's
                raise KeyboardInterrupt
            claims.take("at work", os.getpid())  # so that no other removes what this one trains
            here = work.here()
            needs = here if started.device is None else dataclasses.replace(here, device=started.device)
            settings = [_trainings(asked, one, folder, needs, started.device, where) for one in loaded]
            source, rules = _Source(settings, asked.trials, progress, take), Rules(deadline=deadline)
            complete(source, started, claims, source.written, stop, rules=rules, watch=watch)
            if len(targets) == len(names) and not claims.elsewhere():
                # Other claims are of whoever was killed.
                made = [*(one.folder for one in settings), folder / "claims"]
    finally:
        _tidy(folder, made)
    return targets


class _Source:
    """Jobs of workloads, one after the other; of the next one, where those of the first wait for each other."""

    def __init__(
        self,
        settings: Sequence[Trainings],
        total: int,
        progress: Progress | None,
        found: Callable[[MeasuredTarget, Trainings], None],
    ) -> None:
        self.wake: Callable[[], None] = lambda: None
        self._total, self._progress, self._found = total, progress, found
        self._next, self._jobs = deque(settings), deque[Job]()
        self._begun: dict[str, Trainings] = {}

    def take(self) -> Job | None:
        if not self._jobs and self._next:
            one = self._next.popleft()
            self._begun[one.workload.name] = one
            self._jobs += one.begin()
            self._tell(one)
        return self._jobs.popleft() if self._jobs else None

    def is_over(self) -> bool:
        return not (self._jobs or self._next or self._begun)

    def clear(self) -> None:
        for waiting in (self._jobs, self._next, self._begun):
            waiting.clear()

    def written(self, job: Job) -> None:
        """Takes what a job has written, and a target, if it was the last of its workload."""
        one = self._begun.get(job.workload)
        if one is None:  # stopped meanwhile
            return
        self._jobs += one.written(job)
        self._tell(one)
        if (target := one.target()) is not None:
            del self._begun[job.workload]
            self._found(target, one)

    def _tell(self, one: Trainings) -> None:
        if self._progress is not None:
            self._progress(one.workload.name, one.done, self._total)


def _loaded(name: str, data_dir: str | None, kept: work.Kept) -> Workload:
    own = workloads.own_file(name)
    file, source = (None, None) if own is None else (Path(own.path), own.sha256)
    return work.load(name, data_dir, kept, file, source)


def _trainings(
    asked: Asked, workload: Workload, folder: Path, needs: Needs, device: str | None, data_dir: str | None
) -> Trainings:
    """The trainings of a workload, in a folder of what they are."""
    name, own = workload.name, workloads.own_file(workload.name)
    # As in any study of this process; of workers elsewhere each has one core, or one device.
    side_by_side = _spread.places() if device is None else 1
    programs = Programs(_spread.measured_width(workload.cost_class, device), side_by_side)
    points = [(one.name, one.optimizer, [point.to_json() for point in one.points]) for one in asked.reference]
    numbers = asked.seeds, asked.part_of_budget, asked.seed, asked.width, programs
    made_of = str(workload.data.provenance), needs.versions, needs.device, own and own.sha256
    key = hashlib.sha256(msgspec.json.encode([points, numbers, made_of], order="sorted")).hexdigest()[:16]
    place = folder / name.replace("/", "__") / key
    if own is not None:
        kept_files.keep_workload(place, name, own, kept_files.any_trained(place, name))
    files = {name: None if own is None else kept_files.sent(own)}
    return Trainings(
        asked, workload, programs, place, lambda spec: maker(place, spec, needs, data_dir, None, files)
    )


def _tidy(folder: Path, made: Sequence[Path]) -> None:
    """Removes what was made, and folders in which nothing is left."""
    for one in made:
        shutil.rmtree(one, ignore_errors=True)
    for where, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # it is not empty
            os.rmdir(where)
