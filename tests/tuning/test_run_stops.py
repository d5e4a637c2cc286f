"""A run that is stopped, whenever and however: said, nothing lost, no number changed, and no two in one folder."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from results.studies import read_trials
from tests.tuning.run_trials import arguments, command, environment, is_free, same_numbers, within, written
from tuning.execution.trials.run import run

TRIALS = 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """Folders of the trials of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    done = subprocess.run(
        command(prepared(folder), folder, "whole", "--num-tuning-trials", TRIALS),
        env=environment(cache), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [Path(trial["folder"]) for trial in json.loads(done.stdout)["trials"]]


def prepared(folder, pace="slow"):
    submission = written(folder / "submission")
    space = submission / "space.json"
    space.write_text(space.read_text().replace("yes", "no"))
    (submission / pace).touch()
    return submission


def start(submission, tmp_path, cache, *others):
    return subprocess.Popen(
        command(submission, tmp_path, "stopped", "--num-tuning-trials", TRIALS, *others),
        env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip


def heed_interrupts():
    """A shell's background job, as the tests may be, has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def lines(folder):
    """Rows of all trials' evaluations so far."""
    return sum(len(file.read_text().splitlines()) for file in folder.rglob("eval_measurements.csv"))


def disturbed(submission, tmp_path, cache, signals, seed):
    """Sends one signal to each of so many runs, at random times, and lets a last one end."""
    draws, folder, said = random.Random(seed), tmp_path / "experiments" / "stopped", []
    for number, sent in enumerate(signals):
        process = start(submission, tmp_path, cache, *(["--resume"] if number else []))
        begun = lines(folder)
        within(120, lambda: lines(folder) > begun or process.poll() is not None)  # noqa: B023
        time.sleep(draws.uniform(0, 0.6))
        process.send_signal(sent)
        said.append((sent, process.communicate(timeout=60)[1], process.returncode))
    last = start(submission, tmp_path, cache, "--resume")
    out, err = last.communicate(timeout=120)
    assert last.returncode == 0, err
    return said, [Path(trial["folder"]) for trial in json.loads(out)["trials"]]


def nothing_lost(whole, folders):
    for one, other in zip(whole, folders, strict=True):
        same_numbers(one, other)
    rows = read_trials(folders[0].parents[1] / "record" / folders[0].parent.name)
    assert rows["status"].to_list() == ["done"] * TRIALS
    assert not list(folders[0].parents[1].rglob("*.tmp"))


@pytest.mark.slow
def test_an_interrupt_loses_nothing(tmp_path, cache, whole):  # nor does a kill: test_run_resume.py
    submission = prepared(tmp_path)
    said, folders = disturbed(submission, tmp_path, cache, [signal.SIGINT], seed=1)
    nothing_lost(whole, folders)
    _, interrupted, status = said[0]
    assert status == 130
    assert "interrupted; what was saved is kept, the same command with --resume goes on" in interrupted


@pytest.mark.slow
def test_many_signals_at_random_times_lose_nothing(tmp_path, cache, whole):
    submission = prepared(tmp_path)
    kinds = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
    signals = random.Random(0).choices(kinds, k=18)
    said, folders = disturbed(submission, tmp_path, cache, signals, seed=0)
    nothing_lost(whole, folders)
    for sent, err, status in said:
        assert status in ((130, 0) if sent == signal.SIGINT else (-sent, 0)), err
        assert "Traceback" not in err


def test_a_second_interrupt_stops_now_and_a_run_beside_a_run_is_refused(tmp_path, cache):
    submission = prepared(tmp_path, "wait_3")
    process = start(submission, tmp_path, cache)
    within(120, (submission / "waiting").exists)
    for mode in ("resume", "overwrite"):
        with pytest.raises(
            ValueError, match=f"trial 1 is being trained by another run .process {process.pid} on "
        ):
            run(**arguments(submission, tmp_path, "stopped", num_tuning_trials=TRIALS, **{mode: True}))
    assert lines(tmp_path / "experiments") == 2  # the header and step 1: nothing was deleted
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert (
        first == "shortlist: waiting for trial 1 to save what it has made; press Ctrl-C again to stop now\n"
    )
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert "interrupted; what was saved is kept" in rest
    within(1, lambda: is_free(submission / "alive"))
    assert os.listdir(tmp_path / "experiments" / "stopped" / "algoperf.mnist_jax" / "trial_1")
