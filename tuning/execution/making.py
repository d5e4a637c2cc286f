"""Jobs made of a study: what each cohort's takes with it, and nothing that others need."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from results import studies
from results.studies import Cohort, StudySpec
from submissions import environment
from tuning import strategies
from tuning.execution.jobs import Job, Needs, SentFile
from tuning.execution.seeding import numbered

MakeJob = Callable[[str, Cohort], Job]


def maker(
    folder: Path,
    spec: StudySpec,
    needs: Needs | None,
    data_dir: str | None = None,
    optimizer_file: SentFile | None = None,
    workload_files: Mapping[str, SentFile | None] | None = None,
) -> MakeJob:
    """(workload, cohort) -> the job of a study. What does not depend on the cohort is made once.

    Args:
      folder: of the study.
      spec: with cohorts, programs and data decided.
      needs: what whoever trains must have.
      data_dir: where real data sets lie.
      optimizer_file: the user's own.
      workload_files: name -> the user's own.
    """
    of_workloads: dict[str, StudySpec] = {}
    earlier: dict[str, _Earlier] = {}
    budget = strategies.step_budget(spec.strategy)
    looks_back = budget is not None and budget.stopping.looks_back
    study, host, command = str(folder.resolve()), environment.host(), environment.command()

    def job(name: str, cohort: Cohort) -> Job:
        if name not in of_workloads:
            of_workloads[name] = _of_workload(spec, name, keeps_strategy=budget is not None)
            earlier[name] = _Earlier(folder, of_workloads[name])
        return Job(
            study,
            name,
            cohort,
            of_workloads[name],
            needs,
            host,
            data_dir,
            optimizer_file,
            (workload_files or {}).get(name),
            numbered(spec, name, cohort),
            earlier[name].than(cohort) if looks_back else None,
            command,
        )

    return job


def _of_workload(spec: StudySpec, name: str, *, keeps_strategy: bool) -> StudySpec:
    """The specification as far as training one workload needs it: small, whatever the study is."""

    def one(of_all: Mapping | None) -> dict | None:
        return None if of_all is None else {name: of_all[name]} if name in of_all else {}

    return dataclasses.replace(
        spec,
        points=None,
        workloads=(name,),
        # What it was told of, such as an older study's trials, chose the points and does nothing else.
        strategy=spec.strategy if keeps_strategy else {"name": spec.strategy.get("name")},
        data=one(spec.data),
        cohort_sizes=one(spec.cohort_sizes),
        programs=one(spec.programs),
        blocks=None,
        grown=None,
    )


class _Earlier:
    """The validation curves of a workload's cohorts, of which each file is read once."""

    def __init__(self, folder: Path, spec: StudySpec) -> None:
        self._folder, self._spec = folder, spec
        self._curves: list[pl.DataFrame] = []

    def than(self, cohort: Cohort) -> bytes | None:
        """Those of the cohorts before one: these alone, so that training it again gives the same."""
        (workload,) = self._spec.workloads
        for number in range(len(self._curves), cohort.number):
            trials = studies.read_cohorts(self._folder, self._spec, workload, [number])
            self._curves.append(trials.select(f"validation/{trials['metric'][0]}"))
        if not cohort.number:
            return None
        buffer = io.BytesIO()
        pl.concat(self._curves[: cohort.number]).write_parquet(buffer)
        return buffer.getvalue()
