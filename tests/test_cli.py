"""The command line: what it prints, what it refuses, and that every command shows an example."""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
import subprocess
import sys
import warnings
from unittest import mock

import pytest
from typer.testing import CliRunner

from shortlist import cli

COMMANDS = (
    "workloads",
    "tune",
    "meta-train",
    "meta-evaluate",
    "set-targets",
    "demo",
    "reproduce",
    "score",
    "build-list",
    "leave-one-out",
    "recommend",
    "report",
    "package",
    "pack",
)

TABLE = """point,workload,fraction
a,one,0.5
a,two,inf
b,one,inf
b,two,0.5
c,one,0.9
c,two,0.9
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "fractions.csv"
    path.write_text(TABLE)
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    """The command without the second that a process of its own takes to load: exit status, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    at_ctrl_c = signal.getsignal(signal.SIGINT)
    with (
        mock.patch.object(sys, "argv", ["shortlist", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),  # the command turns them off
        pytest.raises(SystemExit) as end,
    ):
        cli.main()
    signal.signal(signal.SIGINT, at_ctrl_c)  # the command's last act is to let go of it
    return end.value.code or 0, out.getvalue(), err.getvalue()


def run_alone(*arguments: object) -> tuple[int, str, str]:
    """The command as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "shortlist.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_process_says_what_the_tests_here_read(tmp_path, table):
    for arguments in (("build-list", table, "--size", 2), ("build-list", tmp_path / "nowhere.csv")):
        assert run_alone(*arguments) == run(*arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: shortlist {command}" in " ".join(result.output.split())


def test_build_list_prints_one_json_object(table):
    status, out, _ = run("build-list", table, "--size", 2, "--json")
    built = json.loads(out)
    # By hand, tau = 2: c alone costs .9; then a or b with it: sqrt(.5 * .9); a comes first.
    assert (status, built["points"], built["trained"]) == (0, ["c", "a"], [2, 2])
    assert built["costs"] == pytest.approx([0.9, (0.5 * 0.9) ** 0.5], rel=1e-12)
    assert built["fractions"] == [0.5, 0.9]


def test_lists_mark_what_adds_nothing_and_what_came_after_the_budget(tmp_path):
    table = tmp_path / "fractions.csv"
    table.write_text("point,workload,fraction\na,one,0.4\na,two,1.2\nb,one,0.5\nb,two,inf\n")
    shown = run("build-list", table, "--size", 2)[1]
    assert re.search(r"1 +a +yes +0\.6928 +2 +0\.4000 +1\.2000†", shown)
    assert re.search(r"2 +b +no +0\.6928", shown)
    assert "note: asked 2 points, 1 adds: point 2 lowers the cost no further" in shown
    assert "† after the budget (a fraction above 1): two" in shown
    short = run("build-list", table, "--size", 2, "--stop-when-covered")[1]
    assert "greedy list of 1 out of 2 points" in short
    assert "note: asked 2 points, 1 adds: the list stops there" in short


def test_a_left_out_workload_that_only_a_filled_up_point_reaches_is_marked_as_not_learnt(tmp_path):
    table = tmp_path / "fractions.csv"
    rows = ("a,one,inf", "a,two,0.5", "b,one,0.4", "b,two,0.9")
    table.write_text("\n".join(("point,workload,fraction", *rows)))
    shown = run("leave-one-out", table, "--size", 2)[1]
    assert re.search(r"one +a b +1 +missed +0\.4000\*", shown)
    assert "* not learnt: one: reached only by points that add nothing on the other workloads" in shown
    assert re.search(r"\n +2 +2 +1 +", shown)  # two trained, one of them by points that add


def test_the_lowest_id_decides_by_name(tmp_path):
    table = tmp_path / "fractions.csv"
    table.write_text("point,workload,fraction\na,one,inf\nb,one,0.4\nc,one,0.5\n")
    points = [
        json.loads(run("build-list", table, "--size", 2, "--json", *how)[1])["points"]
        for how in ((), ("--ties", "lowest-id"))
    ]
    assert points == [["b", "c"], ["b", "a"]]


def test_exact_beats_greedy_on_the_same_table(table):
    built = json.loads(run("build-list", table, "--size", 2, "--construction", "exact", "--json")[1])
    # The option's older name.
    assert built == json.loads(run("build-list", table, "--size", 2, "--method", "exact", "--json")[1])
    assert sorted(built["points"]) == ["a", "b"]
    assert built["costs"][-1] == pytest.approx(0.5, rel=1e-12)


def test_leave_one_out_says_null_for_a_missed_target(table):
    proof = json.loads(run("leave-one-out", table, "--size", 1, "--json")[1])
    # Built on "two" alone the list is b, which misses "one"; built on "one" it is a, which misses "two".
    assert proof["lists"] == [["b"], ["a"]]
    assert proof["held_out"] == [[None], [None]]
    assert proof["trained"] == [0]


def test_tables_are_readable_without_a_terminal(table):
    status, out, _ = run_alone("build-list", table, "--size", 2)
    assert status == 0
    assert "0.9000" in out
    assert "missed" not in out


def one_line_error(*arguments: object) -> str:
    status, out, err = run(*arguments)
    assert status == 2, err
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    return lines[0]


def test_bad_input_is_one_line_and_status_2(tmp_path, table):
    assert "no such file or folder" in one_line_error("build-list", tmp_path / "nowhere.csv")
    table.write_text(TABLE.replace("0.5\na,two", "nan\na,two"))
    assert "fractions.csv" in one_line_error("build-list", table)
    table.write_text("point,workload\na,one\n")
    assert "fraction" in one_line_error("build-list", table)
    assert "unknown workload 'clicks/mpl'; did you mean 'clicks/mlp'" in one_line_error(
        "tune", "clicks/mpl", "--study", tmp_path / "s"
    )
    assert "unknown strategy 'quasirandon'; did you mean 'quasirandom'" in one_line_error(
        "tune", "clicks/mlp", "--study", tmp_path / "s", "--strategy", "quasirandon"
    )
    assert "did you mean 'medapati2025'" in one_line_error(
        "package", "--list", "medapati2024", "--out", tmp_path / "p", "--authors", "A"
    )
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "p").exists()


def test_a_study_of_another_version_is_refused(tmp_path):
    (tmp_path / "study.json").write_text('{"format": 99}')
    assert "study format 99; this version of shortlist reads formats 1 to 3" in one_line_error(
        "score", tmp_path
    )


def test_a_hyperparameter_outside_its_domain_is_named(tmp_path):
    (tmp_path / "points.json").write_text('[{"learning_rate": 0.1, "beta1": 1.5}]')
    message = one_line_error(
        "tune",
        "clicks/mlp",
        "--study",
        tmp_path / "s",
        "--strategy",
        "list",
        "--list",
        tmp_path / "points.json",
    )
    assert "beta1" in message
    assert "1.5" in message


def test_nothing_is_overwritten(tmp_path):
    out = tmp_path / "submission"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    message = one_line_error("package", "--list", "medapati2025", "--out", out, "--authors", "A. Author")
    assert str(out) in message
    assert [p.name for p in out.iterdir()] == ["notes.txt"]


def test_a_published_list_becomes_a_submission(tmp_path):
    status, out, _ = run(
        "package", "--list", "medapati2025", "--out", tmp_path / "nadamw", "--authors", "A. Author"
    )
    assert status == 0
    assert "nadamw" in out
    space = json.loads((tmp_path / "nadamw" / "tuning_search_space.json").read_text())
    assert [point["learning_rate"] for point in space][:2] == [0.007188680089024849, 0.0011719210768906827]


@pytest.mark.parametrize(
    ("by", "expected"),
    [("time", {"shampoo_submission": 0.7784, "baseline": 0.5707}), ("steps", {})],
)
def test_score_reads_the_published_logs(shared, by, expected):
    status, out, _ = run("score", shared / "data/algoperf_logs", "--benchmark", "v0.5", "--by", by, "--json")
    assert status == 0
    (one,) = json.loads(out)["scores"]
    scores = {row["submission"]: row["score"] for row in one["scores"]}
    assert len(scores) == 11
    for name, value in expected.items():
        assert round(scores[name], 4) == value


def test_build_list_on_the_published_logs_gives_the_paper_cost(shared):
    arguments = (
        "build-list",
        shared / "data/algoperf_logs",
        "--benchmark",
        "v0.5",
        "--submission",
        "baseline",
        "--json",
    )
    built = json.loads(run(*arguments)[1])
    assert built["points"] == ["4", "1", "2", "0", "3"]
    assert [round(cost, 5) for cost in built["costs"]] == [0.92657, 0.73423, 0.72089, 0.72049, 0.72049]
