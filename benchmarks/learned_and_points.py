"""A learned optimizer, which nobody tunes, beside the best single point of a space, and beside five points of it.

    E="--steps 200 --eval-period 10 --eval-at-start"
    T=$(python -m benchmarks.learned_and_points --held-out)
    shortlist tune $T $E --optimizer controlled_adam --repeats 3 --study s/learned
    shortlist tune $T $E --optimizer nadamw_optax --strategy quasirandom --budget 48 --study s/nadamw
    shortlist tune $T $E --grid adam4p_wide_grid --budget 48 --study s/adam4p
    shortlist tune $T $E --optimizer adam_velodrome --strategy rate-grid --lowest 1e-5 --highest 1 --study s/rates
    python -m benchmarks.learned_and_points s/learned s/nadamw s/adam4p s/rates

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
# Of every family of TaskSet's but language models, which are dear, the seeds of 100 to 139 with the fewest operations
# per step (`shortlist workloads --sampled --seeds 100:140 --max-flops 1e30`) that are not rejected, three each.
HELD_OUT = {
    "mlp_family": (131, 120, 117),
    "mlp_ae_family": (105, 109, 107),
    "mlp_vae_family": (109, 108, 124),
    "conv_fc_family": (127, 111, 133),
    "conv_pooling_family": (100, 109, 129),
    "rnn_text_classification_family": (102, 104, 129),
    "maf_family": (126, 129, 119),
    "nvp_family": (134, 102, 133),
    "quadratic_family": (106, 107, 125),
    "losg_tasks_family": (100, 101, 103),
}
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
    parser.add_argument(
        "--held-out", action="store_true", help="print the 30 tasks of docs/learned.md and end"
    )
    parser.add_argument("learned", type=Path, nargs="?", help="study of the learned optimizer, one point")
    parser.add_argument("points", type=Path, nargs="*", help="studies of points, on the same tasks and steps")
    parser.add_argument("--tasks", action="store_true", help="also every task")
    asked = parser.parse_args()
    if asked.held_out:
        print(*(f"taskset/{family}_seed{seed}" for family, seeds in HELD_OUT.items() for seed in seeds))
        return
    if asked.learned is None or not asked.points:
        parser.error("give the study of the learned optimizer and at least one of points")
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
