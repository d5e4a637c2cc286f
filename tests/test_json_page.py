"""What `docs/json.md` says of `--json` is what the commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from reports import limits
from results.curves import CurveArchive, archives_to_table, write_table
from results.limits import Cell, Limits
from shortlist import cli
from submissions import environment
from submissions.learned import LEARNED, weight_files

PAGE = Path(__file__).resolve().parent.parent / "docs/json.md"
SWEEP = PAGE.parent / "taskset_sweep/nadamw_62_tasks.parquet"


def printed(*arguments: object) -> dict:
    result = CliRunner().invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def section(command: str) -> str:
    """The part of the page on a command."""
    return re.split(r"^## ", PAGE.read_text().split(f"## `shortlist {command}", 1)[1], flags=re.MULTILINE)[0]


def keys(table: str) -> set[str]:
    """What the first column of a table names."""
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("|")]
    return set(re.findall(r"`(\w+)`", "".join(rows)))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "fractions.csv"
    path.write_text("point,workload,fraction\na,one,0.5\na,two,inf\nb,one,inf\nb,two,0.5\n")
    return path


def test_build_list_prints_what_the_page_names(table):
    assert set(printed("build-list", table, "--size", 1)) == keys(section("build-list"))


def test_leave_one_out_prints_what_the_page_names(table):
    named = keys(section("leave-one-out"))
    assert set(printed("leave-one-out", table, "--size", 1)) == named


def test_recommend_prints_what_the_page_names(tmp_path):
    table = tmp_path / "fractions.csv"
    near, far = "taskset/quadratic_family_seed10", "taskset/losg_tasks_family_seed1"
    table.write_text(f"point,workload,fraction\na,{near},inf\na,{far},0.5\nb,{near},0.5\nb,{far},inf\n")
    said = printed("recommend", "taskset/quadratic_family_seed12", "--from", table, "--size", 1)
    assert set(said) == keys(section("recommend")) - {"unlike", "weight"}
    assert set(said["likeness"][0]) == {"workload", "unlike", "weight"}
    assert said["points"] == ["b"]


def test_score_prints_what_the_page_names(shared):
    said = printed("score", shared / "data/algoperf_logs", "--benchmark", "v0.5")
    (one,) = said.pop("scores")
    assert set(one) == keys(section("score"))
    assert all(f"`{key}`" in section("score") for key in said)


def test_tune_prints_what_the_page_names(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "use_compilation_cache", lambda: None)  # it would outlive this test
    arguments = ("taskset/TwoD_Bowl10", "--budget", 1, "--steps", 2, "--study", tmp_path / "study")
    said = printed("tune", *arguments)
    of_study, of_workload = section("tune").split("| key of a workload")
    assert set(said) == keys(of_study)
    assert set(said["workloads"][0]) == keys(of_workload)
    assert all(f"`{key}`" in of_study for key in said["runs"][0])


def test_workloads_print_what_the_page_names():
    without, with_filters, with_names = section("workloads").split("\n* ")[1:]
    said = printed("workloads")
    assert all(f"`{key}`" in without for key in (*said, *said["families"]["mlp_family"]))
    (row,) = printed("workloads", "--family", "digits")["workloads"]
    assert set(row) == set(re.findall(r"`(\w+)`", with_filters)) - {
        *("workloads", "null", "parameters", "flops_per_step")  # the last two where a filter asks for them
    }
    (row,) = printed("workloads", "digits/conv")["workloads"]
    assert all(f"`{key}`" in with_filters + with_names for key in row)


def test_curves_list_prints_what_the_page_names():
    (of_list,) = re.findall(r"^\| `list` \|(.*)\|$", section("curves"), re.MULTILINE)
    assert set(printed("curves", "list", SWEEP, "--size", 2)) == set(re.findall(r"`(\w+)`", of_list))


def test_compare_prints_what_the_page_names(table):
    of_all, of_contender, of_pair, of_power = section("compare").split("| key of ")
    said = printed("compare", table, "--resamples", 100, "--power")
    assert set(said) == keys(of_all)
    assert set(said["contenders"][0]) == keys(of_contender)
    assert set(said["pairs"][0]) == keys(of_pair)
    assert set(said["power"][0]) == keys(of_power)


def test_weights_and_optimizers_print_what_the_page_names(tmp_path):
    from submissions.learned import LEARNED, weight_files

    row = LEARNED["hierarchical"]
    weights = jax.tree.map(np.asarray, row.initial(jax.random.key(0), lstm=2, mlp=2))
    weight_files.write(tmp_path / "w", weights)
    assert set(printed("weights", tmp_path / "w")) | {"written"} == keys(section("weights"))
    assert set(printed("weights", tmp_path / "w", "--out", tmp_path / "copy")) == keys(section("weights"))
    said = printed("optimizers", "nadamw_optax", "hierarchical")
    assert all(f"`{key}`" in section("optimizers") for key in (*said, *said["learned"][0]))


def test_speedup_prints_what_the_page_names(tmp_path):
    ys = np.broadcast_to(np.array([2.0, 1.0], np.float32)[None, None, :, None], (1, 1, 2, 4))
    tables = [
        archives_to_table([CurveArchive("t", n, ("a",), np.array([0, 10]), ys)], "made") for n in ("x", "y")
    ]
    write_table(tmp_path / "curves.parquet", pl.concat(tables))
    of_all, of_score = section("speedup").split("| key of a score")
    by_command = dict(re.findall(r"^\| `(baseline|score)` \|(.*)\|$", of_all, re.MULTILINE))
    kept = tmp_path / "kept.parquet"
    said = printed("speedup", "baseline", tmp_path / "curves.parquet", "--out", kept)
    assert {*said, *said["workloads"][0]} == set(re.findall(r"`(\w+)`", by_command["baseline"])) - {
        "path",
        "reason",
    }
    said = printed("speedup", "score", tmp_path / "curves.parquet", "--baseline", kept, "--resamples", 10)
    named = set(re.findall(r"`(\w+)`", by_command["score"]))
    assert set(said) == named - {"null"}
    assert set(said["scores"][0]) == keys(of_score)
    assert all(f"`{key}`" in of_score for key in said["summary"][0] if "%" not in key)
    assert said["comparison"]["pairs"]


def test_the_page_names_what_limits_prints(tmp_path):
    cell = Cell("larger", "larger-0-1", "w", "w", "a", 1, 1)
    rows = {
        "contender": cell.study,
        "workload": "w",
        "point": "p",
        "repeat": 0,
        "data": "d",
        "step": [1],
        "loss": [1.0],
    }
    found = limits.of_losses(
        Limits({"a": "a@w"}, {"a": 1}, 1, (cell,)), pl.DataFrame([rows]), "here"
    ).to_json()
    named = keys(section("limits"))
    assert {*found, "report"} <= named
    assert {*found["larger"][0], "length", "told"} <= set(re.findall(r"`(\w+)`", section("limits")))


@pytest.mark.slow
def test_limits_prints_what_the_page_names(tmp_path):
    """Of a learned optimizer that compiles quickly: told each length, and beside one of its own kind."""
    for name in ("learnable_sgd", "learnable_sgdm"):
        weight_files.write(tmp_path / name, LEARNED[name].initial(jax.random.key(0), learning_rate=0.1))
    task = "taskset/quadratic_family_seed10"
    said = printed(
        "limits", "--weights", tmp_path / "learnable_sgd", "--against", f"learnable_sgdm@{tmp_path / 'learnable_sgdm'}",
        "--part", "longer", "--workload", task, "--steps", 2, "--repeats", 1, "--trained-on", 3,
        "--out", tmp_path / "limits",
    )  # fmt: skip
    assert set(said) == {key for key in keys(section("limits")) if key in said}
    told = [(row["contender"], row["told"]) for row in said["longer"]]
    of_first = [("learnable_sgd", steps) for steps in ("2", "3", "4", "8", "the truth")]
    assert told == [*of_first, ("learnable_sgdm", "the truth")]
    after = {row["told"]: row["after 2"] for row in said["longer"] if row["contender"] == "learnable_sgd"}
    assert after["2"] == after["8"] > 0  # it has no use for a horizon
    assert said["trained_on"] == 3
    assert Path(said["report"]).is_file()
