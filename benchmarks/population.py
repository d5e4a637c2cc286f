"""The population engine against the loops a user would write, in the same run.

    python -m benchmarks.population [CASE]... [--rounds N] [--seconds X] [--trials N] [--widths 1,2,...] [--out FILE]
    python -m benchmarks.population --write-widths

Per case: trial-steps per second of the engine, of a plain jitted Optax step called from Python for one trial, and of
`lax.scan` over one trial; their ratios to the plain loop; the share of the matrix-multiply peak; and compile times.
Ways take turns and a ratio is the median of the ratios within a round, so that a busy moment hits them all. The
default takes 8 minutes on two cores. With `--write-widths` it tries several numbers of trials per program too, as many
programs at a time as the machine has cores, and writes the best of each cost class into tuning/engine/widths.json,
which the engine reads.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import jax

import workloads
from benchmarks import _population_ways as ways
from benchmarks._population_cases import CASES, Case
from submissions import environment
from tuning.engine import _spread

WIDTHS = Path(__file__).resolve().parents[1] / "tuning" / "engine" / "widths.json"


def measure(case: Case, rounds: int, duration: float, widths: tuple[int | None, ...]) -> dict[str, Any]:
    """All ways to train one workload.

    Args:
      case: what to train.
      rounds: calls of every way that are timed.
      duration: of a call of the loop, about; one of the population is longer, see `ways.long_engine`. Seconds.
      widths: trials per program to try; None: as the engine chooses.
    """
    workload = case.make()
    probe = ways.plain_loop(workload, 4)
    probe()
    rate = 4 / ways.seconds(probe)
    steps = max(8, round(rate * duration))
    runs: dict[str, ways.Run] = {
        "plain loop": ways.plain_loop(workload, steps),
        "scan": ways.scan(workload, steps),
    }
    trial_steps = dict.fromkeys(runs, steps)
    populations = {}
    for width in widths:
        name = "engine" if width is None else f"engine, {width} per program"
        trials = case.trials if width is None else width * _spread.places()
        runs[name], populations[name], its_steps = ways.long_engine(workload, trials, width, duration)
        trial_steps[name] = trials * its_steps
    first_call = {name: ways.seconds(run) for name, run in runs.items()}
    multiply, operations = ways.peak()
    multiply()
    rates: dict[str, list[float]] = {name: [] for name in runs}
    peaks = []
    for _ in range(rounds):
        peaks.append(operations / min(ways.seconds(multiply) for _ in range(3)))
        for name, run in runs.items():
            rates[name].append(trial_steps[name] / ways.seconds(run))
    flops = workloads.flops_per_step(workload)
    return {
        "workload": workload.name,
        "cost_class": workload.cost_class,
        "flops_per_trial_step": flops,
        "peak_gflops": _range([peak / 1e9 for peak in peaks]),
        "trial_steps_per_second": {name: _range(values) for name, values in rates.items()},
        "ratio_to_plain_loop": {
            name: _range(_ratios(values, rates["plain loop"])) for name, values in rates.items()
        },
        "share_of_peak": {
            name: _range(_ratios([flops * rate for rate in values], peaks)) for name, values in rates.items()
        },
        "compile_seconds": {
            name: round(populations[name].compile_seconds if name in populations else seconds, 2)
            for name, seconds in first_call.items()
        },
        "goals": {"floor": case.sketch, "ratio": case.aim, "share_of_peak": case.aim_of_peak},
    }


def _ratios(values: list[float], others: list[float]) -> list[float]:
    return [value / other for value, other in zip(values, others, strict=True)]


def _range(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest, to three digits."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.3g}") for name, value in found.items()}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "device": environment.device(),
        "cores": _spread.cores(),
        "load_before": round(os.getloadavg()[0], 1),
        "versions": environment.versions(),
    }


def best_width(cases: list[dict[int, float]]) -> int:
    """The width with the highest geometric mean of rates over the cases of a cost class, each relative to its fastest.

    Of widths within 3 % of the best it is the narrowest: what is left of a study fills it more evenly.

    Example:
      >>> best_width([{8: 90.0, 16: 100.0, 32: 101.0}, {8: 2.0, 16: 3.0, 32: 3.0}])
      16
    """
    widths = set.intersection(*(set(rates) for rates in cases))
    scores = {
        width: statistics.geometric_mean(rates[width] / max(rates.values()) for rates in cases)
        for width in widths
    }
    return min(width for width, score in scores.items() if score > 0.97 * max(scores.values()))


def write_widths(results: dict[str, dict[str, Any]], path: Path = WIDTHS) -> None:
    """Writes the best width of every cost class that was measured, for this kind of device."""
    best: dict[str, list[dict[int, float]]] = {}
    for result in results.values():
        rates = {
            int(name.split()[1]): spread["median"]
            for name, spread in result["trial_steps_per_second"].items()
            if name.startswith("engine, ")
        }
        if rates:
            best.setdefault(result["cost_class"], []).append(rates)
    table = json.loads(path.read_text())
    kind = jax.local_devices()[0].device_kind
    measured = {name: best_width(cases) for name, cases in best.items()}
    table["trials_per_program"].setdefault(kind, {_spread.OTHER: min(measured.values())}).update(measured)
    path.write_text(json.dumps(table, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of every way (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.7, help="of a call, about (default: 0.7)")
    parser.add_argument(
        "--widths", metavar="N,...", help="trials per program to try besides the engine's choice"
    )
    parser.add_argument(
        "--write-widths", action="store_true", help="measure widths and write tuning/engine/widths.json"
    )
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="in the population, as one program (default: the case's, for CPUs)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")
    arguments = parser.parse_args()
    for name in arguments.cases:
        if name not in CASES:
            parser.error(f"unknown case {name!r}; choose from {', '.join(CASES)}")
    given = tuple(map(int, arguments.widths.split(","))) if arguments.widths else ()
    # Without the persistent cache: compile times are among what is measured.
    report: dict[str, Any] = {"machine": machine(), "rounds": arguments.rounds, "results": {}}
    began = time.perf_counter()
    for name in arguments.cases or CASES:
        case = CASES[name]
        if arguments.trials:
            case = dataclasses.replace(case, trials=arguments.trials)
        widths = given or (case.widths if arguments.write_widths else ())
        report["results"][name] = measure(case, arguments.rounds, arguments.seconds, (None, *widths))
    report["seconds"] = round(time.perf_counter() - began)
    if arguments.write_widths:
        write_widths(report["results"])
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
