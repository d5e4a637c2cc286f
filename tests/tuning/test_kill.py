"""kill -9 at any moment: at most the cohorts in flight are lost, and no number changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from polars.testing import assert_frame_equal

from results import studies

WORKLOAD = "clicks/mlp"
COHORTS = 12


def command(folder):
    return [
        sys.executable, "-m", "shortlist.cli", "tune", WORKLOAD, "--study", str(folder),
        "--strategy", "quasirandom", "--budget", str(2 * COHORTS), "--cohort-size", "2", "--steps", "200",
    ]  # fmt: skip


def finished(folder):
    return len(list((folder / "trials").rglob("[0-9]*.parquet")))


def start_and_kill(folder, environment, after):
    """Kills the study as soon as `after` cohorts are on disk; the next is in flight then."""
    process = subprocess.Popen(
        command(folder), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while finished(folder) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "the study ended before it could be killed"


def test_a_study_killed_several_times_ends_with_the_undisturbed_numbers(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run(command(tmp_path / "whole"), env=environment, check=True, capture_output=True)
    killed = tmp_path / "killed"
    for after in (1, 4, 8):
        start_and_kill(killed, environment, after)
        assert finished(killed) >= after
    subprocess.run(command(killed), env=environment, check=True, capture_output=True)
    whole, resumed = studies.read_trials(tmp_path / "whole"), studies.read_trials(killed)
    assert len(whole) == 2 * COHORTS
    told_apart = ("cohort_seconds", "command")  # the clock, and the folder that the command names
    assert_frame_equal(whole.drop(told_apart), resumed.drop(told_apart), check_exact=True)
    assert set(whole["command"]) == {f"shortlist {' '.join(command(tmp_path / 'whole')[3:])}"}
