"""How fast a tree of AlgoPerf logs is read, against reading its files one at a time.

    python -m benchmarks.read_logs --repeats 5

Makes a tree of the size of the v0.5 external leaderboard (3,700 trials, 60 evaluations each, made-up
numbers) in a temporary folder, reads it in three ways, each from the folders to one table, and prints one
JSON object with the median seconds. The files are in the page cache: this measures the program, not the disk.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from results.algoperf import read_algoperf_logs
from workloads.benchmarks import benchmark

EVALS = 60
TRIALS = 5
STUDIES = 5


def make_tree(root: Path, submissions: int) -> int:
    """Writes trees that look like v0.5 logs, and returns the number of trials."""
    draw = random.Random(0)
    defined = benchmark("v0.5")
    names = [*defined.base, *defined.held_out]
    for submission in range(submissions):
        for study in range(STUDIES):
            for name in names:
                for trial in range(1, TRIALS + 1):
                    place = f"submission_{submission}/study_{study}/{name}_jax/trial_{trial}"
                    make_trial(root / place, name, trial, draw)
    return submissions * STUDIES * len(names) * TRIALS


def make_trial(folder: Path, name: str, trial: int, draw: random.Random) -> None:
    workload = benchmark("v0.5").workloads[name]
    folder.mkdir(parents=True)
    metrics = sorted({"loss", workload.metric})
    columns = [
        "accumulated_eval_time",
        "accumulated_logging_time",
        "accumulated_submission_time",
        "global_step",
    ]
    columns += ["preemption_count", "score", "test/num_examples", "total_duration", "validation/num_examples"]
    columns += [f"{split}/{metric}" for split in ("test", "train", "validation") for metric in metrics]
    columns.sort()
    lines = [",".join(columns)]
    for row in range(EVALS):
        values = {column: repr(draw.random() * 1000) for column in columns}
        values |= {"global_step": str(1 + 500 * row), "preemption_count": "0"}
        lines.append(",".join(values[column] for column in columns))
    (folder / "eval_measurements.csv").write_text("\n".join(lines) + "\n")
    hyperparameters = {"learning_rate": 0.001 * trial, "weight_decay": 0.1}
    (folder / "hparams.json").write_text(json.dumps(hyperparameters, indent=2))
    metadata = {
        "workload.step_hint": workload.step_hint,
        "workload.max_allowed_runtime_sec": workload.max_runtime_seconds,
        "workload.eval_period_time_sec": workload.eval_period_seconds,
        "workload.target_metric_name": workload.metric,
        "workload.validation_target_value": workload.validation_target,
        "workload.test_target_value": workload.test_target,
    }
    # Real files are this long: readings of eight GPUs.
    metadata |= {f"gpu.{g}.reading.{i}": draw.random() for g in range(8) for i in range(9)}
    (folder / "meta_data_0.json").write_text(json.dumps(metadata, indent=2))


def one_at_a_time(root: Path, read: Callable[[Path, str], object]) -> int:
    """The plain loop: a folder, its JSON, its CSV, the next folder. Returns the number of tables read."""
    tables = []
    for path in sorted(root.glob("*/study_*/*/trial_*/eval_measurements.csv")):
        metadata = json.loads((path.parent / "meta_data_0.json").read_text())
        json.loads((path.parent / "hparams.json").read_text())
        tables.append(read(path, metadata["workload.target_metric_name"]))
    return len(tables)


def with_csv_module(path: Path, metric: str) -> list[dict[str, float]]:
    wanted = columns_wanted(metric)
    with path.open() as file:
        return [{name: float(row[name]) for name in wanted} for row in csv.DictReader(file)]


def with_a_data_frame(path: Path, metric: str) -> pl.DataFrame:
    return pl.read_csv(path, glob=False).select(columns_wanted(metric))


def columns_wanted(metric: str) -> list[str]:
    splits = [f"{split}/{metric}" for split in ("validation", "test", "train")]
    return ["global_step", "accumulated_submission_time", *splits]


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=11, help="350 trials each (default: 11)")
    parser.add_argument(
        "--repeats", type=int, default=5, help="timings of which the median counts (default: 5)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        trials = make_tree(root, arguments.submissions)
        ours = median_seconds(lambda: read_algoperf_logs(root), arguments.repeats)
        modules = median_seconds(lambda: one_at_a_time(root, with_csv_module), arguments.repeats)
        frames = median_seconds(lambda: one_at_a_time(root, with_a_data_frame), arguments.repeats)
    report = {
        "files": trials,
        "rows": trials * EVALS,
        "repeats": arguments.repeats,
        "seconds": {
            "read_algoperf_logs": ours,
            "csv_module_per_file": modules,
            "data_frame_per_file": frames,
        },
        "files_per_second": {"read_algoperf_logs": trials / ours, "csv_module_per_file": trials / modules},
        "times_faster": {"csv_module_per_file": modules / ours, "data_frame_per_file": frames / ours},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
