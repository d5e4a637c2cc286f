"""Whether what TaskSet says of hyperparameters helps to choose a list from candidates that it never saw.

    python -m benchmarks.informed CURVES [STUDIES...] [--resamplings 50]

CURVES are those of TaskSet's nadamw_grid. A regression from hyperparameters to a point's mean normalised loss gives the
prior of `lists.informed`; it is judged beside greedy and the other constructions as in `benchmarks.constructions`:

* STUDIES: the regression is made on all points and tasks of CURVES. Their candidates are other points, of another rule,
  on other workloads and horizons: epsilon, L2, the constant part and the end of the decay are what they are there.
* CURVES themselves: half of the families and half of the points make the regression; the other points are judged on the
  other families, lists learnt on 8 of their tasks. So nothing is in common but the names of the hyperparameters.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import lists
import results
from benchmarks.constructions import (
    SEARCH,
    SIZES,
    Library,
    Split,
    compare,
    ending,
    joined,
    of_curves,
    of_studies,
    splits_of,
)

INFORMED, LEARNT_ON = "informed", 8
NO_DECAY = 1e-6  # what no weight decay is on the logarithmic scale of others


def features_of(points: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Features of points of TaskSet's nadamw_grid, or of a search space of Medapati et al."""
    rows = []
    for hp in points:
        betas = [hp.get(f"one_minus_{name}", 1 - hp.get(name, 0.0)) for name in ("beta1", "beta2")]
        decay = hp.get("adamw_weight_decay", hp.get("weight_decay", 0.0))
        rows.append(
            [
                math.log10(hp["learning_rate"]),
                *(math.log10(max(beta, 1e-6)) for beta in betas),
                math.log10(hp.get("epsilon", 1e-8)),
                math.log10(decay + NO_DECAY),
                math.log10(hp.get("l2_weight_decay", 0.0) + NO_DECAY),
                hp["warmup_fraction"],
                hp.get("constant_fraction", 0.0),
                math.log10(hp.get("min_learning_rate_mult", 0.0) + 1e-5),
            ]
        )
    return np.array(rows)


def judge(
    library: Library, splits: Sequence[Split], priors: Sequence[np.ndarray], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """As in `benchmarks.constructions`; the prior of all rows for each split."""
    judged = library.values if library.judged is None else library.judged
    logs = np.log(np.minimum(judged, library.penalty))
    worst = math.log(library.penalty)
    keys = (*names, INFORMED, "prior alone")
    sums = {key: np.zeros((len(SIZES), logs.shape[1])) for name in keys for key in (name, f"trained, {name}")}
    times = np.zeros(logs.shape[1])
    for split, prior in zip(splits, priors, strict=True):
        times[split.test] += 1
        part = np.ix_(split.rows, split.train)
        places = None if library.places is None else library.places[part]
        values, of_rows = library.values[part], prior[split.rows]
        built = {
            name: lists.construct(values, SIZES[-1], library.penalty, name, places=places).points
            for name in names
        }
        built[INFORMED] = lists.informed(
            values, SIZES[-1], library.penalty, prior=of_rows, places=places
        ).points
        built["prior alone"] = tuple(np.argsort(of_rows, kind="stable")[: SIZES[-1]].tolist())
        for name, points in built.items():
            lowest = np.minimum.accumulate(logs[np.ix_(split.rows[list(points)], split.test)], axis=0)
            for k, size in enumerate(SIZES):
                sums[name][k, split.test] += lowest[size - 1]
                sums[f"trained, {name}"][k, split.test] += lowest[size - 1] < worst
    return {key: value / np.maximum(times, 1) for key, value in sums.items()}


def across_families(
    library: Library, costs: np.ndarray, features: np.ndarray, resamplings: int
) -> tuple[list[Split], list[np.ndarray]]:
    """Splits within half of the families, and priors from the other half and from other points."""
    family = np.array([re.sub(r"_seed\d+$", "", task) for task in library.workloads])
    kinds = np.unique(family)
    generator = np.random.default_rng(0)
    splits, priors = [], []
    while len(splits) < resamplings:
        order, rows = generator.permutation(kinds), generator.permutation(len(features))
        known = np.isin(family, order[: len(kinds) // 2])
        tasks = generator.permutation(np.flatnonzero(~known))
        if len(tasks) < 2 * LEARNT_ON or known.sum() < LEARNT_ON:
            continue
        theirs, ours = rows[: len(rows) // 2], np.sort(rows[len(rows) // 2 :])
        prior = np.full(len(features), math.nan)
        of_theirs = costs[np.ix_(theirs, known)].mean(axis=1)
        prior[ours] = lists.expected_costs(features[theirs], of_theirs, features[ours])
        splits.append(Split(ours, np.sort(tasks[:LEARNT_ON]), np.sort(tasks[LEARNT_ON:])))
        priors.append(prior)
    return splits, priors


def show(title: str, found: dict[str, np.ndarray]) -> None:
    """One row per construction."""
    for name, row in compare(found).items():
        each = joined(row.by_size, "+.1f")
        print(
            f"| {title} | {name} | {joined(row.cost, '.3f')} | {joined(row.trained, '.1f')} | {each} | {ending(row)}",
            flush=True,
        )


def main() -> None:
    """Prints a row in Markdown per problem and construction."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", type=pathlib.Path)
    parser.add_argument("studies", nargs="*", type=pathlib.Path)
    parser.add_argument("--resamplings", type=int, default=50)
    given = parser.parse_args()
    read = results.read_curves(given.curves)
    costs = lists.choose_set(lists.task_costs(read), None)
    of_point = dict(read.points.select("optimizer", "hyperparameters").iter_rows())
    features = features_of([json.loads(of_point[point]) for point in costs.points])
    print(
        "| problem | construction | cost of 1, 2, 3, 5 points | trained | beside greedy, % | mean | better, worse |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for library in of_curves(given.curves):
        splits, priors = across_families(library, costs.costs, features, given.resamplings)
        # Of what chooses for itself among others the quick ones, of what was judged elsewhere already.
        show(f"{library.source}: {library.name}", judge(library, splits, priors, ["greedy", "hedged"]))
    if given.studies:
        first = results.read_source(given.studies[0])
        assert isinstance(first, results.Results)
        first = first.of_submissions([SEARCH]) if given.studies[0].is_file() else first
        rows = first.trials.unique("point").select("point", "hyperparameters")
        known = {point: json.loads(values) for point, values in rows.iter_rows()}
        points = results.fractions(results.hits(first)).points
        prior = lists.expected_costs(
            features, costs.costs.mean(axis=1), features_of([known[point] for point in points])
        )
        for library in of_studies(given.studies, everything=False):
            for way, splits in splits_of(library, given.resamplings):
                found = judge(library, splits, [prior] * len(splits), ["greedy", "hedged"])
                show(f"{library.source}: {library.name}; {way}", found)


if __name__ == "__main__":
    main()
