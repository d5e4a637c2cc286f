"""A recommended list from any sources, in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lists._build import BuiltList, Progress, hyperparameters_of, read_if_needed, stopped_of
from lists._cost import check_size
from lists._recommend import WIDTH, likeness_weights, recommend, unlikeness
from lists._ties import MERIT
from results import By, Fractions, LeftOut, Results, choose_benchmark, pool

Facts = Callable[[str], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True, eq=False)
class RecommendedList:
    """A list for a workload on which nothing was trained.

    Attributes:
      workload: the one that it is for.
      built: the list, with the library's fractions.
      unlike: workload of the library -> how unlike it is, from 0 to 1.
      weights: workload of the library -> its share in the choice.
    """

    workload: str
    built: BuiltList
    unlike: Mapping[str, float]
    weights: Mapping[str, float]

    def likeness(self) -> pl.DataFrame:
        """One row per workload of the library, the likest first: columns workload, unlike, weight."""
        rows = {
            "workload": list(self.unlike),
            "unlike": list(self.unlike.values()),
            "weight": list(self.weights.values()),
        }
        return pl.DataFrame(rows).sort("unlike", "workload")

    def to_json(self) -> dict[str, Any]:
        """The JSON object of `shortlist recommend --json`."""
        return {"workload": self.workload, **self.built.to_json(), "likeness": self.likeness().to_dicts()}


def recommend_list(
    sources: Sequence[Path | Results | Fractions],
    workload: str,
    facts: Facts,
    *,
    size: int = 5,
    penalty: float = 2.0,
    width: float = WIDTH,
    ties: str = MERIT,
    by: By = "steps",
    benchmark: str | None = None,
    submission: str | None = None,
    allow_stopped: bool = False,
    progress: Progress | None = None,
) -> RecommendedList:
    """An ordered list for a workload from its facts, and from trials of the same points on others.

    Trials on the workload itself are not read, so that the same call proves the recommendation on it.

    Args:
      sources: what `results.read_source` reads, or has read; each holds the same points on other workloads. Points
        that some source has not are left out.
      workload: the new one.
      facts: gives those of a workload by its name, the new one's too; see `unlikeness`. Its `validation_target` is
        taken where a source holds trials without one.
      width: of the weights, see `likeness_weights`.
      size, penalty, ties: see `lists.greedy`.
      by, benchmark, submission, allow_stopped, progress: see `build_list`.

    Raises:
      ValueError, FileNotFoundError: a source cannot be read, or leaves open which points are meant; a point that
        stands for different hyperparameters; too few points in common; no workload but the new one.
    """
    parts: list[Fractions] = []
    rule, hyperparameters, names = None, {}, []
    left_out: list[LeftOut] = []
    warnings: list[str] = []
    for source in sources:
        read, where = read_if_needed(source, benchmark, None, progress)
        names.append(where)
        if isinstance(read, Results):
            read = _with_targets(choose_benchmark(read, benchmark), facts)
            left_out += read.left_out
            warnings += [*read.warnings, *stopped_of(read, benchmark, submission, allow_stopped)]
            found_rule, found = hyperparameters_of(read, submission)
            if rule is not None and found_rule != rule:
                raise ValueError(
                    f"{where}: its points are for {found_rule}, those before it for {rule}; separate them"
                )
            rule = found_rule
            for point, values in found.items():
                if hyperparameters.setdefault(point, values) != values:
                    raise ValueError(
                        f"{where}: point {point} has other hyperparameters than in {names[0]}; a library holds the "
                        "same points everywhere"
                    )
        parts.append(pool(read, by=by, benchmark=benchmark, submission=submission))
    fractions = _side_by_side(parts, workload)
    check_size(size, len(fractions.points))
    new = facts(workload)
    unlike = unlikeness(new, [facts(name) for name in fractions.workloads])
    weights = likeness_weights(unlike, width)
    chosen = recommend(fractions.values, weights, size, penalty, ties=ties, places=fractions.places)
    built = BuiltList(
        name=f"for_{workload.rpartition('/')[2].replace('@', '_')}",
        title=f"list of {size} out of {len(fractions.points)} points for {workload}, by likeness to "
        f"{len(fractions.workloads)} workloads",
        fractions=fractions, chosen=chosen, asked=size, by=by, method="recommended", penalty=penalty, ties=ties,
        source=", ".join(names), update_rule=rule, hyperparameters=hyperparameters,
        left_out=tuple(left_out), warnings=tuple(warnings),
    )  # fmt: skip
    shares = (dict(zip(fractions.workloads, each.tolist(), strict=True)) for each in (unlike, weights))
    return RecommendedList(workload, built, *shares)


def _with_targets(results: Results, facts: Facts) -> Results:
    """The same with the validation targets of facts where trials have none."""
    without = results.trials.filter(pl.col("validation_target").is_null())["workload"].unique().to_list()
    targets = {name: facts(name).get("validation_target") for name in without}
    if not targets:
        return results
    given = pl.col("workload").replace_strict(targets, default=None, return_dtype=pl.Float64)
    trials = results.trials.with_columns(validation_target=pl.coalesce("validation_target", given))
    return dataclasses.replace(results, trials=trials)


def _side_by_side(parts: Sequence[Fractions], workload: str) -> Fractions:
    """The points that all have, on the workloads of all but the new one.

    Raises:
      ValueError: no other workload, one that two sources have, no point in common, or nothing to read.
    """
    if not parts:
        raise ValueError("no source was given; name at least one study")
    columns: dict[str, Fractions] = {}
    for part in parts:
        for name in part.workloads:
            if name in columns:
                raise ValueError(f"workload {name} is in two of the sources; give it once")
            if name != workload:
                columns[name] = part
    if not columns:
        raise ValueError(
            f"the sources hold trials of {workload} alone; others are what a recommendation is made of"
        )
    common = [point for point in parts[0].points if all(point in part.points for part in parts)]
    if not common:
        raise ValueError("the sources have no point in common")
    rows = {id(part): [part.points.index(point) for point in common] for part in parts}

    def column(table: str, name: str) -> np.ndarray:
        part = columns[name]
        return getattr(part, table)[rows[id(part)], part.workloads.index(name)]

    ranked = all(part.places is not None for part in parts)
    return Fractions(
        tuple(common),
        tuple(columns),
        np.stack([column("values", name) for name in columns], axis=1),
        places=np.stack([column("places", name) for name in columns], axis=1) if ranked else None,
    )
