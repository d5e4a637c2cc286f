"""Jobs that travel: every executor gives the same numbers, and what it loses is trained again."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from polars.testing import assert_frame_equal

from results import studies
from results.studies import Cohort
from submissions.points import Point
from tuning import strategies
from tuning.execution import work
from tuning.execution.claims import Claims
from tuning.execution.executors import EXECUTORS, executor
from tuning.execution.jobs import Job
from tuning.execution.stopping import Stop
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import own_files

WORKLOAD = "taskset/quadratic_family_seed3"
POINTS = [Point(str(i), {"learning_rate": 10.0 ** (-3 + i / 2)}) for i in range(6)]
SGD = """
import os
import pathlib
import signal

import optax
import submissions

@submissions.register("{name}", learning_rate=(1e-4, 1.0, "log"))
def {name}(hyperparameters, total_steps):
    sgd = optax.sgd(hyperparameters["learning_rate"])

    def update(updates, state, params=None):
        {first}
        return sgd.update(updates, state, params)

    return optax.GradientTransformation(sgd.init, update)
"""


def study(folder, optimizer="sgd_optax", **changes):
    """A study of three cohorts, on what any process finds by name."""
    return plan(
        name=folder.name, workloads=(WORKLOAD,), strategy="list", points=POINTS, optimizer=optimizer,
        cohort_size=2, steps=20, eval_period=10, **changes,
    )  # fmt: skip


def optimizer_file(folder, name, first):
    """FILE.py:FUNCTION of an optimizer that does something where a step of it is traced, which is where it trains."""
    file = folder / f"{name}.py"
    file.write_text(SGD.format(name=name, first=textwrap.indent(first, 8 * " ").lstrip()))
    return f"{file}:{name}"


@pytest.fixture(scope="module")
def populations():
    """What this process has compiled."""
    return {}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, populations):
    folder = tmp_path_factory.mktemp("whole") / "s"
    return tune(folder, study(folder), populations=populations)


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_gives_the_same_numbers_bit_for_bit(name, tmp_path, whole):
    seen = []
    trials = tune(
        tmp_path / "s", study(tmp_path / "s"), executor=name, progress=lambda *told: seen.append(told)
    )
    assert_frame_equal(trials.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)
    assert seen == [(WORKLOAD, done, 6) for done in (0, 2, 4, 6)]
    (run,) = studies.read_runs(tmp_path / "s")
    assert run.trials == 6


class Bisection(strategies.Strategy):
    """A sequential strategy: asks for one point, and moves its learning rate by what became of it."""

    budget = 3
    title = "bisection"

    def ask(self, told):
        if len(told) == self.budget:
            return ()
        rate = 0.001 * (1 + 1 / (1 + told[-1].value)) if told else 0.001
        return (Point(str(len(told)), {"learning_rate": rate}),)


@pytest.mark.slow
def test_only_training_travels_of_a_sequential_strategy(tmp_path, monkeypatch, populations):
    asked = dataclasses.replace(study(tmp_path / "s"), points=None, strategy={"name": "bisection"})
    monkeypatch.setattr(strategies, "from_spec", lambda spec: Bisection())
    trials = {
        name: tune(tmp_path / name, asked, executor=name, workers=1, populations=populations)
        for name in EXECUTORS
    }
    assert trials["threads"]["hyperparameters"].n_unique() == 3
    processes, threads = (trials[name].drop("cohort_seconds") for name in ("processes", "threads"))
    assert_frame_equal(processes, threads, check_exact=True)


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_error_of_the_users_is_raised_and_nothing_is_tried_again(name, tmp_path):
    tried = tmp_path / "tried"
    first = f'pathlib.Path("{tried}").open("a").write(".")\nraise ValueError("no such schedule")'
    mine = optimizer_file(tmp_path, f"broken_{name}", first)
    with pytest.raises(ValueError, match="no such schedule"):
        tune(tmp_path / "s", study(tmp_path / "s", mine), executor=name, workers=1)
    assert len(tried.read_text()) == 1
    assert not [path for path in (tmp_path / "s" / "claims").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_interrupted_study_keeps_what_has_begun_and_goes_on(name, tmp_path, whole, populations):
    folder = tmp_path / "s"

    def interrupt(workload, done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(folder, study(folder), executor=name, workers=1, progress=interrupt, populations=populations)
    assert len(studies.read_trials(folder)) == 2
    assert not [path for path in (folder / "claims").rglob("*") if path.is_file()]
    trials = tune(folder, study(folder), populations=populations)
    assert_frame_equal(trials.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_study_that_is_asked_to_stop_ends_what_has_begun_and_says_what_that_is(name, tmp_path, whole):
    stop, waited_for = Stop(), []

    def ask(workload, done, total):
        if done == 2:
            waited_for.append(stop.waits_for())
            stop.set()

    arguments = {"executor": name, "workers": 2, "progress": ask, "stop": stop}
    trials = tune(tmp_path / "s", study(tmp_path / "s"), **arguments)
    assert waited_for == [f"cohort 1 of {WORKLOAD}"] or waited_for == [f"cohort 0 of {WORKLOAD}"]
    assert trials["cohort"].unique().to_list() == [0, 1]
    (run,) = studies.read_runs(tmp_path / "s")
    assert run.trials == 4
    assert stop.waits_for() == ""
    again = tune(tmp_path / "s", study(tmp_path / "s"))
    assert_frame_equal(again.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)


def test_a_killed_worker_loses_its_cohort_in_flight_and_nothing_else(tmp_path):
    marker = tmp_path / "killed"
    kill_once = f"""\
