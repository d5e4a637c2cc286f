"""Steps per second of our runner and of AlgoPerf's, one after the other on the same submission and data.

    python -m benchmarks.runner --submission PACKAGED_FOLDER --data-dir DIR --checkout ALGOPERF --steps 2000

Needs a Python in which both AlgoPerf and this package are installed (docs/algoperf.md); without --checkout only ours
runs, on `algoperf/mnist` and its embedded stand-in. Both time the same: from the end of the first step, which compiles,
to the end of the last, without evaluations. The order alternates from repeat to repeat, so that a machine that gets
busier does not favour one.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tuning.execution.trials.run import run

WORKLOAD = "mnist"


def seconds_per_step(trial: Path) -> float:
    """Submission time between the first and the last evaluation, per step; the first is after step 1."""
    with (trial / "eval_measurements.csv").open() as lines:
        rows = [(float(row["global_step"]), float(row["score"])) for row in csv.DictReader(lines)]
    (first_step, first), (last_step, last) = rows[0], rows[-1]
    return (last - first) / (last_step - first_step)


def ours(arguments: argparse.Namespace, name: str, folder: Path) -> float:
    """One trial in our runner."""
    (outcome,) = run(
        submission_path=arguments.submission,
        workload=name,
        experiment_dir=folder,
        experiment_name="ours",
        tuning_search_space=arguments.submission / "tuning_search_space.json",
        rng_seed=1,
        max_global_steps=arguments.steps,
        data_dir=arguments.data_dir,
        save_checkpoints=False,
    )
    if outcome.status == "crashed":
        raise RuntimeError(f"our runner: {outcome.reason}")
    return seconds_per_step(Path(outcome.folder))


def theirs(arguments: argparse.Namespace, folder: Path) -> float:
    """One trial in AlgoPerf's."""
    # Its runner imports a submission by its path below the checkout.
    submission = arguments.submission.resolve()
    link = arguments.checkout / "algorithms" / f"_benchmark_{submission.name}"
    link.symlink_to(submission)
    try:
        command = [
            sys.executable, "submission_runner.py", "--framework=jax", f"--workload={WORKLOAD}",
            f"--submission_path=algorithms/{link.name}/submission.py", "--tuning_ruleset=external",
            f"--tuning_search_space={submission / 'tuning_search_space.json'}",
            f"--data_dir={arguments.data_dir.resolve()}",
            f"--experiment_dir={folder}", "--experiment_name=theirs", f"--max_global_steps={arguments.steps}",
            "--rng_seed=1", "--nosave_checkpoints",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=arguments.checkout, capture_output=True, text=True, check=False)
    finally:
        link.unlink()
    if done.returncode:
        raise RuntimeError(f"AlgoPerf's runner ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds_per_step(folder / "theirs" / f"{WORKLOAD}_jax" / "trial_1")


def main() -> None:
    """Prints one JSON object: steps per second of each, and the median of the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--submission", type=Path, required=True, help="folder of an external-tuning submission"
    )
    parser.add_argument("--data-dir", type=Path, help="MNIST as AlgoPerf reads it")
    parser.add_argument("--checkout", type=Path, help="of AlgoPerf, with submission_runner.py")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.checkout and not arguments.data_dir:
        parser.error("--checkout needs --data-dir: both runners take the same data")
    name = f"algoperf-installed/{WORKLOAD}" if arguments.checkout else f"algoperf/{WORKLOAD}"
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for repeat in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            turns = ["ours", "theirs"] if arguments.checkout else ["ours"]
            for who in turns if repeat % 2 == 0 else reversed(turns):
                folder = Path(scratch)
                took = ours(arguments, name, folder) if who == "ours" else theirs(arguments, folder)
                found[who].append(1 / took)
    result = {"workload": name, "steps": arguments.steps, "steps_per_second": found}
    if found["theirs"]:
        ratios = [a / b for a, b in zip(found["ours"], found["theirs"], strict=True)]
        result["ratio"] = statistics.median(ratios)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
