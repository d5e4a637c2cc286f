"""Weights of a meta-training on fixed workloads: compiled once, never made again, and seen as they come."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from results import meta_trainings
from shortlist import cli
from submissions import environment
from submissions.learned import weight_files
from tuning.meta_training.evaluation import Chief

PAGE = Path(__file__).resolve().parents[3] / "docs/json.md"
BOWL, STEPS = "taskset/TwoD_Bowl10", 5


def write(folder: Path, outer_step: int, log_lr: float, newest: bool = True) -> None:
    name = meta_trainings.WEIGHTS if newest else meta_trainings.weights_name(outer_step)
    weights = {"log_lr": np.float32(log_lr)}
    weight_files.write(folder / name, weights, {"gen_id": "shortlist", "step": outer_step})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a meta-training that is under way, with the weights of two outer steps."""
    plan = {"optimizer": "learnable_sgd", "switches": {}}
    tmp_path.joinpath(meta_trainings.DESCRIPTION).write_text(
        json.dumps({"format": 1, "plan": plan, "made_by": {}, "data": {}})
    )
    write(tmp_path, 0, -9.0, newest=False)
    write(tmp_path, 10, -3.0)
    meta_trainings.write_state(tmp_path, 0, 30, ended=False)
    return tmp_path


def rows(folder: Path) -> list[dict]:
    return meta_trainings.read_evaluations(folder)[0].to_dicts()


def test_all_weights_are_evaluated_once_by_one_program_and_what_comes_later_too(folder):
    seen = []

    def told(outer_step: int, made: int) -> None:
        seen.append((outer_step, made))
        if outer_step == 10:  # as a training beside it would
            write(folder, 20, -2.0)
        if outer_step == 20:
            write(folder, 30, 9.0)
            meta_trainings.write_state(folder, 30, 30, ended=True)

    chief = Chief(folder, [BOWL], [STEPS], seeds=2)
    assert chief.run(watch=True, look_seconds=0.01, told=told) == 8
    assert seen == [(10, 2), (20, 2), (30, 2), (0, 2)]  # the newest first
    assert chief.compilations == 1
    assert Chief(folder, [BOWL], [STEPS], seeds=2).run() == 0
    found = {(row["outer_step"], row["seed"]): row for row in rows(folder)}
    # A bowl's gradient is known: what the rule with the larger rate does to it is better, until it is too large.
    assert found[20, 0]["train_loss"] < found[10, 0]["train_loss"] < found[0, 0]["train_loss"]
    assert found[0, 0]["initial_loss"] == found[20, 0]["initial_loss"]
    assert found[20, 0]["relative_loss"] == pytest.approx(
        found[20, 0]["train_loss"] / found[20, 0]["initial_loss"]
    )
    assert found[30, 0]["train_loss"] is None or found[30, 0]["relative_loss"] > 1


def test_numbers_of_a_seed_do_not_depend_on_others_and_what_is_missing_is_made(folder):
    (folder / meta_trainings.weights_name(0)).unlink()
    whole = Chief(folder, [BOWL], [STEPS], seeds=2)
    assert whole.run() == 2
    before = rows(folder)
    file = folder / meta_trainings.EVALUATIONS
    # As if the machine had gone down while the second row was written.
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:20])
    assert Chief(folder, [BOWL], [STEPS], seeds=2).run() == 1
    again = rows(folder)
    numbers = ("seed", "train_loss", "initial_loss", "validation_loss")
    for name in numbers:
        assert [row[name] for row in again] == pytest.approx([row[name] for row in before], rel=1e-6)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"names": [BOWL, BOWL], "steps": [5]}, "named twice"),
        ({"names": [], "steps": [5]}, "no workloads"),
        ({"names": [BOWL], "steps": [0]}, "both must be at least 1"),
    ],
)
def test_what_cannot_be_evaluated_is_explained(folder, how, said):
    with pytest.raises(ValueError, match=said):
        Chief(folder, **how)


def test_other_data_are_refused(folder):
    (row,) = [
        {**dict.fromkeys(meta_trainings.EVALUATION), "outer_step": 0, "workload": BOWL, "data": "others"}
    ]
    meta_trainings.add_evaluations(folder, [row])
    with pytest.raises(ValueError, match="was evaluated on 'others'"):
        Chief(folder, [BOWL], [STEPS])


def test_the_command_prints_what_the_page_names(folder, monkeypatch):
    monkeypatch.setattr(environment, "use_compilation_cache", lambda: None)  # it would outlive this test
    asked = ("meta-evaluate", folder, "--workload", BOWL, "--steps", STEPS, "--seeds", 2)
    said = CliRunner().invoke(cli.app, [*map(str, asked), "--json"], catch_exceptions=False).stdout
    section = re.split(r"^## ", PAGE.read_text().split("## `shortlist meta-evaluate", 1)[1], flags=re.M)[0]
    table = section.split("| key of a row")[0]
    assert set(json.loads(said)) == set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.M)))
    )
    assert all(f"`{key}`" in section for key in meta_trainings.EVALUATION)
    again = CliRunner().invoke(cli.app, [*map(str, asked)], catch_exceptions=False)
    assert "nothing to evaluate" in again.stderr
    wrong = CliRunner().invoke(cli.app, [*map(str, asked[:4]), "--steps", "5;6"])
    assert "--steps '5;6': give whole numbers with commas" in str(wrong.exception)


@pytest.mark.slow
def test_a_killed_chief_goes_on_with_what_is_missing(folder):
    for outer_step in range(1, 10):
        write(folder, outer_step, -9.0 + outer_step / 2, newest=False)
    asked = ("meta-evaluate", str(folder), "--workload", BOWL, "--steps", "5,10", "--seeds", "2")
    process = subprocess.Popen([sys.executable, "-m", "shortlist.cli", *asked, "--watch"])
    while len(rows(folder)) < 8:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = rows(folder)
    meta_trainings.write_state(folder, 10, 10, ended=True)
    made = CliRunner().invoke(cli.app, [*asked, "--watch", "--json"], catch_exceptions=False)
    assert json.loads(made.stdout)["trainings"] == 11 * 2 * 2 - len(before)
    after = rows(folder)
    keys = {(row["outer_step"], row["steps"], row["seed"]) for row in after}
    assert len(keys) == len(after) == 44
    assert after[: len(before)] == before
