"""What `shortlist limits` has trained, without training it."""

from __future__ import annotations

import dataclasses

import jax
import pytest
from typer.testing import CliRunner

from results.limits import PARTS, read_limits
from shortlist.cli import app
from submissions.learned import LEARNED, weight_files
from submissions.points import Point
from tuning.protocols import limits, run_limits
from tuning.protocols.limits import Contender

SMALL = dataclasses.replace(
    limits.resized(limits.SCALES["mini"], 20),
    workloads=("clicks/mlp",), batch_sizes=(8, 16), ladder=("taskset/quadratic_family_seed10",), pairs=(4,),
)  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """What would have been trained: name -> specification."""
    found = {}
    monkeypatch.setattr(run_limits, "tune", lambda folder, spec, **how: found.update({spec.name: spec}))
    return found


@pytest.fixture
def celo(tmp_path):
    weight_files.write(tmp_path / "w", LEARNED["celo"].initial(jax.random.key(0), lstm=2))
    return f"celo,weight_decay=0.5@{tmp_path / 'w'}"


def test_every_part_is_studies_of_every_contender(trained, celo, tmp_path):
    adam = Contender(
        "adam", "adam_velodrome", (Point("1", {"learning_rate": 0.1}), Point("2", {"learning_rate": 1.0}))
    )
    asked = run_limits.run_limits([Contender("celo", celo), adam], SMALL, tmp_path / "out", trained_on=30)
    assert read_limits(tmp_path / "out") == asked
    assert {cell.study for cell in asked.cells} == set(trained)
    longer = trained["longer-0-80"]
    assert [(p.id, p.hyperparameters["horizon_factor"]) for p in longer.points["clicks/mlp"]] == [
        ("told 20", 0.25), ("told 30", 0.375), ("told 40", 0.5), ("told 80", 1.0),
    ]  # fmt: skip
    reset = trained["longer-0-reset-80"]
    assert [p.id for p in reset.points["clicks/mlp"]] == ["told 20, then reset"]
    assert reset.optimizer.startswith("celo,weight_decay=0.5,continuation=reset@")
    # Others are trained anew for every length, and all lengths are evaluated alike.
    assert [trained[f"longer-1-{n}"].steps for n in (20, 40, 80)] == [20, 40, 80]
    assert {spec.eval_period for spec in trained.values()} == {1}
    assert trained["gradients-1-20"].workloads == ("clicks/mlp", "clicks/mlp+es_gradient=0.01:4")
    assert trained["batch-0-160"].workloads == ("clicks/mlp+batch_size=8", "clicks/mlp+batch_size=16")
    assert [cell.at for cell in asked.cells if cell.part == "larger"] == [2, 2]
    assert asked.sha256.keys() == {"celo"}


def test_help_names_the_parts():
    said = CliRunner().invoke(app, ["limits", "--help"]).output
    assert all(f"{part}, " in said for part in PARTS)


def test_what_is_no_learned_optimizer_is_refused(trained, tmp_path):
    with pytest.raises(ValueError, match="adamw_optax: is no learned optimizer with weights"):
        run_limits.run_limits([Contender("a", "adamw_optax")], SMALL, tmp_path)
    with pytest.raises(
        ValueError, match=r"no part 'longre'; did you mean 'longer'\? \(there is: longer, larger"
    ):
        limits.cells(SMALL, [], ["longre"], [])
    with pytest.raises(ValueError, match="30 steps; must be a multiple of 20"):
        dataclasses.replace(limits.SCALES["mini"], steps=30)
    assert not trained
