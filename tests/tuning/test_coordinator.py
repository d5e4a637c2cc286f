"""The coordinator as it is, in virtual time: every job done once, whatever happens, and nothing grows."""

from __future__ import annotations

import cProfile
import functools
import gc
import os
from concurrent.futures import Future

import polars as pl
import pytest

from results import studies
from tests.tuning.simulated_cluster import SPEC, WORKLOAD, Cluster, Held, Virtual, jobs
from tuning.execution import coordinate, keeping
from tuning.execution.coordinate import GaveUp, Rules, complete
from tuning.execution.jobs import Done, Refused, Result, WorkerLost
from tuning.execution.stopping import Stop

JOBS = 1000


def sealed(job):
    """The file of a cohort, as far as whoever writes it looks at it."""
    belongs = studies.belongs_to(SPEC, WORKLOAD, job.cohort, None, None)
    return studies.as_parquet(pl.DataFrame({"cohort": [job.cohort.number]}), belongs)


def run(folder, cluster, count, **more):
    written, claims = [], Held()
    done = complete(
        jobs(folder, count), cluster, claims, lambda job: written.append(job.cohort.number), Stop(),
        clock=cluster.clock, **more,
    )  # fmt: skip
    assert not claims.held
    return done, written


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch):
    """Thousands of files need not outlive this machine."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def test_200_workers_that_fail_at_random_do_every_job_once(tmp_path):
    fates = {"done": 90, "crash": 4, "vanish": 3, "hang": 1, "memory": 0.5, "unsent": 1.5}
    cluster, seen = Cluster(Virtual(), 200, fates, content=sealed), []
    done, written = run(tmp_path, cluster, JOBS, watch=seen.append)
    assert sorted(written) == list(range(JOBS))
    assert done.trials == JOBS
    assert len(list((tmp_path / "trials").rglob("*.parquet"))) == JOBS
    assert cluster.late > 0
    causes = {"lost (crash)", "lost (host)", "deadline", "out of memory", "lost (unsent)"}
    assert set(seen[-1].retries) == causes
    tried_again = sum(count for cause, count in seen[-1].retries.items() if cause != "lost (unsent)")
    assert len(cluster.began) == JOBS + tried_again
    assert not list(tmp_path.rglob("*.tmp"))


def test_10_000_jobs_grow_neither_memory_nor_what_a_job_takes(tmp_path, monkeypatch):
    """Calls are counted, of Python's and of what C has, for times differ; a container that grew would be seen too."""
    windows = [range(1000, 1200), range(9000, 9200)]
    looked_at = {number for window in windows for number in window}
    whole = coordinate.commit

    def commit(job, result):  # the others only come to be there, which is soon done
        if job.cohort.number in looked_at:
            return whole(job, result)
        return studies.write_cohort(tmp_path, WORKLOAD, job.cohort.number, b"")

    monkeypatch.setattr(keeping, "commit", commit)
    monkeypatch.setattr(os, "listdir", refused)  # folders grow, and nobody may look them through
    monkeypatch.setattr(os, "scandir", refused)
    calls, objects, done = [], [], [0]

    def written(job):
        done[0] += 1
        if any(done[0] == window.start for window in windows):
            gc.collect()
            objects.append(len(gc.get_objects()))
            calls.append(cProfile.Profile())
            calls[-1].enable()
        elif any(done[0] == window.stop for window in windows):
            calls[-1].disable()

    cluster = Cluster(
        Virtual(), 8, {"done": 1}, content=lambda job: sealed(job) if job.cohort.number in looked_at else b""
    )
    cluster.began = Forgets()
    complete(jobs(tmp_path, 10_000), cluster, Held(), written, Stop(), clock=cluster.clock)
    first, last = (sum(call.callcount for call in one.getstats()) for one in calls)
    assert last == pytest.approx(first, rel=0.02)  # workers come in another order
    assert objects[1] < 1.02 * objects[0]


