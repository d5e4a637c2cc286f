"""`shortlist meta-train`: what it writes and says, and a kill at any moment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shortlist import _meta_commands, cli
from tuning.meta_training.estimators import ESTIMATORS

PAGE = Path(__file__).resolve().parents[3] / "docs/json.md"
PLAN = (
    "meta-train", "--optimizer", "learnable_sgd", "--workload", "taskset/quadratic_family_seed1", "--tasks", "2",
    "--length", "20", "--unroll", "5", "--record-every", "2", "--checkpoint-seconds", "0",
)  # fmt: skip


def run(*arguments: object):
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


def test_it_writes_weights_that_another_training_begins_with(tmp_path):
    out, other = tmp_path / "one", tmp_path / "two"
    said = json.loads(run(*PLAN, "--outer-steps", 4, "--out", out, "--json").stdout)
    assert said["outer_steps"] == 4
    section = PAGE.read_text().split("## `shortlist meta-train", 1)[1].split("\n## ", 1)[0]
    assert set(said) | set(said["last"]) == set(re.findall(r"`(\w+)`", section)) - {"null"}
    again = run(*PLAN, "--outer-steps", 4, "--out", out)
    assert "nothing to train, all 4 outer steps are there" in again.stderr
    assert run(*PLAN, "--outer-steps", 2, "--out", other, "--from", out / "weights.msgpack").exit_code == 0
    begun = json.loads((other / "meta_training.json").read_text())["plan"]["initial"]
    assert re.fullmatch("[0-9a-f]{64}", begun)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--estimator", "persistent"), "unknown estimator 'persistent'"),
        (("--estimator", "full-gradient", "--sign"), "--sign is not of full-gradient; leave it out"),
        (("--size", "learning_rat=1"), "no size 'learning_rat'; did you mean 'learning_rate'"),
        (("--workload", "digits/conv", "--workload", "digits/conv"), "'digits/conv' is named twice"),
        (("--length", "long"), "length 'long': give N"),
        (("--tasks", "3", "--per-step", "2"), "per_step is 2, of 1 estimators"),
    ],
)
def test_a_plan_that_cannot_be_is_explained(tmp_path, options, said):
    made = run(*PLAN, "--outer-steps", 2, "--out", tmp_path / "out", *options)
    assert isinstance(made.exception, ValueError)
    assert said in str(made.exception)
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_estimator():
    assert set(_meta_commands.KINDS) == set(ESTIMATORS)


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(tmp_path):
    steps = ("--outer-steps", "200")
    assert run(*PLAN, *steps, "--out", tmp_path / "whole").exit_code == 0
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "shortlist.cli", *PLAN, *steps, "--out", str(killed)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=dict(os.environ))
    record = killed / "record.jsonl"
    while not (record.exists() and record.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert record.read_bytes().count(b"\n") < 100, "it had come to its end"
    assert run(*PLAN, *steps, "--out", killed).exit_code == 0
    assert record.read_bytes().count(b"\n") == 100
    assert (killed / "weights.msgpack").read_bytes() == (tmp_path / "whole" / "weights.msgpack").read_bytes()
