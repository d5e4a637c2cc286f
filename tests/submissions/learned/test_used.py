"""Learned optimizers with their weights, used as every other: tuned, resumed, sent to workers, run, packaged."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import submissions
from results import studies
from results.studies import Cohort
from submissions import Rule, Seen, validation
from submissions.learned import LEARNED, scaled, weight_files
from submissions.learned._table import SHIPPED
from submissions.package import package
from tests.submissions.algoperf_toy import Tilted, imported, train, waves
from tests.test_cli import run as command
from tuning.execution import jobs, work
from tuning.execution.trials.run import run
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import own_files

WORKLOAD = "clicks/mlp"
SMALL = {
    "hierarchical": {"lstm": 2, "mlp": 2}, "velo": {"lstm": 3, "bank": 2}, "celo": {"lstm": 2},
    "celo_adam": {"lstm": 2}, "mlp_lopt": {"hidden_size": 2}, "nn_adam": {"lstm_hidden_size": 2},
}  # fmt: skip
QUICK = ("hierarchical", "velo")
ABOUT = {"name": "Mine", "authors": "A. Author"}
STEPS = 12


@functools.cache
def content(name: str, seed: int = 0) -> bytes:
    """A file of weights: those that come with it, else small ones, twice what most would begin with, so that they do
    something."""
    if name in SHIPPED:
        return SHIPPED[name].read_bytes()
    made = LEARNED[name].initial(jax.random.key(seed), **SMALL.get(name, {}))
    # The weights of the former are logarithms of rates.
    factor = 1 if name == "nn_adam" or name.startswith("learnable_") else 2
    return weight_files.flax_bytes(jax.tree.map(lambda x: np.asarray(factor * x), made))


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.msgpack"
    file.write_bytes(content("hierarchical"))
    return file


def study(folder: Path, file: Path, **asked):
    asked = {"steps": 20, "eval_period": 10, "workloads": [WORKLOAD]} | asked
    return plan(name=folder.name, optimizer=f"hierarchical@{file}", **asked)


def test_a_study_is_of_one_point_and_of_one_file(weights, tmp_path):
    folder = tmp_path / "s"
    trials = tune(folder, study(folder, weights))
    assert trials["status"].to_list() == ["done"]
    assert json.loads(trials["hyperparameters"][0]) == {"horizon_factor": 1.0}
    assert (folder / "optimizer.weights").read_bytes() == weights.read_bytes()
    assert studies.source_of(folder) == own_files.sha256(weights.read_bytes())
    sealed = pl.read_parquet_metadata(studies.cohort_path(folder, WORKLOAD, 0))
    assert own_files.sha256(weights.read_bytes()) in str(sealed)
    # The same from another place, by content; nothing is trained again.
    moved = tmp_path / "elsewhere"
    shutil.copy(weights, moved)
    assert_frame_equal(tune(folder, study(folder, moved)), trials, check_exact=True)
    assert len(studies.read_runs(folder)) == 1
    moved.write_bytes(content("hierarchical", seed=1))
    with pytest.raises(ValueError, match=r"elsewhere: has changed since this study's first trial"):
        tune(folder, study(folder, moved))
    assert_frame_equal(studies.read_trials(folder), trials, check_exact=True)


def test_a_worker_needs_the_job_alone_and_gives_the_same_numbers(weights, tmp_path):
    folder = tmp_path / "s"
    trials = tune(folder, study(folder, weights))
    spec = studies.read_spec(folder)
    sent = jobs.SentFile(str(weights), own_files.sha256(weights.read_bytes()), weights.read_bytes())
    weights.unlink()
    (point,) = (spec.points or {})[WORKLOAD]
    job = jobs.Job(str(folder), WORKLOAD, Cohort(0, 0, (point,), 1), spec, optimizer_file=sent)
    done = work.work(jobs.Job.from_json(job.to_json()), work.Kept())
    again = pl.read_parquet(done.content)
    assert again["validation/loss"].to_list() == trials["validation/loss"].to_list()


def test_the_horizon_factor_is_the_horizon():
    rule = scaled(Rule(lambda *given: given[-1], lambda *given: given))

    def told(factor, horizon):
        return int(rule.init((), {"horizon_factor": jnp.float32(factor)}, {}, None, jnp.int32(horizon)))

    assert [told(1, 100), told(0.25, 100), told(3, 7), told(0.01, 3)] == [100, 25, 21, 1]
    assert rule.init((), {}, {}, None, jnp.int32(9)) == 9


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LEARNED]
)
def test_a_packaged_one_updates_as_it_does_here(tmp_path, algoperf, name):
    file = tmp_path / "w"
    file.write_bytes(content(name))
    folder = package(tmp_path / "mine", **ABOUT, optimizer=f"{name}@{file}", ruleset="self-tuning")
    assert (folder / "weights.msgpack").read_bytes() == file.read_bytes()
    assert not (folder / "tuning_search_space.json").exists()
    assert "submissions." not in (folder / "submission.py").read_text()
    submission, workload = imported(folder), Tilted()
    path, _, _ = train(submission, workload, None, STEPS)
    assert workload.traces == 1  # the second step compiles nothing
    rule = submissions.optimizer(f"{name}@{file}").rule
    params = {"x": jnp.array(Tilted.start, jnp.float32)}
    state = rule.init(rule.weights, {}, params, jax.random.key(0), jnp.int32(Tilted.step_hint))
    update = jax.jit(rule.update)
    for step, got in enumerate(path):
        wave = jnp.float32(waves(step + 1)["targets"][0])
        loss = jnp.sum(wave * params["x"] + 0.05 * params["x"] ** 2)
        grads = {"x": wave + 0.1 * params["x"]}
        updates, state = update(rule.weights, {}, grads, state, params, Seen(loss, jnp.int32(step), None))
        params = jax.tree.map(jnp.add, params, updates)
        # float32 rounding of parameters of size 2, a few of which add up
        np.testing.assert_allclose(got, params["x"], rtol=0, atol=2e-6)
    assert np.abs(path[-1] - Tilted.start).max() > 1e-4


def test_a_package_is_whole_and_says_what_it_reads(weights, tmp_path):
    folder = package(tmp_path / "mine", **ABOUT, optimizer=f"hierarchical@{weights}", ruleset="self-tuning")
    sha256 = own_files.sha256(weights.read_bytes())
    for file in ("README.md", "pull_request.md"):
        assert sha256 in (folder / file).read_text()
        assert "validation losses" in (folder / file).read_text()
    found = validation.validate(folder, dry_run=False)
    assert {finding.code for finding in found} == {"R501"}  # reads its own folder: a warning
    twin = package(
        tmp_path / "b" / "mine", **ABOUT, optimizer=f"hierarchical@{weights}", ruleset="self-tuning"
    )
    assert all((twin / file.name).read_bytes() == file.read_bytes() for file in folder.iterdir())
    searched = package(tmp_path / "searched", **ABOUT, optimizer=f"hierarchical@{weights}",
                       search_space=submissions.optimizer(f"hierarchical@{weights}").search_space,
                       provenance="by hand")  # fmt: skip
    assert list(json.loads((searched / "tuning_search_space.json").read_text())) == ["horizon_factor"]


def test_a_package_refuses_other_weights(weights, tmp_path, algoperf):
    folder = package(tmp_path / "mine", **ABOUT, optimizer=f"hierarchical@{weights}", ruleset="self-tuning")
    (folder / "weights.msgpack").write_bytes(content("hierarchical", seed=1))
    with pytest.raises(ValueError, match=r"weights\.msgpack is not the file that was packaged"):
        train(imported(folder), Tilted(), None, 1)


def test_pylos_layout_is_packaged_as_flaxs(tmp_path):
    file = tmp_path / "w"
    file.write_bytes(content("velo"))
    weights = weight_files.read(file).weights
    from safetensors.numpy import load_file, save_file

    rnn, mlp = weight_files.write_pylo(tmp_path, weights)
    save_file(load_file(rnn) | load_file(mlp), tmp_path / "both.safetensors")
    optimizer = f"velo@{tmp_path / 'both.safetensors'}"
    folder = package(tmp_path / "mine", **ABOUT, optimizer=optimizer, ruleset="self-tuning")
    assert (folder / "weights.msgpack").read_bytes() == weight_files.flax_bytes(weights)


@pytest.mark.parametrize("ruleset", ["self-tuning", pytest.param("external", marks=pytest.mark.slow)])
def test_algoperfs_loop_runs_it_and_asks_for_validation_losses(weights, tmp_path, ruleset):
    asked = {
        "optimizer": f"hierarchical@{weights}", "workload": WORKLOAD, "experiment_dir": tmp_path / "logs",
        "experiment_name": "mine/study_0", "tuning_ruleset": ruleset, "rng_seed": 1, "max_global_steps": 20,
        "eval_period_steps": 20, "isolated": False,
    }  # fmt: skip
    (done,) = run(**asked)
    assert (done.status, done.global_step) == ("done", 20)
    place = tmp_path / "logs/mine/study_0/submission"
    assert (place / "optimizer.weights").read_bytes() == weights.read_bytes()
    assert own_files.sha256(weights.read_bytes()) in (place / "submission.py").read_text()
    weights.write_bytes(content("hierarchical", seed=1))
    with pytest.raises(ValueError, match="submission"):
        run(**asked, resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tune", WORKLOAD, "--optimizer", "velo", "--study", "{}/s"), "velo is a learned optimizer, which needs"),
        (("tune", WORKLOAD, "--optimizer", "sgd_optax", "--weights", "{}/weights.msgpack", "--study", "{}/s"),
         "go with a learned optimizer, and sgd_optax is none; those are velo"),
        (("tune", WORKLOAD, "--optimizer", "velo", "--weights", "{}/weights.msgpack", "--study", "{}/s"),
         "not weights of velo: .* look like those of hierarchical"),
        (("tune", WORKLOAD, "--weights", "{}/none", "--study", "{}/s"), "no such file; give a file of trained"),
        (("tune", WORKLOAD, "--optimizer", "lion", "--switch", "a=1", "--study", "{}/s"), "--switch is of learned"),
        (("tune", WORKLOAD, "--weights", "{}/weights.msgpack", "--switch", "valid_period=1", "--study", "{}/s"),
         "hierarchical has no switch 'valid_period'"),
        (("package", "--built-in", "lion", "--weights", "{}/weights.msgpack", "--out", "{}/x"), "--built-in goes"),
        (("run", "--submission-path", "x", "--weights", "{}/weights.msgpack", "--workload", WORKLOAD,
          "--experiment-dir", "{}", "--experiment-name", "a"), "--weights goes with --optimizer"),
        (("weights", "{}/weights.msgpack", "--out", "{}/weights.msgpack"), "exists already; choose another"),
        (("weights", "{}/weights.msgpack", "--layout", "pylo", "--out", "{}/x"), "written for VeLO's weights alone"),
        (("weights", "{}/weights.msgpack", "--gen-id", "a", "--out", "{}/x"), "--gen-id and --step go together"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_refused_in_a_line(weights, tmp_path, arguments, message):
    code, _, err = command(*(one.format(tmp_path) for one in arguments))
    assert code == 2
    (line,) = err.strip().splitlines()
    assert re.search(message, line)
    assert not (tmp_path / "s").exists()


def test_the_commands_know_weights(weights, tmp_path):
    code, out, _ = command("weights", weights, "--out", tmp_path / "copy", "--gen-id", "mine", "--step", 300)
    assert code == 0
    assert "weights of hierarchical (lstm=2, mlp=2)" in out
    read = weight_files.read(tmp_path / "copy")
    assert read.around == {"gen_id": "mine", "step": 300}
    code, out, _ = command(
        "package", "--weights", tmp_path / "copy", "--out", tmp_path / "sub", "--authors", "A"
    )
    assert code == 0
    assert "note: The rule asks for validation losses every 10 steps" in out
    assert '["params"]' in (tmp_path / "sub/submission.py").read_text()
    code, out, _ = command("optimizers", "velo", f"hierarchical@{weights}")
    assert code == 0
    assert "sizes: lstm=512, bank=256" in out
    assert "horizon_factor" in out


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_with_its_weights(weights, tmp_path):
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def tuned(folder):
        return [
            sys.executable, "-m", "shortlist.cli", "tune", "taskset/quadratic_family_seed3", "--study", str(folder),
            "--weights", str(weights), "--strategy", "quasirandom", "--budget", "12", "--cohort-size", "2", "--steps",
            "500", "--executor", "processes", "--workers", "1",
        ]  # fmt: skip

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(tuned(whole), env=env, check=True, capture_output=True)
    process = subprocess.Popen(tuned(killed), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while (
        not list(killed.glob("trials/*/*.parquet")) and process.poll() is None and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < len(studies.read_trials(killed)) < 12
    right = weights.read_bytes()
    weights.write_bytes(content("hierarchical", seed=1))
    refused = subprocess.run(tuned(killed), env=env, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "has changed since this study's first trial" in refused.stderr
    weights.write_bytes(right)
    subprocess.run(tuned(killed), env=env, check=True, capture_output=True)
    columns = ["point", "hyperparameters", "status", "validation/loss"]
    assert_frame_equal(
        studies.read_trials(killed).select(columns),
        studies.read_trials(whole).select(columns),
        check_exact=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["celo", "celo_adam"])
def test_the_published_weights_train(shared, tmp_path, name):
    file = shared / f"data/learned_optimizer_weights/{name}.theta.state"
    spec = plan(
        name="s",
        workloads=["digits/conv"],
        optimizer=f"{name}@{file}",
        steps=100,
        eval_period=50,
        eval_at_start=True,
    )
    (losses,) = tune(tmp_path / "s", spec)["validation/loss"].to_list()
    assert losses[-1] < losses[0] / 3