def refused(*_):
    raise AssertionError("a folder that grows is looked through")


class Forgets(list):
    def append(self, _):
        pass


def test_what_kills_its_worker_alone_is_the_cohort(tmp_path):
    cluster = Cluster(Virtual(), 4, {"done": 1}, content=sealed)
    healthy = cluster._done
    cluster._done = lambda future, job, takes: (
        cluster._crash(future, job, takes) if job.cohort.number == 3 else healthy(future, job, takes)
    )
    with pytest.raises(
        GaveUp, match=r"cohort 3 of clicks/mlp lost its worker 3 times, the last time: killed"
    ):
        run(tmp_path, cluster, 8)
    assert cluster.began.count(3) == 3
    log = (tmp_path / "failures" / "clicks__mlp__00003.txt").read_text()
    assert (log.count("is tried again"), log.count("is given up")) == (2, 1)


def test_a_cohort_outlives_many_hosts(tmp_path):
    cluster = Cluster(Virtual(), 1, {"done": 1}, content=sealed)
    healthy, left = cluster._done, [9]

    def vanishes(future, job, takes):
        left[0] -= 1
        (cluster._vanish if left[0] >= 0 else healthy)(future, job, takes)

    cluster._done = vanishes
    assert run(tmp_path, cluster, 1)[0].trials == 1
    cluster._done, left[0] = vanishes, 10
    with pytest.raises(GaveUp, match="lost its worker 10 times"):
        run(tmp_path / "other", cluster, 1)


def test_a_deadline_follows_from_what_cohorts_took_and_is_tried_twice_more(tmp_path):
    assert Rules().seconds(None) is None
    assert Rules().seconds(1.0) == 120
    assert Rules().seconds(100.0) == 1000
    assert Rules(deadline=7.0).seconds(100.0) == 7
    cluster = Cluster(Virtual(), 2, {"done": 1}, content=sealed)
    healthy = cluster._done
    cluster._done = lambda future, job, takes: job.cohort.number == 5 or healthy(future, job, takes)
    with pytest.raises(
        GaveUp, match=r"cohort 5 of clicks/mlp failed 3 times, the last time: it took longer than"
    ):
        run(tmp_path, cluster, 6)
    assert cluster.began.count(5) == 3


class Scripted:
    """Gives out futures, which the test answers; that of number `pending` has not begun."""

    ahead = 0
    pending: int | None = None

    def __init__(self, workers, answer):
        self.workers, self.answer, self.futures = workers, answer, []

    def submit(self, job):
        future = Future()
        if len(self.futures) != self.pending:
            future.set_running_or_notify_cancel()
        self.futures.append(future)
        self.answer(self, job, future)
        return future

    def abandon(self, future):
        pass

    def interrupt(self, future):
        pass


def test_after_a_stop_nothing_begins_and_what_can_save_itself_is_asked_to(tmp_path):
    """The first job saves itself, the second has not begun, the third ends by itself."""
    clock, stop, begun = Virtual(), Stop(), []

    class Interruptible(Scripted):
        def interrupt(self, future):
            asked.append(self.futures.index(future))
            if asked[-1] == 0 and not future.done():
                future.set_result(Result(sealed(begun[0]), Done(1, 0, 0.0, 1.0, "here", "cpu")))
            if asked[-1] == 1:
                future.cancel()

    def answer(cluster, job, future):
        begun.append(job)
        if job.cohort.number == 2:
            result = Result(sealed(job), Done(1, 0, 0.0, 9.0, "here", "cpu"))
            clock.after(9.0, functools.partial(future.set_result, result))
            clock.after(1.0, stop.set)  # and not before all have begun

    asked, written = [], []
    executor = Interruptible(3, answer)
    executor.pending = 1
    complete(jobs(tmp_path, 5), executor, Held(), lambda job: written.append(job.number), stop, clock=clock)
    assert [job.number for job in begun] == [0, 1, 2]
    assert set(asked) == {0, 1, 2}
    assert written == [0, 2]
    assert not (tmp_path / "failures").exists()  # to have been dropped is no failure


