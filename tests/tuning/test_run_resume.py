"""Runs that are cut short: killed or crashed trials, and what a resumed one goes on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import workloads
from results.studies import read_trials
from submissions import api
from submissions.api import _inputs as _run_inputs
from tests.tuning.run_trials import (
    PERIOD,
    ROOT,
    STEPS,
    arguments,
    is_free,
    numbers,
    same_numbers,
    within,
    written,
)
from tests.workloads import streamed
from tuning.execution.trials.run import run


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


@pytest.fixture
def submission(tmp_path):
    return written(tmp_path / "submission")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The first trial, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (outcome,) = run(**arguments(written(folder / "submission"), folder, "whole"))
    return outcome


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
    taken: list[int] = []
    given = {"workload": streamed.NAME, "eval_period_steps": 3}
    with streamed.registered(taken) as workload:
        view = api.view(workload)
        monkeypatch.setattr(api, "algoperf_workload", lambda *_: view)
        (undisturbed,) = run(**arguments(submission, tmp_path, "whole", max_global_steps=6, **given))
        assert sorted(set(taken)) == list(range(max(taken) + 1))
        run(**arguments(submission, tmp_path, "cut", max_global_steps=3, **given))
        os.unlink(tmp_path / "experiments" / "cut" / "streamed.mnist_jax" / "trial_1" / "outcome.json")
        taken.clear()
        (resumed,) = run(**arguments(submission, tmp_path, "cut", max_global_steps=6, resume=True, **given))
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
    program = f"from tuning.execution.trials.run import run; run(**{plain | {'isolated': True}!r})"
    (submission / "wait_37").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    within(300, (submission / "waiting").exists)
    process.kill()  # the run's own process, not the trial's
    process.wait()
    within(1, lambda: is_free(submission / "alive"))
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
