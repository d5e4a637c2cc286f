"""Figures, report and commands on curves."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree

import polars as pl
import pytest
from typer.testing import CliRunner

import lists
import reports
import results
from reports import taskset
from reports.figures.drawing import NARROW, WIDE, as_svg
from reports.page import Note
from results.curves import archives_to_table, write_table
from shortlist import cli
from shortlist._lists import read_points
from tests.reports.fake_curves import TASKS, fake_archives
from tuning.studies.plan import plan

TRIALS = {
    "trials": [1, 10, 1, 10],
    "median": [0.3, 0.2, 0.8, 0.5],
    "lower": [0.2, 0.1, 0.7, 0.4],
    "upper": [0.4] * 4,
}
LISTS = pl.DataFrame({"series": ["learnt list"] * 2 + ["random search"] * 2, **TRIALS})
MATRIX = pl.DataFrame(
    {
        "learnt": ["conv_fc_family"] * 2 + ["mlp_family"] * 2 + ["all others"] * 2 + ["random search"] * 2,
        "judged": ["conv_fc_family", "mlp_family"] * 4,
        "median": [0.1, 0.3, 0.4, 0.2, 0.4, 0.3, 0.6, 0.7],
        "tasks": [5, 7] * 4,
    }
)
DRAWN = {
    #  figure                     table and words that must be legible
    taskset.figure_task_embedding: (
        pl.DataFrame({"task": ["a"], "family": ["$mlp_family"], "x": [0.0], "y": [1.0]}), ["$mlp"],
    ),
    taskset.figure_tasks: (
        pl.DataFrame({"level": [0.0, 1.0], **{f"p{p}": [0.1, 1.0] for p in (5, 25, 50, 75, 95)}}),
        ["share of points", "10 %"],
    ),
    taskset.figure_lists: (LISTS.with_columns(set=pl.lit("adam8p_wide_grid_1k")), ["adam8p, list", "adam8p, random"]),
    taskset.figure_task_count: (
        pl.DataFrame({"size": [1, 1], "part": ["other tasks"] * 2, "tasks": [1, 5], "median": [0.3, 0.2],
                      "lower": [0.2, 0.1], "upper": [0.4, 0.3]}), ["list of 1, other tasks"],
    ),
    taskset.figure_families: (MATRIX, ["conv fc", ".20", "random search"]),
    taskset.figure_model_sizes: (MATRIX, ["parameters", ".10"]),
    taskset.figure_horizons: (
        LISTS.with_columns(pl.col("series").replace("learnt list", "first 200 steps")), ["first 200 steps"],
    ),
    taskset.figure_candidates: (
        LISTS.rename({"trials": "candidates"}).with_columns(size=pl.lit(1)), ["list of 1", "random, 1 trial"],
    ),
    taskset.figure_cost_pairs: (
        pl.DataFrame({"cost": ["minimum"], "mean": [0.5], "other": [0.2], "correlation": [0.25]}),
        ["lowest of the curve", "correlation 0.250"],
    ),
    taskset.figure_costs: (LISTS.with_columns(pl.col("series").replace("learnt list", "mean")), ["mean of the curve"]),
    taskset.figure_worth: (
        pl.DataFrame({"chosen_from": ["a_grid", "a_grid + b_grid"] * 2, "set": ["a_grid", "b_grid"] * 2,
                      "trials": [1, 1, 9, 9], "equal": [4, 5, 40, 50], "low": [3, 4, 20, 30], "high": [5, 6, 64, 64],
                      "most": [64] * 4}),
        ["trials of random search", "points of all sets, against b_grid"],
    ),
    taskset.figure_search_spaces: (LISTS.with_columns(points=pl.lit(64)), ["learnt list", "64 points"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("curves") / "curves.parquet"
    write_table(path, archives_to_table(fake_archives(), "synthetic: of a <formula>"))
    return path


@pytest.fixture(scope="module")
def report(table):
    return reports.curves_report(results.read_curves(table), size=3, resamplings=8)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("figure", DRAWN, ids=lambda f: f.__name__)
def test_every_figure_is_one_function_of_a_table(figure, width):
    data, words = DRAWN[figure]
    svg = as_svg(figure(data, width=width))
    texts = "".join(ElementTree.fromstring(svg).itertext())
    assert all(word in texts for word in words)
    assert as_svg(figure(data, width=width)) == svg
    with pytest.raises(ValueError, match=f"{figure.__name__}: no column"):
        figure(data.select(pl.lit(1).alias("other")))


def test_numbers_stand_in_the_cells_of_their_group():
    axes = taskset.figure_families(MATRIX).axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts if text.get_text().startswith(".")}
    assert cells[(0.5, 0.52)] == ".10"
    assert cells[(1.5, 0.52)] == ".30"
    assert cells[(0.5, 1.52)] == ".40"


def test_the_report_shows_every_figure_that_the_curves_allow_and_says_why_not_the_others(report):
    drawn = {picture.name for picture in report.pictures}
    assert len(drawn) == len(DRAWN) - 1
    said = " ".join(b.text for s in report.sections for b in s.blocks if isinstance(b, Note))
    assert [int(n) for n in re.findall(r"In place of Figure (\d+)", said)] == [
        1,
        2,
        3,
        4,
        5,
        11,
        12,
        13,
        14,
        15,
    ]
    missing = next(table.data for table in report.tables if table.name == "not_shown")
    assert missing.rows() == [
        (6, "Do lists carry over to models of other sizes?",
         "the number of parameters is known for 0 tasks; 6 are needed")
    ]  # fmt: skip


def test_the_finding_is_that_of_the_split_experiment(report, table):
    costs = lists.task_costs(results.read_curves(table))[0]
    experiment = lists.split_experiment(costs.costs, (1, 3), judged=costs.judging, resamplings=8)
    assert report.finding == experiment.finding(3)


def test_the_page_is_one_safe_file(report, tmp_path):
    # Few figures: drawing them as pictures is what takes time.
    short = dataclasses.replace(report, sections=(report.sections[0], *report.sections[-2:]))
    page = reports.write_report(short, tmp_path / "out").read_text()
    assert "synthetic: of a &lt;formula&gt;" in page
    assert "<script" not in page
    assert page.count("<svg") == 2


def run(*arguments: object):
    result = CliRunner().invoke(cli.app, ["curves", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("command", ["convert", "list", "report"])
def test_every_command_has_help_with_an_example(command):
    assert f"Example: shortlist curves {command}" in " ".join(run(command, "--help").split())


def test_a_list_from_curves_can_be_trained(table, tmp_path):
    out = tmp_path / "mine.json"
    said = json.loads(run("list", table, "--size", 2, "--out", out, "--json"))
    read = lists.read_list(out)
    costs = lists.task_costs(results.read_curves(table))[0]
    chosen = lists.greedy_normalised(costs.costs, 2)
    assert [point.id for point in read.points] == [costs.points[p] for p in chosen.points] == said["points"]
    assert (read.name, read.update_rule, len(read.workloads)) == ("mine", "nadamw_metz_code", len(TASKS))
    assert dict(read.points[0].hyperparameters) == said["hyperparameters"][0]
    assert read.workloads[0] == "taskset/mlp_family_seed0"
    assert said["costs"] == pytest.approx(chosen.costs, rel=1e-15)

    # As `shortlist tune --strategy list --list FILE` reads it.
    given = read_points(str(out))
    spec = plan(
        name="s", workloads=read.workloads[:1], strategy="list", points=given.points, list_name=given.name,
        optimizer=given.update_rule,
    )  # fmt: skip
    assert spec.points is not None
    assert [point.id for point in spec.points[read.workloads[0]]] == said["points"]


def test_exact_is_refused_on_too_many_tasks_by_name():
    archives = [*fake_archives(), *fake_archives()][:17]
    curves = results.Curves(
        tasks=tuple(f"t{i}" for i in range(17)), read=lambda task: (archives[int(task[1:])],),
        points=pl.DataFrame(), facts=pl.DataFrame(), source="made up",
    )  # fmt: skip
    with pytest.raises(ValueError, match="at most 16"):
        lists.list_from_curves(curves, method="exact", ties="lowest-id")
    with pytest.raises(ValueError, match="no set 'adam'"):
        lists.list_from_curves(curves, optimizer_set="adam")


def test_convert_says_what_it_wrote(table, tmp_path):
    said = json.loads(run("convert", table, "--out", tmp_path / "files", "--json"))
    assert (said["tasks"], said["curves"], len(said["files"])) == (len(TASKS), len(TASKS) * 40, len(TASKS))
    assert said["bytes"] == sum(p.stat().st_size for p in tmp_path.rglob("*.npz"))


@pytest.mark.parametrize(
    ("first", "tasks", "said"), [(0, 2, "next: "), (100, 2, "note: curves begin"), (0, 1, "")]
)
def test_convert_suggests_a_report_where_there_can_be_one(tmp_path, first, tasks, said):
    archives = [dataclasses.replace(archive, xs=archive.xs + first) for archive in fake_archives()[:tasks]]
    source = tmp_path / "curves.parquet"
    write_table(source, archives_to_table(archives, "made up"))
    out = tmp_path / "out"
    last = run("convert", source, "--out", out).splitlines()[-1]
    assert last.startswith(said or f"{40 * tasks} curves")
    if said == "next: ":
        assert lists.task_costs(results.read_curves(out))
    elif said:
        with pytest.raises(ValueError, match=r"begin at step 100.*--eval-at-start"):
            lists.task_costs(results.read_curves(out))


def test_a_list_of_curves_shows_what_it_costs_in_each_repeat(table, report):
    curves = results.read_curves(table)
    built = lists.list_from_curves(curves, size=3)
    # By hand, with plain loops: in each repeat every task takes its best point of the list so far.
    by_task = [
        lists.normalised_losses(curves.read(task)[0].losses("valid_outer")).mean(axis=-1)
        for task in curves.tasks
    ]
    for k, row in enumerate(built.table().iter_rows(named=True), 1):
        chosen = list(built.chosen.points[:k])
        each = [sum(min(c[p, r] for p in chosen) for c in by_task) / len(TASKS) for r in range(2)]
        assert (row["lowest"], row["highest"]) == pytest.approx((min(each), max(each)), rel=1e-12)
    said = "costs are means over 2 repeats; lowest and highest are of single repeats, each with its own best points"
    assert said in built.notes()
    (shown,) = [t.data for t in report.tables if t.name == "list"]
    assert shown.select("lowest", "highest").equals(built.table().select("lowest", "highest"))


def test_a_single_repeat_has_no_spread():
    archives = {a.task: dataclasses.replace(a, ys=a.ys[:, :1]) for a in fake_archives()[:2]}
    curves = results.Curves(
        tasks=tuple(archives), read=lambda task: (archives[task],), points=pl.DataFrame(schema={
            "set": pl.String, "optimizer": pl.String, "hyperparameters": pl.String, "update_rule": pl.String}),
        facts=pl.DataFrame(), source="made up",
    )  # fmt: skip
    built = lists.list_from_curves(curves, size=2)
    assert built.table().columns == ["order", "point", "adds", "cost", "floor"]
    assert built.to_json()["repeat_costs"] is None
    assert not any("repeats" in note for note in built.notes())
