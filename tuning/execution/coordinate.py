"""Sees to it that every cohort is written once: what is missing, who trains it, what is tried again.

All of that is decided here, whoever moves the jobs; and every result is written here, the first of a cohort's. What is
kept grows with what is under way and not with what is done.
"""

from __future__ import annotations

import dataclasses
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from typing import Any, Protocol

from tuning.execution import failures
from tuning.execution.jobs import AnyJob, Done, OutOfMemory, Refused, Result, WorkerLost
from tuning.execution.keeping import Cohorts, Store
from tuning.execution.keeping import commit as commit
from tuning.execution.keeping import is_written as is_written
from tuning.execution.seen import Seen
from tuning.execution.stopping import GaveUp as GaveUp
from tuning.execution.stopping import Stop

SECONDS_BETWEEN_LOOKS = 0.2  # at what another process trains
SECONDS_AT_MOST = 1.0  # between looks at deadlines, and at workers that have joined


class Executor(Protocol):
    """What is used of `tuning.execution.executors.Executor`."""

    @property
    def workers(self) -> int: ...
    @property
    def ahead(self) -> int: ...
    def submit(self, job: AnyJob) -> Future[Result]: ...
    def abandon(self, future: Future[Result]) -> None: ...
    def interrupt(self, future: Future[Result]) -> None: ...


class Claims(Protocol):
    """What is used of `tuning.execution.claims.Claims`."""

    def take(self, workload: str, number: int) -> bool: ...
    def give_back(self, workload: str, number: int) -> None: ...


@dataclasses.dataclass(frozen=True)
class Rules:
    """How often a cohort is tried, and how long.

    Attributes:
      lost: workers that a cohort may lose; hosts go, whatever they do.
      lost_alone: crashes of its workers, while no other cohort lost any: what kills its worker so often is the cohort.
      again: tries after the first one that ran out of memory or time.
      unsent: times that a job may come back without having begun.
      deadline: seconds that a cohort may take; None: `factor` times what the longest of its workload took, and `least`
        at least. Until one was measured, for ever.
    """

    lost: int = 10
    lost_alone: int = 3
    again: int = 2
    unsent: int = 100
    deadline: float | None = None
    factor: float = 10.0
    least: float = 120.0

    def seconds(self, longest: float | None) -> float | None:
        """The deadline of a workload of which the longest cohort took so many seconds."""
        if self.deadline is not None or longest is None:
            return self.deadline
        return max(self.least, self.factor * longest)


