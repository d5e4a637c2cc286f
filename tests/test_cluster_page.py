"""docs/cluster.md: every command of it is run here as it is written, or it is said who runs it, or why nobody does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from results import studies
from tests.tuning.hosts import processes_of, two_hosts  # noqa: F401  (a fixture)
from tests.tuning.test_contract import SECONDS, until
from tuning.execution.executors.on_ray import surroundings

PAGE = Path(__file__).parents[1] / "docs" / "cluster.md"
LESS = (
    "--budget 4 --steps 20 --eval-period 20"  # said after what the page says: there is but one machine here
)

# What a command begins or ends with -> the test that runs it, or why none does.
WHO = {
    "shortlist tune clicks/mlp digits/conv": "test_two_workers_and_a_shared_folder",
    "shortlist worker /shared/jobs": "test_two_workers_and_a_shared_folder",
    "CUDA_VISIBLE_DEVICES=0": "as the next one, whose number is another",
    "CUDA_VISIBLE_DEVICES=1": "test_two_workers_and_a_shared_folder",
    "--device 'gpu NVIDIA H200'": "needs such a GPU at a worker",
    "--executor processes": "test_the_cores_of_one_host",
    "pip install 'shortlist[ray]'": "installs",
    "--executor ray": "test_it_needs_no_network_and_asks_for_none, in tuning/test_ray",
    "(umask 077; ray get-auth-token --generate)": "test_a_ray_cluster_of_two_hosts",
    "RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --head": "test_a_ray_cluster_of_two_hosts",
    "RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --address": "test_a_ray_cluster_of_two_hosts",
    "--executor ray --address HEAD:6379": "test_a_ray_cluster_of_two_hosts",
    "shortlist tune algoperf/imagenet_vit": "needs eight devices; tuning/test_devices has virtual ones",
    "shortlist run --submission-path my_submission": "tuning/test_several_hosts, both commands on one machine",
    "srun --nodes 2": "needs Slurm; what it says is read by a doctest of shortlist._several_hosts",
    "pip install 'shortlist[slurm]'": "installs",
    "shortlist meta-train --optimizer learnable_adam": "test_a_learner_and_a_worker_of_a_shared_folder",
    "shortlist workers /shared/jobs": "test_workers_that_slurm_starts",
}


def commands():
    """All commands of the page, those of several lines in one."""
    found, going_on = [], False
    for line in PAGE.read_text().splitlines():
        if line.startswith("    #"):
            continue
        if going_on or line.startswith("    "):
            text = line.strip()
            found[-1:] = [f"{found[-1]} {text}"] if going_on else [*found[-1:], text]
            going_on = text.endswith("\\")
            found[-1] = found[-1].removesuffix("\\").rstrip()
    return [command.removesuffix(" &") for command in found]


def of(key):
    """The command of the page that begins or ends so."""
    matching = (lambda one: one.startswith(key), lambda one: one.endswith(key))
    return next(one for matches in matching for one in commands() if matches(one))


def test_of_every_command_it_is_known_who_runs_it():
    assert sorted(map(of, WHO)) == sorted(commands())
    own = {who for who in WHO.values() if who.startswith("test_") and " " not in who}
    assert own <= set(globals())


@pytest.fixture
def shell(tmp_path):
    """(run a command, start one), in a folder of its own, with a /shared in it, and `shortlist` and `ray` in reach."""
    scripts, started = tmp_path / "bin", []
    script(scripts / "shortlist", f'exec {sys.executable} -m shortlist.cli "$@"')
    script(scripts / "ray", f'exec {sys.executable} -m ray.scripts.scripts "$@"')
    (tmp_path / "shared").mkdir(mode=0o700)
    root = str(PAGE.parents[1])
    around = os.environ | {
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def start(command, inside=(), **more):
        here = command.replace("/shared/", f"{tmp_path}/shared/")
        started.append(
            subprocess.Popen(
                [*inside, "sh", "-c", here], cwd=tmp_path, env=around | more, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(tmp_path / "said").open("a"),
            )
        )  # fmt: skip
        return started[-1]

    def run(command, inside=(), **more):
        assert start(command, inside, **more).wait(5 * SECONDS) == 0, (tmp_path / "said").read_text()

    yield run, start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def script(path, *lines):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def trained(folder):
    return len(studies.read_trials(folder))


@pytest.mark.slow
def test_two_workers_and_a_shared_folder(shell, tmp_path):
    run, start = shell
    asks = start(f"{of('shortlist tune clicks/mlp digits/conv')} {LESS}")
    workers = [start(of(one)) for one in ("shortlist worker /shared/jobs", "CUDA_VISIBLE_DEVICES=1")]
    assert asks.wait(5 * SECONDS) == 0, (tmp_path / "said").read_text()
    assert trained(tmp_path / "studies" / "first") == 2 * 4
    assert [worker.poll() for worker in workers] == [None, None]
    stop = "touch /shared/jobs/stop"
    assert f"`{stop}`" in PAGE.read_text()
    run(stop)
    assert [worker.wait(SECONDS) for worker in workers] == [0, 0]


@pytest.mark.slow
def test_a_learner_and_a_worker_of_a_shared_folder(shell, tmp_path):
    run, start = shell
    start(of("shortlist worker /shared/jobs"))
    asked = of("shortlist meta-train --optimizer learnable_adam")
    run(f"{asked} --outer-steps 3 --record-every 1 --estimators 2 --length 20 --unroll 5")
    rows = [json.loads(line) for line in (tmp_path / "meta" / "record.jsonl").read_text().splitlines()]
    assert rows[-1]["outer_step"] == 3
    assert rows[-1]["accepted"] == 2


@pytest.mark.slow
def test_the_cores_of_one_host(shell, tmp_path):
    run, _ = shell
    run(f"{of('--executor processes')} {LESS}")
    assert trained(tmp_path / "studies" / "third") == 4


@pytest.mark.slow
def test_workers_that_slurm_starts(shell, tmp_path):
    """By a Slurm that is two scripts: of the eight jobs two begin, for it has two machines; the others wait."""
    pytest.importorskip("submitit")
    run, _ = shell
    pids = tmp_path / "pids"
    script(
        tmp_path / "bin" / "sbatch",
        "export SLURM_ARRAY_JOB_ID=7 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0",
        "export SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0",
        "for task in 0 1; do",
        f'  SLURM_ARRAY_TASK_ID=$task SLURM_JOB_ID=7$task bash "$1" >> {tmp_path}/said 2>&1 & echo $! >> {pids}',
        "done",
        "echo Submitted batch job 7",
    )
    script(
        tmp_path / "bin" / "srun",
        'while :; do case "$1" in --output|--error) shift 2;; -*) shift;; *) exec "$@";; esac; done',
    )
    run(of("shortlist workers /shared/jobs"))
    run(f"{of('shortlist tune clicks/mlp digits/conv')} {LESS}")
    assert trained(tmp_path / "studies" / "first") == 2 * 4
    for pid in pids.read_text().split():  # they end once whoever asked is served
        until(lambda pid=pid: not Path(f"/proc/{pid}").exists())


@pytest.mark.slow
def test_a_ray_cluster_of_two_hosts(shell, two_hosts, tmp_path):  # noqa: F811
    """On the ports that the page names; the two hosts have one home, so that there is no token to copy."""
    pytest.importorskip("ray")
    run, start = shell
    one, other = two_hosts
    folder = surroundings.own_folder()
    around = {"HOME": str(folder / "home"), "RAY_TMPDIR": str(folder)}
    try:
        run(of("(umask 077"), one.inside, **around)
        assert (folder / "home" / ".ray" / "auth_token").stat().st_mode & 0o77 == 0
        run(of("RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --head"), one.inside, **around)
        joins = of("RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 ray start --address")
        node = start(joins.replace("HEAD", one.ip), other.inside, **around)
        asks = of("--executor ray --address HEAD:6379").replace("HEAD", one.ip)
        run(f"{asks} {LESS}", one.inside, **around)
        assert trained(tmp_path / "studies" / "first") == 4
        assert node.poll() is None
    finally:
        for process in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        surroundings.remove(folder)
