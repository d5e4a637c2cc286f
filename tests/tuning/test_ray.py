"""Jobs on Ray: all tests that need it are here, for it takes long to start. Most share one of two workers."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tests.tuning import ray_cluster, test_contract
from tests.tuning.hosts import processes_of, two_hosts  # noqa: F401  (a fixture)
from tests.tuning.meta_training import test_workers
from tuning.execution import executors, work
from tuning.execution.executors.on_ray import surroundings
from tuning.execution.jobs import OutOfMemory, Refused, WorkerLost
from tuning.studies.tune import tune

# The contract, with this file's `tried`.
from tests.tuning.test_contract import (  # isort: skip
    SECONDS,
    WORKLOAD,
    Row,
    assert_same_numbers,
    cache,  # noqa: F401
    calm,  # noqa: F401
    optimizer_file,
    study,
    test_a_changed_optimizer_is_refused_once_a_trial_is_there,  # noqa: F401
    test_a_killed_coordinator_goes_on_where_it_was,  # noqa: F401
    test_an_error_of_the_users_ends_the_run_and_is_not_tried_again,  # noqa: F401
    test_of_late_and_duplicate_results_the_first_stays,  # noqa: F401
    test_two_workers_on_one_core_give_the_numbers_of_one,  # noqa: F401
    test_what_a_killed_worker_and_one_that_hangs_had_is_trained_again,  # noqa: F401
    until,
    whole,  # noqa: F401
)

pytest.importorskip("ray")

NAMES = itertools.count()
HOLD = """\
begun, go = pathlib.Path("{0}.begun"), pathlib.Path("{0}.go")
begun.write_text(str(os.getpid()))
while not go.exists():
    time.sleep(0.02)
"""


def job(folder, first="pass", number=0, needs=None):
    """A cohort of two trials whose worker does something first."""
    name = f"job_{next(NAMES)}"
    mine = optimizer_file(folder, name, textwrap.indent(first, 8 * " ").strip())
    return test_contract.job(folder / name, mine, number, needs)


class Lent:
    """An executor that outlives the study that it is lent to."""

    def __init__(self, executor):
        self._executor = executor

    def __getattr__(self, name):
        return getattr(self._executor, name)

    def close(self):
        pass


@contextlib.contextmanager
def started(*, workers=None, **options):
    """An executor of our own, and the folders that Ray has while it is there."""
    before = our_folders()
    with contextlib.closing(executors.start("ray", workers, work.Kept(), options)) as executor:
        yield executor, our_folders() - before


def our_folders():
    return set(Path(tempfile.gettempdir()).glob("shortlist-ray-*"))


@pytest.fixture(scope="module")
def own(cache):  # noqa: F811
    """A Ray of our own with two workers, and its folder."""
    homes = Path.home() / ".ray", Path("/tmp/ray")
    there = [home.exists() for home in homes]
    with started(workers=2) as (executor, folders):
        (folder,) = folders
        until(lambda: executor.workers == 2)
        yield executor, folder
    assert not folder.exists()
    assert [home.exists() for home in homes] == there
    assert not processes_of(folder)


@pytest.fixture
def tried(own, monkeypatch):
    """The executor of `own`, for the tests of the contract."""
    row = executors.Row(lambda workers, kept, options: Lent(own[0]), "tests")
    monkeypatch.setitem(executors.EXECUTORS, "ray", row)
    # The workers are for a coordinator that is killed: it has a Ray of its own.
    return Row(start=None), {"executor": "ray", "workers": 1}


@pytest.fixture
def ray(own):
    return own[0]


def test_it_is_under_the_whole_contract():
    contract = {name for name in vars(test_contract) if name.startswith("test_")}
    elsewhere = {
        "test_every_executor_is_under_contract",
        "test_a_worker_that_joins_late_trains_what_waits",  # here it is a node
        "test_a_killed_coordinator_that_trains_itself_goes_on_where_it_was",
    }
    assert contract - elsewhere <= set(globals())


def addresses(processes):
    """Where processes listen, as hexadecimal digits."""
    sockets = set()
    for process in processes:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(file))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                found.add(local.partition(":")[0])
    return found


def test_what_a_job_raises_is_raised_here(ray, tmp_path):
    with pytest.raises(ValueError, match="no such schedule") as raised:
        ray.submit(job(tmp_path, 'raise ValueError("no such schedule")')).result(SECONDS)
    assert "a worker on Ray" in raised.value.__notes__[0]
    with pytest.raises(OutOfMemory, match="all of it"):
        ray.submit(job(tmp_path, 'raise RuntimeError("RESOURCE_EXHAUSTED: all of it")')).result(SECONDS)
    needs = dataclasses.replace(work.here(), device="gpu Abacus")
    with pytest.raises(Refused, match="device is 'cpu' here, must be 'gpu Abacus'") as refused:
        ray.submit(job(tmp_path, needs=needs)).result(SECONDS)
    assert refused.value.worker


def test_a_lost_worker_says_why_and_a_job_that_never_began_says_so(ray, tmp_path):
    held = [ray.submit(job(tmp_path, HOLD.format(tmp_path / str(i)), i)) for i in range(2)]
    one, other = (int(until(lambda i=i: read(tmp_path / f"{i}.begun"))) for i in range(2))
    os.kill(one, signal.SIGKILL)
    with pytest.raises(WorkerLost, match=f":{one}: ") as lost:
        held[0].result(SECONDS)
    assert lost.value.cause == "crash"
    (tmp_path / "1.go").touch()
    assert held[1].result(SECONDS).done.trials == 2
    # A worker that has nothing to do is lost without anybody knowing; what is sent to it does not begin.
    os.kill(other, signal.SIGKILL)
    for _ in range(3):
        try:
            ray.submit(job(tmp_path)).result(SECONDS)
        except WorkerLost as error:
            assert error.cause == "unsent"  # noqa: PT017
    until(lambda: ray.workers == 2)


def read(path):
    return path.read_text() if path.exists() else ""


def test_a_worker_that_hangs_is_ended_and_replaced(ray, tmp_path):
    future = ray.submit(job(tmp_path, HOLD.format(tmp_path / "x")))
    pid = int(until(lambda: read(tmp_path / "x.begun")))
    until(future.running)
    ray.abandon(future)
    assert isinstance(future.exception(SECONDS), WorkerLost)
    until(lambda: not Path(f"/proc/{pid}").exists())
    until(lambda: ray.workers == 2)
    assert ray.submit(job(tmp_path)).result(SECONDS).done.trials == 2


def test_workers_are_pinned_and_stay_off_accelerators(ray, own, tmp_path):
    first = f"""\
