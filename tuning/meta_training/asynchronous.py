"""A learner and its workers that wait for nobody (arXiv:2211.09760, appendix E).

A worker is given the newest weights with the number of outer steps that made them, and returns a gradient with that
number. The learner accepts it where the weights have come no further since than the bound of staleness; of `batch`
accepted ones it makes the next weights. Which gradients meet depends on how fast workers are, so that numbers are not
reproducible.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from tuning.execution.jobs import EstimateJob, Result


class Gathering:
    """Gradients that wait for a batch to be full.

    Example:
      >>> gathering = Gathering(staleness=1)
      >>> [gathering.put(step, step, now=2) for step in (0, 1, 2)]
      [False, True, True]
      >>> gathering.batch(2, now=3)  # the bound is looked at once more
      >>> gathering.put(3, 3, now=3), gathering.batch(2, now=3)
      (True, [(2, 2), (3, 3)])
      >>> gathering.refused
      2
    """

    def __init__(self, staleness: int) -> None:
        self.staleness, self.refused = staleness, 0
        self._waiting: deque[tuple[int, Any]] = deque()

    def put(self, outer_step: int, gradient: Any, now: int) -> bool:
        """Takes a gradient of the weights after `outer_step` outer steps, unless that is too long ago."""
        if not 0 <= now - outer_step <= self.staleness:
            self.refused += 1
            return False
        self._waiting.append((outer_step, gradient))
        return True

    def batch(self, size: int, now: int) -> list[tuple[int, Any]] | None:
        """The oldest so many, with the outer steps that they belong to; None: there are not so many."""
        fresh = [one for one in self._waiting if now - one[0] <= self.staleness]
        self.refused += len(self._waiting) - len(fresh)
        self._waiting = deque(fresh)
        if len(fresh) < size:
            return None
        return [self._waiting.popleft() for _ in range(size)]


class Turns:
    """The estimates that are asked for, in turn, as a source of jobs and a store of their results.

    An estimator whose tasks go on from one estimate to the next has one under way at a time; others as many as there
    are workers.
    """

    def __init__(
        self,
        units: list[tuple[int, int]],
        one_at_a_time: bool,
        job: Callable[[int, int], EstimateJob],
        come: Callable[[EstimateJob, Result], None],
        over: Callable[[], bool],
        is_late: Callable[[EstimateJob], bool],
    ) -> None:
        """
        Args:
          units: estimators and their parts.
          one_at_a_time: see the class.
          job: makes the job of a unit, of the newest weights.
          come: told of each result.
          over: whether no more is asked for.
          is_late: whether what would come of a job that is tried again would be refused.
        """
        self.wake = lambda: None
        self._units, self._one_at_a_time = deque(units), one_at_a_time
        self._job, self._come, self._over, self._is_late = job, come, over, is_late

    def take(self) -> EstimateJob | None:
        if self._over() or not self._units:
            return None
        number, part = self._units.popleft()
        if not self._one_at_a_time:
            self._units.append((number, part))
        return self._job(number, part)

    def is_over(self) -> bool:
        return self._over()

    def clear(self) -> None:
        self._units.clear()

    def is_written(self, job: EstimateJob) -> bool:
        """Whether a job need not be done: one that lost its worker, and is late by now, is asked for anew."""
        if not (self._over() or self._is_late(job)):
            return False
        self._free(job)
        return True

    def commit(self, job: EstimateJob, result: Result) -> bool:
        self._come(job, result)
        self._free(job)
        return True

    def _free(self, job: EstimateJob) -> None:
        if self._one_at_a_time:
            self._units.append((job.estimator, job.part))
