"""What every executor promises, one row each: no number changes, and what is lost is trained again.

A new executor is a row of `CONTRACT`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from results import studies
from results.studies import Programs
from submissions.points import Point
from tuning.execution import coordinate, executors, making, work
from tuning.execution.executors import EXECUTORS
from tuning.execution.jobs import SentFile, WorkerLost
from tuning.execution.stopping import Stop
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import own_files

WORKLOAD = "taskset/quadratic_family_seed3"
POINTS = [Point(str(i), {"learning_rate": 10.0 ** (-3 + i / 2)}) for i in range(6)]
TOLD_APART = ("cohort_seconds", "command")
SECONDS = 120  # that anything may take: a machine that has much to do is slow, and no reason to fail
SGD = """
import os
import pathlib
import signal
import time

import optax
import submissions

@submissions.register("{name}", learning_rate=(1e-4, 1.0, "log"))
def {name}(hyperparameters, total_steps):
    sgd = optax.sgd(hyperparameters["learning_rate"])
    marks = pathlib.Path("{marks}")

    def once(mark):
        with open(marks / "tries", "a") as file:
            file.write(".")
        try:
            (marks / mark).touch(exist_ok=False)
            return True
        except FileExistsError:
            return False

    def update(updates, state, params=None):  # what it does happens where it trains
        {does}
        return sgd.update(updates, state, params)

    return optax.GradientTransformation(sgd.init, update)
"""
DIES = "if once('died'): os.kill(os.getpid(), signal.SIGKILL)"
HANGS = "if once('hung'): time.sleep(600 if {process} else 4)"
HOLDS = """if once('held'):
            while not (marks / 'go').exists(): time.sleep(0.02)"""
RAISES = "if once('raised') or True: raise ValueError('no such schedule')"


@dataclasses.dataclass(frozen=True)
class Row:
    """How an executor is tried.

    Attributes:
      start: folder for its own use -> context of what `tune` takes, and for the command line.
      process: jobs are done by another process than the one that asks.
      waits: an executor that notices a job that hangs.
      late: folder of an executor -> context in which it has one more worker; None: nobody can join.
    """

    start: Callable[[Path], AbstractContextManager[dict[str, Any]]]
    process: bool = True
    waits: bool = True
    late: Callable[[Path], AbstractContextManager[Any]] | None = None


def here(name: str, workers: int | None = None):
    @contextlib.contextmanager
    def start(private):
        yield {"executor": name, "workers": workers}

    return start


@contextlib.contextmanager
def shared_folder(private):
    """One worker for a coordinator, on one machine."""
    with worker(private / "jobs"):
        yield {"executor": "folder", "options": {"folder": private / "jobs"}}


@contextlib.contextmanager
def worker(folder, *more):
    """`shortlist worker` on a folder, told to stop at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "shortlist.cli", "worker", str(folder), *more],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


CONTRACT = {
    "inline": Row(here("inline"), process=False, waits=False),
    "threads": Row(here("threads", 2), process=False),
    "processes": Row(here("processes", 2)),
    "folder": Row(shared_folder, late=lambda private: worker(private / "jobs")),
}


def test_every_executor_is_under_contract():
    assert {*CONTRACT, "ray"} == set(
        EXECUTORS
    )  # Ray starts once, for all tests of test_ray, which has these too


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Compiled programs, for all processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


@pytest.fixture(scope="module", params=CONTRACT)
def tried(request, tmp_path_factory, cache):
    """(row, what `tune` takes); workers that can be kept are kept for all tests."""
    row = CONTRACT[request.param]
    with row.start(tmp_path_factory.mktemp(request.param)) as how:
        yield row, how


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """An optimizer of a user's own, in a file; nothing befalls it."""
    return optimizer_file(tmp_path_factory.mktemp("calm"), "calm")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, calm, cache):
    """What everybody must come to."""
    folder = tmp_path_factory.mktemp("whole") / "s"
    return tune(folder, study(folder, calm), executor="inline")


def study(folder, optimizer):
    """A study of three cohorts."""
    return plan(
        name=folder.name, workloads=(WORKLOAD,), strategy="list", points=POINTS, optimizer=optimizer,
        cohort_size=2, steps=20, eval_period=10,
    )  # fmt: skip


def optimizer_file(folder, name, does="pass"):
    file = folder / f"{name}.py"
    file.write_text(SGD.format(name=name, does=does, marks=folder))
    return f"{file}:{name}"


