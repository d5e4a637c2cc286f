"""kill -9 at any moment: at most the cohorts in flight are lost, and no number changes. Nor does a second process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from polars.testing import assert_frame_equal

from results import studies

WORKLOAD = "taskset/quadratic_family_seed3"  # starts soon; what it trains does not matter here
COHORTS = 12


def command(folder, executor="threads"):
    return [
        sys.executable, "-m", "shortlist.cli", "tune", WORKLOAD, "--study", str(folder), "--executor", executor,
        "--strategy", "quasirandom", "--budget", str(2 * COHORTS), "--cohort-size", "2", "--steps", "2000",
        "--optimizer", "sgd_optax",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One cache of compiled programs for all processes."""
    return os.environ | {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, environment):
    """The trials of a study that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "s"
    subprocess.run(command(folder), env=environment, check=True, capture_output=True)
    trials = studies.read_trials(folder)
    assert len(trials) == 2 * COHORTS
    assert set(trials["command"]) == {f"shortlist {' '.join(command(folder)[3:])}"}
    return trials


def assert_same_numbers(trials, whole):
    told_apart = ("cohort_seconds", "command")  # the clock, and the folder that the command names
    assert_frame_equal(trials.drop(told_apart), whole.drop(told_apart), check_exact=True)


def start(folder, environment, executor="threads"):
    return subprocess.Popen(
        command(folder, executor),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(folder):
    return len(list((folder / "trials").rglob("[0-9]*.parquet")))


def send(process, sent, folder, after, twice=False):
    """Sends a signal as soon as `after` cohorts are on disk; the next are in flight then."""
    deadline = time.monotonic() + 300
    while finished(folder) < after and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(sent)
    if twice:
        process.send_signal(sent)
    said = process.communicate()[1]
    assert process.returncode != 0, "the study ended before it could be stopped"
    return said


def test_a_study_stopped_several_times_ends_with_the_undisturbed_numbers(tmp_path, environment, whole):
    folder = tmp_path / "stopped"
    killed = start(folder, environment)
    send(killed, signal.SIGKILL, folder, 1)
    assert killed.returncode == -signal.SIGKILL
    interrupted = start(folder, environment, "processes")
    said = send(interrupted, signal.SIGINT, folder, 4)
    assert interrupted.returncode == 130
    assert said.splitlines()[-1].startswith("shortlist: interrupted; finished cohorts are kept")
    assert 4 <= finished(folder) < COHORTS
    impatient, more = (
        start(folder, environment),
        finished(folder) + 1,
    )  # it trains by then, and is not still starting
    send(impatient, signal.SIGINT, folder, more, twice=True)
    assert impatient.returncode == 130
    # Two at once go on, and one of them is killed.
    doomed, other = start(folder, environment), start(folder, environment)
    send(doomed, signal.SIGKILL, folder, 8)
    said = other.communicate()[1]
    assert other.returncode == 0, said
    assert_same_numbers(studies.read_trials(folder), whole)


@pytest.mark.slow  # test_execution has the same in threads
def test_two_processes_on_one_study_do_no_work_twice(tmp_path, environment, whole):
    folder = tmp_path / "s"
    both = [start(folder, environment, executor) for executor in ("threads", "processes")]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert_same_numbers(studies.read_trials(folder), whole)
    assert sum(run.trials for run in studies.read_runs(folder)) == 2 * COHORTS
    assert not [path for path in (folder / "claims").rglob("*") if path.is_file()]
