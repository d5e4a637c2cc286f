"""Workers of a shared folder that submitit starts: here processes of this machine, in place of Slurm's jobs."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shortlist.cli import app
from tests.tuning.test_contract import POINTS, optimizer_file, study  # noqa: F401
from tuning.execution.executors import slurm
from tuning.studies.tune import tune

SECONDS = 120


def until(condition):
    """What a condition gives, as soon as that is something."""
    end = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {SECONDS} s"
        time.sleep(0.05)
    return value


def children(process):
    found = []
    for task in Path(f"/proc/{process}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.slow
def test_a_worker_that_is_preempted_begins_again_and_trains(tmp_path):
    pytest.importorskip("submitit")
    folder = tmp_path / "jobs"
    (job,) = slurm.start(folder, 1, minutes=60, arguments=["--once"], cluster="local")
    hello = lambda: set((folder / "workers").glob("*.json"))  # noqa: E731
    (first,) = until(hello)
    (task,) = children(job)
    os.kill(task, signal.SIGUSR2)  # what Slurm sends before it takes a machine away
    until(lambda: hello() - {first})
    mine = optimizer_file(tmp_path, "mine")
    trials = tune(tmp_path / "s", study(tmp_path / "s", mine), executor="folder", options={"folder": folder})
    assert len(trials) == 6
    until(lambda: not Path(f"/proc/{job}").exists() or not children(job))
    logs = "".join(file.read_text() for file in slurm.logs(folder).glob("*.err"))
    assert "is trained" in logs


def test_without_slurm_or_submitit_it_is_said_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = CliRunner().invoke(app, ["workers", str(tmp_path), "--slurm", "2"])
    assert isinstance(said.exception, ValueError)
    assert "no srun here" in str(said.exception)
    monkeypatch.setattr(slurm.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'shortlist\[slurm\]'"):
        slurm.start(tmp_path, 2, minutes=60)


def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    asked = tmp_path / "asked"
    for name, body in {"srun": "", "sbatch": f'cat "$1" > {asked}; echo Submitted batch job 7'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    page = Path(__file__).parents[2] / "docs" / "cluster.md"
    (written,) = [line for line in page.read_text().splitlines() if line.startswith("    shortlist workers ")]
    command = shlex.split(written.replace("/shared", str(tmp_path)))[1:]
    said = CliRunner().invoke(app, [*command, "--memory", "32GB", "--sbatch", "account=me"])
    assert said.exit_code == 0, said.output
    lines = asked.read_text()
    for line in ("array=0-7%8", "gpus-per-node=1", "time=240", "mem=32GB", "account=me", "signal=USR2@90"):
        assert f"#SBATCH --{line}\n" in lines
