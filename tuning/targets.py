"""How validation and test targets are set, for workloads that nobody published a target for.

The procedure `best-median`, after Dahl et al. 2023 (arXiv:2306.07179, target setting): tune a reference set of points
of several optimizers, train the best point of every optimizer again from many seeds, and let the target be the best of
the medians of what these trainings reach within a stated part of the step budget. A good algorithm can then reach the
target in time, and neither a lucky seed nor a lucky training of an unstable point can set it.

`reference-median` was its former name where the best point of all optimizers alone was trained again; of one optimizer
the two are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import submissions
import workloads
from submissions import environment
from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, SearchSpace
from tuning.engine.population import Curves, Population, stack, trial_seed
from tuning.strategies import halton
from workloads.data import reading
from workloads.data.files import write_atomically

PROCEDURE = "best-median"


@dataclasses.dataclass(frozen=True)
class Reference:
    """An optimizer, and where its reference points are drawn from.

    Attributes:
      optimizer: its name.
      space: of its points, which are quasi-random.
    """

    optimizer: str
    space: SearchSpace


def _momentum(use_nesterov: float) -> SearchSpace:
    space = submissions.optimizer("sgd_optax").search_space
    assert space is not None
    return SearchSpace.from_json({**space, "use_nesterov": {"feasible_points": [use_nesterov]}})


def references() -> dict[str, Reference]:
    """The four that set AlgoPerf's targets (Dahl et al. 2023, arXiv:2306.07179, target setting), by name."""
    return {
        "adamw": Reference("adamw_optax", MEDAPATI_TABLE_1),
        "nadamw": Reference("nadamw_optax", MEDAPATI_TABLE_1),
        "nesterov": Reference("sgd_optax", _momentum(1.0)),
        "heavy_ball": Reference("sgd_optax", _momentum(0.0)),
    }


@dataclasses.dataclass(frozen=True)
class Tuned:
    """Reference points of one optimizer.

    Attributes:
      name: of the reference, such as `nesterov`.
      optimizer: that trains them.
      points: its reference set.
    """

    name: str
    optimizer: str
    points: Sequence[Point]


