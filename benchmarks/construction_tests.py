"""How sure it is that a construction is better or worse than greedy, from what `benchmarks.constructions` found.

    python -m benchmarks.constructions CURVES... --json found.json
    python -m benchmarks.construction_tests found.json [--without CURVES]

For each source and construction: by how many per cent its lists cost more, with intervals over workloads and over
TaskSet's families; p, by exchanging signs of workloads, and Holm's over the constructions of a source.
With --without, of the workloads alone that are not in those curves too.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
from collections import defaultdict

import numpy as np

import results
from benchmarks.constructions import percent
from reports import statistics

DRAWS = 10_000


def p_value(gaps: np.ndarray) -> float:
    """How often signs at random give a mean as far from 0."""
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (DRAWS, len(gaps)))
    return float((1 + (np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12).sum()) / (1 + DRAWS))


def interval(gaps: np.ndarray, groups: np.ndarray) -> str:
    """Of the mean, in per cent, where groups are drawn."""
    kinds, number = np.unique(groups, return_inverse=True)
    sums, counts = (np.bincount(number, weights=one) for one in (gaps, np.ones(len(gaps))))
    drawn = np.random.default_rng(0).integers(0, len(kinds), (DRAWS, len(kinds)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return f"{percent(low):+.1f} to {percent(high):+.1f}"


def main() -> None:
    """Prints a row in Markdown per source and construction."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("found", type=pathlib.Path)
    parser.add_argument("--without", type=pathlib.Path)
    given = parser.parse_args()
    known = set() if given.without is None else set(results.read_curves(given.without).tasks)
    gaps: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    names: dict[str, np.ndarray] = {}
    for problem in json.loads(given.found.read_text()):
        names[problem["source"]] = np.array(problem["workloads"])
        for name, row in problem["rows"].items():
            gaps[problem["source"]][name].append(row["by_workload"])
    print("| source | construction | workloads | beside greedy, % | over families | p | Holm |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for source, of_source in gaps.items():
        kept = np.array([name not in known for name in names[source]])
        if not kept.any():
            continue
        family = np.array([re.sub(r"_seed\d+$", "", name) for name in names[source][kept]])
        means = {n: np.mean(v, axis=0)[kept] for n, v in of_source.items() if n != "greedy"}
        tests = [p_value(one) for one in means.values()]
        for (name, one), p, corrected in zip(means.items(), tests, statistics.holm(tests), strict=True):
            middle = f"{percent(one.mean()):+.1f} ({interval(one, np.arange(len(one)))})"
            print(
                f"| {source} | {name} | {len(one)} | {middle} | {interval(one, family)} | {p:.3f} | {corrected:.3f} |"
            )


if __name__ == "__main__":
    main()