class Clock:
    """Time as it is. A simulation has another one."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def next(self, events: queue.SimpleQueue[Any], timeout: float) -> Any:
        """The next event; raises `queue.Empty` where none comes in so many seconds."""
        return events.get(timeout=timeout)


class Source(Protocol):
    """Where jobs come from, one at a time."""

    wake: Callable[[], None]
    """Set by `complete`; to be called, from any thread, when there is more to take or nothing more will come."""

    def take(self) -> AnyJob | None:
        """The next job; None: there is none now."""
        ...

    def is_over(self) -> bool:
        """Whether no more will come."""
        ...

    def clear(self) -> None:
        """Drops what has not been taken: no more is begun."""
        ...


class InOrder:
    """Jobs that are known, made as they are taken."""

    def __init__(self, jobs: Iterable[AnyJob]) -> None:
        self.wake = lambda: None
        self._jobs = iter(jobs)
        self._next = next(self._jobs, None)

    def take(self) -> AnyJob | None:
        job, self._next = self._next, None if self._next is None else next(self._jobs, None)
        return job

    def is_over(self) -> bool:
        return self._next is None

    def clear(self) -> None:
        self._next, self._jobs = None, iter(())


@dataclasses.dataclass
class _Trouble:
    """What befell a cohort that is not done."""

    lost: int = 0
    crashes: int = 0
    crashes_in_all: int = 0  # of all cohorts, when this one's first worker was lost
    unsent: int = 0
    again: int = 0
    refused: set[str] = dataclasses.field(default_factory=set)


def complete(
    jobs: Source | Iterable[AnyJob],
    executor: Executor,
    claims: Claims,
    written: Callable[[Any], None],
    stop: Stop,
    *,
    rules: Rules | None = None,
    watch: Callable[[Seen], None] | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    seen: Seen | None = None,
) -> Done:
    """Has jobs done until the result of each is kept, whoever trained it.

    No more jobs are under way than the executor does at a time, and one more where it asks for that, so that another
    process on the study finds work.

    Args:
      jobs: in the order in which they begin.
      executor: what does them.
      claims: of this process on the study.
      written: called with each job whose result is kept.
      stop: when it is set nothing new begins; what has begun and can save itself does so and ends, the rest is let
        end.
      rules: when a cohort is given up.
      watch: told after every event of what has been seen of the workers.
      clock: what time it is.
      store: keeps results; None: those of cohorts, in their studies.
      seen: of the workers before; None: nothing.

    Returns:
      What was done here, in all.

    Raises:
      GaveUp: a cohort lost its worker, or took too long, again and again.
      OutOfMemory, Refused: likewise; of refusals, once every worker has refused.
      Exception: what a job raised; jobs that have begun are left to the executor.
    """
    source = jobs if not isinstance(jobs, Iterable) else InOrder(jobs)
    rules, clock, store = rules or Rules(), clock or Clock(), store or Cohorts()
    return _Coordinator(
        source, executor, claims, written, stop, rules, watch, clock, store, seen or Seen()
    ).run()


@dataclasses.dataclass
class _Flight:
    job: AnyJob
    began: float | None = None  # as far as anybody saw


class _Coordinator:
    """The state of `complete`."""

    def __init__(
        self,
        source: Source,
        executor: Executor,
        claims: Claims,
        written: Callable[[Any], None],
        stop: Stop,
        rules: Rules,
        watch: Callable[[Seen], None] | None,
        clock: Clock,
        store: Store,
        seen: Seen,
    ) -> None:
        self.source, self.executor, self.claims, self.written = source, executor, claims, written
        self.stop, self.rules, self.watch, self.clock, self.store = stop, rules, watch, clock, store
        self.events: queue.SimpleQueue[Future[Result] | None] = queue.SimpleQueue()
        source.wake = lambda: self.events.put(None)
        self.again, self.elsewhere = deque[AnyJob](), deque[AnyJob]()
        self.flying: dict[Future[Result], _Flight] = {}
        self.troubles: dict[tuple[str, int], _Trouble] = {}
        self.longest: dict[str, float] = {}
        self.crashes = 0
        self.next_look = 0.0
        self.total = Done()
        self.seen = seen

    def run(self) -> Done:
        while self._is_more():
            if self.stop.is_set():
                self.source.clear()
                self.again.clear()
                self.elsewhere.clear()
                # Again and again: one that is about to begin hears nothing yet.
                for future in list(self.flying):
                    self.executor.interrupt(future)
            self._begin()
            self._tell()
            if not self._is_more():
                break
            looks = bool(self.elsewhere) and self._room() > 0
            try:
                event = self.clock.next(self.events, SECONDS_BETWEEN_LOOKS if looks else SECONDS_AT_MOST)
            except queue.Empty:
                event = None
            if event is not None:
                self._settle(event)
            self._look_at_deadlines()
        self._tell()
        return self.total

    def _is_more(self) -> bool:
        return bool(self.flying or self.again or self.elsewhere) or not self.source.is_over()

    def _room(self) -> int:
        return self.executor.workers + self.executor.ahead - len(self.flying)

    def _begin(self) -> None:
        """Begins what there is room for: what is tried again first, then what others may have given back."""
        others = len(self.elsewhere)
        while self._room() > 0:
            if self.again:
                job = self.again.popleft()
            elif others:
                job, others = self.elsewhere.popleft(), others - 1
            elif (job := self.source.take()) is None:
                return
            if self.store.is_written(job):
                self._over(job)
            elif not self.claims.take(job.workload, job.number):
                self.elsewhere.append(job)
            elif self.store.is_written(job):  # between the two looks
                self.claims.give_back(job.workload, job.number)
                self._over(job)
            else:
                self.stop.begin(str(job))
                future = self.executor.submit(job)
                self.flying[future] = _Flight(job)
                future.add_done_callback(self.events.put)

    def _settle(self, future: Future[Result]) -> None:
        """Takes what came of a job. Results of jobs that were given up come late, and are nobody's."""
        flight = self.flying.pop(future, None)
        if flight is None:
            return
        job = flight.job
        self.stop.end(str(job))
        try:
            result = future.result()
        except (WorkerLost, OutOfMemory, Refused, CancelledError) as error:
            if isinstance(error, CancelledError):
                error = WorkerLost("it was dropped", "unsent")
            dropped = isinstance(error, WorkerLost) and error.cause == "unsent" and self.stop.is_set()
            if not dropped:
                self._retry(job, error)
        except Exception as error:
            failures.blame(job, error)
            raise
        else:
            self.store.commit(job, result)
            done, total = result.done, self.total
            self.total = Done(
                total.trials + done.trials,
                total.compilations + done.compilations,
                total.compile_seconds + done.compile_seconds,
                total.seconds + done.seconds,
            )
            self.longest[job.workload] = max(self.longest.get(job.workload, 0.0), done.seconds)
            self.seen.done(done)
            self._over(job)
        self.claims.give_back(job.workload, job.number)

    def _over(self, job: AnyJob) -> None:
        self.troubles.pop((job.workload, job.number), None)
        self.written(job)

    def _look_at_deadlines(self) -> None:
        now = self.clock.now()
        if now < self.next_look:
            return
        self.next_look = now + SECONDS_AT_MOST / 2
        for future, flight in list(self.flying.items()):
            if flight.began is None and future.running():
                flight.began = now
            limit = self.rules.seconds(self.longest.get(flight.job.workload))
            if flight.began is None or limit is None or now - flight.began <= limit or future.done():
                continue
            del self.flying[future]
            self.stop.end(str(flight.job))
            self.executor.abandon(future)
            self._retry(flight.job, TimeoutError(f"it took longer than {limit:.0f} s"))
            self.claims.give_back(flight.job.workload, flight.job.number)

    def _retry(self, job: AnyJob, error: Exception) -> None:
        """Has a job tried again, or gives up."""
        key = job.workload, job.number
        trouble = self.troubles.setdefault(key, _Trouble(crashes_in_all=self.crashes))
        said = None
        match error:
            case WorkerLost(cause="unsent"):
                trouble.unsent += 1
                if trouble.unsent >= self.rules.unsent:
                    said = f"never began in {trouble.unsent} times"
            case WorkerLost():
                trouble.lost += 1
                if error.cause == "crash":
                    trouble.crashes += 1
                    self.crashes += 1
                alone = trouble.crashes == self.crashes - trouble.crashes_in_all
                if (trouble.crashes >= self.rules.lost_alone and alone) or trouble.lost >= self.rules.lost:
                    said = f"lost its worker {trouble.lost} times"
            case Refused():
                trouble.refused.add(error.worker)
                # This process has no other version of itself.
                if not error.worker or len(trouble.refused) >= self.executor.workers:
                    raise error
            case OutOfMemory() | TimeoutError():
                trouble.again += 1
                if trouble.again > self.rules.again:
                    said = f"failed {trouble.again} times"
        self.seen.retried(error)
        log = failures.record(job, error, said is None)
        if said is None:
            self.again.append(job)
            return
        kind = OutOfMemory if isinstance(error, OutOfMemory) else GaveUp
        raise kind(
            f"{job.study}: {job} {said}, the last time: {error}; what else was done is kept, look for what it needs, "
            f"such as memory; its log: {log}"
        ) from error

    def _tell(self) -> None:
        if self.watch is not None:
            self.seen.workers, self.seen.under_way = self.executor.workers, len(self.flying)
            self.seen.refused = list(getattr(self.executor, "refusals", {}).values())
            self.watch(self.seen)
