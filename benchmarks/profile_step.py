"""Where the time of one training step of a population goes, operation by operation. For CPUs.

    taskset -c 0 python -m benchmarks.profile_step CASE [--width N] [--steps N]

Prints one line per operation of the compiled step: the least microseconds that it took in any of the steps, and its
operands. The least, because it is what the operation costs on an idle core, whatever else the machine was doing; held
to one core, their sum is the step of one of the programs that run side by side.
"""

from __future__ import annotations

import argparse
import glob
import os
import re
import tempfile

# Before JAX starts: without it, operations leave no trace.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_enable_xprof_traceme=true"

import jax

from benchmarks import _population_ways as ways
from benchmarks._population_cases import CASES
from tuning.engine import _spread


def durations(run: ways.Run) -> dict[str, list[float]]:
    """Operation -> microseconds of each of its executions in one run."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        found: dict[str, list[float]] = {}
        for plane in jax.profiler.ProfileData.from_file(path).planes:
            for line in plane.lines:
                for event in line.events:
                    found.setdefault(event.name, []).append(event.duration_ns / 1e3)
        return found


def step_of(program: str, took: dict[str, list[float]]) -> list[tuple[float, str]]:
    """(least microseconds, text) of the operations of the step: of the computation that took most of the run.

    Args:
      program: text of a compiled module.
      took: as `durations` returns it.
    """
    computations = []
    for text in re.split(r"\n(?=[%E])", program):
        operations = re.findall(r"^\s+(?:ROOT )?%(\S+) = (.*)", text, re.MULTILINE)
        # Loops, branches and calls hold other computations, whose operations count for themselves.
        own = [
            (n, t) for n, t in operations if n in took and not re.search(r" (while|conditional|call)\(", t)
        ]
        total = sum(min(took[name]) * len(took[name]) for name, _ in own)
        computations.append((total, own))
    _, own = max(computations, key=lambda each: each[0])
    return [
        (min(took[name]), re.sub(r", (metadata|backend_config|kind|calls)=.*", "", text))
        for name, text in own
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--width", type=int, help="trials in the program (default: the engine's choice)")
    parser.add_argument("--steps", type=int, default=40, help="to take (default: 40)")
    arguments = parser.parse_args()
    workload = CASES[arguments.case].make()
    width = arguments.width or _spread.spread(workload.cost_class).width
    run, population = ways.engine(workload, arguments.steps, width, width)
    run()
    rows = step_of(population.programs[0].call.as_text(), durations(run))
    total = sum(duration for duration, _ in rows)
    print(f"{arguments.case}, {width} trials: {total:.0f} us per step, {total / width:.1f} per trial")
    for duration, text in sorted(rows, reverse=True):
        if duration > 0.005 * total:
            print(f"{duration:9.1f} us {duration / total:6.1%}  {text[:120]}")


if __name__ == "__main__":
    main()
