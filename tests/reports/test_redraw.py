"""What a report writes beside its figures draws them again, by the functions that anybody may call."""

from __future__ import annotations

import importlib
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import reports
from reports.figures import figure_performance_profile, figure_step_fractions, figure_tuning_curve
from reports.figures.drawing import as_svg
from reports.page import write_report
from results import Curves, Fractions, Results, fractions, hits
from submissions.taskset_grids import grid_names, grid_point
from tests.reports.fake_curves import GRID, POINTS, fake_archives
from tests.reports.fake_medapati import BASE, fake_reproduction
from tests.reports.fake_meta_training import fake_meta_training
from tests.reports.fake_study import WORKLOADS, fake_study
from tests.reports.test_rivals_report import search, slower, together

NAMES = [workload[0] for workload in WORKLOADS[:3]]


def redrawn(out: Path) -> dict[str, tuple[str, str]]:
    """Figure -> (as written, as drawn from its CSV by the function that report.json names)."""
    marker = json.loads((out / "report.json").read_text())
    figures = {}
    for name, how in marker["figures"].items():
        room, _, function = how["function"].rpartition(".")
        draw = getattr(importlib.import_module(room), function)
        table = pl.read_csv(out / "figures" / f"{name}.csv")
        figures[name] = (out / "figures" / f"{name}.svg").read_text(), as_svg(draw(table, **how["options"]))
    return figures


def study() -> Results:
    return fake_study(candidates=8, workloads=NAMES, repeats=2)


def logs() -> Results:
    """The fake study as if it were AlgoPerf's logs."""
    made = study()
    evals = made.evals.with_columns(submission_seconds=pl.col("global_step").cast(pl.Float64))
    return Results(made.trials, evals, (), "logs", "algoperf-logs")


def table_of_fractions() -> Fractions:
    values = np.array([[0.5, 0.7, math.inf], [0.6, math.inf, 0.9], [math.inf, 0.2, 0.8]])
    return Fractions(("1", "2", "3"), ("10", "20", "30"), values)


def curves() -> Curves:
    """Fake ones, with what is known of their tasks."""
    archives = {archive.task: archive for archive in fake_archives()}
    facts = pl.DataFrame(
        {"task": list(archives), "parameters": [10 + 3 * i for i in range(12)], "seconds": [None, *[1.5] * 11],
         "provenance": ["made up"] * 12}
    )  # fmt: skip
    known = [(GRID, name, json.dumps(grid_point(name)), "nadamw") for name in grid_names(GRID, POINTS)]
    columns = ("set", "optimizer", "hyperparameters", "update_rule")
    points = pl.DataFrame(known, schema=columns, orient="row")
    return Curves(
        tuple(archives), lambda task: (archives[task],), points=points, facts=facts, source="made up"
    )


def meta_training() -> reports.Report:
    with tempfile.TemporaryDirectory() as folder:
        return reports.report_on(fake_meta_training(Path(folder) / "m"))


SOURCES = {
    #  name       report                                                                        figures
    "study": (lambda: reports.study_report(study()), 5),
    "two searches": (lambda: reports.study_report(together(("a", slower(search(candidates=8, workloads=NAMES))),
                                                           ("b", search(candidates=8, workloads=NAMES)))), 6),
    "table": (lambda: reports.fractions_report(table_of_fractions(), list_size=2), 2),
    "logs": (lambda: reports.logs_report(logs()), 1),
    "reproduction": (lambda: reports.medapati_report(fake_reproduction(base=BASE[:2], candidates=6, repeats=1)), 4),
    "curves": (lambda: reports.curves_report(curves(), size=3, resamplings=2), 11),
    "meta-training": (lambda: meta_training(), 11),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_every_figure_is_drawn_again_from_its_csv(tmp_path, name):
    make, count = SOURCES[name]
    content = make()
    out = write_report(content, tmp_path / "out").parent
    figures = redrawn(out)
    assert set(figures) == {picture.name for picture in content.pictures}
    assert len(figures) == count
    for written, drawn in figures.values():
        assert drawn == written


def test_what_figures_are_drawn_from_is_what_public_functions_return(tmp_path):
    made = study()
    pictures = {picture.name: picture for picture in reports.study_report(made).pictures}
    table = reports.contenders(made)
    assert pictures["step_fractions"].data.equals(table)
    assert as_svg(figure_step_fractions(table)) == as_svg(pictures["step_fractions"].figure)
    candidates = fractions(hits(made), submission="candidates", workloads=NAMES)
    data = pictures["cost_by_length"].data
    by_length = reports.cost_by_length(candidates)
    assert data.head(by_length.height).equals(by_length)
    assert data["series"].to_list()[by_length.height :] == ["leave-one-out, trained anew"]
    score = reports.score(logs())
    profiles = reports.performance_profiles(score)
    assert profiles["submission"].unique(maintain_order=True).to_list() == score.ranked
    assert as_svg(figure_performance_profile(profiles)) == as_svg(
        reports.logs_report(logs()).pictures[0].figure
    )
    of_table = reports.fractions_report(table_of_fractions(), list_size=2).pictures[0].data
    assert of_table.equals(reports.contenders(table_of_fractions(), size=2))


def test_the_equal_budget_of_a_figure_is_that_of_the_curve():
    curve = pl.DataFrame({"trials": [1, 2, 3], "lower": [0.3, 0.2, 0.1], "median": [0.4, 0.3, 0.2],
                          "upper": [0.6, 0.5, 0.4]})  # fmt: skip
    texts = [text.get_text() for text in figure_tuning_curve(curve, result=0.3).texts]
    assert "list: 0.3 ≈ 2 trials (1 to more than 3)" in texts


def test_logs_have_no_contenders():
    with pytest.raises(ValueError, match="contenders are of studies"):
        reports.contenders(logs())
