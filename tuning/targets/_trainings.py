"""Which trainings set the target of one workload: all references' points, and of each its best point again.

They are cohorts in a folder of their own, so that who trains them, and what a kill leaves of them, is as with a study.
The number of a cohort says whose it is: the reference's number times `MOST_CHUNKS`, and the chunk of its points; after
the last of these comes the best point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from results import studies
from results.studies import Cohort, Programs, StudySpec
from submissions.points import Point
from tuning.execution.jobs import Job
from tuning.targets._asked import Asked
from tuning.targets._measured import Again, MeasuredTarget, measured, reached
from tuning.targets._references import Tuned
from workloads import Workload

MOST_CHUNKS = 100_000
Make = Callable[[StudySpec], Callable[[str, Cohort], Job]]


@dataclasses.dataclass
class _OfReference:
    """What is known of one reference so far."""

    tuned: Tuned
    chunks: Sequence[Sequence[Point]]
    found: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)
    best: float | None = None
    again: Again | None = None
    over: bool = False


class Trainings:
    """The trainings of a workload.

    Attributes:
      workload: whose own targets, if any, are not read.
      folder: of the cohorts' files.
      done: trials that were trained, or that nobody needs any more.
    """

    def __init__(
        self, asked: Asked, workload: Workload, programs: Programs, folder: Path, make: Make
    ) -> None:
        """
        Args:
          asked: of the procedure.
          workload: to be trained.
          programs: how cohorts are spread, which decides the order of sums.
          folder: of the cohorts' files.
          make: (specification) -> what makes the jobs of its cohorts.
        """
        self.workload, self.folder, self.done = workload, folder, 0
        self._asked, self._programs, self._make = asked, programs, make
        self._sign = 1.0 if workload.metric.minimize else -1.0
        self._of = [_OfReference(one, _chunks(one.points, asked.width)) for one in asked.reference]

    def begin(self) -> list[Job]:
        """The jobs that wait for no other."""
        jobs = []
        for at, of in enumerate(self._of):
            make = self._make(self._spec(of.tuned))
            jobs += [
                make(self.workload.name, Cohort(at * MOST_CHUNKS + i, 0, tuple(chunk), len(of.chunks[0])))
                for i, chunk in enumerate(of.chunks)
            ]
        return jobs

    def written(self, job: Job) -> list[Job]:
        """Takes what a job has written. Returns the jobs that have waited for it."""
        at, chunk = divmod(job.number, MOST_CHUNKS)
        of, trials = self._of[at], self._read(job)
        validation, test = reached(trials, self.workload, self._asked.part_of_budget)
        self.done += len(trials)
        if chunk == len(of.chunks):
            device = trials["device"][0]
            of.again = Again(of.tuned, job.cohort.points[0], validation, test, self._sign, device)
            of.over = True
            return []
        of.found[chunk] = validation
        if len(of.found) < len(of.chunks):
            return []
        found = np.concatenate([of.found[i] for i in range(len(of.chunks))])
        if np.isnan(found).all():
            self.done += self._asked.seeds
            of.over = True
            return []
        row = int(np.nanargmin(self._sign * found))
        of.best = float(found[row])
        again = (of.tuned.points[row],) * self._asked.seeds
        # The spread over data order is part of the question of the seeds, so every one draws its own batches.
        make = self._make(self._spec(of.tuned, shared_batches=False))
        return [make(self.workload.name, Cohort(at * MOST_CHUNKS + len(of.chunks), 0, again, len(again)))]

    def target(self) -> MeasuredTarget | None:
        """The target; None until everything is trained.

        Raises:
          ValueError: every reference point diverged, or half of the seeds of the best of them.
        """
        if not all(of.over for of in self._of):
            return None
        best_of = {of.tuned.name: of.best for of in self._of}
        again = {of.tuned.name: of.again for of in self._of}
        return measured(self._asked, self.workload, best_of, again)

    def _spec(self, one: Tuned, *, shared_batches: bool = True) -> StudySpec:
        """Of a reference's cohorts."""
        name = self.workload.name
        return StudySpec(
            name="targets", title="", role="candidates", optimizer=one.optimizer, strategy={"name": "list"},
            points=None, workloads=(name,), seed=self._asked.seed, seeding="targets", shared_batches=shared_batches,
            data={name: str(self.workload.data.provenance)}, programs={name: self._programs}, sealed=True,
        )  # fmt: skip

    def _read(self, job: Job) -> pl.DataFrame:
        return studies.read_cohorts(self.folder, job.spec, job.workload, [job.number])


def _chunks(points: Sequence[Point], width: int) -> list[Sequence[Point]]:
    return [points[begin : begin + width] for begin in range(0, len(points), width)]
