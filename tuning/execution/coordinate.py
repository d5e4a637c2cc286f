"""Sees to it that every cohort is written once: what is missing, who trains it, what is tried again."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from results import studies
from tuning.execution.claims import Claims
from tuning.execution.executors import Executor, WorkerLost
from tuning.execution.jobs import Done, Job
from tuning.execution.stopping import Stop

MOST_LOSSES = 3  # of one cohort: what kills its worker so often is the cohort
SECONDS_BETWEEN_LOOKS = 0.2  # at what another process trains


def complete(
    jobs: Iterable[Job],
    executor: Executor,
    claims: Claims,
    written: Callable[[Job], None],
    stop: Stop,
) -> list[Done]:
    """Has jobs done until the cohort of each is in the study's folder, whoever trained it.

    No more jobs are under way than the executor does at a time, so that another process on the study finds work.

    Args:
      jobs: in the order in which they begin.
      executor: what does them.
      claims: of this process on the study.
      written: called with each job whose cohort is written.
      stop: when it is set nothing new begins, and what has begun is let end.

    Returns:
      What was done here.

    Raises:
      RuntimeError: a cohort lost its worker again and again.
      Exception: what a job raised; jobs that have begun are left to the executor.
    """
    waiting, elsewhere = deque(jobs), deque[Job]()
    flying: dict[Future[Done], Job] = {}
    losses: Counter[tuple[str, int]] = Counter()
    done = []
    while waiting or elsewhere or flying:
        if stop.is_set():
            waiting.clear()
            elsewhere.clear()
        while waiting and len(flying) < executor.workers:
            job = waiting.popleft()
            if is_written(job):
                written(job)
            elif not claims.take(job.workload, job.cohort.number):
                elsewhere.append(job)
            elif is_written(job):  # between the two looks
                claims.give_back(job.workload, job.cohort.number)
                written(job)
            else:
                stop.begin(str(job))
                flying[executor.submit(job)] = job
        idle = len(flying) < executor.workers
        if flying:
            wait(
                flying,
                timeout=SECONDS_BETWEEN_LOOKS if elsewhere and idle else None,
                return_when=FIRST_COMPLETED,
            )
        elif elsewhere:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        for future in [future for future in flying if future.done()]:
            job = flying.pop(future)
            stop.end(str(job))
            try:
                done.append(future.result())
            except WorkerLost as lost:
                cohort = job.workload, job.cohort.number
                losses[cohort] += 1
                if losses[cohort] == MOST_LOSSES:
                    raise RuntimeError(
                        f"{job.study}: {job} lost its worker {MOST_LOSSES} times, the last time: {lost}; other "
                        "cohorts are kept, look for what it needs, such as memory"
                    ) from lost
                waiting.appendleft(job)
            else:
                written(job)
            claims.give_back(job.workload, job.cohort.number)
        waiting.extend(elsewhere)
        elsewhere.clear()
    return done


def is_written(job: Job) -> bool:
    """Whether the cohort of a job is in the study's folder."""
    return studies.cohort_path(Path(job.study), job.workload, job.cohort.number).exists()
