"""What workers cost a synchronous learner, and what a second one gains, in turns in one process.

    python -m benchmarks.learner --optimizer adafac_mlp_lopt --workload taskset/mlp_family_seed12

Three trainings of one plan (two estimators, persistent evolution strategies) take outer steps in turns: in line, one
estimate after the other; by one worker process; by two. Ratios are of the medians of the seconds of an outer step, of
turns that follow each other, so that what else the machine does concerns all alike; those of processor time, the
workers' included, move little with it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from submissions import environment
from tuning.meta_training.distribution import listed
from tuning.meta_training.estimators import PersistentES
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths
from tuning.meta_training.training import MetaTraining
from tuning.meta_training.workers import Workers

WAYS = {"in line": None, "1 worker": 1, "2 workers": 2}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizer", default="adafac_mlp_lopt")
    parser.add_argument("--workload", default="taskset/mlp_family_seed12")
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--turns", type=int, default=10)
    given = parser.parse_args()
    plan = Plan(
        given.optimizer, listed([given.workload]), PersistentES(window=given.window), Lengths(200, 200),
        tasks=given.tasks, estimators=2, offset=200,
    )  # fmt: skip
    environment.use_compilation_cache()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        trainings = {}
        for name, count in WAYS.items():
            workers = None if count is None else stack.enter_context(Workers("processes", count))
            trainings[name] = MetaTraining(plan, Path(scratch) / name, workers=workers, parts=1)
            trainings[name].step()  # compiles, in every worker that it reaches
            trainings[name].step()
        for training in trainings.values():
            training.keep()
        (file,) = (Path(scratch) / "1 worker").glob("checkpoint_*.npz")
        size = file.stat().st_size
        seconds: dict[str, list[float]] = {name: [] for name in WAYS}
        spent = dict.fromkeys(WAYS, 0.0)
        for _ in range(given.turns):
            for name, training in trainings.items():
                began, before = time.perf_counter(), processor_seconds()
                training.step()
                seconds[name].append(time.perf_counter() - began)
                spent[name] += processor_seconds() - before
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    print(
        f"{environment.device()}, {given.optimizer}, {given.workload}, {given.tasks} tasks, {given.turns} turns"
    )
    print(f"a checkpoint, with the state of two estimators: {size / 1e6:.2f} MB")
    for name, found in seconds.items():
        of_processor = 1000 * spent[name] / given.turns
        print(
            f"{name}: {1000 * medians[name]:.1f} ms an outer step ({1000 * min(found):.1f} at best), "
            f"{of_processor:.1f} ms of processor time"
        )
    for one, other in (("1 worker", "in line"), ("2 workers", "1 worker")):
        of_turns = [a / b for a, b in zip(seconds[one], seconds[other], strict=True)]
        least = min(seconds[one]) / min(seconds[other])
        print(
            f"{one} / {other}: {medians[one] / medians[other]:.2f} of medians, {statistics.median(of_turns):.2f} the "
            f"median of turns, {least:.2f} at best, {spent[one] / spent[other]:.2f} of processor time"
        )


def processor_seconds() -> float:
    """Of this process and its children, to a hundredth of a second."""
    total = time.process_time()
    for thread in Path("/proc/self/task").glob("*/children"):
        for pid in thread.read_text().split():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


if __name__ == "__main__":
    main()
