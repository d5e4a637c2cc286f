"""Points of one workload that a service hands out to several workers, each trained by one of them."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from results import studies
from results.studies import StudySpec, Suggestion
from submissions.points import Point, Told
from tuning import strategies
from tuning.execution.claims import Claims
from tuning.execution.coordinate import is_written
from tuning.execution.jobs import Job
from tuning.execution.stopping import Stop
from tuning.strategies.vizier import Vizier
from tuning.strategies.vizier_service import ServedStudy, ServiceAwayError, check_answers

SECONDS_OF_PATIENCE = 60.0  # with a service that does not answer
SECONDS_BETWEEN_LOOKS = 0.5  # at what others have in hand

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class Service:
    """A Vizier service for a study.

    Attributes:
      address: HOST:PORT.
      minimize: workload -> direction of its values.
    """

    address: str
    minimize: Mapping[str, bool]


def check_service(spec: StudySpec, address: str | None) -> None:
    """Accepts a study whose strategy asks a service that answers, or none.

    Raises:
      ValueError: it cannot be asked so.
      ConnectionError: no service answers.
    """
    name = spec.strategy.get("name")
    if address is None:
        if (several := spec.strategy.get("parallel", 1)) > 1:
            raise ValueError(
                f"--parallel {several} needs --service HOST:PORT; 'shortlist vizier-service --folder DIR' starts one"
            )
        return
    if spec.points is not None or strategies.row(name).make is not Vizier:
        raise ValueError(f"--service is for strategy 'vizier', not {name!r}; leave it out")
    check_answers(address)


class ServedWorkload:
    """The points of a workload as this process takes and returns them, in as many threads as it likes.

    Who trains a point holds a claim on it. A point whose holder is gone is handed out again, before any new one.

    Args:
      folder: of the study.
      spec: of the study.
      workload: its name.
      strategy: for the workload.
      service: what makes its suggestions.
      job: (workload, cohort) -> what is to be done.
      claims: of this process.
      told_of: (trials, points) -> what a strategy is told of them.
      spent: what suggestions took is added to it.
      count: called when trials may have come.
      stop: when it is set nothing new is handed out.
    """

    def __init__(
        self,
        folder: Path,
        spec: StudySpec,
        workload: str,
        strategy: Vizier,
        service: Service,
        *,
        job: Callable[..., Job],
        claims: Claims,
        told_of: Callable[[pl.DataFrame, Sequence[Point]], list[Told]],
        spent: list[float],
        count: Callable[[], None],
        stop: Stop,
    ) -> None:
        self._folder, self._spec, self._workload, self._strategy = folder, spec, workload, strategy
        self._job, self._claims, self._told_of, self._spent = job, claims, told_of, spent
        self._count, self._stop = count, stop
        name = f"{studies.service_name(folder)}.{workload}"
        self._study = ServedStudy(service.address, name, strategy, service.minimize[workload])
        self._claimed = f"suggestions/{workload}"
        self._mine: set[int] = set()
        self._there: set[int] = set()  # of what was trained, which is looked for once
        self._lock = threading.Lock()
        self._agrees = False

    def train(self, place: int, do: Callable[[Sequence[Job]], None]) -> None:
        """Trains one point after the other until there are no more for this process.

        Args:
          place: number of the calling thread.
          do: trains, and returns when the cohorts are in the study's folder.
        """
        try:
            while (suggestion := self._patiently(lambda: self._take(place))) is not None:
                jobs = self._jobs(suggestion)
                do(jobs)
                if not all(map(is_written, jobs)):  # stopped
                    break
                value = self._value(suggestion)
                self._patiently(functools.partial(self._study.tell, suggestion.number, value))
                self._give_back(suggestion)
        except KeyboardInterrupt:  # stopped while it waited for another
            pass

    def _take(self, place: int) -> Suggestion | None:
        """The next point for this process: one that nobody trains any more, or a new one; None: there are no more."""
        while not self._stop.is_set():
            with self._claims.sole(f"asking/{self._workload}", self._stop):
                if not self._agrees:
                    self._agree()
                served = self._study.suggestions()
                outstanding = [one.suggestion for one in served if not one.ended]
                # What was trained and told before this process began may have been deleted, to be trained anew.
                missing = [
                    one.suggestion for one in served if not one.ended or not self._is_trained(one.suggestion)
                ]
                if (again := next(filter(self._claim, missing), None)) is not None:
                    return again
                if len(served) < self._strategy.budget and len(outstanding) < self._strategy.parallel:
                    with self._stop.under_way(f"the next point of {self._workload}"):
                        new = self._study.suggest(f"{socket.gethostname()}:{os.getpid()}:{place}")
                    self._spent.append(new.cpu_seconds)
                    if self._claim(new):
                        return new
                elif len(served) >= self._strategy.budget and self._holds(missing):
                    return None
            self._count()
            self._stop.wait(SECONDS_BETWEEN_LOOKS)
        return None

    def _agree(self) -> None:
        """Gives the service what it does not know of this study, of what came before it or was lost with its database.

        Raises:
          ValueError: the service knows of another point.
        """
        self._study.activate()
        served = self._study.suggestions()
        known = self._known()
        for one in served:
            there = known.get(one.suggestion.number)
            if there and dict(there.hyperparameters) != dict(one.suggestion.hyperparameters):
                raise ValueError(
                    f"{self._folder}: the service has another point {there.number} of {self._workload} than the study; "
                    "serve the folder with which it began, or choose another study"
                )
        for number in range(len(served), max(known, default=-1) + 1):
            if number not in known:
                raise ValueError(
                    f"{self._folder}: point {number} of {self._workload} is not there, and the service does not know "
                    "it; serve the folder with which the study began, or choose another study"
                )
            self._study.restore(known[number])
            if self._is_trained(known[number]):
                self._study.tell(number, self._value(known[number]))
        self._agrees = True

    def _known(self) -> dict[int, Suggestion]:
        """What the study knows of its points: what a service suggested, and what was trained without one, in order."""
        trials = studies.read_trials(self._folder, self._workload)
        rows = trials.select("point", "hyperparameters").unique().rows() if len(trials) else ()
        alone = {
            int(name): Suggestion(int(name), json.loads(values), tuple(range(int(name))), (), "", 0.0)
            for name, values in rows
        }
        return alone | {one.number: one for one in studies.read_suggestions(self._folder, self._workload)}

    def _jobs(self, suggestion: Suggestion) -> list[Job]:
        points = (Point(str(suggestion.number), suggestion.hyperparameters),)
        first = suggestion.number * self._spec.repeats
        return [self._job(self._workload, one) for one in self._spec.cohorts(points, self._workload, first)]

    def _is_trained(self, suggestion: Suggestion) -> bool:
        if suggestion.number not in self._there and all(map(is_written, self._jobs(suggestion))):
            self._there.add(suggestion.number)
        return suggestion.number in self._there

    def _value(self, suggestion: Suggestion) -> float | None:
        numbers = [job.cohort.number for job in self._jobs(suggestion)]
        trials = studies.read_cohorts(self._folder, self._spec, self._workload, numbers)
        point = Point(str(suggestion.number), suggestion.hyperparameters)
        return self._told_of(trials, [point])[0].value

    def _claim(self, suggestion: Suggestion) -> bool:
        """Whether the point is this thread's now. If it is, the study knows it."""
        if not self._claims.take(self._claimed, suggestion.number):
            return False
        with self._lock:
            self._mine.add(suggestion.number)
        studies.write_suggestion(self._folder, self._workload, suggestion)
        return True

    def _give_back(self, suggestion: Suggestion) -> None:
        with self._lock:
            self._mine.remove(suggestion.number)
        self._claims.give_back(self._claimed, suggestion.number)

    def _holds(self, suggestions: Sequence[Suggestion]) -> bool:
        """Whether this process trains all of them."""
        with self._lock:
            return self._mine.issuperset(one.number for one in suggestions)

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        """Waits for a service that somebody may be starting again."""
        ends = math.inf
        while True:
            try:
                return call()
            except ServiceAwayError:
                ends = min(ends, time.monotonic() + SECONDS_OF_PATIENCE)
                if time.monotonic() >= ends or self._stop.wait(SECONDS_BETWEEN_LOOKS):
                    raise
