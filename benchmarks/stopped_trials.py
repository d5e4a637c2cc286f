"""What stopping trials early is worth: strategies replayed on trials that were all trained to their end.

    python -m benchmarks.stopped_trials STUDY...

A trial's numbers do not depend on who trains beside it, so a study of many points, all of them trained in full, says
what a strategy that stops some would have seen. Points are shuffled, and each strategy spends its budget on them in
that order; random search trains as many in full as the budget counts. Targets are those of `workloads/targets.json`.

Prints a table in Markdown: per workload and strategy the share of shuffles in which a trial reached the target
before it ended or stopped; and over all workloads how many trials began and what was spent.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import polars as pl

import results
import workloads
from tuning import strategies
from tuning.strategies import StepBudget, Told
from tuning.strategies.stopping import Standing

SHUFFLES = 300  # the standard error of a share is at most 0.03
BUDGETS = (5, 10)
# Of a strategy's own points only the numbers count here: some that are drawn fast.
NUMBERED = {"space": {"x": {"min": 0.0, "max": 1.0, "scaling": "linear"}}, "points_from": "random"}
STRATEGIES = ("successive-halving", "asha", "median-stopping")


def replayed(
    strategy: StepBudget, values: np.ndarray, steps: np.ndarray, total: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which points a strategy trains, by number, and how many evaluations each one has.

    Args:
      strategy: as a study has it; its n-th point is the n-th row.
      values: [point, evaluation], smaller is better, NaN where diverged.
      steps: [evaluation].
      total: steps of a full training.
    """
    rule, told, curves = strategy.stopping, [], np.empty((0, len(steps)))
    counts: list[int] = []
    while points := strategy.ask(told):
        for begin in range(0, len(points), strategy.cohort):
            cohort = points[begin : begin + strategy.cohort]
            own = values[[int(point.id) for point in cohort]]
            taken = _cohort(rule, own, curves, steps, total)
            seen = np.where(np.arange(len(steps)) < taken[:, None], own, np.nan)
            curves = np.concatenate([curves, seen])
            counts += taken.tolist()
            told += [
                Told(p, 0.0, True, float(steps[n - 1]) / total) for p, n in zip(cohort, taken, strict=True)
            ]
    return np.arange(len(counts)), np.array(counts)


def _cohort(rule, own: np.ndarray, earlier: np.ndarray, steps: np.ndarray, total: int) -> np.ndarray:
    """Evaluations of each trial of a cohort."""
    running, taken = np.ones(len(own), bool), np.zeros(len(own), int)
    for e in range(len(steps)):
        taken += running
        seen = np.where(np.arange(e + 1) < taken[:, None], own[:, : e + 1], np.nan)
        others = earlier[:, : e + 1] if rule.looks_back else earlier[:0, : e + 1]
        if e + 1 < len(steps):
            standing = Standing(steps[: e + 1], int(steps[1] - steps[0]), total, seen, running.copy(), others)
            running &= rule.goes_on(standing) & np.isfinite(own[:, e])
    return taken


def main() -> None:
    """Reads the studies and prints the tables."""
    generator = np.random.default_rng(0)
    curves = {}
    for path in map(pathlib.Path, sys.argv[1:]):
        read = results.read_source(path)
        assert isinstance(read, results.Results)
        for (name,), trials in read.trials.group_by("workload", maintain_order=True):
            target = workloads.load(str(name)).validation_target
            evals = read.evals.join(trials.select("trial_id"), on="trial_id", how="semi")
            table = evals.group_by("trial_id", maintain_order=True).agg("global_step", "validation_metric")
            steps, total = np.array(table["global_step"][0]), int(trials["step_hint"][0])
            sign = 1.0 if trials["minimize"][0] else -1.0
            values = sign * np.array(table["validation_metric"].to_list(), float)  # None as NaN
            curves[str(name)] = values, steps, total, None if target is None else sign * target
    for budget in BUDGETS:
        rows, spent = [], {}
        for name, (values, steps, total, target) in curves.items():
            if target is None:
                continue
            shares = [_share(values, target, budget, generator)]
            for strategy_name in STRATEGIES:
                strategy = strategies.from_spec({"name": strategy_name, "budget": budget, **NUMBERED})
                assert isinstance(strategy, StepBudget)
                strategy.check_training(name, total, int(steps[1] - steps[0]))
                reached = []
                for _ in range(SHUFFLES):
                    shuffled = values[generator.permutation(len(values))]
                    trained, counts = replayed(strategy, shuffled, steps, total)
                    seen = np.where(np.arange(len(steps)) < counts[:, None], shuffled[trained], np.inf)
                    reached.append(bool((seen <= target).any()))
                    cost = float(steps[counts - 1].sum()) / total
                    assert cost <= budget
                    spent.setdefault(strategy_name, []).append((len(trained), cost))
                shares.append(float(np.mean(reached)))
            rows.append((name, *shares))
        table = pl.DataFrame(rows, schema=["workload", "random", *STRATEGIES], orient="row")
        print(f"\nbudget {budget}, {SHUFFLES} shuffles\n\n| workload | {' | '.join(table.columns[1:])} |")
        print("| --- |" + " --- |" * (len(table.columns) - 1))
        for row in table.iter_rows():
            print(
                f"| `{row[0].removeprefix('algoperf/')}` | " + " | ".join(f"{x:.2f}" for x in row[1:]) + " |"
            )
        print("| all, added up | " + " | ".join(f"{table[c].sum():.2f}" for c in table.columns[1:]) + " |")
        means = [np.mean(spent[name], axis=0) for name in STRATEGIES]
        print(f"| trials | {budget} | " + " | ".join(f"{mean[0]:.1f}" for mean in means) + " |")
        print(f"| trainings spent | {budget} | " + " | ".join(f"{mean[1]:.2f}" for mean in means) + " |")


def _share(values: np.ndarray, target: float, budget: int, generator: np.random.Generator) -> float:
    """The share of shuffles in which one of the first points reaches the target, all trained in full."""
    hits = np.any(values <= target, axis=1)
    return float(np.mean([hits[generator.permutation(len(hits))[:budget]].any() for _ in range(SHUFFLES)]))


if __name__ == "__main__":
    main()
