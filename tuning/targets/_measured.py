"""What the trainings of a workload reached, and the target that follows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

import workloads
from submissions import environment
from submissions.points import Point
from tuning.targets._asked import Asked
from tuning.targets._references import Tuned

PROCEDURE = "best-median"


@dataclasses.dataclass(frozen=True)
class MeasuredTarget:
    """A target and everything that made it.

    Attributes:
      metric, minimize: what the target is a value of.
      validation_target: median over seeds of the best validation metric within the part of the budget, a seed that
        diverged counting as the worst; the best median of all references.
      test_target: median over the same seeds of the test metric at that same evaluation; None without a test split.
      procedure, seeds, part_of_budget, seed: the procedure's arguments.
      reference: name -> ids of its points, such as "200 to 299".
      best_of_reference: name -> the best value that its points reached within the part of the budget; None where all
        diverged.
      best_points: name -> id of the point that reached it, which was trained again; None where all diverged.
      medians: name -> median over the seeds of that point; None where it has none, or half of the seeds diverged.
      best_reference, optimizer, best_point: which of them set the target, by which optimizer.
      best_reached: what each seed of it reached, sorted; a seed that diverged is left out.
      data, device, versions: where and on what it ran.
    """

    metric: str
    minimize: bool
    validation_target: float
    test_target: float | None
    procedure: str
    reference: dict[str, str]
    best_of_reference: dict[str, float | None]
    best_points: dict[str, str | None]
    medians: dict[str, float | None]
    best_reference: str
    optimizer: str
    best_point: str
    seeds: int
    part_of_budget: float
    seed: int
    best_reached: tuple[float, ...]
    data: str
    device: str
    versions: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Again:
    """The best point of a reference, trained again.

    Attributes:
      tuned, point: which.
      validation, test: [seed], NaN where a seed diverged.
      sign: 1 where the metric is minimised, else -1.
      device: that trained it.
    """

    tuned: Tuned
    point: Point
    validation: np.ndarray
    test: np.ndarray
    sign: float
    device: str = ""

    @property
    def validation_median(self) -> float:
        return self._median(self.validation)

    @property
    def test_median(self) -> float:
        return self._median(self.test)

    @property
    def median(self) -> float | None:
        """The median of the validation metric; None where so many seeds diverged that it is none."""
        return self.validation_median if np.isfinite(self.validation_median) else None

    def _median(self, values: np.ndarray) -> float:
        return float(np.median(np.where(np.isfinite(values), values, self.sign * np.inf)))


def _ids(points: Sequence[Point]) -> str:
    """Ids in a line; rows of a table that follow each other by the first and the last."""
    ids = [point.id for point in points]
    rows = [str(row) for row in range(int(ids[0]), int(ids[0]) + len(ids))] if ids[0].isdecimal() else []
    return f"{ids[0]} to {ids[-1]}" if ids == rows and len(ids) > 2 else ", ".join(ids)


def reached(
    trials: pl.DataFrame, workload: workloads.Workload, part_of_budget: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best validation metric within the part of the budget, and the test metric there: [trial], NaN if diverged.

    Args:
      trials: of a cohort, see `results.studies.read_trials`.
      workload: that they are of.
      part_of_budget: of the step hint.
    """
    in_time = np.array(trials["global_step"][0].to_list()) <= part_of_budget * workload.step_hint
    validation, test = (
        _curves(trials, f"{role}/{workload.metric.name}", in_time) for role in ("validation", "test")
    )
    worst = np.inf if workload.metric.minimize else -np.inf
    ranked = np.where(np.isfinite(validation), validation, worst)
    at = (ranked.argmin if workload.metric.minimize else ranked.argmax)(axis=1)[:, None]
    finite = np.isfinite(validation).any(1)
    pick = lambda values: np.where(finite, np.take_along_axis(values, at, 1)[:, 0], np.nan)  # noqa: E731
    return pick(validation), pick(test)


def _curves(trials: pl.DataFrame, name: str, in_time: np.ndarray) -> np.ndarray:
    """[trial, evaluation in time]; NaN where a trial had diverged, or the workload has no such split."""
    if name not in trials.columns:
        return np.full((len(trials), in_time.sum()), np.nan)
    return np.array(trials[name].to_list(), np.float64)[:, in_time]


def measured(
    asked: Asked,
    workload: workloads.Workload,
    best_of: Mapping[str, float | None],
    again: Mapping[str, Again | None],
) -> MeasuredTarget:
    """The target that follows from trainings: the best of the medians of all references.

    Args:
      asked: of the procedure.
      workload: that was trained.
      best_of: name of a reference -> what the best of its points reached; None where all diverged.
      again: name -> that point, trained again; None where there is none.

    Raises:
      ValueError: every reference point diverged, or half of the seeds of the best of them.
    """
    chosen = [one for one in again.values() if one is not None and one.median is not None]
    if not chosen:
        raise ValueError(
            f"{workload.name}: all {asked.points} reference points diverged, or half of the seeds of the best of them; "
            "choose another reference set"
        )
    best = min(chosen, key=lambda one: one.sign * one.validation_median)
    return MeasuredTarget(
        metric=workload.metric.name,
        minimize=workload.metric.minimize,
        validation_target=best.validation_median,
        test_target=best.test_median if "test" in workload.eval_splits else None,
        procedure=PROCEDURE,
        reference={tuned.name: _ids(tuned.points) for tuned in asked.reference},
        best_of_reference=dict(best_of),
        best_points={name: one and one.point.id for name, one in again.items()},
        medians={name: one and one.median for name, one in again.items()},
        best_reference=best.tuned.name,
        optimizer=best.tuned.optimizer,
        best_point=best.point.id,
        seeds=asked.seeds,
        part_of_budget=asked.part_of_budget,
        seed=asked.seed,
        best_reached=tuple(np.sort(best.validation[np.isfinite(best.validation)]).tolist()),
        data=str(workload.data.provenance),
        device=best.device,
        versions=environment.versions(),
    )
