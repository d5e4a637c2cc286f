"""What the coordinator costs: jobs per second, overhead per job against in line, and whether either grows.

    python -m benchmarks.coordinator                     10,000 jobs that take no time, through claims, checks and files
    python -m benchmarks.coordinator --executor folder   the same cohorts in line and by that executor, one worker

The second trains cohorts of one trial and one step, so that what it takes is moving them; the first job of each worker,
which starts JAX and compiles, does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import polars as pl

from results import studies
from results.studies import Cohort, Programs, StudySpec
from submissions.points import Point
from tuning.execution.claims import Claims
from tuning.execution.coordinate import complete
from tuning.execution.jobs import AnyJob, Done, Job, Result
from tuning.execution.stopping import Stop

WORKLOAD = "taskset/quadratic_family_seed3"


class AtOnce:
    """An executor whose jobs are done when they are submitted."""

    workers, ahead = 2, 0

    def submit(self, job: AnyJob) -> Future[Result]:
        assert isinstance(job, Job)
        belongs = studies.belongs_to(job.spec, job.workload, job.cohort, None, None)
        future: Future[Result] = Future()
        content = studies.as_parquet(pl.DataFrame({"cohort": [job.cohort.number]}), belongs)
        future.set_result(Result(content, Done(1, 0, 0.0, 0.0, "host", "device")))
        return future

    def abandon(self, future: Future[Result]) -> None:
        pass

    def interrupt(self, future: Future[Result]) -> None:
        pass


def growth(folder: Path, count: int) -> dict[str, float | list[float]]:
    """Has jobs done that take no time."""
    spec = StudySpec(
        "s", "", "candidates", "sgd_optax", {"name": "list"}, None, (WORKLOAD,), programs={WORKLOAD: Programs(1, 1)}
    )  # fmt: skip

    def jobs() -> Iterator[Job]:
        for number in range(count):
            point = Point(str(number), {"learning_rate": 0.1})
            yield Job(str(folder), WORKLOAD, Cohort(number, 0, (point,), 1), spec)

    looks: list[tuple[float, int]] = []

    def written(job: Job) -> None:
        if job.cohort.number % (count // 10) == 0:
            looks.append((time.process_time(), _kilobytes()))

    began, cpu = time.perf_counter(), time.process_time()
    with Claims(folder) as claims:
        complete(jobs(), AtOnce(), claims, written, Stop())
        looks.append((time.process_time(), _kilobytes()))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    tenths = [10 * (later[0] - sooner[0]) / count for sooner, later in itertools.pairwise(looks)]
    return {
        "jobs": count,
        "jobs_per_second": round(count / seconds, 1),
        "cpu_milliseconds_per_job": round(1e3 * cpu / count, 3),
        "cpu_milliseconds_per_job_of_each_tenth": [round(1e3 * tenth, 3) for tenth in tenths],
        "last_three_tenths_over_first_three": round(sum(tenths[-3:]) / sum(tenths[:3]), 3),
        "megabytes_at_the_end_of_each_tenth": [round(look[1] / 1e3, 1) for look in looks[1:]],
    }


def overhead(folder: Path, name: str, count: int) -> dict[str, float]:
    """Trains the same tiny cohorts in line and by an executor."""
    from tuning.studies.plan import plan
    from tuning.studies.tune import tune

    def seconds(executor: str, **more) -> float:
        times: list[float] = []
        spec = plan(
            name=executor, workloads=[WORKLOAD], budget=count, cohort_size=1, steps=1, eval_period=1,
            optimizer="sgd_optax",
        )  # fmt: skip
        tune(
            folder / executor, spec, executor=executor, progress=lambda *_: times.append(time.perf_counter()), **more
        )  # fmt: skip
        return (times[-1] - times[2]) / (len(times) - 3)

    alone = seconds("inline")
    with contextlib.ExitStack() as ends:
        more: dict = {"workers": 1}
        if name == "folder":
            more = {"options": {"folder": folder / "jobs"}}
            worker = subprocess.Popen(
                [sys.executable, "-m", "shortlist.cli", "worker", str(folder / "jobs")],
                stderr=subprocess.DEVNULL,
            )
            ends.callback(worker.wait)
            ends.callback(worker.terminate)
        other = seconds(name, **more)
    return {
        "jobs": count,
        "in_line_milliseconds_per_job": round(1e3 * alone, 2),
        f"{name}_milliseconds_per_job": round(1e3 * other, 2),
        "overhead_milliseconds_per_job": round(1e3 * (other - alone), 2),
        "percent_of_a_job_of_5_seconds": round(100 * (other - alone) / 5, 3),
    }


def _kilobytes() -> int:
    with contextlib.suppress(OSError):
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * resource.getpagesize() // 1000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executor", help="compare it with in line")
    parser.add_argument("--jobs", type=int, help="default: 10,000; 100 with --executor")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.executor is None:
            print(json.dumps(growth(Path(folder), given.jobs or 10_000), indent=1))
        else:
            print(json.dumps(overhead(Path(folder), given.executor, given.jobs or 100), indent=1))


if __name__ == "__main__":
    main()
