"""The record of a run: a study of ours, beside the logs in AlgoPerf's layout."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import workloads
from results import studies
from results.studies import StudySpec
from submissions.api import TrialOutcome, TrialSpec, evaluations, workload_folder
from submissions.points import Point
from workloads.benchmarks import BENCHMARKS, benchmark, minimizes
from workloads.data import reading
from workloads.data.files import write_atomically

STUDY = re.compile(r"study_(\d+)")  # the last part of an experiment's name; its number is our repeat
NEEDED = (
    "workload.target_metric_name",
    "shortlist.data",
    "device",
    "shortlist.command",
)  # of a trial's metadata
ROLES = ("train", "validation", "test")  # whose target metric every trial has a curve of


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The trials of a run on one workload, a file per trial, as `results.studies` reads them.

    Attributes:
      folder: of the study.
      spec: of the study. What may change when a run is gone on with is what was asked for last; rows say what was done.
      repeat: of all its trials.
      data_dir: of the run.
    """

    folder: Path
    spec: StudySpec
    repeat: int
    data_dir: str | None

    @classmethod
    def of(
        cls,
        experiment: Path,
        submission: Path,
        points: Sequence[Mapping[str, Any]] | None,
        search_space: Path | None,
        asked: TrialSpec,
    ) -> RunRecord:
        """The record of a run, of which nothing is written yet.

        Args:
          experiment: the run's folder.
          submission: its file.
          points: of all trials; None under the self-tuning ruleset.
          search_space: where they come from.
          asked: what is asked of all trials alike, with the seed of the study.
        """
        study = STUDY.fullmatch(experiment.name)
        name = experiment.parent.name if study else experiment.name
        chosen = search_space is not None and isinstance(json.loads(search_space.read_text("utf-8")), list)
        draws, strategy = ("chosen", "list") if chosen else ("quasi-random", "quasirandom")
        spec = StudySpec(
            name=name,
            title=name,
            role="baseline",
            optimizer=f"{submission.parent.name}/{submission.name}",
            strategy={"name": strategy if points is not None else "self-tuning"},
            points=_points(asked.workload, points),
            workloads=(asked.workload,),
            seed=asked.seed,
            seeding="algoperf",
            cohort_size=1,
            shared_batches=False,
            steps=asked.max_global_steps,
            eval_period=asked.eval_period_steps,
            draws=draws if points is not None else None,
            precision=asked.precision,
            micro_batches=asked.micro_batches,
        )
        folder = experiment / studies.RECORD / workload_folder(asked.workload)
        return cls(folder, spec, int(study[1]) if study else 0, asked.data_dir)

    def begin(self) -> None:
        """Writes down what is asked for."""
        studies.replace_spec(self.folder, self.spec)

    def holds(self, trial: int) -> bool:
        """Whether there is a row of a trial, from 1, that can be read."""
        try:
            return pl.read_parquet(self._file(trial), glob=False).height == 1
        except (OSError, pl.exceptions.PolarsError):
            return False

    def forget(self, trial: int) -> None:
        """Drops the row of a trial that is about to be made anew."""
        self._file(trial).unlink(missing_ok=True)

    def add(self, outcome: TrialOutcome) -> bool:
        """Writes the row of a trial that has ended, from its logs; returns whether it had any.

        Raises:
          ValueError: its logs are damaged.
        """
        facts = _facts(Path(outcome.folder))
        if facts is None:
            return False
        write_atomically(self._file(outcome.trial), studies.as_parquet(self._row(outcome, facts)))
        return True

    def _file(self, trial: int) -> Path:
        return studies.cohort_path(self.folder, self.spec.workloads[0], trial - 1)

    def _row(self, outcome: TrialOutcome, facts: Mapping[str, Any]) -> pl.DataFrame:
        (workload,), trial, folder = self.spec.workloads, outcome.trial, Path(outcome.folder)
        metric = facts["workload.target_metric_name"]
        rows = evaluations(folder)
        names = {name for row in rows for name in row if "/" in name and not name.endswith("/num_examples")}
        names |= {f"{role}/{metric}" for role in ROLES}
        point = folder / "hparams.json"
        hyperparameters = json.loads(point.read_text("utf-8")) if self.spec.draws is not None else {}
        versions = {k.removeprefix("version."): str(v) for k, v in facts.items() if k.startswith("version.")}
        row = {
            "workload": workload,
            "cohort": trial - 1,
            "repeat": self.repeat,
            "point": str(trial - 1),
            "hyperparameters": json.dumps(hyperparameters, sort_keys=True),
            "status": outcome.status,
            "status_reason": outcome.reason,
            "diverged_step": None,
            "metric": metric,
            "minimize": self._minimizes(metric),
            "validation_target": facts.get("workload.validation_target_value"),
            "test_target": facts.get("workload.test_target_value"),
            "step_hint": facts.get("workload.step_hint"),
            "max_runtime_seconds": self._budget(facts.get("workload.max_allowed_runtime_sec")),
            "steps": outcome.global_step,
            "global_step": [int(float(row["global_step"])) for row in rows],
            **{name: [_finite(row.get(name)) for row in rows] for name in sorted(names)},
            "submission_seconds": [_finite(row["accumulated_submission_time"]) for row in rows],
            "cohort_seconds": outcome.score,
            "loop": "submission",
            "precision": facts.get("shortlist.precision"),
            "micro_batches": facts.get("shortlist.micro_batches"),
            "seed": self.spec.seed,
            "optimizer": self.spec.optimizer,
            "data": facts["shortlist.data"],
            "host": facts.get("shortlist.host"),
            "device": facts["device"],
            "versions": json.dumps(versions, sort_keys=True),
            "command": facts["shortlist.command"],
        }
        return pl.DataFrame([row], schema=_schema(row))

    def _budget(self, seconds: float | None) -> float | None:
        """Seconds that a trial might take: AlgoPerf's logs have those of external tuning under either ruleset."""
        ruleset = "self-tuning" if self.spec.strategy["name"] == "self-tuning" else "external"
        factor = benchmark(BENCHMARKS[-1]).rulesets[ruleset].runtime_factor
        return None if seconds is None else factor * seconds

    def _minimizes(self, metric: str) -> bool:
        try:
            return minimizes(metric)
        except ValueError:  # a metric of the user's own
            return workloads.load(self.spec.workloads[0], self.data_dir).metric.minimize


