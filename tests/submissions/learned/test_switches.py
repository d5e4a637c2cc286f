"""Switches of learned optimizers by name: as text, in names, in studies, in packages."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import submissions
from results import studies
from submissions.learned import LEARNED, parsed_switches, weight_files
from submissions.package import package
from tests.submissions.algoperf_toy import Tilted, imported, train
from tuning.studies.plan import plan
from tuning.studies.tune import tune


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.msgpack"
    weight_files.write(file, LEARNED["mlp_lopt"].initial(jax.random.key(0), hidden_size=2))
    return file


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        (
            "velo",
            ["skip_nonfinite=true", "weight_decay=1e-6"],
            {"weight_decay": 1e-6, "skip_nonfinite": True},
        ),
        ("velo", ["longest_horizon=150000"], {"longest_horizon": 150_000}),
        ("velo", ["longest_horizon=none"], {"longest_horizon": None}),
        ("hierarchical", ["validation_period=None"], {"validation_period": None}),
        ("star", ["exp_mult=0.1:0.2:1e-3"], {"exp_mult": (0.1, 0.2, 0.001)}),
        ("star", ["nominal_grad_estimator=SGD"], {"nominal_grad_estimator": "SGD"}),
    ],
)
def test_switches_are_read_in_the_types_of_their_defaults(name, given, made):
    found = parsed_switches(LEARNED[name], given)
    assert found == made
    assert list(found) == list(made)
    told = submissions.moved(f"{name},{','.join(given)}@file", "there")
    assert told.endswith("@there")
    assert submissions.learned.parts(told).switches == made
    assert submissions.moved(told, "there") == told


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        (
            "velo",
            "weight_decya=1",
            r"velo has no switch 'weight_decya'; did you mean 'weight_decay'\? \(it has: use_",
        ),
        ("learnable_sgd", "x=1", r"learnable_sgd has no switch 'x' \(it has: continuation\)"),
        ("celo", "lstm=3", "celo: lstm is a size, which its weights have already; no switch"),
        ("celo", "weight_decay", "celo: switch 'weight_decay'; give NAME=VALUE"),
        ("celo", "weight_decay=much", "celo: weight_decay is 'much'; must be a number"),
        ("celo", "apply_schedule=2", "celo: apply_schedule is '2'; must be true or false"),
        (
            "celo",
            "longest_horizon=0",
            "celo: longest_horizon is '0'; must be a whole number above 0, or none",
        ),
        ("celo", "continuation=on", "celo: continuation is 'on'; must be one of naive, more_steps, reset"),
        ("star", "exp_mult=1", "star: exp_mult is '1'; must be 3 numbers with colons between them"),
        ("celo", "weight_decay=1,weight_decay=2", "celo: weight_decay is given twice"),
    ],
)
def test_a_switch_that_is_none_is_told_in_a_line(name, given, message):
    with pytest.raises(ValueError, match=message):
        submissions.optimizer(f"{name},{given}@file")


def test_a_name_says_the_switches_and_means_them(weights, tmp_path):
    name = f"mlp_lopt,step_mult=0@{weights}"
    assert weight_files.named(weights, None, ["step_mult=0"]) == f"mlp_lopt,step_mult=0.0@{weights}"
    assert weight_files.named(weights, "mlp_lopt,exp_mult=1", ["step_mult=0"]).startswith(
        "mlp_lopt,step_mult=0.0,exp_mult=1.0@"
    )
    assert submissions.recorded_name(name) == f"mlp_lopt,step_mult=0.0@{weights}"
    assert not submissions.same_but_for_place(name, f"mlp_lopt@{weights}")
    folder = tmp_path / "s"
    asked = {"name": "s", "workloads": ["taskset/quadratic_family_seed10"], "steps": 4, "eval_period": 2}
    trials = tune(folder, plan(**asked, optimizer=name, eval_at_start=True))
    assert len(set(trials["train/loss"][0].to_list())) == 1  # nothing moves
    assert studies.read_spec(folder).optimizer.startswith("mlp_lopt,step_mult=0.0@")
    with pytest.raises(ValueError, match="optimizer"):
        tune(folder, plan(**asked, optimizer=f"mlp_lopt@{weights}", eval_at_start=True))


def test_a_package_has_the_switches(weights, tmp_path, algoperf):
    about = {"name": "Mine", "authors": "A. Author", "ruleset": "self-tuning"}
    folder = package(tmp_path / "mine", **about, optimizer=f"mlp_lopt,step_mult=0@{weights}")
    assert "step_mult=0.0,\n" in (folder / "submission.py").read_text()
    assert "step_mult 0.0" in (folder / "README.md").read_text()
    path, _, _ = train(imported(folder), Tilted(), None, 2)
    np.testing.assert_array_equal(path[-1], np.asarray(Tilted.start, np.float32))
