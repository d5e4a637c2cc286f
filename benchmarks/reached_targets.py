"""How hard the targets of AlgoPerf's workloads at `mini` scale are, for the candidates that lists are built of.

    python -m benchmarks.reached_targets STUDY...

Each study holds the 200 candidates of Medapati et al. (arXiv:2503.03986) on some of these workloads:

    shortlist tune algoperf/ogbg@mini ... --strategy medapati-candidates --budget 200 --study STUDY

Targets are those of `workloads/targets.json`, whatever they were when the study was made. Prints tables in Markdown:
for every workload how many points reach its target, which part of the step budget the best of them needs, and of those
points how many reach one or two others of the same group (base workloads, variants), as the paper's Table 4 counts.
Goals: some point reaches every target, and fewer than 15 % do; the best needs .3 to .9 of the budget.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np

import lists
import results
import workloads
from reports.medapati import published_numbers

_NUMBERS = published_numbers()
# Table 4: of 200 points those that reach the target, and one and two others'.
PAPER = {name: tuple(row.values[name] for row in _NUMBERS.reach.rows) for name in _NUMBERS.names}


def fractions_of(source: pathlib.Path | results.Results) -> results.Fractions | None:
    """Step fractions by the targets of today; None where none of its workloads has one."""
    read = source if isinstance(source, results.Results) else results.read_source(source)
    assert isinstance(read, results.Results)
    target = {name: workloads.load(name).validation_target for name in read.trials["workload"].unique()}
    there = sorted(name for name, value in target.items() if value is not None)
    if not there:
        return None
    return results.fractions(results.hits(read.judged_by(target)), workloads=there)


def table(values: dict[str, np.ndarray]) -> str:
    """Of workload -> step fractions of its points, all of the same points."""
    counts = lists.trains_others(np.stack(list(values.values()), axis=1))
    lines = [
        "| workload | target | reached by | and one other's | and two others' | best step fraction | paper |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for column, (name, found) in enumerate(values.items()):
        base = workloads.load(name)
        plain = name.removeprefix("algoperf/").removesuffix("@mini")
        paper = ", ".join(map(str, PAPER[plain])) if plain in PAPER else ""
        best = f"{found.min():.2f}" if np.isfinite(found).any() else "none"
        reach = " | ".join(str(count) for count in counts[:, column])
        lines.append(f"| `{plain}@mini` | {base.validation_target:.4g} | {reach} | {best} | {paper} |")
    return "\n".join(lines)


def main() -> None:
    """Reads the studies and prints a table for the base workloads and one for the variants."""
    base: dict[str, np.ndarray] = {}
    variants: dict[str, np.ndarray] = {}
    for path in map(pathlib.Path, sys.argv[1:]):
        found = fractions_of(path)
        if found is None:
            continue
        for column, name in enumerate(found.workloads):
            plain = name.removeprefix("algoperf/").removesuffix("@mini")
            (base if plain in PAPER else variants)[name] = found.values[:, column]
    for group in (base, variants):
        if group:
            print(table(dict(sorted(group.items()))), "\n")


if __name__ == "__main__":
    main()
