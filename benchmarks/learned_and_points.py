"""A learned optimizer, which nobody tunes, beside the best single point of a space, and beside five points of it.

    E="--steps 200 --eval-period 10 --eval-at-start"
    shortlist tune TASK ... $E --optimizer controlled_adam --repeats 3 --study s/learned
    shortlist tune TASK ... $E --optimizer nadamw_optax --strategy quasirandom --budget 48 --study s/nadamw
    python -m benchmarks.learned_and_points s/learned s/nadamw ...

The training loss at the end, of every task 0 for the lowest that anybody reached there and 1 for that of fresh
parameters (and for what is above it, or no number); the mean over repeats. Of every study of points:

| | is |
|---|---|
| best point | that with the lowest mean over these very tasks: known afterwards only |
| chosen on the others | of every task the point that is best on all other tasks: a list of one, leaving one out |
| five points | the best of five drawn at random, each task anew by its own losses |

Differences are learned minus the other, means over tasks; the interval draws tasks with replacement.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

from results.baselines import training_losses

DRAWS = 10_000
Final = dict[
    str, dict[str, tuple[float, np.ndarray]]
]  # task -> point -> (first loss, last losses of its repeats)


def final_losses(study: Path) -> Final:
    table = training_losses(study).table.explode("step", "loss").with_columns(pl.col("loss").cast(pl.Float64))
    found: Final = {}
    for (task, point), rows in table.group_by("workload", "point"):
        first = rows.filter(pl.col("step") == 0)["loss"].median()
        last = rows.filter(pl.col("step") == rows["step"].max())["loss"].fill_null(np.inf).fill_nan(np.inf)
        if not isinstance(first, float):
            raise ValueError(f"{study}: {task} was not evaluated before its first step; add --eval-at-start")
        found.setdefault(str(task), {})[str(point)] = (first, last.to_numpy())
    return found


def share(losses: np.ndarray, lowest: float, first: float) -> float:
    return float(np.mean(np.clip((losses - lowest) / (first - lowest), 0, 1)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("learned", type=Path, help="study of the learned optimizer, one point")
    parser.add_argument("points", type=Path, nargs="+", help="studies of points, on the same tasks and steps")
    parser.add_argument("--tasks", action="store_true", help="also every task")
    asked = parser.parse_args()
    studies = {path: final_losses(path) for path in (asked.learned, *asked.points)}
    tasks = sorted(studies[asked.learned])
    for path, of in studies.items():
        if sorted(of) != tasks:
            sys.exit(f"{path}: has other tasks than {asked.learned}")
    lowest = {t: min(x.min() for of in studies.values() for _, x in of[t].values()) for t in tasks}
    firsts = {t: float(np.median([first for first, _ in studies[asked.learned][t].values()])) for t in tasks}
    rng = np.random.default_rng(0)

    def table(path: Path) -> np.ndarray:
        names = sorted({name for of in studies[path].values() for name in of})
        return np.array([[share(studies[path][t][n][1], lowest[t], firsts[t]) for t in tasks] for n in names])

    learned = table(asked.learned)
    if len(learned) != 1:
        sys.exit(f"{asked.learned}: has {len(learned)} points; a learned optimizer has one")
    print(f"{len(tasks)} tasks; {asked.learned.name}: {learned[0].mean():.3f}")
    for path in asked.points:
        of = table(path)
        best = of[of.mean(1).argmin()]
        others = np.array([of[np.delete(of, i, 1).mean(1).argmin(), i] for i in range(len(tasks))])
        five = np.mean([of[rng.choice(len(of), 5, replace=False)].min(0) for _ in range(1000)], 0)
        for what, costs in (("best point", best), ("chosen on the others", others), ("five points", five)):
            difference = learned[0] - costs
            drawn = rng.choice(difference, (DRAWS, len(tasks))).mean(1)
            low, high = np.percentile(drawn, [2.5, 97.5])
            print(
                f"{path.name}, {what} of {len(of)}: {costs.mean():.3f}; difference {difference.mean():+.3f} "
                f"({low:+.3f} to {high:+.3f}), lower on {(difference < 0).sum()}"
            )
            if asked.tasks and what == "best point":
                for i in np.argsort(difference):
                    print(f"    {tasks[i]}: {learned[0, i]:.3f}, {costs[i]:.3f}")


if __name__ == "__main__":
    main()