marker = pathlib.Path("{marker}")
if not marker.exists():
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    lost = optimizer_file(tmp_path, "lost_once", kill_once)
    trials = tune(tmp_path / "s", study(tmp_path / "s", lost), executor="processes")
    assert marker.exists()
    undisturbed = tune(tmp_path / "t", study(tmp_path / "t", lost))
    assert_frame_equal(trials.drop("cohort_seconds"), undisturbed.drop("cohort_seconds"), check_exact=True)


def test_a_cohort_that_always_loses_its_worker_is_named(tmp_path):
    mine = optimizer_file(tmp_path, "always_lost", "os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RuntimeError, match=r"cohort 0 of taskset/.* lost its worker 3 times.*status -9"):
        tune(tmp_path / "s", study(tmp_path / "s", mine), executor="processes", workers=1)


def test_an_unknown_executor_leaves_no_folder_behind(tmp_path):
    with pytest.raises(ValueError, match="unknown executor 'treads'; did you mean 'threads'"):
        tune(tmp_path / "s", study(tmp_path / "s"), executor="treads")
    assert not (tmp_path / "s").exists()
    assert all(executor(name).workers() >= 1 for name in EXECUTORS)


def test_a_job_is_plain_json():
    job = Job("studies/s", WORKLOAD, Cohort(3, 1, tuple(POINTS), 6), source="00ff", command="shortlist tune")
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_the_bytes_of_a_cohort_are_made_without_writing_anything(tmp_path, populations):
    folder = tmp_path / "s"
    tune(folder, study(folder), populations=populations)
    before = sorted(folder.rglob("*"))
    spec = studies.read_spec(folder)
    (job, *_) = [Job(str(folder), WORKLOAD, cohort) for cohort in spec.cohorts(POINTS, WORKLOAD)]
    content, done = work.train(job, spec, work.Kept(populations))
    assert done.trials == 2
    assert sorted(folder.rglob("*")) == before
    # A late result of a worker that was given up: the first is kept.
    kept = studies.cohort_path(folder, WORKLOAD, 0).read_bytes()
    assert not studies.write_cohort(folder, WORKLOAD, 0, content)
    assert studies.cohort_path(folder, WORKLOAD, 0).read_bytes() == kept


def test_a_users_optimizer_travels_with_the_study(tmp_path):
    mine = optimizer_file(tmp_path, "travels", "pass")
    folder = tmp_path / "s"
    trials = tune(folder, study(folder, mine))
    spec, file = studies.read_spec(folder), tmp_path / "travels.py"
    source = own_files.sha256(file.read_bytes())
    file.unlink()  # as on another machine
    studies.cohort_path(folder, WORKLOAD, 1).unlink()
    cohort = spec.cohorts(POINTS, WORKLOAD)[1]
    work.work(Job(str(folder), WORKLOAD, cohort, source=source), work.Kept())
    again = studies.read_trials(folder)
    assert_frame_equal(trials.drop("cohort_seconds"), again.drop("cohort_seconds"), check_exact=True)
    (folder / "optimizer.py").write_text("# something else")
    with pytest.raises(ValueError, match=r"neither .* is the file that the study began with"):
        work.work(Job(str(folder), WORKLOAD, cohort, source=source), work.Kept())


def test_two_threads_on_one_study_do_no_work_twice(tmp_path, whole, populations):
    folder = tmp_path / "s"
    results = []
    both = [
        threading.Thread(target=lambda: results.append(tune(folder, study(folder), populations=populations)))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(results) == 2
    for trials in results:
        assert_frame_equal(trials.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)
    assert sum(run.trials for run in studies.read_runs(folder)) == 6


def test_a_claim_is_of_one_holder_until_it_gives_it_back(tmp_path):
    with Claims(tmp_path) as mine, Claims(tmp_path) as yours:
        assert mine.take("a/b", 0)
        assert not yours.take("a/b", 0)
        assert yours.take("a/b", 1)
        yours.give_back("a/b", 0)  # not its own
        assert not yours.take("a/b", 0)
        mine.give_back("a/b", 0)
        assert yours.take("a/b", 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_claims_of_processes_that_are_gone_and_claims_that_nobody_touches_are_taken_over(tmp_path):
    program = (
        "import os, pathlib, sys; from tuning.execution.claims import Claims; "
        "print(Claims(pathlib.Path(sys.argv[1])).take('a/b', 0), flush=True); os._exit(0)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n"
    with Claims(tmp_path) as claims:
        assert claims.take("a/b", 0)
    path = tmp_path / "claims" / "a__b" / "00001"
    path.write_text('{"host": "far away", "pid": 1, "started": 1, "claim": "x"}')
    with Claims(tmp_path) as claims:
        assert not claims.take("a/b", 1)
        an_hour_ago = time.time() - 3600
        os.utime(path, (an_hour_ago, an_hour_ago))
        assert claims.take("a/b", 1)


def test_the_first_finished_trial_and_no_attempt_binds_a_study_to_an_optimizers_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "s"
    broken = optimizer_file(tmp_path, "mended", 'raise ValueError("no such schedule")')
    with pytest.raises(ValueError, match="no such schedule"):
        tune(folder, study(folder, broken), workers=1)
    assert studies.read_spec(folder).optimizer == "mended.py:mended"
    mended = optimizer_file(tmp_path, "mended", "pass")
    trials = tune(folder, study(folder, mended))
    assert (folder / "optimizer.py").read_bytes() == (tmp_path / "mended.py").read_bytes()
    assert set(trials["status"]) == {"done"}
    # The same from another place, by content.
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mended.py").write_bytes((tmp_path / "mended.py").read_bytes())
    moved = study(folder, f"{tmp_path}/elsewhere/mended.py:mended")
    assert_frame_equal(tune(folder, moved), trials, check_exact=True)
    changed = optimizer_file(tmp_path, "mended", "updates = updates")
    with pytest.raises(ValueError, match=r"mended\.py: has changed since this study's first trial"):
        tune(folder, study(folder, changed))
    assert_frame_equal(studies.read_trials(folder), trials, check_exact=True)


def test_a_file_is_not_changed_under_a_process_that_trains_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "s"
    first = optimizer_file(tmp_path, "in_use", 'raise ValueError("no such schedule")')
    with pytest.raises(ValueError, match="no such schedule"):
        tune(folder, study(folder, first), workers=1)
    with Claims(folder) as other:
        assert other.take(WORKLOAD, 1)
        second = optimizer_file(tmp_path, "in_use", "pass")
        with pytest.raises(ValueError, match="has changed since this study's first trial"):
            tune(folder, study(folder, second))
