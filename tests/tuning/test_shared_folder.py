"""The folder in which a coordinator and its workers meet: leases, results, hellos. Nothing is trained here."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
import time

import pytest

from tests.tuning.simulated_cluster import jobs
from tuning.execution.executors import executor, folder_worker
from tuning.execution.executors.folder_worker import serve
from tuning.execution.jobs import Done, Needs, Refused, Result, WorkerLost
from tuning.execution.stopping import Stop

HERE = Needs({"jax": "0.2"}, "00ff", "cpu")


class Process:
    """In the place of a process that trains.

    Attributes:
      ends: what a job comes to: a result, an error, or None for a hang until it is killed, or asked to save and end.
    """

    def __init__(self, ends=()):
        self.ends, self.killed, self.jobs, self.asked = list(ends), threading.Event(), [], ""

    def here(self):
        return HERE, "cpu × 1"

    def work(self, job, name):
        self.jobs.append(job)
        end = self.ends.pop(0) if self.ends else result(job)
        if end is None:
            assert self.killed.wait(60)
            self.killed.clear()
            if self.asked == name:
                return result(job)
            raise WorkerLost("killed")
        if isinstance(end, Exception):
            raise end
        return end

    def kill(self):
        self.killed.set()

    end = kill

    def interrupt(self, name):
        self.asked = name
        self.killed.set()


def result(job):
    return Result(b"bytes of " + str(job).encode(), Done(len(job.cohort.points), host="h", device="cpu"))


@pytest.fixture
def folder(tmp_path):
    """(start an executor, start a worker); all are ended."""
    executors, workers, stop = [], [], Stop()

    def coordinator(**options):
        executors.append(
            executor("folder").start(None, None, {"folder": tmp_path / "jobs", "lease": 60.0} | options)
        )
        return executors[-1]

    def worker(process, **how):
        ended = []

        def run():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(folder_worker, "WorkerProcess", lambda *_: process)
                try:
                    ended.append(serve(tmp_path / "jobs", stop=stop, **how))
                except Exception as error:
                    ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        workers.append((thread, process))
        return thread, ended

    yield tmp_path / "jobs", coordinator, worker
    stop.set()
    for thread, process in workers:
        process.kill()
        thread.join(10)
    for one in executors:
        one.close()


def until(what):
    for _ in range(3000):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_a_worker_that_joins_late_does_what_waits_and_ends_when_told(folder, tmp_path):
    path, coordinator, worker = folder
    asks, (job, *_) = coordinator(), jobs(tmp_path, 1)
    future = asks.submit(dataclasses.replace(job, needs=HERE))
    assert (asks.workers, future.running()) == (0, False)
    process = Process()
    thread, ended = worker(process)
    assert future.result(30) == result(job)
    until(lambda: asks.workers == 1)
    (path / "stop").touch()
    thread.join(30)
    assert ended == [1]
    until(lambda: asks.workers == 0)
    assert [kind for kind in ("jobs", "leases", "results", "workers") if os.listdir(path / kind)] == []
    with pytest.raises(ValueError, match="stop: is there, so that workers end; remove it"):
        coordinator()


def test_what_a_job_raises_is_raised_and_a_killed_process_is_a_lost_worker(folder, tmp_path):
    _, coordinator, worker = folder
    asks = coordinator()
    worker(Process([ValueError("no such schedule"), WorkerLost("ended with status -9")]), once=True)
    first, second, third = (asks.submit(job) for job in jobs(tmp_path, 3))
    ends = {type(one.exception(30)).__name__ for one in (first, second, third)}
    assert ends == {"ValueError", "WorkerLost", "NoneType"}


def test_a_job_that_is_given_up_ends_its_process_and_its_late_result_is_nobodys(folder, tmp_path):
    path, coordinator, worker = folder
    asks, process, (job, *_) = coordinator(), Process([None]), jobs(tmp_path, 1)
    worker(process)
    future = asks.submit(job)
    until(future.running)
    (name,) = os.listdir(path / "leases")
    asks.abandon(future)
    assert isinstance(future.exception(30), WorkerLost)
    until(lambda: not process.killed.is_set() and process.jobs)  # it was told, and has ended
    late = path / "results" / f"{name}.json"
    late.write_text(json.dumps({"worker": "w", "result": result(job).to_json()}))
    assert asks.submit(job).result(30) == result(job)  # by the same worker
    until(lambda: not late.exists())


def test_an_interrupt_reaches_who_has_a_job_and_drops_one_that_nobody_has(folder, tmp_path):
    path, coordinator, worker = folder
    asks, (one, other) = coordinator(), jobs(tmp_path, 2)
    process = Process([None])
    worker(process)
    first = asks.submit(dataclasses.replace(one, needs=HERE))
    until(first.running)
    second = asks.submit(dataclasses.replace(other, needs=HERE))
    for _ in range(2):  # as the coordinator does, again and again
        for future in (first, second):
            asks.interrupt(future)
    assert first.result(30) == result(one)
    dropped = second.exception(30)
    assert isinstance(dropped, WorkerLost)
    assert dropped.cause == "unsent"
    assert process.jobs == [dataclasses.replace(one, needs=HERE)]
    asks.close()
    assert [kind for kind in ("jobs", "leases", "results", "stops") if os.listdir(path / kind)] == []


def test_a_lease_that_nobody_touches_is_taken_back(folder, tmp_path):
    path, coordinator, _ = folder
    asks, (job, *_) = coordinator(), jobs(tmp_path, 1)
    future = asks.submit(job)
    (name,) = os.listdir(path / "jobs")
    lease = path / "leases" / name.removesuffix(".json")
    lease.write_text('{"host": "far-away", "pid": 1, "started": 1}')
    until(future.running)
    assert not future.done()
    an_hour_ago = time.time() - 3600
    os.utime(lease, (an_hour_ago, an_hour_ago))
    lost = future.exception(30)
    assert isinstance(lost, WorkerLost)
    assert (lost.cause, lost.worker) == ("host", "far-away:1")
    assert not lease.exists()
    assert not os.listdir(path / "jobs")


def test_a_worker_that_differs_refuses_ends_and_leaves_the_job_to_others(folder, tmp_path):
    path, coordinator, worker = folder
    asks, (job, *_) = coordinator(), jobs(tmp_path, 1)
    future = asks.submit(dataclasses.replace(job, needs=dataclasses.replace(HERE, device="gpu H200")))
    thread, ended = worker(Process())
    thread.join(30)
    said = r"cohort 0 of clicks/mlp: refused by .*: the device is 'cpu' here, must be 'gpu H200'"
    with pytest.raises(Refused, match=said):
        raise ended[0]
    with pytest.raises(Refused, match=said):  # there was no other
        future.result(30)
    assert not os.listdir(path / "leases")


def test_what_a_killed_coordinator_left_is_removed_by_the_next(folder):
    path, coordinator, _ = folder
    coordinator()
    gone = json.dumps({"host": os.uname().nodename, "pid": 4194304, "started": 1})
    for kind, name in (
        ("coordinators", "dead"),
        ("jobs", "dead-1.json"),
        ("results", "dead-2.json"),
        ("leases", "dead-3"),
    ):
        (path / kind / name).write_text(gone)
    (path / "workers" / "w.json").write_text(gone)
    coordinator()
    assert len(os.listdir(path / "coordinators")) == 2
    assert [kind for kind in ("jobs", "leases", "results", "workers") if os.listdir(path / kind)] == []


def test_a_folder_that_is_none_of_ours_or_open_to_anybody_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(ValueError, match=r"not empty, and no folder of jobs"):
        serve(tmp_path)
    (tmp_path / "mine.txt").unlink()
    tmp_path.chmod(0o777)
    with pytest.raises(ValueError, match="anybody may write into it, and so have code run by workers"):
        serve(tmp_path)
