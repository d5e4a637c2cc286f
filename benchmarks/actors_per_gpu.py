"""How many workers serve one GPU best: cohorts of small families by one worker of Ray, by two, by more.

    python -m benchmarks.actors_per_gpu [CASE]... [--workers 1,2,...] [--trials N] [--cohorts N] [--steps N] [--write]

Per case of `benchmarks.population` and number of workers: trials per second once every worker has compiled, and the
ratio to one worker. With `--write` the best of each cost class goes into tuning/engine/widths.json, for this kind of
device; `--executor ray` reads it. On a host of one GPU: of several, one alone must be seen (CUDA_VISIBLE_DEVICES=0).
On a CPU workers have cores of their own instead, so that it runs there, and tells nothing about GPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import jax

from benchmarks._population_cases import CASES
from benchmarks.population import WIDTHS, machine
from tuning.engine import _spread

SMALL = ("mlp_family", "nvp_family", "quadratic_family", "conv_fc_family", "char_rnn_gru")
ENOUGH = 0.97  # of the best rate: fewer workers leave more memory to each


def rate(name: str, folder: Path, workers: int, trials: int, cohorts: int, steps: int) -> float:
    """Trials per second of a workload by so many workers of this machine.

    The first two cohorts of each worker do not count: they start JAX and compile.

    Args:
      name: of the workload.
      folder: of the study.
      workers: that share the device.
      trials: of a cohort.
      cohorts: of each worker that count.
      steps: of a trial.
    """
    from tuning.studies.plan import plan
    from tuning.studies.tune import tune

    before, times = 2 * workers, []
    spec = plan(
        name=folder.name, workloads=[name], budget=trials * (before + workers * cohorts), cohort_size=trials,
        steps=steps, eval_period=steps,
    )  # fmt: skip

    def progress(what: str, done: int, total: int) -> None:
        times.append((time.perf_counter(), done))

    tune(folder, spec, executor="ray", workers=workers, progress=progress)
    began, ended = times[before], times[-1]
    return (ended[1] - began[1]) / (ended[0] - began[0])


def best(rates: dict[int, list[float]]) -> int:
    """The fewest workers that come near to the best rate, by the geometric mean over the cases of a cost class.

    Args:
      rates: workers -> trials per second of each case.

    Example:
      >>> best({1: [10.0, 5.0], 2: [15.0, 8.0], 4: [15.1, 8.0]})
      2
    """
    scores = {workers: statistics.geometric_mean(of_cases) for workers, of_cases in rates.items()}
    return min(workers for workers, score in scores.items() if score > ENOUGH * max(scores.values()))


def write(measured: dict[str, int], path: Path = WIDTHS) -> None:
    """Writes the workers of every cost class that was measured, for this kind of device."""
    tables = json.loads(path.read_text())
    kind = jax.local_devices()[0].device_kind
    tables.setdefault("workers_per_device", {}).setdefault(kind, {_spread.OTHER: 1}).update(measured)
    path.write_text(json.dumps(tables, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"default: {' '.join(SMALL)}")
    parser.add_argument("--workers", metavar="N,...", default="1,2", help="numbers to try (default: 1,2)")
    parser.add_argument(
        "--trials", type=int, metavar="N", help="of a cohort (default: what the table of widths says)"
    )
    parser.add_argument("--cohorts", type=int, default=10, help="of each worker that count (default: 10)")
    parser.add_argument("--steps", type=int, default=200, help="of a trial (default: 200)")
    parser.add_argument("--write", action="store_true", help="write tuning/engine/widths.json")
    given = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the memory is for the workers
    counts = sorted({1, *map(int, given.workers.split(","))})
    report: dict[str, Any] = {"machine": machine(), "results": {}}
    by_class: dict[str, dict[int, list[float]]] = {}
    for case in given.cases or SMALL:
        if case not in CASES:
            parser.error(f"unknown case {case!r}; choose from {', '.join(CASES)}")
        workload = CASES[case].make()
        if workload.name.startswith("benchmark/"):
            parser.error(f"{case} is no workload that a worker finds by name")
        trials = given.trials or _spread.cohort_size(workload.cost_class)
        with tempfile.TemporaryDirectory() as folder:
            rates = {
                count: rate(
                    workload.name, Path(folder, str(count)), count, trials, given.cohorts, given.steps
                )
                for count in counts
            }
        report["results"][case] = {
            "cost_class": workload.cost_class,
            "trials_per_cohort": trials,
            "trials_per_second": {count: round(found, 2) for count, found in rates.items()},
            "ratio_to_one_worker": {count: round(found / rates[1], 3) for count, found in rates.items()},
        }
        for count, found in rates.items():
            by_class.setdefault(workload.cost_class, {}).setdefault(count, []).append(found)
    report["workers_per_device"] = {name: best(rates) for name, rates in by_class.items()}
    if given.write:
        write(report["workers_per_device"])
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
