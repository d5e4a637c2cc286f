"""A cluster in virtual time, for the coordinator as it is: workers that come, go, hang, vanish and answer late."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from results.studies import Cohort, Programs, StudySpec
from submissions.points import Point
from tuning.execution import coordinate
from tuning.execution.jobs import Done, Job, OutOfMemory, Result, WorkerLost

WORKLOAD = "clicks/mlp"
SPEC = StudySpec(
    "s", "", "candidates", "sgd_optax", {"name": "list"}, None, (WORKLOAD,), programs={WORKLOAD: Programs(1, 1)}
)  # fmt: skip


def jobs(folder, count):
    """Made as they are asked for."""
    for number in range(count):
        cohort = Cohort(number, 0, (Point(str(number), {"learning_rate": 0.1}),), 1)
        yield Job(str(folder), WORKLOAD, cohort, SPEC)


class Virtual(coordinate.Clock):
    """Time that goes on when nobody has anything to do."""

    def __init__(self) -> None:
        self.time, self._order, self._plans = 0.0, itertools.count(), []

    def now(self) -> float:
        return self.time

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._plans, (self.time + seconds, next(self._order), do))

    def next(self, events: queue.SimpleQueue, timeout: float):
        end = self.time + timeout
        while True:
            with contextlib.suppress(queue.Empty):
                return events.get_nowait()
            if not self._plans or self._plans[0][0] > end:
                self.time = end
                raise queue.Empty
            self.time, _, do = heapq.heappop(self._plans)
            do()


class Cluster:
    """An executor. Each job's fate is drawn anew at each attempt.

    Attributes:
      began: numbers of cohorts, as they began.
    """

    ahead = 1
    device = None

    def __init__(self, clock, workers, fates, seconds=(5.0, 60.0), seed=0, content=lambda job: b""):
        self.clock, self.workers, self.fates, self.content = clock, workers, fates, content
        self.seconds, self.random = seconds, random.Random(seed)
        self.idle, self.waiting = workers, deque()
        self.began, self.late = [], 0

    def submit(self, job):
        future = Future()
        self.waiting.append((future, job))
        self._assign()
        return future

    def abandon(self, future):
        """Its worker is replaced; yet it answers, long after."""
        self.clock.after(5.0, lambda: self._come(1))

    def interrupt(self, future):
        """What has begun goes on, as cohorts do."""

    def _assign(self):
        while self.idle and self.waiting:
            future, job = self.waiting.popleft()
            self.idle -= 1
            future.set_running_or_notify_cancel()
            self.began.append(job.cohort.number)
            takes = self.random.uniform(*self.seconds)
            fate = self.random.choices(list(self.fates), list(self.fates.values()))[0]
            getattr(self, f"_{fate}")(future, job, takes)

    def _done(self, future, job, takes):
        def done():
            self._answer(future, job, takes)
            self._come(1)

        self.clock.after(takes, done)

    def _crash(self, future, job, takes):
        self._fails(future, takes / 2, WorkerLost("killed", "crash", "a"), comes_back=30.0)

    def _vanish(self, future, job, takes):
        """Nobody hears of the host for a while; then its answer comes all the same."""
        self._fails(future, takes + 60.0, WorkerLost("nothing is heard of it", "host", "b"), comes_back=300.0)
        self.clock.after(takes + 90.0, lambda: self._answer(future, job, takes))

    def _hang(self, future, job, takes):
        self.clock.after(100_000.0, lambda: self._answer(future, job, takes))

    def _memory(self, future, job, takes):
        self._fails(future, takes / 2, OutOfMemory("RESOURCE_EXHAUSTED"), comes_back=0.0)

    def _unsent(self, future, job, takes):
        self.began.pop()
        self._fails(future, 1.0, WorkerLost("it was starting", "unsent"), comes_back=0.0)

    def _fails(self, future, after, error, comes_back):
        def fail():
            future.set_exception(error)
            self.workers -= comes_back > 0
            self.clock.after(comes_back, lambda: self._come(1, joins=comes_back > 0))

        self.clock.after(after, fail)

    def _answer(self, future, job, takes):
        try:
            future.set_result(Result(self.content(job), Done(1, 0, 0.0, takes, "host", "device")))
        except InvalidStateError:
            self.late += 1

    def _come(self, count, joins=False):
        self.idle += count
        self.workers += joins * count
        self._assign()


class Held:
    """Claims of one process, which nobody contests."""

    def __init__(self):
        self.held = set()

    def take(self, workload, number):
        assert (workload, number) not in self.held
        self.held.add((workload, number))
        return True

    def give_back(self, workload, number):
        self.held.remove((workload, number))
