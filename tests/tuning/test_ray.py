"""Jobs on Ray: all tests that need it are here, for it takes long to start. Most share one of two workers."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import signal
import stat
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from results.studies import Programs
from submissions.points import Point
from tuning.execution import executors, making, work
from tuning.execution.jobs import OutOfMemory, Refused, SentFile, WorkerLost
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import own_files

pytest.importorskip("ray")

SECONDS = 120  # that anything may take: a machine that has much to do is slow, and no reason to fail
WORKLOAD = "taskset/quadratic_family_seed3"
POINTS = [Point(str(i), {"learning_rate": 10.0 ** (-3 + i / 2)}) for i in range(6)]
NAMES = itertools.count()
DIFFER = ["cohort_seconds", "device", "command"]  # and seconds: nothing else may
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

    def update(updates, state, params=None):
{first}
        return sgd.update(updates, state, params)

    return optax.GradientTransformation(sgd.init, update)
"""
HOLD = """\
begun, go = pathlib.Path("{0}.begun"), pathlib.Path("{0}.go")
begun.write_text(str(os.getpid()))
while not go.exists():
    time.sleep(0.02)
"""


def until(condition, seconds=SECONDS):
    """What a condition gives, as soon as that is something."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)
    return value


def study(folder, optimizer="sgd_optax"):
    """A study of three cohorts."""
    return plan(
        name=folder.name, workloads=(WORKLOAD,), strategy="list", points=POINTS, optimizer=optimizer,
        cohort_size=2, steps=20, eval_period=10,
    )  # fmt: skip


def optimizer_file(folder, name, first="pass"):
    """FILE.py:FUNCTION of an optimizer that does something where a step of it is traced, which is where it trains."""
    (folder / f"{name}.py").write_text(SGD.format(name=name, first=textwrap.indent(first, 8 * " ")))
    return f"{folder / name}.py:{name}"


def job(folder, first="pass", number=0, needs=None):
    """A cohort of two trials whose worker does something first."""
    name = f"job_{next(NAMES)}"
    file = Path(optimizer_file(folder, name, first).rpartition(":")[0])
    spec = dataclasses.replace(study(folder / name, f"{file}:{name}"), programs={WORKLOAD: Programs(2, 1)})
    sent = SentFile(str(file), own_files.sha256(file.read_bytes()), file.read_bytes())
    make = making.maker(folder / name, spec, needs, optimizer_file=sent)
    return make(WORKLOAD, spec.cohorts(POINTS, WORKLOAD)[number])


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
def own():
    """A Ray of our own with two workers, its folder, and what it wrote on standard output."""
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
def ray(own, monkeypatch):
    """The executor of `own`, for studies too."""
    row = executors.Row(lambda workers, kept, options: Lent(own[0]), "tests")
    monkeypatch.setitem(executors.EXECUTORS, "ray", row)
    return own[0]


def processes_of(folder):
    """Processes of a Ray that lives in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"RAY_TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


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
            (
                _,
                local,
                _,
                state,
                *_,
            ) = line.split()
            if state == "0A" and f"socket:[{line.split()[9]}]" in sockets:
                found.add(local.partition(":")[0])
    return found


def test_a_study_gives_the_same_numbers_bit_for_bit(ray, tmp_path):
    mine = optimizer_file(tmp_path, "mine")
    here = tune(tmp_path / "here", study(tmp_path / "here", mine))
    there = tune(tmp_path / "there", study(tmp_path / "there", mine), executor="ray")
    assert_frame_equal(
        there.drop(DIFFER),
        here.drop(DIFFER).with_columns(study=there["study"]) if "study" in here else here.drop(DIFFER),
        check_exact=True,
    )


def test_a_killed_worker_costs_one_cohort(ray, tmp_path):
    marker = tmp_path / "killed"
    kill_once = f"""\
marker = pathlib.Path("{marker}")
if not marker.exists():
    marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    mine, seen = optimizer_file(tmp_path, "mortal", kill_once), []
    trials = tune(tmp_path / "s", study(tmp_path / "s", mine), executor="ray", watch=seen.append)
    assert marker.exists()
    whole = tune(tmp_path / "t", study(tmp_path / "t", mine))
    assert_frame_equal(trials.drop(DIFFER), whole.drop(DIFFER), check_exact=True)
    until(lambda: ray.workers == 2)


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
    with pytest.raises(WorkerLost) as lost:
        ray.submit(job(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")).result(SECONDS)
    assert lost.value.cause == "crash"
    until(lambda: ray.workers == 2)
    # Idle workers that are killed are lost without anybody asking; what is sent to them does not begin.
    held = [ray.submit(job(tmp_path, HOLD.format(tmp_path / str(i)), i)) for i in range(2)]
    pids = [until(lambda i=i: read(tmp_path / f"{i}.begun")) for i in range(2)]
    for i in range(2):
        (tmp_path / f"{i}.go").touch()
    for future in held:
        future.result(SECONDS)
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)
    causes = []
    for _ in range(2):
        with contextlib.suppress(WorkerLost):
            ray.submit(job(tmp_path)).result(SECONDS)
            continue
        causes.append("unsent")
    assert ray.submit(job(tmp_path)).result(SECONDS).done.trials == 2
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
    assert set(cores) < os.sched_getaffinity(0) or len(os.sched_getaffinity(0)) == 1
    assert (platforms, int(threads), home) == ("cpu", len(cores), str(Path.home()))
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