def reference_points(names: Sequence[str], points: int, first: int) -> tuple[Tuned, ...]:
    """Rows first, first + 1, ... of each reference's quasi-random points.

    Raises:
      ValueError: no such reference.
    """
    known = references()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no reference {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(
        Tuned(name, known[name].optimizer, halton.points(known[name].space, points, start=first))
        for name in names
    )


@dataclasses.dataclass(frozen=True)
class MeasuredTarget:
    """A target and everything that made it.

    Attributes:
      metric, minimize: what the target is a value of.
      validation_target: median over seeds of the best validation metric within the part of the budget, a seed that
        diverged counting as the worst; the best median of all references.
      test_target: median over the same seeds of the test metric at that same evaluation.
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
    test_target: float
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


def set_target(
    workload: workloads.Workload,
    reference: Sequence[Tuned],
    *,
    seeds: int = 19,
    part_of_budget: float = 0.5,
    seed: int = 0,
    width: int = 20,
    progress: Callable[[str, int, int], None] | None = None,
) -> MeasuredTarget:
    """Sets the targets of one workload by `best-median`.

    Args:
      workload: whose own targets, if any, are not read.
      reference: the reference set, optimizer by optimizer. All of them begin from the same parameters and batches.
      seeds: how often the best point of every optimizer is trained again; an odd number makes the median one of the
        values.
      part_of_budget: only evaluations up to this part of the step hint count, in (0, 1].
      seed: of the whole procedure.
      width: trials of the reference set that one program trains.
      progress: called as (workload, trials done, trials in all).

    Raises:
      ValueError: arguments outside their domain, or every reference point diverged.
    """
    if not 0 < part_of_budget <= 1:
        raise ValueError(f"part_of_budget is {part_of_budget}, must lie in (0, 1]")
    count = sum(len(one.points) for one in reference)
    if seeds < 1 or not count:
        raise ValueError(f"{seeds} seeds and {count} points; at least one of each is needed")
    done, total = 0, count + seeds * len(reference)

    def report(more: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(workload.name, done, total)

    report(0)
    sign = 1.0 if workload.metric.minimize else -1.0
    best_of: dict[str, float | None] = {}
    again: dict[str, Again | None] = {}
    # One program an optimizer, though several references may use it.
    populations = {one.optimizer: _population(workload, one) for one in reference}
    # The spread over data order is part of the question of the seeds, so every one draws its own batches.
    alone = {
        name: dataclasses.replace(population, shared_batches=False)
        for name, population in populations.items()
    }
    for one in reference:
        population = populations[one.optimizer]
        found: list[float] = []
        for chunk in (one.points[i : i + width] for i in range(0, len(one.points), width)):
            padded = [*chunk, *[chunk[-1]] * (min(width, len(one.points)) - len(chunk))]
            curves = _trained(population, one, padded, "reference", seed)
            found += _reached(curves, workload, part_of_budget)[0].tolist()[: len(chunk)]
            report(len(chunk))
        best_of[one.name] = again[one.name] = None
        if not np.isnan(found).all():
            row = int(np.nanargmin(sign * np.array(found)))
            best_of[one.name] = found[row]
            curves = _trained(alone[one.optimizer], one, [one.points[row]] * seeds, "seeds", seed)
            again[one.name] = Again(one, one.points[row], *_reached(curves, workload, part_of_budget), sign)
        report(seeds)
    medians = {name: one and one.median for name, one in again.items()}
    chosen = [one for one in again.values() if one is not None and one.median is not None]
    if not chosen:
        raise ValueError(
            f"{workload.name}: all {count} reference points diverged, or half of the seeds of the best of them; choose "
            "another reference set"
        )
    best = min(chosen, key=lambda one: sign * one.validation_median)
    return MeasuredTarget(
        metric=workload.metric.name,
        minimize=workload.metric.minimize,
        validation_target=best.validation_median,
        test_target=best.test_median,
        procedure=PROCEDURE,
        reference={tuned.name: _ids(tuned.points) for tuned in reference},
        best_of_reference=best_of,
        best_points={name: one and one.point.id for name, one in again.items()},
        medians=medians,
        best_reference=best.tuned.name,
        optimizer=best.tuned.optimizer,
        best_point=best.point.id,
        seeds=seeds,
        part_of_budget=part_of_budget,
        seed=seed,
        best_reached=tuple(np.sort(best.validation[np.isfinite(best.validation)]).tolist()),
        data=str(workload.data.provenance),
        device=environment.device(),
        versions=environment.versions(),
    )


@dataclasses.dataclass(frozen=True)
class Again:
    """The best point of a reference, trained again.

    Attributes:
      tuned, point: which.
      validation, test: [seed], NaN where a seed diverged.
      sign: 1 where the metric is minimised, else -1.
    """

    tuned: Tuned
    point: Point
    validation: np.ndarray
    test: np.ndarray
    sign: float

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


def _population(workload: workloads.Workload, one: Tuned) -> Population:
    rule = submissions.optimizer(one.optimizer)
    return Population(
        workload, rule.rule, workload.step_hint, workload.eval_period, constrained=rule.applies_constraints
    )


def _trained(population: Population, one: Tuned, chosen: Sequence[Point], purpose: str, seed: int) -> Curves:
    workload, rule = population.workload, submissions.optimizer(one.optimizer)
    hyperparameters = [
        rule.prepare(p.hyperparameters, workload.step_hint, where=f"{one.name}: point {p.id}") for p in chosen
    ]
    names = [(seed, workload.name, purpose, p.id, i) for i, p in enumerate(chosen)]
    init = [trial_seed(*name, "init") for name in names]
    batches = [trial_seed(*name, "batches") for name in (names[:1] if population.shared_batches else names)]
    return population.run(stack(hyperparameters), np.array(init, np.uint32), np.array(batches, np.uint32))


def write_targets(path: Path, targets: Mapping[str, MeasuredTarget], made_by: str) -> None:
    """Adds targets to a targets file, replacing those of the same workloads.

    Args:
      path: a JSON file of the layout of workloads/targets.json; made when missing.
      targets: workload -> target.
      made_by: the command that made them; stored with each.

    Raises:
      ValueError: what is at the path is no targets file, or one of another format; it is left as it is.
    """
    there = check_targets(path)
    added = {name: {**msgspec.to_builtins(target), "made_by": made_by} for name, target in targets.items()}
    content = {"format": 1, "targets": dict(sorted({**there, **added}.items()))}
    write_atomically(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def check_targets(path: Path) -> Mapping[str, Any]:
    """Workload -> all that a targets file says of its target; nothing where no file is yet.

    Raises:
      ValueError: it is no targets file, or one of another format.
    """
    if not path.exists():
        return {}
    workloads.read_targets(path)  # says what is wrong with it
    return reading.read_json(path)["targets"]


def _reached(
    curves: Curves, workload: workloads.Workload, part_of_budget: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best validation metric within the part of the budget, and the test metric there: [trial], NaN if diverged."""
    in_time = curves.global_step <= part_of_budget * workload.step_hint
    if not in_time.any():
        raise ValueError(
            f"{workload.name}: no evaluation within {part_of_budget} of {workload.step_hint} steps "
            f"(eval_period {workload.eval_period}); choose a larger part"
        )
    metric = workload.metric.name
    validation = curves.metrics[f"validation/{metric}"][:, in_time].astype(np.float64)
    test = curves.metrics[f"test/{metric}"][:, in_time].astype(np.float64)
    worst = np.inf if workload.metric.minimize else -np.inf
    ranked = np.where(np.isfinite(validation), validation, worst)
    at = (ranked.argmin if workload.metric.minimize else ranked.argmax)(axis=1)[:, None]
    finite = np.isfinite(validation).any(1)
    pick = lambda values: np.where(finite, np.take_along_axis(values, at, 1)[:, 0], np.nan)  # noqa: E731
    return pick(validation), pick(test)
