"""Runs that are cut short: killed or crashed trials, and what a resumed one goes on with."""

from __future__ import annotations

import csv
import dataclasses
import fcntl
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import workloads
from results.studies import read_trials
from submissions import api
from submissions.api import _inputs as _run_inputs
from tuning.execution.run import run
from workloads import StreamedData, _registry

ROOT = Path(__file__).resolve().parents[2]
STEPS, PERIOD = 60, 10

SUBMISSION = """
import fcntl, functools, os, pathlib, signal, time
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
    if (here / f"wait_{global_step}").exists():
        lock = (here / "alive").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)  # as long as this process lives
        (here / "waiting").touch()
        time.sleep(600)
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


@pytest.fixture(scope="module", autouse=True)
def trials_share_what_they_compile(tmp_path_factory):
    """In this process and in those that it starts."""
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in options}
    mnist = api.view(workloads.load("algoperf/mnist"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "algoperf_workload", lambda *_: mnist)
        for name, value in options.items():
            patch.setenv(name.upper(), str(value))
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # it looks at its folder only once
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def written(folder):
    folder.mkdir()
    (folder / "submission.py").write_text(SUBMISSION)
    (folder / "space.json").write_text(
        '[{"rate": 0.01, "dies": "no"}, {"rate": 0.02, "dies": "yes"}, {"rate": 0.03, "dies": "no"}]'
    )
    return folder


@pytest.fixture
def submission(tmp_path):
    return written(tmp_path / "submission")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The first trial, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (outcome,) = run(**arguments(written(folder / "submission"), folder, "whole"))
    return outcome


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


def within(seconds, happens):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_crashed_trial_resumes_with_the_undisturbed_numbers_and_logs(submission, tmp_path, whole):
    # 30 is an evaluation's step, and the step after it logs: neither row may be there twice.
    (submission / "crash_37").touch()
    with pytest.raises(FloatingPointError):
        run(**arguments(submission, tmp_path, "crashed"))
    (resumed,) = run(**arguments(submission, tmp_path, "crashed", resume=True))
    assert resumed.global_step == STEPS
    same_numbers(whole.folder, resumed.folder)
    assert len(numbers(whole.folder, "eval_measurements.csv")) == 1 + STEPS // PERIOD
    assert numbers(resumed.folder, "measurements.csv")[-1]["global_step"] == str(STEPS)


def test_a_trial_that_crashed_before_its_first_checkpoint_begins_anew(submission, tmp_path, whole):
    (submission / "crash_0").touch()
    with pytest.raises(FloatingPointError):
        run(**arguments(submission, tmp_path, "crashed"))
    (resumed,) = run(**arguments(submission, tmp_path, "crashed", resume=True))
    same_numbers(whole.folder, resumed.folder)


def test_self_tuning_resumes_with_the_seed_that_was_drawn(submission, tmp_path):
    given = arguments(
        submission, tmp_path, "alone", tuning_ruleset="self-tuning", tuning_search_space=None, rng_seed=None
    )
    (submission / "crash_20").touch()
    (crashed,) = run(**given | {"isolated": True})
    assert crashed.status == "crashed"
    assert "made to crash" in crashed.reason
    (resumed,) = run(**given, resume=True)
    assert resumed.status == "done"
    first, second = (
        json.loads((Path(crashed.folder) / f"meta_data_{time}.json").read_text()) for time in (0, 1)
    )
    assert first["rng_seed"] == second["rng_seed"]
    assert second["shortlist.tuning_ruleset"] == "self-tuning"


def test_a_resumed_trial_reads_a_stream_from_where_it_stopped(submission, tmp_path, monkeypatch):
    plain = workloads.load("algoperf/mnist")
    stored = {split: dict(fields) for split, fields in plain.data.splits.items()}
    taken = []

    def read(split, seed, batch_size, first_step):
        examples = len(stored[split]["targets"])
        for step in itertools.count(first_step):
            taken.append(step)
            rows = np.random.default_rng((seed, step)).integers(examples, size=batch_size)
            yield {name: values[rows] for name, values in stored[split].items()}

    def once(split, batch_size):
        for start in range(0, len(stored[split]["targets"]), batch_size):
            yield {name: values[start : start + batch_size] for name, values in stored[split].items()}

    sizes = {split: len(fields["targets"]) for split, fields in stored.items()}
    data = StreamedData(read, sizes, plain.data.provenance, read_once=once)
    streamed = dataclasses.replace(plain, name="streamed/mnist", data=data)
    workloads.register("streamed/mnist")(lambda data_dir: streamed)
    view = api.view(streamed)
    monkeypatch.setattr(api, "algoperf_workload", lambda *_: view)
    given = {"workload": "streamed/mnist", "eval_period_steps": 3}
    try:
        (undisturbed,) = run(**arguments(submission, tmp_path, "whole", max_global_steps=6, **given))
        assert sorted(set(taken)) == list(range(max(taken) + 1))
        run(**arguments(submission, tmp_path, "cut", max_global_steps=3, **given))
        os.unlink(tmp_path / "experiments" / "cut" / "streamed.mnist_jax" / "trial_1" / "outcome.json")
        taken.clear()
        (resumed,) = run(**arguments(submission, tmp_path, "cut", max_global_steps=6, resume=True, **given))
    finally:
        del _registry._REGISTERED["streamed/mnist"]
    assert resumed.global_step == 6
    assert min(taken) == 3  # nothing is read again
    same_numbers(undisturbed.folder, resumed.folder)


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
    assert (died.trial, died.status) == (2, "crashed")
    assert "SIGKILL" in died.reason
    assert (done.trial, done.status, done.global_step) == (3, "done", 3)
    assert not (Path(done.folder).parent / "trial_1").exists()
    rows = read_trials(tmp_path / "experiments" / "three" / "record" / "algoperf.mnist_jax")
    assert rows["status"].to_list() == ["crashed", "done"]
    assert "SIGKILL" in rows["status_reason"][0]
    assert json.loads(rows["hyperparameters"][0])["dies"] == "yes"


def test_a_trial_dies_with_the_run_that_is_killed_and_resumes_with_the_undisturbed_numbers(
    submission, tmp_path, whole
):
    given = arguments(submission, tmp_path, "killed")
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}
    program = f"from tuning.execution.run import run; run(**{plain | {'isolated': True}!r})"
    (submission / "wait_37").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    within(300, (submission / "waiting").exists)
    process.kill()  # the run's own process, not the trial's
    process.wait()
    with (submission / "alive").open() as lock:

        def is_free():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        within(60, is_free)
    (submission / "wait_37").unlink()
    (resumed,) = run(**given, resume=True)
    assert (resumed.status, resumed.global_step) == ("done", STEPS)
    same_numbers(whole.folder, resumed.folder)


def test_keys_of_steps_are_algoperfs():
    key = jax.random.PRNGKey(3)
    keys = _run_inputs.step_keys(key, 40)
    for step in range(40, 200):
        update, select = next(keys)
        expected = jax.random.split(jax.random.fold_in(key, step), 4)
        np.testing.assert_array_equal(select, expected[0])
        np.testing.assert_array_equal(update, expected[1])
