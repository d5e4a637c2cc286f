"""Whether a list for a workload, from its facts and those of others, beats greedy's list for all alike.

    python -m benchmarks.recommender SOURCE... [--resamplings 50]

Sources, problems and intervals as in `benchmarks.constructions`, but for logs, whose workloads have no facts here.
Every workload judged gets its own list, of workloads that are not it, weighted by their likeness: one row per width
of the weights. Studies are taken with the variants they hold, too: the base workload is like its variant.
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import lists
import results
import workloads
from benchmarks.constructions import (
    SIZES,
    Beside,
    Library,
    Split,
    compare,
    ending,
    joined,
    libraries,
    splits_of,
)

WIDTHS = (0.1, 0.25, 0.5)


def facts_of_tasks(path: pathlib.Path) -> dict[str, Mapping[str, Any]]:
    """Family and parameters of a curve file's tasks."""
    found = {}
    for task, parameters in results.read_curves(path).facts.select("task", "parameters").iter_rows():
        family = re.sub(r"_seed\d+$", "", task)
        found[task] = {"family": family, "parameters": parameters}
    return found


def judge(
    library: Library, facts: Sequence[Mapping[str, Any]], splits: Sequence[Split]
) -> dict[str, np.ndarray]:
    """As in `benchmarks.constructions`, of greedy and of each width."""
    judged = library.values if library.judged is None else library.judged
    logs = np.log(np.minimum(judged, library.penalty))
    worst = np.log(library.penalty)
    labels = {"greedy": None} | {f"width {width:g}": width for width in WIDTHS}
    sums = {
        key: np.zeros((len(SIZES), logs.shape[1])) for name in labels for key in (name, f"trained, {name}")
    }
    times = np.zeros(logs.shape[1])
    for split in splits:
        part = np.ix_(split.rows, split.train)
        places = None if library.places is None else library.places[part]
        alike = lists.greedy(library.values[part], SIZES[-1], library.penalty, places=places)
        built: dict[bytes, lists.ChosenList] = {}  # workloads of the same facts get the same list
        for w in split.test:
            times[w] += 1
            unlike = lists.unlikeness(facts[w], [facts[v] for v in split.train])
            for label, width in labels.items():
                chosen = alike
                if width is not None:
                    weights = lists.likeness_weights(unlike, width)
                    if (key := weights.tobytes()) not in built:
                        built[key] = lists.recommend(
                            library.values[part], weights, SIZES[-1], library.penalty, places=places
                        )
                    chosen = built[key]
                lowest = np.minimum.accumulate(logs[split.rows[list(chosen.points)], w])
                for k, size in enumerate(SIZES):
                    sums[label][k, w] += lowest[size - 1]
                    sums[f"trained, {label}"][k, w] += lowest[size - 1] < worst
    return {key: value / np.maximum(times, 1) for key, value in sums.items()}


def problems(sources: Sequence[pathlib.Path], resamplings: int) -> Iterator[tuple[str, dict[str, Beside]]]:
    """Title and comparison of each problem."""
    of_task: dict[str, Mapping[str, Any]] = {}
    facts_of = functools.cache(workloads.comparable_facts)
    for path in sources:
        if path.is_file() and not results.is_packed(path):
            of_task |= facts_of_tasks(path)
    for library in libraries(sources, everything=True):
        facts = [of_task.get(name) or facts_of(name) for name in library.workloads]
        for way, splits in splits_of(library, resamplings):
            yield f"{library.source}: {library.name}; {way}", compare(judge(library, facts, splits))


def main() -> None:
    """Prints a line in Markdown per problem and width."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=pathlib.Path)
    parser.add_argument("--resamplings", type=int, default=50, help="random halves of the points")
    given = parser.parse_args()
    print(
        f"| problem | | cost of {', '.join(map(str, SIZES))} points | trained | beside greedy, % | better, worse |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for title, rows in problems(given.sources, given.resamplings):
        for name, row in rows.items():
            print(
                f"| {title} | {name} | {joined(row.cost, '.3f')} | {joined(row.trained, '.1f')} | {ending(row)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
