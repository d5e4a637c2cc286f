"""The report on a meta-training: its numbers by hand, and what it says where something is missing."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import reports
from results import meta_trainings
from results.curves import CurveArchive, archives_to_table, write_table
from shortlist import cli
from tests.reports.fake_meta_training import evaluation, fake_meta_training


@pytest.fixture
def folder(tmp_path):
    return fake_meta_training(tmp_path / "m")


def tables(content):
    return {table.name: table.data for table in content.tables}


def pictures(content: reports.Report) -> dict[str, pl.DataFrame]:
    return {picture.name: picture.data for picture in content.pictures if picture.data is not None}


def curves(file, **losses):
    """A file of curves: task -> training losses at the end, [point][repeat]."""
    archives = []
    for task, ends in losses.items():
        ys = np.full((len(ends), len(ends[0]), 2, 4), 2.0, np.float32)
        ys[:, :, 1, 0] = ends
        names = tuple(f"adam_lr_{i}" for i in range(len(ends)))
        archives.append(CurveArchive(task, "list", names, np.array([0, 100]), ys))
    write_table(file, archives_to_table(archives, "made up", hyperparameters={}))
    return file


def test_the_worth_of_weights_is_the_mean_over_workloads_of_each_seed(folder):
    content = reports.report_on(folder)
    # After 50 steps at outer step 30, seed 1: a 1.6 - .6 + .1 = 1.1, c .9; over 2: .55 and .45, mean .5.
    found = tables(content)["over_outer_steps"].filter(steps=50, outer_step=30).row(0, named=True)
    assert (found["workloads"], found["seeds"]) == (2, 3)
    assert [found[n] for n in ("value", "low", "high")] == pytest.approx([0.5, 0.45, 0.55], abs=1e-12)
    # The longest horizon is what is said first.
    assert "After 100 steps with the weights of outer step 30" in content.finding
    assert (
        "0.250 [0.225, 0.275] of fresh parameters' (0.400 [0.375, 0.425] at outer step 0)" in content.finding
    )
    assert "After 50 steps: 0.500" in " ".join(content.detail)
    assert "stopped before the 40 outer steps" in " ".join(content.detail)
    assert "Of 2 evaluated workloads 1 also trained on: a." in content.caveats


def test_a_training_that_diverged_counts_as_the_worst_and_an_incomplete_outer_step_not_at_all(folder):
    rows = [evaluation(30, "a", 100, seed, None) for seed in (0, 1)]
    meta_trainings.add_evaluations(folder, [*rows, evaluation(40, "a", 100, 0, 0.1)])
    found = tables(reports.report_on(folder))
    by_step = dict(found["over_outer_steps"].filter(steps=100).select("outer_step", "high").iter_rows())
    assert by_step == pytest.approx({0: 0.425, 30: (2.0 + 0.225) / 2}, abs=1e-12)
    newest = found["newest"].filter(workload="a", steps=100).row(0, named=True)
    assert (newest["value"], newest["diverged"]) == (np.inf, 2)  # of outer step 30
    at_30 = found["evaluations"].filter(workload="a", steps=100, outer_step=30).row(0, named=True)
    assert (at_30["diverged"], at_30["value"], at_30["relative"]) == (2, np.inf, 2.0)


def test_studies_stand_beside_what_ended_at_the_same_step(folder, tmp_path):
    # Of two points the best of every repeat: a .58 and .4, c .1 and .1.
    study = curves(tmp_path / "c.parquet", a=[[0.58, 0.9], [0.8, 0.4]], c=[[0.1, 0.1], [0.3, 0.3]])
    content = reports.report_on(folder, against=[study])
    found = {row["workload"]: row for row in tables(content)["beside"].iter_rows(named=True)}
    assert {row["reference"] for row in found.values()} == {"list, best of 2"}
    assert (found["a"]["loss"], found["a"]["loss low"]) == pytest.approx((0.49, 0.4))
    # Ours at outer step 30 after 100 steps: .5, .55, .6, of which two are below .58, and none below .4.
    assert found["a"]["ahead"] == pytest.approx(2 / 6)
    assert found["c"]["ahead"] == 0
    # Over 2: a .29 and .2, c .05 and .05; means .17 and .125.
    lines = pictures(content)["worth"].filter(reference="list, best of 2")
    assert lines["value"].to_list() == pytest.approx([0.1475])
    other = curves(tmp_path / "d.parquet", b=[[0.6]])
    said = " ".join(reports.report_on(folder, against=[other]).caveats)
    assert "d.parquet: list: trained none of the evaluated workloads" in said


def test_what_was_changed_and_refused_is_told(folder):
    content = reports.report_on(folder)
    assert tables(content)["changes"].height == 1
    drawn = pictures(content)["gradients"]
    assert drawn.filter(drawn["series"].is_null())["outer_step"].to_list() == [20]


def test_without_evaluations_the_meta_loss_stands_first(tmp_path):
    folder = fake_meta_training(tmp_path / "m", evaluated=False)
    content = reports.report_on(folder)
    assert next(iter(pictures(content))) == "meta-loss"
    assert "from 0.9 to 0.6 between outer steps 10 and 30" in content.finding
    with pytest.raises(ValueError, match=r"no weights have been evaluated; 'shortlist meta-evaluate"):
        reports.report_on(folder, against=[tmp_path])
    with pytest.raises(ValueError, match="--size says nothing"):
        reports.report_on(folder, size=3)
    (folder / meta_trainings.RECORD).unlink()
    with pytest.raises(ValueError, match="nothing is recorded yet"):
        reports.report_on(folder)


def test_only_meta_trainings_have_studies_beside_them(tmp_path):
    table = tmp_path / "fractions.csv"
    table.write_text("point,workload,fraction\na,one,0.5\n")
    with pytest.raises(ValueError, match="only reports on meta-trainings"):
        reports.report_on(table, against=[tmp_path])


def test_the_command_writes_the_page_and_prints_its_tables(tmp_path):
    folder = fake_meta_training(tmp_path / "m", evaluated=False)
    result = CliRunner().invoke(
        cli.app, ["report", str(folder), "--out", str(tmp_path / "out"), "--json"], catch_exceptions=False
    )
    said = json.loads(result.stdout)
    assert set(said) == {"report", "finding", "tables"}
    assert (tmp_path / "out" / "index.html").read_text().count("<svg") >= 6
    assert said["tables"]["plan"][0] == {"what": "optimizer", "value": "learnable_adam"}
