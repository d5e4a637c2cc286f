"""How many workers serve one GPU best: cohorts of small families by one worker of Ray, by two, by more.

    python -m benchmarks.actors_per_gpu [CASE]... [--workers 1,2,...] [--trials N] [--steps N] [--seconds N] [--write]

Per case of `benchmarks.population` and number of workers: trials per second once every worker has compiled, and the
ratio to one worker. With `--write` the best of each cost class goes into tuning/engine/widths.json, for this kind of
device; `--executor ray` reads it. On a host of one GPU: of several, one alone must be seen (CUDA_VISIBLE_DEVICES=0).
On a CPU workers have cores of their own instead, so that it runs there, and tells nothing about GPUs.

It has ended after `--seconds` (225), whatever happens: Ray starts once for each number of workers, what is left of the
time is shared equally by what is left to measure, and what there was no time for is null and not written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jax

from benchmarks._population_cases import CASES
from benchmarks.population import WIDTHS, machine
from tuning.engine import _spread
from tuning.execution import executors
from tuning.execution.jobs import AnyJob, Result
from tuning.execution.stopping import Stop
from tuning.execution.work import Kept

SMALL = ("mlp_family", "nvp_family", "quadratic_family", "conv_fc_family", "char_rnn_gru")
ENOUGH = 0.97  # of the best rate: fewer workers leave more memory to each
MOST_TRIALS = 200  # of a cohort: as many points as the study of a paper has
LEAST_COHORTS = 2  # that count, else there is no rate
COHORTS = 2000  # of a case: more than there is time for
SECONDS_TO_END = 15.0  # that Ray takes


class Lent:
    """An executor that outlives the study that it is lent to."""

    def __init__(self, executor: executors.Executor) -> None:
        """Takes the executor."""
        self._executor, self.ahead, self.device = executor, executor.ahead, executor.device
        self.abandon, self.interrupt = executor.abandon, executor.interrupt

    @property
    def workers(self) -> int:
        """Workers that are there."""
        return self._executor.workers

    def submit(self, job: AnyJob) -> Future[Result]:
        """Hands a job on."""
        return self._executor.submit(job)

    def close(self) -> None:
        """Leaves it to its owner."""


@contextlib.contextmanager
def on_ray(workers: int) -> Iterator[None]:
    """Has `tune` find the same Ray, with so many workers, as long as the context."""
    row = executors.EXECUTORS["ray"]
    with contextlib.closing(executors.start("ray", workers, Kept())) as started:
        executors.EXECUTORS["ray"] = executors.Row(lambda *_: Lent(started), "benchmarks", row.options)
        try:
            while started.workers < workers:  # until it is ended, if need be
                time.sleep(0.1)
            yield
        finally:
            executors.EXECUTORS["ray"] = row


def rate(name: str, folder: Path, workers: int, trials: int, steps: int, seconds: float) -> float | None:
    """Trials per second of a workload by so many workers of this machine; None where there was no time to tell.

    The first two cohorts of each worker do not count: they start JAX and compile.

    Args:
      name: of the workload.
      folder: of the study.
      workers: that share the device.
      trials: of a cohort.
      steps: of a trial.
      seconds: after which no cohort begins.
    """
    from tuning.studies.plan import plan
    from tuning.studies.tune import tune

    before, times, stop = 2 * workers, [], Stop()
    spec = plan(
        name=folder.name, workloads=[name], budget=trials, repeats=COHORTS, cohort_size=trials, steps=steps,
        eval_period=steps,
    )  # fmt: skip

    def progress(what: str, done: int, total: int) -> None:
        times.append((time.perf_counter(), done))

    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        with contextlib.suppress(KeyboardInterrupt):  # before anything was trained
            tune(folder, spec, executor="ray", workers=workers, progress=progress, stop=stop)
    finally:
        timer.cancel()
    if len(times) < before + 1 + LEAST_COHORTS:
        return None
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
        "--trials",
        type=int,
        metavar="N",
        help=f"of a cohort (default: what the table of widths says, {MOST_TRIALS} at most)",
    )
    parser.add_argument("--steps", type=int, default=200, help="of a trial (default: 200)")
    parser.add_argument(
        "--seconds", type=float, default=225.0, help="after which it has ended (default: 225)"
    )
    parser.add_argument("--write", action="store_true", help="write tuning/engine/widths.json")
    given = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the memory is for the workers
    counts = sorted({1, *map(int, given.workers.split(","))})
    ends = time.monotonic() + given.seconds
    cases = {}
    for case in given.cases or SMALL:
        if case not in CASES:
            parser.error(f"unknown case {case!r}; choose from {', '.join(CASES)}")
        cases[case] = CASES[case].make()
        if cases[case].name.startswith("benchmark/"):
            parser.error(f"{case} is no workload that a worker finds by name")
    most = {
        case: given.trials or min(MOST_TRIALS, _spread.cohort_size(workload.cost_class))
        for case, workload in cases.items()
    }
    rates: dict[str, dict[int, float | None]] = {case: {} for case in cases}
    about = {"machine": machine()}

    def end() -> None:
        """Says what was measured, whatever still goes on: Ray ends with this process."""
        print(json.dumps(about | told(rates, most, {c: w.cost_class for c, w in cases.items()}), indent=1))
        sys.stdout.flush()
        os._exit(1)

    last_resort = threading.Timer(given.seconds, end)
    last_resort.daemon = True
    last_resort.start()
    left = len(counts) * len(cases)
    with tempfile.TemporaryDirectory() as folder:
        for number, count in enumerate(counts):
            with on_ray(count):
                for case, workload in cases.items():
                    # Each number of workers after this one has a Ray to start, which takes as long as to end one.
                    still = ends - time.monotonic() - SECONDS_TO_END * (1 + 3 * (len(counts) - number - 1))
                    place, share = Path(folder, f"{case}_{count}"), max(1.0, still / left)
                    rates[case][count] = rate(workload.name, place, count, most[case], given.steps, share)
                    left -= 1
    found = told(rates, most, {case: workload.cost_class for case, workload in cases.items()})
    last_resort.cancel()
    if given.write:
        write(found["workers_per_device"])
    print(json.dumps(about | found, indent=1))


def told(
    rates: dict[str, dict[int, float | None]], trials: dict[str, int], classes: dict[str, str]
) -> dict[str, Any]:
    """What was measured, as JSON.

    Args:
      rates: case -> workers -> trials per second; None where there was no time.
      trials: case -> of a cohort.
      classes: case -> its cost class.

    Example:
      >>> found = told({"a": {1: 2.0, 2: 3.0}, "b": {1: 2.0, 2: None}}, {"a": 8, "b": 8}, {"a": "mlp", "b": "conv"})
      >>> found["workers_per_device"], found["results"]["b"]["ratio_to_one_worker"]
      ({'mlp': 2}, {1: 1.0, 2: None})
    """
    results, by_class = {}, {}
    for case, of_case in rates.items():
        alone = of_case.get(1)
        results[case] = {
            "cost_class": classes[case],
            "trials_per_cohort": trials[case],
            "trials_per_second": {count: found and round(found, 2) for count, found in of_case.items()},
            "ratio_to_one_worker": {
                count: round(found / alone, 3) if found and alone else None
                for count, found in of_case.items()
            },
        }
        # A case that was cut short would judge the others' class.
        if of_case and None not in of_case.values():
            for count, found in of_case.items():
                by_class.setdefault(classes[case], {}).setdefault(count, []).append(found)
    return {"results": results, "workers_per_device": {name: best(of) for name, of in by_class.items()}}


if __name__ == "__main__":
    main()
