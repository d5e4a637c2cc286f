"""docs/own_workload.md: its file and its commands, as they stand there."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import workloads
from results import studies
from shortlist import cli
from submissions import validation
from tests.test_imports import ROOMS
from tuning import conformance
from tuning.studies.plan import plan
from tuning.studies.tune import tune

PAGE = (Path(__file__).parents[1] / "docs/own_workload.md").read_text()
FILE, REGRESSION = (block.split("```")[0] for block in PAGE.split("```python\n")[1:])
COMMANDS = PAGE.split("```bash\n")[1].split("```")[0].replace("\\\n", " ").splitlines()


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_workloads.py"
    path.write_text(FILE)
    return path


def test_the_page_names_every_check_of_the_kit():
    rows = PAGE.split("| check | what holds |")[1].split("\n\n")[0].splitlines()[2:]
    assert tuple(row.split("`")[1] for row in rows) == conformance.CHECKS


def test_the_file_is_short_and_uses_public_names_only():
    lines = [line for line in FILE.splitlines() if line.strip()]
    assert len(lines) <= 35
    for node in ast.walk(ast.parse(FILE)):
        if isinstance(node, ast.ImportFrom):
            assert not any(part.startswith("_") for part in f"{node.module}".split("."))
            assert (node.module or "").split(".")[0] in ROOMS


def test_the_file_is_a_workload_that_trains(file):
    workload = workloads.load(f"{file}:build")
    assert workload.name == "mine/spirals"
    assert workloads.parameter_count(workload) == 2 * 64 + 64 + 64 * 2 + 2
    trials = tune(Path("s"), plan(name="s", workloads=["my_workloads.py:mine/spirals"], budget=2, steps=4))
    assert trials["status"].to_list() == ["done", "done"]
    assert studies.workload_copy(Path("s"), "mine/spirals").read_text() == FILE


def test_a_regression_says_its_loss_per_example(file):
    program = FILE.split("@workloads.register")[0] + REGRESSION
    names: dict = {}
    exec(program, names)
    jax = names["jax"]
    params, state = names["functions"].init(jax.random.key(0))
    batch = names["spirals"](0, 8)
    sums = names["functions"].metrics(params, state, batch, jax.random.key(1))
    loss, _ = names["functions"].loss(
        params, state, batch, jax.random.key(1), False, workloads.Regularization()
    )
    assert float(sums["loss"] / sums["examples"]) == pytest.approx(float(loss), rel=1e-6)  # float32


@pytest.mark.slow
def test_the_commands_run_as_they_stand_there(file):
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "shortlist"
        done = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert json.loads(Path("targets.json").read_text())["targets"]["mine/spirals"]["metric"] == "accuracy"
    assert "mine/spirals" in Path("report/index.html").read_text()


@pytest.mark.slow
def test_a_submission_is_validated_on_it(file):
    runner = CliRunner()
    packaged = runner.invoke(
        cli.app, ["package", "--optimizer", "adamw_optax", "--out", "sub", "--authors", "A"]
    )
    assert packaged.exit_code == 0
    checked = validation.inspect(Path("sub"), workloads=["my_workloads.py:mine/spirals"])
    assert [figures.workload for figures in checked.figures] == ["mine/spirals"]
    assert not [finding for finding in checked.findings if finding.severity == "error"]