def trained_on(folder: Path) -> str | None:
    """The data that the trial in a folder was trained on; None if it has no logs.

    Raises:
      ValueError: its logs are damaged.
    """
    facts = _facts(folder)
    return None if facts is None else str(facts["shortlist.data"])


def _points(workload: str, points: Sequence[Mapping[str, Any]] | None) -> dict[str, tuple[Point, ...]] | None:
    """Points of a study are numbers; where a submission's are not, the rows alone say what they were."""
    if points is None or any(isinstance(v, str | None) for point in points for v in point.values()):
        return None
    try:
        return {workload: tuple(Point(str(i), point) for i, point in enumerate(points))}
    except ValueError:
        return None


def _facts(folder: Path) -> Mapping[str, Any] | None:
    """The newest metadata of a trial; None if it never came to write any."""
    files = {
        int(m[1]): p
        for p in reading.matching(folder, "meta_data_*.json")
        if (m := re.search(r"_(\d+)\.json", p.name))
    }
    if not files:
        return None
    file = files[max(files)]
    try:
        facts = json.loads(file.read_text("utf-8"))
        missing = [name for name in NEEDED if name not in facts]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{file}: not a trial's metadata ({error}); restore it, or --overwrite the trial"
        ) from error
    if missing:
        raise ValueError(f"{file}: lacks {', '.join(missing)}; restore it, or --overwrite the trial")
    return facts


def _finite(text: str | None) -> float | None:
    """A number of a log; None where it is missing or not finite: NaN never travels."""
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _schema(row: Mapping[str, Any]) -> dict[str, Any]:
    """Types of the columns, as those of a row of the population engine."""
    curves = {name: pl.List(pl.Float64) for name in row if "/" in name}
    return dict.fromkeys(row) | studies.SCHEMA | curves  # type: ignore[operator]
