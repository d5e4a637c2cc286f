"""Checks that train: one program serves every point, and a list's points learn something."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from submissions import Optimizer
from submissions.points import Point
from tuning.conformance._check import Failure
from tuning.engine.population import Population, stack
from workloads import Workload
from workloads.evaluation import Evaluator

UNTRAINED = 4  # models whose spread tells what is more than luck of the initialisation


@dataclasses.dataclass(frozen=True)
class Trial:
    """What the checks that train are given; see `tuning.conformance.inspect`."""

    workload: Workload
    points: tuple[Point, ...]
    rule: Optimizer
    steps: int
    seed: int

    def population(
        self, points: Sequence[Point], steps: int, period: int
    ) -> tuple[Population, dict[str, Any]]:
        """One program for these points, and their hyperparameters."""
        named = [self.rule.prepare(p.hyperparameters, steps, where=f"point {p.id}") for p in points]
        population = Population(
            self.workload, self.rule.rule, steps, period,
            constrained=self.rule.applies_constraints, width=len(points), side_by_side=1,
        )  # fmt: skip
        return population, stack(named)


def one_program(trial: Trial) -> str:
    """A second training, of other points, seeds and another horizon, compiles nothing."""
    period = max(1, min(trial.workload.eval_period, 8))
    points = trial.points[:2]
    population, given = trial.population(points, 2 * period, period)
    seeds = np.arange(len(points), dtype=np.uint32) + np.uint32(trial.seed)
    population.run(given, seeds, seeds[:1])
    first = population.compilations
    changed = {name: values[::-1] * 0.5 for name, values in given.items()}
    population.run(changed, seeds + np.uint32(7), seeds[:1] + np.uint32(7), horizon=6 * period)
    if population.compilations != first:
        raise Failure(
            f"other points compiled {population.compilations - first} programs more; hyperparameters and data must "
            "not decide in Python"
        )
    return f"{population.compile_seconds:.1f} s to compile"


def learnable(trial: Trial) -> str:
    """A point is better than every untrained model, and than their mean by two standard deviations."""
    workload, points, steps, seed = trial.workload, trial.points, trial.steps, trial.seed
    role = "validation" if "validation" in workload.eval_splits else "train"
    name, minimize = workload.metric.name, workload.metric.minimize
    evaluator = Evaluator(workload)
    untrained = []
    for number in range(UNTRAINED):
        params, state = jax.jit(workload.init)(jax.random.fold_in(jax.random.key(seed), number))
        untrained.append(evaluator.metrics(role, params, state)[name])
    period = min(workload.eval_period, steps)
    population, given = trial.population(points, steps, period)
    seeds = np.arange(len(points), dtype=np.uint32) + np.uint32(seed)
    curves = population.run(given, seeds, seeds[:1]).metrics[f"{role}/{name}"]
    if not np.isfinite(curves).any():
        raise Failure(f"all {len(points)} points diverged within {steps} steps")
    sign = 1.0 if minimize else -1.0
    best = sign * float(np.nanmin(sign * curves))
    start = sign * min(sign * value for value in untrained)
    mean, deviation = float(np.mean(untrained)), float(np.std(untrained, ddof=1))
    if not (sign * (start - best) > 0 and sign * (mean - best) > 2 * deviation):
        raise Failure(
            f"{role}/{name}: the best of {len(points)} points reaches {best:.4g} in {steps} steps, and untrained "
            f"models have {min(untrained):.4g} to {max(untrained):.4g}: nothing is known to be learnt"
        )
    target = workload.validation_target
    reached = ""
    if target is not None and role == "validation":
        hits = int(
            np.sum(np.nanmin(sign * curves, axis=1, initial=np.inf, where=~np.isnan(curves)) <= sign * target)
        )
        reached = f"; {hits} of {len(points)} points reach the target {target:.4g}"
    return f"{role}/{name} {start:.4g} -> {best:.4g} in {steps} steps{reached}"
