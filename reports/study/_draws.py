"""How points were drawn, beside bands that suppose independent draws; and the same curve of points that were."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import polars as pl

from reports import _tables as tables
from reports._words import count
from reports.bands import metric_support, tuning_curve
from reports.figures import figure_tuning_curves
from reports.figures.drawing import short_names
from reports.page import Block, Column, Gallery, Picture, Table, draw_picture, file_stem
from reports.study._facts import Studies, read_facts, said_of
from results import Results

QUASI_RANDOM, INDEPENDENT = "quasi-random", "independent"


@dataclasses.dataclass(frozen=True)
class Twin:
    """A search by independent draws, of the same optimizer as another, and both at one size.

    Attributes:
      name: of its study.
      values: workload -> best metric of its points, in their order.
      of_search: the same of as many points of the other, the first ones.
    """

    name: str
    values: Mapping[str, np.ndarray]
    of_search: Mapping[str, np.ndarray]

    @property
    def points(self) -> int:
        """Of each, on the workload that has most."""
        return max(map(len, self.values.values()))


def caption_of_draws(about: Mapping[str, Mapping[str, object]], names: Mapping[str, str]) -> str:
    """A sentence that names the quasi-random ones among searches, to stand right below their bands; empty if none is.

    Args:
      about: study name -> what was asked.
      names: study name -> what the page calls it; "" where there is only one.
    """
    quasi = [label for name, label in names.items() if about[name].get("draws") == QUASI_RANDOM]
    if not quasi:
        return ""
    whose = f" of {', '.join(quasi)}" if any(quasi) else ""
    return f" The points{whose} are quasi-random, not the independent draws that the bands suppose."


def series_name(label: str, about: Mapping[str, object]) -> str:
    """A search in the key of a figure, with how its points were drawn where that is known."""
    draws = str(about.get("draws"))
    return f"{label}, {draws}" if draws in (QUASI_RANDOM, INDEPENDENT) and draws not in label else label


def twin_of(results: Results, search: str | None) -> Twin | None:
    """The study of independent draws to hold a search against, if there is one in the same folder.

    It is of the same optimizer and was trained on some of the workloads of the search. The larger of the two is cut to
    the size of the other: neither the first independent draws nor the first points of a quasi-random sequence depend on
    how many follow. Of several the largest is taken.

    Args:
      results: of everything in the folder.
      search: name of a study. One of independent draws needs no other, and points that somebody chose are compared
        with none.
    """
    about = said_of(results)
    if search is None or about[search].get("draws") not in (QUASI_RANDOM, None):
        return None
    optimizer = about[search].get("optimizer")
    drawn = [
        name
        for name, said in about.items()
        if said.get("draws") == INDEPENDENT and said.get("optimizer") == optimizer and name != search
    ]
    if not drawn:
        return None
    studies = read_facts(results.of_submissions([search, *drawn]))
    found = []
    for name in drawn:
        values, own = {}, {}
        for workload in studies.workloads:
            both = _values(studies, name, workload), _values(studies, search, workload)
            if size := min(map(len, both)):
                values[workload], own[workload] = (one[:size] for one in both)
        if values:
            found.append(Twin(name, values, own))
    return max(found, key=lambda twin: twin.points, default=None)


def _values(studies: Studies, name: str, workload: str) -> np.ndarray:
    """Best metric of every point in the order of trials, first repeat; the worst value where there is none."""
    rows = studies.hits.filter(submission=name, workload=workload)
    rows = rows.filter(pl.col("repeat") == rows["repeat"].min()).sort("trial", "point")
    worst = math.inf if studies.metrics[workload][1] else -math.inf
    return rows["best_metric"].fill_null(worst).to_numpy()


def twin_blocks(
    studies: Studies, search: str, twin: Twin, *, size: int, confidence: float, seed: int, pictures: bool
) -> list[Block]:
    """The curves of a search and of its twin in one picture per workload, and their difference as a table.

    Args:
      studies: with the search.
      search: its name.
      twin: of it.
      size: points in a list, one of the numbers of trials in the table.
      confidence, seed: of bands.
      pictures: whether the page has none yet that shows both.
    """
    names = short_names(studies.workloads)
    drawn: list[Picture] = []
    rows = []
    for place, (workload, its) in enumerate(twin.values.items(), 1):
        metric, minimize, target = studies.metrics[workload]
        own = twin.of_search[workload]
        curve, other = (
            tuning_curve(
                values, minimize=minimize, confidence=confidence, support=metric_support(metric), seed=seed
            )
            for values in (own, its)
        )
        inside = (curve["median"] >= other["lower"]) & (curve["median"] <= other["upper"])
        for trials in sorted({min(size, len(own)), len(own)}):
            here, there = curve.row(trials - 1, named=True), other.row(trials - 1, named=True)
            rows.append((
                workload, metric, trials, here["median"], there["median"], there["lower"], there["upper"],
                bool(inside.all()),
            ))  # fmt: skip
        if pictures:
            series = (
                (series_name(search, studies.about[search]), curve),
                (f"{twin.name}, {INDEPENDENT}", other),
            )
            drawn.append(
                draw_picture(
                    f"draws_{place:02d}-{file_stem(names[workload])}",
                    figure_tuning_curves,
                    pl.concat([one.select(pl.lit(label).alias("series"), *one.columns) for label, one in series]),
                    "",
                    f"Median best {metric} on {workload} by number of trials: {search} and, of as many independent "
                    f"draws, {twin.name}, each with its band.",
                    title=names[workload], metric=metric, minimize=minimize, target=target,
                )
            )  # fmt: skip
    low, high = tables.spread_columns("independent")
    schema = {
        "workload": pl.String, "metric": pl.String, "trials": pl.Int64, "median": pl.Float64,
        "independent": pl.Float64, low: pl.Float64, high: pl.Float64, "inside": pl.Boolean,
    }  # fmt: skip
    kind = studies.about[search].get("draws") or "not stated"
    blocks: list[Block] = []
    if drawn:
        caption = (
            f"The same figure for {count(twin.points, 'point')} of {search} ({kind}) and for {twin.name}, as many "
            "independent draws, whose bands mean what they say."
        )
        blocks.append(Gallery(tuple(drawn), caption))
    blocks.append(
        Table(
            "draws" if pictures else f"draws_{file_stem(search)}"[:60],
            pl.DataFrame(rows, schema=schema, orient="row"),
            f"The first {count(twin.points, 'point')} of {search} ({kind}) beside {twin.name}, as many independent "
            f"draws of the same optimizer: medians of the best value, small the {100 * confidence:g} % band of the "
            "independent draws. Last column: whether the first curve stays inside that band at every number of trials.",
            {
                "median": Column(title=search, note="median", show="number"),
                "independent": Column(title=twin.name, note="median", show="number", spread=(low, high)),
                "inside": Column(title="inside", note="whole curve"),
            },
        )
    )
    return blocks
