"""How validation and test targets are set, for workloads that nobody published a target for.

The procedure `reference-median`, after Dahl et al. 2023 (arXiv:2306.07179, target setting): tune a reference set of
points, take the best, train it again from many seeds, and let the target be the median of the best value that these
trainings reach within a stated part of the step budget. A good algorithm can then reach the target in time, and a
lucky seed cannot set it.
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
from tuning.engine.population import Curves, Population, stack, trial_seed
from workloads.data import reading
from workloads.data.files import write_atomically

PROCEDURE = "reference-median"


@dataclasses.dataclass(frozen=True)
class MeasuredTarget:
    """A target and everything that made it.

    Attributes:
      metric, minimize: what the target is a value of.
      validation_target: median over seeds of the best validation metric within the part of the budget.
      test_target: median over seeds of the test metric at that same evaluation.
      procedure, optimizer, points, seeds, part_of_budget, seed: the procedure's arguments.
      best_point: id of the reference point that was retrained.
      best_reached: what each seed reached, sorted.
      data, device, versions: where and on what it ran.
    """

    metric: str
    minimize: bool
    validation_target: float
    test_target: float
    procedure: str
    optimizer: str
    points: tuple[str, ...]
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
    points: Sequence[Point],
    *,
    optimizer: str,
    seeds: int = 19,
    part_of_budget: float = 0.5,
    seed: int = 0,
    width: int = 20,
    progress: Callable[[str, int, int], None] | None = None,
) -> MeasuredTarget:
    """Sets the targets of one workload by `reference-median`.

    Args:
      workload: whose own targets, if any, are not read.
      points: the reference set.
      optimizer: name of the optimizer that trains it.
      seeds: how often the best point is trained again; an odd number makes the median one of the values.
      part_of_budget: only evaluations up to this part of the step hint count, in (0, 1].
      seed: of the whole procedure.
      width: trials of the reference set that one program trains.
      progress: called as (workload, trials done, trials in all).

    Raises:
      ValueError: arguments outside their domain, or every reference point diverged.
    """
    if not 0 < part_of_budget <= 1:
        raise ValueError(f"part_of_budget is {part_of_budget}, must lie in (0, 1]")
    if seeds < 1 or not points:
        raise ValueError(f"{seeds} seeds and {len(points)} points; at least one of each is needed")
    rule = submissions.optimizer(optimizer)
    total = len(points) + seeds

    def report(done: int) -> None:
        if progress:
            progress(workload.name, done, total)

    def run(population: Population, chosen: Sequence[Point], purpose: str) -> Curves:
        hyperparameters = [
            rule.prepare(p.hyperparameters, workload.step_hint, where=f"point {p.id}") for p in chosen
        ]
        names = [(seed, workload.name, purpose, p.id, i) for i, p in enumerate(chosen)]
        init = [trial_seed(*name, "init") for name in names]
        batches = [
            trial_seed(*name, "batches") for name in (names[:1] if population.shared_batches else names)
        ]
        return population.run(stack(hyperparameters), np.array(init, np.uint32), np.array(batches, np.uint32))

    report(0)
    shared = Population(
        workload, rule.rule, workload.step_hint, workload.eval_period,
        constrained=rule.applies_constraints,
    )  # fmt: skip
    found: list[float] = []
    for chunk in (points[i : i + width] for i in range(0, len(points), width)):
        padded = [*chunk, *[chunk[-1]] * (min(width, len(points)) - len(chunk))]
        found += _reached(run(shared, padded, "reference"), workload, part_of_budget)[0].tolist()[
            : len(chunk)
        ]
        report(len(found))
    signed = np.array(found) if workload.metric.minimize else -np.array(found)
    if np.isnan(signed).all():
        raise ValueError(
            f"{workload.name}: all {len(points)} reference points diverged; choose another reference set"
        )
    best = points[int(np.nanargmin(signed))]
    # The spread over data order is part of the question here, so every seed draws its own batches.
    alone = dataclasses.replace(shared, shared_batches=False)
    reached, at_test = _reached(run(alone, [best] * seeds, "seeds"), workload, part_of_budget)
    report(total)
    return MeasuredTarget(
        metric=workload.metric.name,
        minimize=workload.metric.minimize,
        validation_target=float(np.nanmedian(reached)),
        test_target=float(np.nanmedian(at_test)),
        procedure=PROCEDURE,
        optimizer=optimizer,
        points=tuple(p.id for p in points),
        best_point=best.id,
        seeds=seeds,
        part_of_budget=part_of_budget,
        seed=seed,
        best_reached=tuple(np.sort(reached).tolist()),
        data=str(workload.data.provenance),
        device=environment.device(),
        versions=environment.versions(),
    )


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
