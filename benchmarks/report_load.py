"""How long a report takes on a large record, and how much memory.

    python -m benchmarks.report_load --trials 20000 --workloads 1 10

For each number of workloads, makes a study of so many trials in a temporary folder (made-up curves of 20 evaluations,
independent points), runs `shortlist report` on it in a process of its own, and prints one JSON object: seconds of wall
clock and of processor, the highest memory of the process, and the same of the bands alone. Goals at 20,000 trials: 15 s
and 500 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

# Run by its path, this file would stand in front of the package that it measures.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

from results import studies  # noqa: E402 - after the line above
from submissions.points import Point  # noqa: E402

EVALS = 20
STEPS = 400
TARGET = 0.2
COHORT = 100

# Run in a process of its own, whose memory is then that of the work alone.
MEASURED = """
import json, resource, sys, time
from pathlib import Path
start, cpu = time.perf_counter(), time.process_time()
{work}
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
spent = {{"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu, "peak_mb": used}}
print(json.dumps({{name: float(f"{{value:.3g}}") for name, value in spent.items()}}))
"""
REPORT = "from reports import report; report(Path(sys.argv[1]), Path(sys.argv[2]))"
BANDS = (
    "import numpy; from reports.bands import tuning_curve\n"
    "tuning_curve(numpy.random.default_rng(0).random(int(sys.argv[1])), minimize=True, support=(0.0, 1.0))"
)


def make_study(folder: Path, trials: int, workloads: int) -> None:
    """Writes a finished study of `trials` trials, as many on each workload."""
    rng = np.random.default_rng(0)
    count = trials // workloads
    rates = 10 ** rng.uniform(-4, -1, count)
    points = tuple(Point(str(i), {"learning_rate": float(rate)}) for i, rate in enumerate(rates))
    names = tuple(f"made_up/task_{i}" for i in range(workloads))
    spec = studies.StudySpec(
        name="load", title="random search", role="candidates", optimizer="adam", strategy={"name": "random"},
        points=dict.fromkeys(names, points), workloads=names, cohort_size=COHORT, steps=STEPS, draws="independent",
    )  # fmt: skip
    studies.write_spec(folder, spec)
    for name in names:
        best = rng.uniform(-3, -2)
        for cohort in spec.cohorts(points, name):
            rows = [_row(name, cohort.number, point, best, rng) for point in cohort.points]
            lists = {f"{role}/error_rate": pl.List(pl.Float64) for role in ("validation", "test", "train")}
            table = pl.DataFrame(rows, schema=dict(studies.SCHEMA) | lists)
            studies.write_cohort(folder, name, cohort.number, studies.as_parquet(table))


def _row(
    workload: str, cohort: int, point: Point, best: float, rng: np.random.Generator
) -> dict[str, object]:
    distance = abs(np.log10(point.hyperparameters["learning_rate"]) - best)
    floor = 0.15 + 0.1 * distance + 0.01 * rng.random()
    curve = floor + (0.9 - floor) * np.exp(-np.linspace(0.3, 6, EVALS)) * (1 + 0.02 * rng.normal(size=EVALS))
    steps = np.arange(1, EVALS + 1) * STEPS // EVALS
    return {
        "workload": workload, "cohort": cohort, "repeat": 0, "point": point.id,
        "hyperparameters": json.dumps(dict(point.hyperparameters)), "status": "done", "metric": "error_rate",
        "minimize": True, "validation_target": TARGET, "step_hint": STEPS, "steps": STEPS,
        "global_step": steps.tolist(), "cohort_seconds": 1.0, "loop": "population", "seed": 0, "optimizer": "adam",
        "data": "synthetic: made up", "device": "none", "versions": "{}", "command": "python -m benchmarks.report_load",
        **{f"{role}/error_rate": curve.tolist() for role in ("validation", "test", "train")},
    }  # fmt: skip


def measure(work: str, *arguments: object) -> dict[str, float]:
    """Seconds and memory of a piece of work in a process of its own."""
    command = [sys.executable, "-c", MEASURED.format(work=work), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20_000, help="of the whole study")
    parser.add_argument(
        "--workloads", type=int, nargs="+", default=[1, 10], help="that the trials are spread over"
    )
    arguments = parser.parse_args()
    rows = []
    for workloads in arguments.workloads:
        with tempfile.TemporaryDirectory() as temporary:
            study = Path(temporary) / "study"
            make_study(study, arguments.trials, workloads)
            row = {"trials": arguments.trials, "workloads": workloads}
            row["report"] = measure(REPORT, study, Path(temporary) / "report")  # type: ignore[assignment]
            row["bands_of_one_workload"] = measure(BANDS, arguments.trials // workloads)  # type: ignore[assignment]
            rows.append(row)
    machine = {"cores": os.cpu_count(), "machine": platform.processor() or platform.machine()}
    print(json.dumps({"rows": rows, **machine, "python": platform.python_version()}, indent=1))


if __name__ == "__main__":
    main()