def test_of_late_and_duplicate_results_the_first_stays(tmp_path):
    clock, late = Virtual(), []

    def answer(cluster, job, future):
        result = Result(sealed(job), Done(1, 0, 0.0, 1.0, f"host{len(cluster.futures)}", "cpu"))
        if job.cohort.number == 0 and len(cluster.futures) == 1:
            late.append((future, result))  # given up, and answers after the second attempt did
        else:
            clock.after(1.0, lambda: future.set_result(result))
            clock.after(3.0, lambda: (late and late[0][0].done()) or late[0][0].set_result(late[0][1]))

    executor, seen, claims = Scripted(1, answer), [], Held()
    done = complete(
        jobs(tmp_path, 3), executor, claims, lambda _: None, Stop(), rules=Rules(deadline=10.0), clock=clock,
        watch=seen.append,
    )  # fmt: skip
    assert done.trials == seen[-1].trials == 3
    assert late[0][0].result() is late[0][1]
    (job, *_) = jobs(tmp_path, 1)
    path = studies.cohort_path(tmp_path, WORKLOAD, 0)
    first = path.read_bytes()
    assert not coordinate.commit(job, Result(sealed(job), Done()))
    assert path.read_bytes() == first


def test_a_result_of_something_else_is_not_written(tmp_path):
    other, asked = jobs(tmp_path, 2)
    with pytest.raises(
        ValueError, match=r"result of cohort 1 of clicks/mlp does not belong to it: .*cohort = 0"
    ):
        coordinate.commit(asked, Result(sealed(other), Done()))
    whole = sealed(asked)
    with pytest.raises(ValueError, match="the result of cohort 1 of clicks/mlp has changed on its way"):
        coordinate.commit(asked, Result(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], Done()))
    assert not (tmp_path / "trials").exists()


@pytest.mark.parametrize(("refusing", "ends"), [(1, False), (2, True)])
def test_a_refusal_is_final_once_every_worker_has_refused(tmp_path, refusing, ends):
    def answer(cluster, job, future):
        number = len(cluster.futures)
        if number <= refusing:
            future.set_exception(Refused(f"jax is 0.1 here on w{number}, must be 0.2", worker=f"w{number}"))
        else:
            future.set_result(Result(sealed(job), Done(1)))

    executor = Scripted(2, answer)
    if ends:
        with pytest.raises(Refused, match=r"jax is 0\.1 here on w2"):
            complete(jobs(tmp_path, 1), executor, Held(), lambda _: None, Stop())
    else:
        assert complete(jobs(tmp_path, 1), executor, Held(), lambda _: None, Stop()).trials == 1


def test_what_this_process_refuses_is_not_tried_again_in_it(tmp_path):
    def answer(cluster, job, future):
        assert len(cluster.futures) == 1
        future.set_exception(Refused("the data are others"))

    with pytest.raises(Refused, match="the data are others"):
        complete(jobs(tmp_path, 1), Scripted(2, answer), Held(), lambda _: None, Stop())


def test_an_error_of_the_users_ends_it_at_once(tmp_path):
    def answer(cluster, job, future):
        future.set_exception(ValueError("no such schedule"))

    executor = Scripted(1, answer)
    with pytest.raises(ValueError, match="no such schedule") as raised:
        complete(jobs(tmp_path, 3), executor, Held(), lambda _: None, Stop())
    assert len(executor.futures) == 1
    assert "failures" in raised.value.__notes__[0]


def test_a_worker_that_goes_at_once_and_always_does_not_make_it_run_for_ever(tmp_path):
    def answer(cluster, job, future):
        future.set_exception(WorkerLost("it was starting", "unsent"))

    with pytest.raises(GaveUp, match="never began in 100 times"):
        complete(jobs(tmp_path, 1), Scripted(1, answer), Held(), lambda _: None, Stop())
