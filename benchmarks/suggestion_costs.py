"""What a suggestion costs, in CPU seconds of the process that makes it, on Medapati et al.'s space.

    python -m benchmarks.suggestion_costs vizier --trials 10 --workloads 8

One process suggests for all workloads, one after the other, as in a study; each has a value that is a bowl around
another point, and its third trial diverges. The very first number has the start of the process and its imports.
Without compiled programs from an earlier process: XDG_CACHE_HOME=$(mktemp -d) before the command.
"""

from __future__ import annotations

import argparse
import math

from submissions.points import Point, Told
from submissions.spaces import MEDAPATI_TABLE_1
from tuning import strategies


def value(point: Point, workload: int) -> float:
    """A bowl in the learning rate and weight decay, whose bottom depends on the workload."""
    at, decay = point.hyperparameters["learning_rate"], point.hyperparameters["weight_decay"]
    return 0.1 + (math.log10(at) + 2.2 + 0.2 * workload) ** 2 + 0.05 * (math.log10(decay) + 2) ** 2


def costs(name: str, trials: int, workload: int) -> list[float]:
    """CPU seconds of each suggestion of one workload."""
    spec = {"name": name, "budget": trials, "space": MEDAPATI_TABLE_1.to_json(), "seed": 0}
    if "startup" in {option.name for option in strategies.row(name).takes}:
        spec["startup"] = 2  # else nothing of a few trials would be suggested by a model
    strategy, told, spent = strategies.from_spec(spec), [], []
    while True:
        with strategies.metered() as now:
            points = strategy.ask(told)
        if not points:
            return spent
        spent += now
        told.append(Told(points[0], None if len(told) == 2 else value(points[0], workload), minimize=True))


def main() -> None:
    """Prints a line per workload, and the mean of all suggestions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("strategy")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--workloads", type=int, default=8)
    given = parser.parse_args()
    every: list[float] = []
    for workload in range(given.workloads):
        each = costs(given.strategy, given.trials, workload)
        print(f"workload {workload}: {sum(each) / len(each):.2f} ({' '.join(f'{one:.2f}' for one in each)})")
        every += each
    print(
        f"mean of {len(every)} suggestions: {sum(every) / len(every):.2f} CPU seconds, most {max(every):.2f}"
    )


if __name__ == "__main__":
    main()
