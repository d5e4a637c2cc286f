"""Where that is kept which came of jobs. Of two results of a job the first counts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Protocol

from results import studies
from tuning.execution.jobs import Job, Result


class Store(Protocol):
    """Knows what is done, and keeps what comes back; the coordinator alone calls it, from one thread."""

    def is_written(self, job: Any) -> bool:
        """Whether the result of a job is kept, whoever made it."""
        ...

    def commit(self, job: Any, result: Result) -> bool:
        """Keeps a result, unless there is one; returns whether it did."""
        ...


class Cohorts:
    """Results of cohorts, in the folders of their studies."""

    def is_written(self, job: Job) -> bool:
        """Whether the cohort of a job is in the study's folder."""
        return is_written(job)

    def commit(self, job: Job, result: Result) -> bool:
        """Writes the cohort of a job into the study's folder, see `commit`."""
        return commit(job, result)


def commit(job: Job, result: Result) -> bool:
    """Writes the cohort of a job into the study's folder, unless it is there; returns whether it did.

    Raises:
      ValueError: the result belongs to something else, or somebody has put another file of the user's own into the
        study meanwhile.
    """
    folder = Path(job.study)
    optimizer = None if job.optimizer_file is None else job.optimizer_file.sha256
    workload = None if job.workload_file is None else job.workload_file.sha256
    belongs = studies.belongs_to(job.spec, job.workload, job.cohort, optimizer, workload)
    studies.check_content(result.content, belongs, str(job))
    if studies.source_of(folder) != optimizer:
        raise ValueError(
            f"{folder}: another optimizer's file was put into this study while {job} was trained"
        )
    if studies.workload_source_of(folder, job.workload) != workload:
        file = studies.workload_copy(folder, job.workload)
        raise ValueError(f"{file}: another file was put into this study while {job} was trained")
    first = studies.write_cohort(folder, job.workload, job.cohort.number, result.content)
    shutil.rmtree(studies.checkpoint_folder(folder, job.workload, job.cohort.number), ignore_errors=True)
    return first


def is_written(job: Job) -> bool:
    """Whether the cohort of a job is in the study's folder."""
    return studies.cohort_path(Path(job.study), job.workload, job.cohort.number).exists()
