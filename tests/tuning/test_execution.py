"""Jobs that travel: every executor gives the same numbers, and what it loses is trained again."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from polars.testing import assert_frame_equal

from results import studies
from results.studies import Cohort, Programs
from submissions import environment
from submissions.points import Point
from tuning import strategies
from tuning.execution import work
from tuning.execution.claims import Claims
from tuning.execution.coordinate import commit
from tuning.execution.jobs import (
    Job,
    Needs,
    OutOfMemory,
    Refused,
    Result,
    SentFile,
    error_from_json,
    error_to_json,
)
from tuning.execution.making import maker
from tuning.execution.stopping import Stop
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import own_files

LOCAL = ("threads", "processes")
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
        for name in LOCAL
    }
    assert trials["threads"]["hyperparameters"].n_unique() == 3
    processes, threads = (trials[name].drop("cohort_seconds") for name in ("processes", "threads"))
    assert_frame_equal(processes, threads, check_exact=True)


@pytest.mark.parametrize("name", LOCAL)
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


@pytest.mark.parametrize("name", LOCAL)
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


def test_a_cohort_that_always_loses_its_worker_is_named(tmp_path):
    mine = optimizer_file(tmp_path, "always_lost", "os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(RuntimeError, match=r"cohort 0 of taskset/.* lost its worker 3 times.*status -9"):
        tune(tmp_path / "s", study(tmp_path / "s", mine), executor="processes", workers=1)


def test_an_unknown_executor_leaves_no_folder_behind(tmp_path):
    with pytest.raises(ValueError, match="unknown executor 'treads'; did you mean 'threads'"):
        tune(tmp_path / "s", study(tmp_path / "s"), executor="treads")
    assert not (tmp_path / "s").exists()
    with pytest.raises(ValueError, match=r"executor 'threads' does not take --folder; it is for folder"):
        tune(tmp_path / "s", study(tmp_path / "s"), options={"folder": tmp_path})
    with pytest.raises(ValueError, match="executor 'folder' needs --folder PATH"):
        tune(tmp_path / "s", study(tmp_path / "s"), executor="folder")
    assert not (tmp_path / "s" / "study.json").exists()


def a_job(folder, content=b"", **changes):
    sent = SentFile(str(folder / "mine.py"), own_files.sha256(content), content)
    spec = dataclasses.replace(
        study(folder, "mine.py:mine"),
        points=None,
        programs={WORKLOAD: Programs(2, 1)},
        strategy={"name": "list"},
    )
    return Job(
        str(folder), WORKLOAD, Cohort(0, 0, tuple(POINTS[:2]), 2), spec, optimizer_file=sent, **changes
    )  # fmt: skip


def test_a_job_is_plain_json_and_small_whatever_the_study_is(tmp_path):
    needs = Needs({"jax": "0.1"}, "00ff", "cpu")
    job = a_job(
        tmp_path, b"\xff\x00", needs=needs, earlier=b"PAR1", numbers={"0": 1}, command="shortlist tune"
    )
    assert Job.from_json(json.loads(json.dumps(job.to_json()))) == job
    many = [Point(str(i), {"learning_rate": 0.1}) for i in range(5000)]
    spec = dataclasses.replace(
        study(tmp_path), points={WORKLOAD: tuple(many)}, cohort_size=2, programs={WORKLOAD: Programs(2, 1)},
        blocks={WORKLOAD: 2}, strategy={"name": "list", "told": list(range(5000))},
    )  # fmt: skip
    made = maker(tmp_path, spec, needs)(WORKLOAD, spec.cohorts(spec.points[WORKLOAD], WORKLOAD)[7])
    assert len(json.dumps(made.to_json())) < 2500


def test_a_worker_that_differs_refuses_in_one_line_with_both_values(tmp_path):
    here = work.here()
    assert here.differing(here) == ""
    for needs, said in (
        (
            dataclasses.replace(here, versions=here.versions | {"jax": "0.1"}),
            r"jax is \d.* here, must be 0\.1",
        ),
        (dataclasses.replace(here, source="beef" * 16), r"source is [0-9a-f]{12} here, must be beefbeefbeef"),
        (dataclasses.replace(here, device="gpu H200"), "the device is 'cpu' here, must be 'gpu H200'"),
    ):
        with pytest.raises(Refused, match=said) as refused:
            work.work(a_job(tmp_path, needs=needs))
        assert "\n" not in str(refused.value)


def test_a_users_file_is_the_one_that_was_sent_whatever_lies_at_its_path(tmp_path):
    (tmp_path / "mine.py").write_bytes(b"changed since")
    kept = work.Kept()
    job = a_job(tmp_path, b"as it was")
    copy = work.place(job.optimizer_file, kept)
    assert (copy.name, copy.read_bytes()) == ("mine.py", b"as it was")
    (tmp_path / "mine.py").write_bytes(b"as it was")
    assert work.place(job.optimizer_file, kept) == tmp_path / "mine.py"
    with pytest.raises(ValueError, match=r"mine\.py: its content is not the one that was sent"):
        SentFile("mine.py", own_files.sha256(b"a"), b"b")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a"),
        KeyError("a"),
        Refused("a"),
        OutOfMemory("a"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "a"),
    ],
)
def test_an_error_travels_as_the_kind_that_it_is(error):
    there = error_from_json(json.loads(json.dumps(error_to_json(error))), "a worker", "node7:1")
    if not isinstance(error, UnicodeDecodeError):  # which takes more than a text
        assert type(there) is type(error)
        assert str(there) == str(error)
    assert "In a worker" in there.__notes__[0]
    assert not isinstance(there, Refused) or there.worker == "node7:1"


def test_the_bytes_of_a_cohort_are_made_without_writing_anything(tmp_path, populations):
    folder = tmp_path / "s"
    tune(folder, study(folder), populations=populations)
    before = sorted(folder.rglob("*"))
    spec = studies.read_spec(folder)
    job = maker(folder, spec, work.here())(WORKLOAD, spec.cohorts(POINTS, WORKLOAD)[0])
    result = work.work(job, work.Kept(populations))
    assert (result.done.trials, result.done.host) == (2, environment.host())
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert sorted(folder.rglob("*")) == before
    # A late result of a worker that was given up: the first is kept.
    kept = studies.cohort_path(folder, WORKLOAD, 0).read_bytes()
    assert not commit(job, result)
    assert studies.cohort_path(folder, WORKLOAD, 0).read_bytes() == kept


def test_a_users_optimizer_travels_with_the_job(tmp_path):
    mine = optimizer_file(tmp_path, "travels", "pass")
    folder, file = tmp_path / "s", tmp_path / "travels.py"
    trials = tune(folder, study(folder, mine))
    spec, content = studies.read_spec(folder), file.read_bytes()
    sent = SentFile(str(file), own_files.sha256(content), content)
    file.unlink()  # as on another machine
    written = studies.cohort_path(folder, WORKLOAD, 1)
    written.unlink()
    job = maker(folder, spec, work.here(), None, sent)(WORKLOAD, spec.cohorts(POINTS, WORKLOAD)[1])
    result = work.work(job, work.Kept())
    (folder / "optimizer.py").rename(tmp_path / "kept.py")
    with pytest.raises(ValueError, match=r"another optimizer's file was put into this study while cohort 1"):
        commit(job, result)
    (tmp_path / "kept.py").rename(folder / "optimizer.py")
    assert commit(job, result)
    again = studies.read_trials(folder)
    assert_frame_equal(trials.drop("cohort_seconds"), again.drop("cohort_seconds"), check_exact=True)


def test_a_workload_that_an_engine_has_is_not_loaded_again(whole, populations):
    kept = work.Kept(populations)
    (name,) = set(whole["workload"])
    assert any(work.load(name, None, kept) is engine.workload for engine in populations.values())


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


def test_a_process_that_is_killed_while_it_writes_its_claim_keeps_nobody_waiting(tmp_path):
    program = (
        "import pathlib, resource, signal, sys; from tuning.execution.claims import Claims; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "Claims(pathlib.Path(sys.argv[1])).take('a/b', 0)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGXFSZ  # at the first byte
    with Claims(tmp_path) as claims:
        assert claims.take("a/b", 0)


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
