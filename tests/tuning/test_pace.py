"""How far a budget reaches is measured on real steps, and told before a training."""

from __future__ import annotations

import math

import pytest
from typer.testing import CliRunner

from shortlist import cli
from shortlist._pace import tell_pace
from tuning.execution import pace


def of(**changes):
    facts = {
        "workload": "algoperf/wmt", "seconds_per_step": 0.5, "batch_size": 128, "step_hint": 120_000,
        "budget_seconds": 16_114.0, "devices": "4 A100",
    }  # fmt: skip
    return pace.Pace(**{**facts, **changes})


def test_the_part_of_the_step_hint_is_budget_over_time():
    found = of()
    assert found.covered == pytest.approx(16_114 / 60_000)
    assert found.examples_per_second == 256
    assert str(found) == (
        "algoperf/wmt: 0.5 s a step of 128 examples, 256 examples/s, with plain NAdamW on 4 A100; the budget of "
        "16,114 s covers 27% of the step hint of 120,000 steps, evaluations not counted"
    )


def test_without_a_clock_the_whole_step_hint_is_told():
    found = of(budget_seconds=None)
    assert found.covered is None
    assert str(found).endswith("; the step hint of 120,000 steps takes 60,000 s")


def test_steps_are_measured_on_the_workload():
    found = pace.measure("clicks/mlp")
    assert (found.workload, found.batch_size, found.step_hint) == ("clicks/mlp", 64, 500)
    assert math.isfinite(found.seconds_per_step)
    assert found.seconds_per_step > 0


@pytest.mark.parametrize(
    ("name", "data_dir", "wanted"),
    [
        ("algoperf/wmt", "data", True),
        ("algoperf/wmt", None, False),
        ("algoperf/wmt@mini", "data", False),
        ("algoperf-installed/wmt", "data", True),
        ("clicks/mlp", "data", False),
    ],
)
def test_it_is_told_where_a_training_takes_hours(name, data_dir, wanted):
    assert pace.is_wanted(name, data_dir) == wanted


def test_a_measurement_that_was_asked_for_and_fails_is_an_error(tmp_path):
    arguments = ["tune", "nope/x", "--pace", "--study", str(tmp_path / "study")]
    result = CliRunner().invoke(cli.app, arguments)
    assert "nope/x: its pace cannot be measured: unknown workload" in str(result.exception)
    assert not (tmp_path / "study").exists()


def test_data_that_are_not_there_are_told_once(tmp_path, capfd):
    """By the command, not by the measurement before it."""
    tell_pace(["algoperf/mnist"], tmp_path, None)
    assert capfd.readouterr().err == ""
    with pytest.raises(pace.NoWorkload, match="mnist"):
        pace.measured_apart("algoperf/mnist", tmp_path)
