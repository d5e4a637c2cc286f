"""How often the intervals of `reports.statistics` hold the truth, beside what they say.

    python -m benchmarks.interval_coverage

Prints tables in Markdown, of 2,000 experiments each, whose shares have a standard error of up to .01. A list of one
point: log fractions are normal, .5 wide over workloads and .3 over repeats, nothing is missed. A list of five: log
fractions of points are normal, .7 wide around -.3, what is above the budget is missed; the noise of repeats is named.
Two of them are the same but for their draws. Goal: no share below .92 for one point.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from reports.statistics import OVER, cost_interval, cost_of, paired_difference

EXPERIMENTS, RESAMPLES = 2_000, 1_000


def one_point(workloads: int, repeats: int, over: str, generator: np.random.Generator, seed: int) -> bool:
    """Whether the interval of one experiment holds."""
    means = generator.normal(0, 0.5, workloads)
    values = np.exp(means[:, None] + generator.normal(0, 0.3, (workloads, repeats)))
    truth = math.exp(means.mean()) if over == "repeats" else 1.0
    found = cost_interval(values, penalty=1e9, over=over, resamples=RESAMPLES, seed=seed)  # type: ignore[arg-type]
    return found.low <= truth <= found.high


def five_points(repeats: int, noise: float, generator: np.random.Generator, seed: int) -> tuple[bool, bool]:
    """Whether the interval over repeats holds, of a list's cost and of the ratio of two."""
    truths, values = [], []
    for _ in range(2):
        means = generator.normal(-0.3, 0.7, (5, 8))
        truths.append(cost_of(_missed(np.exp(means))[:, :, None]))
        drawn = means[:, :, None] + generator.normal(0, noise, (5, 8, repeats))
        values.append(_missed(np.exp(drawn)))
    cost = cost_interval(values[0], over="repeats", resamples=RESAMPLES, seed=seed)
    ratio = paired_difference(*values, over="repeats", resamples=RESAMPLES, seed=seed).ratio
    return cost.low <= truths[0] <= cost.high, ratio.low <= truths[0] / truths[1] <= ratio.high


def _missed(fractions: np.ndarray) -> np.ndarray:
    return np.where(fractions > 1, np.inf, fractions)


def main() -> None:
    """Prints both tables."""
    print(
        "| workloads | repeats | over workloads | over repeats | over both |\n| --- | --- | --- | --- | --- |"
    )
    for workloads, repeats in itertools.product((6, 8, 16, 62), (1, 3, 5)):
        shares = []
        for over in OVER:
            if repeats == 1 and over != "workloads":
                shares.append("")
                continue
            generator = np.random.default_rng([workloads, repeats])
            held = sum(one_point(workloads, repeats, over, generator, i) for i in range(EXPERIMENTS))
            shares.append(f"{held / EXPERIMENTS:.3f}")
        print(f"| {workloads} | {repeats} | {' | '.join(shares)} |", flush=True)
    print("\n| repeats | their noise | cost of five points | ratio of two |\n| --- | --- | --- | --- |")
    for repeats, noise in itertools.product((3, 5), (0.05, 0.2, 0.5)):
        generator = np.random.default_rng([repeats, round(100 * noise)])
        held = np.mean([five_points(repeats, noise, generator, i) for i in range(EXPERIMENTS)], axis=0)
        print(f"| {repeats} | {noise} | {held[0]:.3f} | {held[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