import itertools
import json
what = os.environ["JAX_PLATFORMS"], os.environ["PJRT_NPROC"], os.environ["HOME"], os.environ["TMPDIR"]
pathlib.Path("{tmp_path}/what").write_text(json.dumps([sorted(os.sched_getaffinity(0)), *what]))
"""
    ray.submit(job(tmp_path, first)).result(SECONDS)
    cores, platforms, threads, home, temporary = json.loads((tmp_path / "what").read_text())
    share = len(os.sched_getaffinity(0)) // 2 or 1
    assert len(cores) == share or set(cores) == os.sched_getaffinity(0)  # where others have the rest
    assert (platforms, home) == ("cpu", str(Path.home()))
    assert int(threads) <= share + 1
    assert Path(temporary).parent == own[1]


def test_only_this_machine_can_reach_it_and_only_its_owner_reads_it(own):
    _, folder = own
    processes = processes_of(folder)
    assert len(processes) >= 4
    assert addresses(processes) <= {"0100007F", "0000000000000000FFFF00000100007F", "0" * 31 + "1"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (token,) = {
        variable.removeprefix(b"RAY_AUTH_TOKEN=")
        for variable in Path(f"/proc/{processes[0]}/environ").read_bytes().split(b"\0")
        if variable.startswith(b"RAY_AUTH_TOKEN=")
    }
    assert len(token) == 64
    for process in processes:
        assert token not in Path(f"/proc/{process}/cmdline").read_bytes()
    for file in folder.rglob("*"):
        if file.is_file():
            assert token not in file.read_bytes(), file


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^executor 'ray' needs Ray: pip install 'shortlist\[ray\]'$"):
        executors.start("ray", None, work.Kept(), {})


def test_a_clusters_token_that_others_can_read_is_refused(monkeypatch, tmp_path):
    token = tmp_path / "token"
    token.write_text("00ff")
    token.chmod(0o644)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with pytest.raises(ValueError, match=r"others can read this token .*run chmod 600"):
        executors.start("ray", None, work.Kept(), {"address": "127.0.0.1:1"})


class Node:
    """A node of a cluster on this machine."""

    def __init__(self, environment, *address, ip="127.0.0.1", prefix=()):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.tuning.ray_cluster", ip, *address],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        said = json.loads(self.process.stdout.readline())
        self.address, self.raylet = said["address"], said["raylet"]

    def end(self):
        self.process.stdin.close()
        self.process.wait(SECONDS)
        with contextlib.suppress(ProcessLookupError):  # it is in a group of its own, and may be stopped
            os.kill(self.raylet, signal.SIGKILL)


@pytest.fixture(scope="module")
def joined(cache):  # noqa: F811
    """(environment and address of a cluster of one node with one worker, an executor that has joined it)."""
    folder = surroundings.own_folder()
    environment = surroundings.of_our_own(folder, os.environ)
    first = Node(environment)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                if name.startswith("RAY_"):
                    patch.setenv(name, value)
            executor = executors.start("ray", None, work.Kept(), {"address": first.address})
        with contextlib.closing(executor):
            yield environment, first.address, executor
    finally:
        first.end()
        surroundings.remove(folder)


@contextlib.contextmanager
def both_at_work(executor, late, folder):
    """(the job of a node that joined late, that of the first one, what lets both end)."""
    until(lambda: executor.workers == 2)
    futures = {}
    for i in range(2):
        future = executor.submit(job(folder, HOLD.format(folder / str(i)), i))
        pid = until(lambda i=i: read(folder / f"{i}.begun"))
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        futures[parent == late.raylet] = future

    def go():
        for i in range(2):
            (folder / f"{i}.go").touch()

    try:
        yield futures[True], futures[False], go
    finally:
        go()


@pytest.fixture
def two_at_work(joined, tmp_path):
    """(executor, a node that joined late, the job of its worker, that of the other, what lets them end)."""
    environment, address, executor = joined
    until(lambda: executor.workers == 1)
    late = Node(environment, address)
    try:
        with both_at_work(executor, late, tmp_path) as (its, other, go):
            yield executor, late, its, other, go
    finally:
        late.end()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_node_that_is_lost_costs_what_it_had(two_at_work, number):
    executor, node, its, other, go = two_at_work
    began = time.monotonic()
    os.kill(node.raylet, number)  # stopped, it is as a host that is gone: nothing is closed, nobody answers
    lost = its.exception(SECONDS)
    print(f"{number.name}: noticed after {time.monotonic() - began:.1f} s: {lost}")
    assert isinstance(lost, WorkerLost)
    assert lost.cause in ("host", "crash")
    assert not other.done()
    go()
    assert other.result(SECONDS).done.trials == 2
    until(lambda: executor.workers == 1)


@pytest.mark.slow
def test_what_a_host_that_vanishes_had_is_done_by_the_others(two_hosts, whole, tmp_path, monkeypatch):  # noqa: F811
    one, other = two_hosts
    folder = surroundings.own_folder()
    environment = surroundings.of_our_own(folder, os.environ)
    del environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]  # it would bind all to 127.0.0.1
    for name, value in environment.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as ends:
        ends.callback(surroundings.remove, folder)
        first = Node(environment, ip=one.ip, prefix=one.inside)
        ends.callback(first.end)
        with one.entered():
            executor = executors.start("ray", None, work.Kept(), {"address": first.address})
        ends.callback(executor.close)
        second = Node(environment, first.address, ip=other.ip, prefix=other.inside)
        ends.callback(second.end)
        until(lambda: executor.workers == 2)
        row = executors.Row(lambda workers, kept, options: Lent(executor), "tests")
        monkeypatch.setitem(executors.EXECUTORS, "ray", row)
        # Whoever works there does not come to its end; a worker's parent is its raylet.
        begun = tmp_path / "begun"
        waits = f"if os.getppid() == {second.raylet}: pathlib.Path('{begun}').touch(); time.sleep(600)"
        mine = optimizer_file(tmp_path, "waits", waits)
        times = {}

        def watch(seen):
            if begun.exists() and "cut" not in times:
                times["cut"] = time.monotonic()
                other.vanish()
            if seen.retries["lost (host)"]:
                times.setdefault("noticed", time.monotonic())

        trials = tune(tmp_path / "s", study(tmp_path / "s", mine), executor="ray", watch=watch)
        seconds = times["noticed"] - times["cut"]
        print(f"noticed after {seconds:.1f} s, at a load of {os.getloadavg()[0]:.1f}")
        assert seconds < 2 * ray_cluster.SECONDS  # twice: whoever looks may have to wait for a core
        assert_same_numbers(trials, whole, "optimizer")
        assert executor.workers == 1


@pytest.mark.slow
def test_a_node_that_joins_late_trains_what_waits(joined, tmp_path, whole, calm, monkeypatch):  # noqa: F811
    environment, address, executor = joined
    until(lambda: executor.workers == 1)
    held = executor.submit(job(tmp_path, HOLD.format(tmp_path / "held")))
    until(lambda: read(tmp_path / "held.begun"))
    row = executors.Row(lambda workers, kept, options: Lent(executor), "tests")
    monkeypatch.setitem(executors.EXECUTORS, "ray", row)
    late = []
    ends = threading.Thread(target=lambda: late.append(Node(environment, address)))
    ends.start()  # while the only worker is busy
    try:
        trials = tune(tmp_path / "s", study(tmp_path / "s", calm), executor="ray")
        assert not held.done()
        (tmp_path / "held.go").touch()
        assert held.result(SECONDS).done.trials == 2
    finally:
        ends.join()
        late[0].end()
    assert_same_numbers(trials, whole)


@pytest.mark.slow
def test_a_node_that_is_told_to_go_ends_what_it_does_and_gets_nothing_more(two_at_work, tmp_path):
    executor, node, its, other, go = two_at_work
    node.process.send_signal(signal.SIGTERM)
    until(lambda: executor.workers == 1)
    go()
    assert its.result(SECONDS).done.trials == 2
    assert other.result(SECONDS).done.trials == 2
    assert executor.submit(job(tmp_path)).result(SECONDS).done.trials == 2


@pytest.mark.slow
def test_its_workers_serve_a_learner_with_the_numbers_of_one_process(tried, tmp_path):
    asked = test_workers.plan()
    alone = test_workers.trained(tmp_path / "alone", asked, 4)
    assert test_workers.trained(tmp_path / "sent", asked, 4, ("ray", 2)) == alone


@pytest.mark.slow
def test_it_needs_no_network_and_asks_for_none(tmp_path):
    """In a network of its own that has loopback and nothing else, with every connection written down."""
    if not (shutil.which("unshare") and shutil.which("strace") and os.geteuid() == 0):
        pytest.skip("needs unshare, strace and their rights")
    log = tmp_path / "strace"
    page = Path(__file__).parents[2] / "docs" / "cluster.md"
    (written,) = [line for line in page.read_text().splitlines() if line.endswith(" --executor ray")]
    command = [sys.executable, "-m", "shortlist.cli", *shlex.split(written)[1:], "--json"]
    traced = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    script = f"ip link set lo up && exec {shlex.join([*traced, *command])}"
    done = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]  # nothing of Ray's is there
    said = [line for line in log.read_text().splitlines() if "sin_addr" in line or "sin6_addr" in line]
    assert said
    outside = [line for line in said if "127.0.0.1" not in line and '"::1"' not in line]
    assert outside == []


@pytest.mark.slow
def test_ctrl_c_and_kill_leave_nothing_behind(tmp_path):
    first = f'pathlib.Path("{tmp_path}/begun").touch()\ntime.sleep(600)'
    mine = optimizer_file(tmp_path, "endless", textwrap.indent(first, 8 * " ").strip())
    for number in (signal.SIGINT, signal.SIGKILL):
        before = our_folders()
        command = [
            sys.executable, "-m", "shortlist.cli", "tune", WORKLOAD, "--strategy", "quasirandom", "--budget", "4",
            "--steps", "20", "--optimizer", mine, "--study", str(tmp_path / "s"), "--executor", "ray", "--workers", "1",
        ]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            try:
                until((tmp_path / "begun").exists)
                (folder,) = our_folders() - before
                process.send_signal(number)
                if number == signal.SIGINT:  # the first one waits for what has begun
                    while b"Ctrl-C again" not in process.stderr.readline():
                        pass
                    process.send_signal(number)
                assert process.wait(SECONDS) == (130 if number == signal.SIGINT else -9)
            finally:
                process.kill()
        until(lambda folder=folder: not folder.exists())
        until(lambda folder=folder: not processes_of(folder))
        (tmp_path / "begun").unlink()
