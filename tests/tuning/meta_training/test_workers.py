"""A learner with workers: one result, however many there are and whoever is killed; what an asynchronous one takes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import jax
import numpy as np
import pytest

from submissions.api import checkpoints
from tests.tuning.meta_training.test_meta_train_command import run
from tuning.execution import executors, work
from tuning.execution.jobs import Result, WorkerLost, job_from_json
from tuning.meta_training.asynchronous import Gathering
from tuning.meta_training.distribution import listed
from tuning.meta_training.estimators import FullES, PersistentES
from tuning.meta_training.learner import Learner
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths
from tuning.meta_training.training import MetaTraining
from tuning.meta_training.workers import Workers

NAMES = ["taskset/quadratic_family_seed1", "taskset/quadratic_family_seed3"]


def plan(estimator=PersistentES(window=5), **other):  # noqa: B008
    how = {
        "tasks": 2,
        "offset": 10,
        "seed": 3,
        "learner": Learner(0.03),
        "estimators": 2,
        "resample_every": 3,
    }
    if isinstance(estimator, FullES):
        del how["offset"]
    return Plan("learnable_adam", listed(NAMES[:1]), estimator, Lengths(10, 20), **how | other)


def trained(folder, asked, steps, how=None, **options):
    """The weight file after so many steps."""
    with contextlib.nullcontext() if how is None else Workers(*how) as workers:
        training = MetaTraining(asked, folder, workers=workers, parts=1)
        training.run(steps, record_every=1, **options)
        assert training.outer_step == steps
    return (folder / "weights.msgpack").read_bytes()


def rows(folder):
    return [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]


def worker_processes(of=None):
    """Ids of processes that make estimates for a process."""
    found = []
    for thread in Path(f"/proc/{of or os.getpid()}/task").glob("*"):
        with contextlib.suppress(OSError):
            for pid in (thread / "children").read_text().split():
                if b"executors._worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


class Lossy:
    """An executor of one worker that is lost after every second estimate, with the result and all that it had."""

    ahead, device, workers = 0, None, 1

    def __init__(self, workers, kept, options):
        self.lost = 0

    def submit(self, job):
        future: Future = Future()
        future.set_running_or_notify_cancel()
        result = work.work(job_from_json(json.loads(json.dumps(job.to_json()))), work.Kept())
        self.lost += 1
        if self.lost % 2:
            future.set_exception(WorkerLost("it is gone", "host"))
        else:
            future.set_result(Result.from_json(json.loads(json.dumps(result.to_json()))))
        return future

    def abandon(self, future):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def alive():
    """Holds programs, so that all tests here compile the same ones once."""
    held = MetaTraining(plan(), parts=1)
    held.step()
    return held


def test_a_lost_worker_costs_no_number_and_workers_give_those_of_one_process(tmp_path, monkeypatch, alive):
    monkeypatch.setitem(executors.EXECUTORS, "processes", executors.Row(Lossy, "tests"))
    asked = plan(per_step=1)  # the other estimator begins later, with weights that are kept for it
    whole = trained(tmp_path / "whole", asked, 4)
    assert trained(tmp_path / "lost", asked, 4, ("processes", 1)) == whole
    assert (tmp_path / "lost" / "failures").is_dir()  # says which worker was lost
    assert_same_numbers(rows(tmp_path / "lost"), rows(tmp_path / "whole"))
    # A training goes on with other workers, or without, where it was.
    for steps, how in ((1, ("inline",)), (2, None), (3, ("threads", 2)), (4, None)):
        found = trained(tmp_path / "there and back", asked, steps, how)
    assert found == whole


def assert_same_numbers(some, others):
    numbers = ("outer_step", "meta_loss", "gradient_norm", "inner_steps", "workloads", "accepted", "refused")
    assert [[row[n] for n in numbers] for row in some] == [[row[n] for n in numbers] for row in others]


@pytest.mark.slow
def test_a_worker_process_that_is_killed_costs_no_number(tmp_path):
    asked, killed = plan(per_step=1), []

    def kill(what, done, total):
        if done == 3:
            killed.extend(worker_processes())
            os.kill(killed[0], signal.SIGKILL)

    whole = trained(tmp_path / "whole", asked, 6)
    assert trained(tmp_path / "killed", asked, 6, ("processes", 1), progress=kill) == whole
    assert killed
    assert_same_numbers(rows(tmp_path / "killed"), rows(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [PersistentES(window=5), FullES()], ids=["windows", "whole"])
def test_one_two_and_four_workers_give_the_numbers_of_none(tmp_path, estimator):
    asked = plan(estimator, estimators=4, tasks=4)

    def made(name, how):
        with contextlib.nullcontext() if how is None else Workers(*how) as workers:
            training = MetaTraining(asked, tmp_path / name, workers=workers, parts=2)
            training.run(6, record_every=2)
        return (tmp_path / name / "weights.msgpack").read_bytes()

    whole = made("none", None)
    for count in (1, 2, 4):
        assert made(f"{count}", ("processes", count)) == whole


class Delayed:
    """An executor that returns three results at a time, in the order 2, 1, 3; beyond the ninth, each at once."""

    ahead, device = 0, None

    def __init__(self, workers, kept, options):
        self.workers, self._kept = workers, kept
        self._made: list[tuple[Future, object]] = []
        self._count = 0

    def submit(self, job):
        future: Future = Future()
        future.set_running_or_notify_cancel()
        self._made.append((future, work.work(job, self._kept)))
        self._count += 1
        if len(self._made) == 3 or self._count > 9:
            for one, result in reversed(self._made):
                one.set_result(result)
            self._made.clear()
        return future

    def abandon(self, future):
        pass

    def close(self):
        pass


def asynchronously(folder, monkeypatch, staleness, batch=1):
    monkeypatch.setitem(executors.EXECUTORS, "threads", executors.Row(Delayed, "tests"))
    asked = plan(FullES(multiple=5), estimators=3, per_step=batch, resample_every=None)
    said = []
    with Workers("threads", 3, asynchronous=True, staleness=staleness) as workers:
        training = MetaTraining(asked, folder, workers=workers, parts=1, say=said.append)
        training.run(6, record_every=3)
    return rows(folder), workers


def test_a_gradient_that_comes_too_late_is_refused_and_counted(tmp_path, monkeypatch):
    # Three workers are given the weights of one step, and each gradient makes a step: the second is one step late, the
    # third two, which is beyond the bound.
    found, workers = asynchronously(tmp_path / "one", monkeypatch, staleness=1)
    assert found[0] == {"outer_step": 0, "changed": {"asynchronous": [False, True], "staleness": [0, 1]}}
    assert [(row["accepted"], row["refused"]) for row in found[1:]] == [(3, 1), (3, 2)]
    assert [row["staleness"] for row in found[1:]] == [pytest.approx(1 / 3), 1]
    assert workers.seen.said == "6 gradients accepted, 3 refused"
    found, _ = asynchronously(tmp_path / "more", monkeypatch, staleness=2)
    assert [(row["accepted"], row["refused"]) for row in found[1:]] == [(3, 0), (3, 1)]


def test_the_bound_of_staleness_holds_again_when_a_batch_is_gathered():
    gathering = Gathering(staleness=3)
    assert [gathering.put(step, step, now=4) for step in (0, 1, 4, 5)] == [False, True, True, False]
    assert gathering.batch(3, now=4) is None
    gathering.staleness = 1  # it was changed
    assert gathering.batch(1, now=4) == [(4, 4)]
    assert gathering.refused == 3


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("--workers", "2"), "--workers is of workers; give an --executor"),
        (("--asynchronous",), "--asynchronous is of workers; give an --executor"),
        (("--executor", "inline", "--asynchronous"), "choose another to be asynchronous"),
        (("--executor", "threads", "--staleness", "3"), "staleness is of an asynchronous training"),
        (("--executor", "thread"), "unknown executor 'thread'; did you mean 'threads'"),
        (("--parts", "3"), "parts is 3; must divide the 16 tasks"),
    ],
)
def test_what_workers_cannot_do_is_explained(tmp_path, how, said):
    made = run(
        "meta-train", "--optimizer", "learnable_sgd", "--workload", NAMES[0], "--outer-steps", 2, "--out",
        tmp_path / "out", *how,
    )  # fmt: skip
    assert isinstance(made.exception, ValueError)
    assert said in str(made.exception)
    assert not (tmp_path / "out").exists()


COMMAND = [
    sys.executable, "-m", "shortlist.cli", "meta-train", "--optimizer", "learnable_adam", "--workload", NAMES[0],
    "--workload", NAMES[1], "--tasks", "2", "--length", "20", "--unroll", "5", "--record-every", "2",
    "--checkpoint-seconds", "0", "--estimators", "2", "--resample-every", "10", "--parts", "1",
]  # fmt: skip


def until(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [(), ("--asynchronous", "--staleness", "3")], ids=["synchronous", "asynchronous"]
)
def test_a_learner_and_its_workers_may_be_killed_at_any_moment(tmp_path, more):
    steps, workers = ("--outer-steps", "400"), ("--executor", "processes", "--workers", "2", *more)
    killed = tmp_path / "killed"
    command = [*COMMAND, *steps, *workers, "--out", str(killed)]
    record = killed / "record.jsonl"

    def lines():
        return record.read_bytes().count(b"\n") if record.exists() else 0

    def run_until_killed(victim, after):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(lambda: lines() >= after and len(worker_processes(process.pid)) == 2, process)
        of_learner = worker_processes(process.pid)
        os.kill(of_learner[0] if victim == "worker" else process.pid, signal.SIGKILL)
        if victim == "worker":  # it is made good for, and the learner goes on
            there = lines()
            until(lambda: lines() > there, process)
            process.kill()
        process.wait()
        assert lines() < 200, "it had come to its end"
        until_gone(of_learner)

    for number, victim in enumerate(["worker", "learner"]):
        run_until_killed(victim, 5 * number + 3)
    subprocess.run(command, check=True, capture_output=True)
    found = [row for row in rows(killed) if "changed" not in row]
    assert [row["outer_step"] for row in found] == list(range(2, 401, 2))
    assert sum(row["accepted"] for row in found) == 800
    if not more:
        subprocess.run([*COMMAND, *steps, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
        name = "weights.msgpack"
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def until_gone(pids):
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "workers outlive their learner"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_folder_of_jobs_serves_a_learner(tmp_path):
    asked, jobs = plan(), tmp_path / "jobs"
    whole = trained(tmp_path / "whole", asked, 4)
    worker = subprocess.Popen([sys.executable, "-m", "shortlist.cli", "worker", str(jobs), "--workers", "1"])
    try:
        with Workers("folder", options={"folder": jobs}) as workers:
            training = MetaTraining(asked, tmp_path / "sent", workers=workers, parts=1)
            training.run(4, record_every=1)
    finally:
        worker.kill()
        worker.wait()
    assert (tmp_path / "sent" / "weights.msgpack").read_bytes() == whole


def test_a_checkpoint_of_the_former_layout_is_read(tmp_path, alive):
    asked = plan(resample_every=None)
    whole = trained(tmp_path / "whole", asked, 2)
    training = MetaTraining(asked, tmp_path / "former", parts=1)
    training.run(1, record_every=1)
    former = tmp_path / "former" / "checkpoint_1.npz"
    kept = checkpoints.kept(former)
    arrays = (training.learning, carried_trees(training))
    kept = {name: kept[name] for name in ("outer_step", "inner_steps", "drawn_at", "rows")}
    checkpoints.save(tmp_path / "former", 1, arrays, kept, keep_others=False)
    assert trained(tmp_path / "former", asked, 2) == whole


def carried_trees(training):
    """What estimators carry, with names, as the former layout had it."""
    return [
        [{f"{i:03d}": np.asarray(x) for i, x in enumerate(jax.tree.leaves(arrays))} for arrays in parts]
        for parts, _ in (training._estimators.kept(number) for number in range(2))
    ]