def job(folder, mine, number=0, needs=None):
    """One cohort of a study, which has the optimizer's file as `tune` would have written it."""
    file = Path(mine.rpartition(":")[0])
    spec = dataclasses.replace(study(folder, mine), programs={WORKLOAD: Programs(2, 1)})
    sent = SentFile(str(file), own_files.sha256(file.read_bytes()), file.read_bytes())
    folder.mkdir()
    (folder / "optimizer.py").write_bytes(sent.content)
    make = making.maker(folder, spec, needs, optimizer_file=sent)
    return make(WORKLOAD, spec.cohorts(POINTS, WORKLOAD)[number])


def until(condition, seconds=SECONDS):
    """What a condition gives, as soon as that is something."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)
    return value


@contextlib.contextmanager
def on_one_core():
    """Holds this process, and all that it has started, to one core: those whom an executor keeps too."""
    before, core = {}, min(os.sched_getaffinity(0))
    for process in descendants(os.getpid()):
        for thread in Path(f"/proc/{process}/task").glob("*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                before[int(thread.name)] = os.sched_getaffinity(int(thread.name))
                os.sched_setaffinity(int(thread.name), {core})
    try:
        yield
    finally:
        for thread, cores in before.items():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, cores)


def descendants(process):
    """A process and all below it."""
    found = [process]
    for one in found:
        for thread in Path(f"/proc/{one}/task").glob("*"):
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def tries(folder):
    return len((folder / "tries").read_text())


def assert_same_numbers(trials, whole, *more):
    told_apart = (*TOLD_APART, *more)
    assert_frame_equal(trials.drop(told_apart), whole.drop(told_apart), check_exact=True)


def test_two_workers_on_one_core_give_the_numbers_of_one(tried, tmp_path, whole, calm):
    row, how = tried
    with contextlib.ExitStack() as ends:
        if row.late is not None:
            private = how["options"]["folder"].parent
            ends.enter_context(row.late(private))
            until(lambda: len(list((private / "jobs" / "workers").glob("*"))) == 2)
        ends.enter_context(on_one_core())
        trials = tune(tmp_path / "s", study(tmp_path / "s", calm), **how)
    assert_same_numbers(trials, whole)
    assert set(trials["host"]) == set(whole["host"])
    assert sum(run.trials for run in studies.read_runs(tmp_path / "s")) == 6


def test_what_a_killed_worker_and_one_that_hangs_had_is_trained_again(tried, tmp_path, whole, monkeypatch):
    row, how = tried
    if not row.waits:
        pytest.skip("done when it is submitted")
    does = "\n        ".join([DIES, HANGS.format(process=row.process)][not row.process :])
    mine, seen = optimizer_file(tmp_path, "unlucky", does), []
    hung, ahead = tmp_path / "hung", [0.0]

    def now(clock):
        """Goes on by more than the deadline while somebody hangs; twice, should nobody have looked meanwhile."""
        if hung.exists() and not seen[-1].retries["deadline"]:
            ahead[0] = 2000.0 * ((time.time() - hung.stat().st_mtime) // 2)
        return time.monotonic() + ahead[0]

    monkeypatch.setattr(coordinate.Clock, "now", now)
    trials = tune(tmp_path / "s", study(tmp_path / "s", mine), **how, deadline=1000.0, watch=seen.append)
    assert_same_numbers(trials, whole, "optimizer")
    retries = seen[-1].retries
    assert retries["deadline"] >= 1
    assert retries["lost (crash)"] == row.process
    logged = "".join(file.read_text() for file in (tmp_path / "s" / "failures").iterdir())
    assert "it took longer than 1000 s" in logged
    assert "is tried again" in logged
    assert (hung.exists(), (tmp_path / "died").exists()) == (True, row.process)


def test_an_error_of_the_users_ends_the_run_and_is_not_tried_again(tried, tmp_path):
    _, how = tried
    mine = optimizer_file(tmp_path, "broken", RAISES)
    with pytest.raises(ValueError, match="no such schedule") as raised:
        tune(tmp_path / "s", study(tmp_path / "s", mine), **how)
    assert tries(tmp_path) <= 3  # cohorts may have begun together, and none is begun twice
    (log,) = (tmp_path / "s" / "failures").iterdir()
    assert any(str(log) in note for note in raised.value.__notes__)
    assert "broken.py" in log.read_text()
    assert not [path for path in (tmp_path / "s" / "claims").rglob("*") if path.is_file()]


def test_a_changed_optimizer_is_refused_once_a_trial_is_there(tried, tmp_path, whole, calm):
    _, how = tried
    folder, file = tmp_path / "s", tmp_path / "changed.py"
    file.write_text(Path(calm.rpartition(":")[0]).read_text())
    mine = f"{file}:calm"
    stop = Stop()
    tune(
        folder, study(folder, mine), progress=lambda _, done, total: done and stop.set(), stop=stop, workers=1
    )
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(ValueError, match=r"changed\.py: has changed since this study's first trial"):
        tune(folder, study(folder, mine), **how)
    assert len(studies.read_trials(folder)) == 2


def test_of_late_and_duplicate_results_the_first_stays(tried, tmp_path):
    row, how = tried
    # A thread that was given up goes on and answers late; a process is ended, as in the test of those that hang.
    goes_on = row.waits and not row.process
    one = job(tmp_path / "s", optimizer_file(tmp_path, "slow", HOLDS if goes_on else "pass"))
    path = studies.cohort_path(tmp_path / "s", WORKLOAD, 0)
    workers = how.get("workers") and 1  # the same one does both
    with closing(executors.start(how["executor"], workers, work.Kept(), how.get("options"))) as executor:
        if goes_on:
            late = executor.submit(one)
            until(lambda: (tmp_path / "held").exists() and late.running())
            executor.abandon(late)
            assert isinstance(late.exception(SECONDS), WorkerLost)
            (tmp_path / "go").touch()
        results = [future.result(SECONDS) for future in [executor.submit(one) for _ in range(2)]]
        assert coordinate.commit(one, results[0])
        first = path.read_bytes()
    assert not coordinate.commit(one, results[1])
    assert path.read_bytes() == first
    path.unlink()
    assert coordinate.commit(one, results[1])
    other = path.read_bytes()
    frames = [pl.read_parquet(content) for content in (first, other)]
    assert_frame_equal(*(frame.drop(TOLD_APART) for frame in frames), check_exact=True)


@pytest.mark.slow
def test_a_worker_that_joins_late_trains_what_waits(tried, tmp_path, whole, calm):
    row, how = tried
    if row.late is None:
        pytest.skip("nobody joins")
    options, trained = {"folder": tmp_path / "jobs"}, []
    asks = threading.Thread(
        target=lambda: trained.append(
            tune(tmp_path / "s", study(tmp_path / "s", calm), executor=how["executor"], options=options)
        )
    )
    asks.start()
    until(lambda: list((tmp_path / "jobs" / "jobs").glob("*")))
    with row.late(tmp_path):
        asks.join(SECONDS)
    assert_same_numbers(trained[0], whole)


def test_a_killed_coordinator_goes_on_where_it_was(tried, tmp_path, whole, calm):
    row, how = tried
    if not row.process:
        pytest.skip("the next one is for these; test_kill kills one of threads by default too")
    assert_same_numbers(killed_and_resumed(tmp_path, calm, how), whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in CONTRACT.items() if not row.process])
def test_a_killed_coordinator_that_trains_itself_goes_on_where_it_was(name, tmp_path, whole, calm):
    assert_same_numbers(killed_and_resumed(tmp_path, calm, {"executor": name}), whole)


def killed_and_resumed(tmp_path, optimizer, how):
    """The trials of a study whose process is killed after the first cohort, and which this one ends."""
    folder = tmp_path / "s"
    (tmp_path / "how.json").write_text(json.dumps(how, default=str))
    program = (
        "import json, sys; from pathlib import Path; from tests.tuning.test_contract import study; "
        "from tuning.studies.tune import tune; folder = Path(sys.argv[1]); how = json.load(open(sys.argv[2])); "
        "tune(folder, study(folder, sys.argv[3]), **how)"
    )
    doomed = subprocess.Popen([sys.executable, "-c", program, folder, tmp_path / "how.json", optimizer])
    while not list((folder / "trials").rglob("[0-9]*.parquet")) and doomed.poll() is None:
        time.sleep(0.005)
    doomed.kill()
    assert doomed.wait() == -signal.SIGKILL
    return tune(folder, study(folder, optimizer), **how)
