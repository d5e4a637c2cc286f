"""Runs that are cut short: killed or crashed trials, and what a resumed one goes on with."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from submissions.api import _inputs as _run_inputs
from tuning.execution.run import run

ROOT = Path(__file__).resolve().parents[2]
STEPS, PERIOD = 60, 10

SUBMISSION = """
import functools, os, pathlib, signal
import jax, jax.numpy as jnp
from algoperf import spec


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def step(workload, params, momentum, model_state, batch, rng, rate):
    def loss_fn(params):
        mode = spec.ForwardPassMode.TRAIN
        logits, new = workload.model_fn(params, batch, model_state, mode, rng, True, dropout_rate=0.1)
        found = workload.loss_fn(batch["targets"], logits)
        return found["summed"] / found["n_valid_examples"], new
    (loss, model_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
    params = jax.tree.map(lambda p, m: p - rate * m, params, momentum)
    return params, momentum, model_state, loss


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"momentum": jax.tree.map(jnp.zeros_like, model_params), "taken": 0}, None


def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    rate = hyperparameters.rate if hyperparameters else 0.01
    here = pathlib.Path(__file__).parent
    if (here / f"crash_{global_step}").exists():
        (here / f"crash_{global_step}").unlink()
        raise FloatingPointError("made to crash")
    if getattr(hyperparameters, "dies", "no") == "yes":
        os.kill(os.getpid(), signal.SIGKILL)
    state, function = optimizer_state
    params, momentum, model_state, loss = step(
        workload, current_param_container, state["momentum"], model_state, batch, rng, rate)
    if global_step % 5 == 0:
        workload.metrics_logger.append_scalar_metrics({"loss": loss}, global_step)
    return ({"momentum": momentum, "taken": state["taken"] + 1}, function), params, model_state


def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)


def get_batch_size(workload_name):
    return 16


def get_eval_batch_size(workload_name):
    raise ValueError(workload_name)
"""
TIMES = {
    "accumulated_eval_time", "accumulated_logging_time", "accumulated_submission_time", "preemption_count", "score",
    "total_duration",
}  # fmt: skip


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "submission.py").write_text(SUBMISSION)
    (folder / "space.json").write_text(
        '[{"rate": 0.01, "dies": "no"}, {"rate": 0.02, "dies": "yes"}, {"rate": 0.03, "dies": "no"}]'
    )
    return folder


def arguments(submission, tmp_path, name, **others):
    given = {
        "submission_path": submission, "workload": "algoperf/mnist", "experiment_dir": tmp_path / "experiments",
        "experiment_name": name, "tuning_search_space": submission / "space.json", "max_global_steps": STEPS,
        "eval_period_steps": PERIOD, "rng_seed": 7, "isolated": False,
    }  # fmt: skip
    return given | others


def numbers(trial: str | Path, file: str) -> list[dict[str, str]]:
    with (Path(trial) / file).open() as lines:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(lines)]


def same_numbers(one, other):
    for file in ("eval_measurements.csv", "measurements.csv"):
        assert numbers(one, file) == numbers(other, file), file


def test_a_crashed_trial_resumes_with_the_undisturbed_numbers_and_logs(submission, tmp_path):
    (whole,) = run(**arguments(submission, tmp_path, "whole"))
    # 30 is an evaluation's step, and the step after it logs: neither row may be there twice.
    (submission / "crash_37").touch()
    with pytest.raises(FloatingPointError):
        run(**arguments(submission, tmp_path, "crashed"))
    (resumed,) = run(**arguments(submission, tmp_path, "crashed", resume=True))
    assert resumed.global_step == STEPS
    same_numbers(whole.folder, resumed.folder)
    assert len(numbers(whole.folder, "eval_measurements.csv")) == 1 + STEPS // PERIOD
    assert numbers(resumed.folder, "measurements.csv")[-1]["global_step"] == str(STEPS)


def test_a_trial_that_crashed_before_its_first_checkpoint_begins_anew(submission, tmp_path):
    (whole,) = run(**arguments(submission, tmp_path, "whole", max_global_steps=12))
    (submission / "crash_0").touch()
    with pytest.raises(FloatingPointError):
        run(**arguments(submission, tmp_path, "crashed", max_global_steps=12))
    (resumed,) = run(**arguments(submission, tmp_path, "crashed", max_global_steps=12, resume=True))
    same_numbers(whole.folder, resumed.folder)


def test_self_tuning_resumes_with_the_seed_that_was_drawn(submission, tmp_path):
    given = arguments(
        submission,
        tmp_path,
        "self",
        tuning_ruleset="self",
        tuning_search_space=None,
        rng_seed=None,
        isolated=True,
    )
    (submission / "crash_20").touch()
    (failed,) = run(**given)
    assert failed.status == "failed"
    assert "made to crash" in failed.reason
    seed = json.loads((Path(failed.folder) / "trial.json").read_text())["seed"]
    (resumed,) = run(**given, resume=True)
    assert resumed.status == "done"
    assert json.loads((Path(failed.folder) / "trial.json").read_text())["seed"] == seed


def test_a_killed_trial_is_recorded_and_the_next_goes_on(submission, tmp_path):
    given = arguments(
        submission,
        tmp_path,
        "three",
        num_tuning_trials=3,
        hparam_start_index=1,
        max_global_steps=3,
        isolated=True,
    )
    died, done = run(**given)
    assert (died.trial, died.status) == (2, "failed")
    assert "SIGKILL" in died.reason
    assert (done.trial, done.status, done.global_step) == (3, "done", 3)
    assert not (Path(done.folder).parent / "trial_1").exists()


def test_a_run_that_is_killed_resumes_with_the_undisturbed_numbers(submission, tmp_path):
    given = arguments(
        submission, tmp_path, "whole", isolated=True, max_global_steps=3000, eval_period_steps=100
    )
    (whole,) = run(**given)
    given["experiment_name"] = "killed"
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    program = f"from tuning.execution.run import run; run(**{plain!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    folder = Path(str(whole.folder).replace("whole", "killed"))
    deadline = time.monotonic() + 300
    while (
        process.poll() is None
        and time.monotonic() < deadline
        and len(list(folder.glob("checkpoint_[1-9]00.npz"))) == 0
    ):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)  # the trial's process is in the same group
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    assert not (folder / "outcome.json").exists()
    (resumed,) = run(**given, resume=True)
    assert resumed.global_step == 3000
    same_numbers(whole.folder, resumed.folder)


def test_keys_of_steps_are_algoperfs():
    key = jax.random.PRNGKey(3)
    keys = _run_inputs.step_keys(key, 40)
    for step in range(40, 200):
        update, select = next(keys)
        expected = jax.random.split(jax.random.fold_in(key, step), 4)
        np.testing.assert_array_equal(select, expected[0])
        np.testing.assert_array_equal(update, expected[1])
