"""One trial on several hosts: two processes on this machine, joined by loopback."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shortlist.cli import app
from tests.tuning import run_trials, several_hosts
from tests.tuning.test_contract import descendants
from tuning.execution.team import Line


@pytest.fixture
def files(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(several_hosts.WORKLOADS)
    return run_trials.written(tmp_path / "submission"), file


def test_two_processes_train_what_one_does(files, tmp_path):
    submission, file = files
    names = [f"{file}:own/resident", f"{file}:own/streamed"]
    (one,) = several_hosts.trained(tmp_path, submission, names, 1, 4)
    first, second = several_hosts.trained(tmp_path, submission, names, 2, 4)
    assert first == second
    assert one["own/resident"]["steps"] == 12
    for name, found in one.items():
        # Gradients of four devices are summed in another order: float32 rounding, of 12 steps.
        for key, value in found.items():
            assert first[name][key] == (value if key == "status" else pytest.approx(value, rel=1e-5)), (
                name,
                key,
            )


SPACE = '[{"rate": 0.01, "dies": "no"}, {"rate": 0.02, "dies": "no"}]'


class Commands:
    """The command on both hosts."""

    def __init__(self, files, tmp_path, *others, steps=40, of_second=(), count=2):
        submission, file = files
        (submission / "space.json").write_text(SPACE)
        address = f"127.0.0.1:{several_hosts.free_port()}"
        self.folder = tmp_path / "experiments/s/own.resident_jax"
        self.running = []
        for index in range(count):
            command = [
                sys.executable, "-m", "shortlist.cli", "run", "--workload", f"{file}:own/resident",
                "--submission-path", str(submission), "--tuning-search-space", str(submission / "space.json"),
                "--experiment-dir", str(tmp_path / "experiments"), "--experiment-name", "s", "--rng-seed", "7",
                "--max-global-steps", str(steps), "--eval-period-steps", "4", *map(str, others),
            ]  # fmt: skip
            if count > 1:
                command += ["--coordinator", address, "--process-id", str(index), "--processes", str(count)]
            self.running.append(
                subprocess.Popen(
                    command,
                    env=several_hosts.environment(4 // count) | (dict(of_second) if index else {}),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def ended(self, seconds=200):
        """Exit status and standard error of both."""
        found = [process.communicate(timeout=seconds) for process in self.running]
        return [(process.returncode, error) for process, (_, error) in zip(self.running, found, strict=True)]

    def outcome(self, trial):
        return json.loads((self.folder / f"trial_{trial}/outcome.json").read_text())


def evaluated(commands, trial):
    file = commands.folder / f"trial_{trial}/eval_measurements.csv"
    return len(file.read_text().splitlines()) - 1 if file.exists() else 0


@pytest.mark.slow
def test_a_lost_host_ends_the_run_at_once_and_resuming_gives_the_same_numbers(files, tmp_path):
    submission, _ = files
    whole = Commands(files, tmp_path / "whole", "--num-tuning-trials", 1)
    assert [status for status, _ in whole.ended()] == [0, 0]
    (submission / "slow").touch()
    for lost in (1, 0):
        commands = Commands(files, tmp_path / f"lost_{lost}", "--num-tuning-trials", 1)
        run_trials.within(120, lambda commands=commands: evaluated(commands, 1) >= 3)
        commands.running[lost].kill()
        began = time.monotonic()
        ended = commands.ended(60)
        assert time.monotonic() - began < 30
        status, error = ended[1 - lost]
        assert status == 2
        assert f"process {lost}" in error.splitlines()[-1]
        assert "is gone" in error.splitlines()[-1]
        again = Commands(files, tmp_path / f"lost_{lost}", "--num-tuning-trials", 1, "--resume")
        assert [status for status, _ in again.ended()] == [0, 0]
        run_trials.same_numbers(again.folder / "trial_1", whole.folder / "trial_1")


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["host", "process"])
def test_what_is_stopped_and_not_dead_is_noticed_within_the_configured_time(files, tmp_path, stopped):
    """A host all of whose processes stand still, or the process of its trial alone."""
    submission, _ = files
    (submission / "slow").touch()
    commands = Commands(files, tmp_path, "--num-tuning-trials", 1, "--silence", 10, steps=2000)
    run_trials.within(120, lambda: evaluated(commands, 1) >= 3)
    command, *below = descendants(commands.running[1].pid)
    still = [command, *below] if stopped == "host" else below
    for process in still:
        os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    try:
        error = commands.running[0].communicate(timeout=120)[1]
    finally:
        for process in (*still, command):  # whoever still is
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL if process in still else signal.SIGINT)
    took = time.monotonic() - began
    commands.running[1].communicate(timeout=60)
    if stopped == "host":
        assert commands.running[0].returncode == 2
        assert "process 1" in error.splitlines()[-1]
        assert "nothing was heard of it for 10 s" in error.splitlines()[-1]
        assert commands.outcome(1)["status"] == "interrupted"
        assert 5 < took < 40
    else:  # by JAX, which cannot say who it was
        assert commands.running[0].returncode == 1
        assert commands.outcome(1)["status"] == "crashed"
        assert 10 < took < 80


def connected():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


def test_a_process_that_says_nothing_is_heard_of_and_one_that_waits_is_not():
    mine, other = connected()
    heard, answers = queue.SimpleQueue(), queue.SimpleQueue()
    line = Line(mine, 1, heard, silence=1.0)
    with contextlib.closing(Line(other, 2, answers, silence=1.0)), pytest.raises(queue.Empty):
        heard.get(timeout=1.5)  # both run, and have nothing to say
    assert heard.get(timeout=5) == (1, None)  # its connection has ended
    line.close()
    mine, silent = connected()
    with contextlib.closing(Line(mine, 1, heard, silence=1.0)), silent:
        assert heard.get(timeout=5) == (1, {"silent": 1.0})


@pytest.mark.slow
def test_an_error_on_one_host_ends_the_trial_on_both_and_the_next_goes_on(files, tmp_path):
    submission, _ = files
    text = (submission / "submission.py").read_text()
    crash = """    if os.environ.get("SECOND") and hyperparameters.rate == 0.01 and global_step == 6:
        raise ArithmeticError("only here")
    rate = """
    (submission / "submission.py").write_text(text.replace("    rate = ", crash, 1))
    commands = Commands(files, tmp_path, "--num-tuning-trials", 2, steps=12, of_second={"SECOND": "1"})
    (status, error), (second, _) = commands.ended()
    assert (status, second) == (1, 0)
    outcomes = {o["status"]: o for o in (commands.outcome(1), commands.outcome(2))}
    assert set(outcomes) == {"crashed", "done"}
    assert "process 1 of 2" in outcomes["crashed"]["reason"]
    assert "update_params at step 6: ArithmeticError: only here" in outcomes["crashed"]["reason"]
    assert "only here" in error
    meta = json.loads((Path(outcomes["done"]["folder"]) / "meta_data_0.json").read_text())
    assert meta["shortlist.processes"] == 2
    assert "on 2 hosts" in meta["device"]


@pytest.mark.slow
def test_ctrl_c_on_any_host_stops_all_and_resuming_goes_on(files, tmp_path):
    submission, _ = files
    (submission / "slow").touch()
    commands = Commands(files, tmp_path, "--num-tuning-trials", 1, steps=200)
    run_trials.within(120, lambda: evaluated(commands, 1) >= 3)
    commands.running[1].send_signal(signal.SIGINT)
    (status, _), (second, error) = commands.ended(90)
    assert (status, second) == (0, 130)
    assert "interrupted" in error
    assert commands.outcome(1)["status"] == "interrupted"
    (submission / "slow").unlink()
    again = Commands(files, tmp_path, "--num-tuning-trials", 1, "--resume", steps=200)
    assert [status for status, _ in again.ended()] == [0, 0]
    assert again.outcome(1)["status"] == "done"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coordinator", "127.0.0.1:6380"], "several hosts need --process-id and --processes, too"),
        (
            ["--coordinator", "here", "--process-id", "0", "--processes", "2"],
            "must be HOST:PORT of process 0",
        ),
        (["--coordinator", "a:1", "--process-id", "2", "--processes", "2"], "must lie in 0..1"),
        (["--coordinator", "slurm"], "start the command by srun"),
        (["--silence", "10"], "--silence is of several hosts"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message, tmp_path, monkeypatch):
    for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"):
        monkeypatch.delenv(name, raising=False)
    given = [
        "run",
        "--workload",
        "algoperf/mnist",
        "--optimizer",
        "nadamw_optax",
        "--experiment-dir",
        str(tmp_path),
    ]
    found = CliRunner().invoke(app, [*given, "--experiment-name", "s", *options])
    assert message in str(found.exception)
