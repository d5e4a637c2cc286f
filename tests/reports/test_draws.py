"""Quasi-random points are named beside bands, and held against independent draws where there are as many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import polars as pl
import pytest

from reports.bands import metric_support, tuning_curve
from reports.page import Gallery, Report
from reports.study import study_report
from results import Results
from tests.reports.fake_study import WORKLOADS, fake_study

NAMES = [WORKLOADS[0][0], WORKLOADS[2][0]]
POINTS = 8


def folder(points: int = POINTS, role: str = "candidates", optimizer: str = "nadamw_optax") -> Results:
    """A quasi-random study and a random one."""
    asked = {"baselines": False, "leave_one_out": False, "workloads": NAMES}
    first, second = fake_study(candidates=POINTS, **asked), fake_study(candidates=points, seed=1, **asked)
    shift = pl.col("trial_id") + first.trials.height
    said = second.about["studies"]["candidates"]
    said |= {"draws": "independent", "strategy": "random", "title": "random search", "role": role}
    about = {"candidates": first.about["studies"]["candidates"], "random": said | {"optimizer": optimizer}}
    return dataclasses.replace(
        first,
        trials=pl.concat([first.trials, second.trials.with_columns(shift, submission=pl.lit("random"))]),
        evals=pl.concat([first.evals, second.evals.with_columns(shift)]),
        about=first.about | {"studies": about},
    )


def tables(report: Report) -> dict[str, pl.DataFrame]:
    return {table.name: table.data for table in report.tables}


def galleries(report: Report) -> list[Gallery]:
    return [b for section in report.sections for b in section.blocks if isinstance(b, Gallery)]


def by_hand(results: Results, name: str, workload: str, points: int) -> list[float]:
    """The best metric of the first points, in plain Python."""
    trials = results.trials.filter(submission=name, workload=workload).sort("trial").head(points)
    worst = float("inf") if trials["minimize"][0] else float("-inf")
    best = min if trials["minimize"][0] else max
    seen = {t: [] for t in trials["trial_id"]}
    for trial, value in results.evals.select("trial_id", "validation_metric").iter_rows():
        if trial in seen and value is not None:
            seen[trial].append(value)
    return [best(values, default=worst) for values in seen.values()]


@pytest.mark.parametrize("points", [POINTS - 2, POINTS + 4])
@pytest.mark.parametrize(
    "written",
    [
        lambda points: study_report(folder(points), submission="candidates"),
        lambda points: study_report(folder(points, role="baseline")),
    ],
)
def test_one_search_stands_beside_as_many_independent_draws(written: Callable[[int], Report], points: int):
    report, results = written(points), folder(points)
    shown, size = tables(report)["draws"], min(points, POINTS)
    assert shown["trials"].to_list() == [5, size] * len(NAMES)
    for workload in NAMES:
        trials = results.trials.filter(workload=workload)
        minimize, metric = trials["minimize"][0], trials["metric"][0]
        curve, other = (
            tuning_curve(
                pl.Series(by_hand(results, name, workload, size)).to_numpy(), minimize=minimize,
                support=metric_support(metric),
            )
            for name in ("candidates", "random")
        )  # fmt: skip
        last = shown.filter(workload=workload).row(-1, named=True)
        assert (last["median"], last["independent"]) == (curve["median"][-1], other["median"][-1])
        inside = ((curve["median"] >= other["lower"]) & (curve["median"] <= other["upper"])).all()
        assert last["inside"] == inside
    (bands, beside) = galleries(report)
    assert "quasi-random, not the independent draws that the bands suppose" in bands.caption
    assert len(beside.pictures) == len(NAMES)


def test_draws_of_another_optimizer_are_no_match():
    report = study_report(folder(optimizer="adamw_optax"), submission="candidates")
    assert "draws" not in tables(report)


def test_independent_draws_need_no_other_and_are_not_called_quasi_random():
    report = study_report(folder(), submission="random")
    assert "draws" not in tables(report)
    assert "quasi-random" not in galleries(report)[0].caption


def test_searches_side_by_side_say_how_each_was_drawn():
    report = study_report(folder())
    (gallery,) = galleries(report)
    assert "The points of quasi-random search are quasi-random" in gallery.caption
    assert "random search are" not in gallery.caption.replace("quasi-random search are", "")
    assert {"draws_candidates"} == {name for name in tables(report) if name.startswith("draws")}
