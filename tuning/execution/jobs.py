"""What travels to whoever trains a cohort, and what comes back: plain data. Nothing here needs JAX."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from results.studies import Cohort
from workloads.own_files import OwnFile


@dataclasses.dataclass(frozen=True)
class Job:
    """One cohort to train. What else that takes is in the study's folder, so that any process can do it.

    Attributes:
      study: its folder.
      workload: its name; one that `workloads.load` knows in any process, where no file is given.
      cohort: the trials.
      data_dir: where real data sets lie; None for embedded ones.
      source: SHA-256 of a user's own optimizer, as hexadecimal digits; None for one of `submissions.OPTIMIZERS`.
      command: the command line that asked for it, for the record.
      workload_file: the user's own that defines the workload; the study has a copy of it.

    Example:
      >>> job = Job("studies/first", "clicks/mlp", Cohort(0, 0, (), 2))
      >>> Job.from_json(job.to_json()) == job
      True
    """

    study: str
    workload: str
    cohort: Cohort
    data_dir: str | None = None
    source: str | None = None
    command: str | None = None
    workload_file: OwnFile | None = None

    def __str__(self) -> str:
        return f"cohort {self.cohort.number} of {self.workload}"

    def to_json(self) -> dict[str, Any]:
        """The job as plain JSON data."""
        return msgspec.to_builtins(self, enc_hook=dict)  # a point's hyperparameters are a read-only mapping

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Job:
        """Reads what `to_json` wrote."""
        return msgspec.convert(data, cls)


@dataclasses.dataclass(frozen=True)
class Done:
    """What a job took.

    Attributes:
      trials: trained.
      compilations, compile_seconds: programs compiled in this process since it last said so.
      seconds: in all.
    """

    trials: int
    compilations: int
    compile_seconds: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """What it took as plain JSON data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Done:
        """Reads what `to_json` wrote."""
        return cls(**data)
