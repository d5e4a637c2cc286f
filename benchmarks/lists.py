"""How long list construction takes, against plain programs that give the same lists.

    python -m benchmarks.lists

Prints one JSON object, in a minute on two cores. Goals: the exact best 5 of 200 points over 8
workloads in less than 0.1 s; a greedy list of 100 from 1,000 points over 1,162 workloads in less than
2 s; `import lists` in less than 0.5 s. Every ratio
is plain time / our time, both medians of the same run on the same table.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Run by its path, this file would stand in front of the package that it measures.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

import lists  # noqa: E402 - after the line above

PENALTY = 2.0


def table(points: int, workloads: int, missed: float, seed: int) -> np.ndarray:
    """Random fractions on AlgoPerf's evaluation grid of hundredths, with a share of missed targets."""
    rng = np.random.default_rng(seed)
    values = rng.integers(5, 101, size=(points, workloads)) / 100
    values[rng.random(values.shape) < missed] = math.inf
    return values


def measure(function: Callable[[], Any], repeats: int) -> tuple[dict[str, float], Any]:
    """Median, lowest and highest seconds of `repeats` calls after one that warms up, and the result."""
    result = function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    spread = {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}
    return {name: float(f"{value:.3g}") for name, value in spread.items()} | {"repeats": repeats}, result


def plain_exact(values: np.ndarray, size: int) -> float:
    """The optimal cost by the same recurrence, in Python loops over sets of workloads."""
    logs = [[math.log(min(f, PENALTY)) for f in row] for row in values.tolist()]
    workloads = len(logs[0])
    sets = 1 << workloads
    single = [min(sum(row[w] for w in range(workloads) if s >> w & 1) for row in logs) for s in range(sets)]
    best = single
    for _ in range(size - 1):
        longer = list(best)
        for s in range(sets):
            part = s
            while part:
                longer[s] = min(longer[s], single[part] + best[s ^ part])
                part = (part - 1) & s
        best = longer
    return math.exp(best[-1] / workloads)


def some_of_all_sets(values: np.ndarray, size: int, sets: int) -> float:
    """The best of the first `sets` random sets, NumPy on all of them at once: a slice of trying all."""
    logs = np.log(np.minimum(values, PENALTY))
    rows = np.random.default_rng(0).integers(len(values), size=(sets, size))
    return math.exp(logs[rows].min(axis=1).mean(axis=1).min())


def plain_greedy(values: np.ndarray, size: int) -> tuple[int, ...]:
    """Algorithm 1 with one NumPy call per candidate, from logarithms taken once."""
    logs = np.log(np.minimum(values, PENALTY))
    chosen: list[int] = []
    so_far = np.full(values.shape[1], math.log(PENALTY))
    for _ in range(size):
        costs = [
            math.inf if p in chosen else float(np.minimum(so_far, row).mean()) for p, row in enumerate(logs)
        ]
        lowest = min(costs)
        chosen.append(next(p for p, value in enumerate(costs) if value <= lowest + 1e-12))
        so_far = np.minimum(so_far, logs[chosen[-1]])
    return tuple(chosen)


def exact_best_5_of_200() -> dict[str, Any]:
    values = table(200, 8, missed=0.9, seed=0)
    ours, chosen = measure(lambda: lists.exact(values, 5, PENALTY), repeats=21)
    plain, lowest = measure(lambda: plain_exact(values, 5), repeats=5)
    tried = 50_000
    slice_of_all, _ = measure(lambda: some_of_all_sets(values, 5, tried), repeats=5)
    return {
        "points": 200,
        "workloads": 8,
        "size": 5,
        "seconds": ours,
        "goal_seconds": 0.1,
        "plain": "the same recurrence in Python loops, without the tie rule",
        "plain_seconds": plain,
        "ratio": round(plain["median"] / ours["median"], 1),
        "same_cost": math.isclose(chosen.costs[-1], lowest, rel_tol=1e-12),
        "all_sets_seconds_extrapolated": float(f"{slice_of_all['median'] * math.comb(200, 5) / tried:.3g}"),
        "all_sets": f"NumPy on {tried} random sets, times {math.comb(200, 5)} / {tried}",
    }


def greedy_100_of_1000() -> dict[str, Any]:
    values = table(1000, 1162, missed=0.3, seed=1)
    ours, chosen = measure(lambda: lists.greedy(values, 100, PENALTY, ties="lowest-id"), repeats=7)
    plain, points = measure(lambda: plain_greedy(values, 100), repeats=3)
    return {
        "points": 1000,
        "workloads": 1162,
        "size": 100,
        "seconds": ours,
        "goal_seconds": 2.0,
        "plain": "Algorithm 1 with one NumPy call per candidate",
        "plain_seconds": plain,
        "ratio": round(plain["median"] / ours["median"], 1),
        "same_list": chosen.points == points,
    }


def importing() -> dict[str, Any]:
    def start(code: str) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    ours, _ = measure(start("import lists"), repeats=7)
    numpy, _ = measure(start("import numpy"), repeats=7)
    return {
        "seconds": ours,
        "goal_seconds": 0.5,
        "plain": "import numpy in a fresh interpreter",
        "plain_seconds": numpy,
        "ratio": round(numpy["median"] / ours["median"], 2),
    }


def main() -> None:
    machine = {
        "cpu_count": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    result = {
        "machine": machine,
        "exact": exact_best_5_of_200(),
        "greedy": greedy_100_of_1000(),
        "import_lists": importing(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
