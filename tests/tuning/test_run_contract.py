"""What every executor promises of trials of submissions, with real workers and real processes of trials.

Rows are those of `test_contract`; what needs none of this is in `test_sent_trials`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from results.studies import read_trials
from tests.tuning.run_trials import command, environment, same_numbers, within
from tests.tuning.test_contract import CONTRACT
from tests.tuning.test_contract import cache as cache
from tuning.execution import coordinate
from tuning.execution.trials.run import run

pytestmark = pytest.mark.slow

STEPS, PERIOD = 9, 3
SUBMISSION = """
import os
import pathlib
import signal
import time

import jax

MARKS = pathlib.Path("{marks}")

@jax.jit
def shrink(params, rate):
    return jax.tree.map(lambda p: rate * p, params)

def once(mark):
    try:
        (MARKS / mark).touch(exist_ok=False)
        return True
    except FileExistsError:
        return False

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {{"taken": 0}}, None

def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    what = hyperparameters.what if global_step == 4 else ""
    with open(MARKS / f"steps_{{hyperparameters.rate}}", "a") as file:
        file.write(f"{{global_step}} ")
    if what == "raises":
        raise FloatingPointError("made to crash")
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "kills" and once("killed"):
        os.kill(os.getppid(), signal.SIGKILL)  # whoever has it done
        time.sleep(60)
    if what == "hangs" and once("hung"):
        time.sleep(600)
    if (MARKS / "slow").exists():
        time.sleep(0.5)
    return optimizer_state, shrink(current_param_container, hyperparameters.rate), model_state

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)

def get_batch_size(workload_name):
    return 16
"""


def written(folder, *does):
    """A submission of so many points, each of which does something at step 4."""
    folder.mkdir()
    (folder / "submission.py").write_text(SUBMISSION.format(marks=folder))
    points = ", ".join(f'{{"rate": 0.{i}, "what": "{what}"}}' for i, what in enumerate(does, 91))
    (folder / "space.json").write_text(f"[{points}]")
    return folder


def asked(submission, tmp_path, name, trials, **others):
    return {
        "submission_path": submission, "workload": "algoperf/mnist", "experiment_dir": tmp_path / "experiments",
        "experiment_name": name, "tuning_search_space": submission / "space.json", "max_global_steps": STEPS,
        "eval_period_steps": PERIOD, "rng_seed": 7, "num_tuning_trials": trials, **others,
    }  # fmt: skip


def steps(submission, point=0):
    file = submission / f"steps_0.{91 + point}"
    return [int(step) for step in file.read_text().split()] if file.exists() else []


def record(tmp_path, name):
    return read_trials(tmp_path / "experiments" / name / "record" / "algoperf.mnist_jax")


@pytest.fixture(scope="module", params=[name for name in CONTRACT if name != "inline"])
def tried(request, tmp_path_factory, cache):
    """(row, what `run` takes); workers that can be kept are kept for all tests."""
    row = CONTRACT[request.param]
    with row.start(tmp_path_factory.mktemp(request.param)) as how:
        yield row, how


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """Folder of a trial that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    (outcome,) = run(**asked(written(folder / "submission", "nothing"), folder, "whole", 1))
    return outcome.folder


def test_trials_are_those_in_line_whatever_the_submission_does(tried, tmp_path):
    _, how = tried
    submission = written(tmp_path / "submission", "nothing", "raises", "dies")
    whole = run(**asked(submission, tmp_path, "whole", 3))
    made = [steps(submission, point) for point in range(3)]
    sent = run(**asked(submission, tmp_path, "sent", 3), **how)
    assert [one.status for one in sent] == ["done", "crashed", "crashed"]
    for one, other in zip(whole, sent, strict=True):
        apart = {"score": 0.0, "seconds_per_step": None, "folder": "", "reason": ""}
        assert dataclasses.replace(other, **apart) == dataclasses.replace(one, **apart)
        assert other.reason == one.reason.replace("/whole/", "/sent/")
        assert sorted(os.listdir(other.folder)) == sorted(os.listdir(one.folder))
        same_numbers(one.folder, other.folder)
    assert f"{submission}/submission.py:" in sent[1].reason
    assert "made to crash" in (Path(sent[1].folder) / "console.log").read_text()
    told_apart = ("submission_seconds", "cohort_seconds", "command", "status_reason")
    mine, theirs = (record(tmp_path, name).drop(told_apart) for name in ("whole", "sent"))
    assert theirs.equals(mine)
    assert [steps(submission, point) for point in range(3)] == [
        2 * one for one in made
    ]  # none was tried again
    (again,) = run(**asked(submission, tmp_path, "sent", 3, hparam_end_index=1, resume=True), **how)
    assert again == sent[0]


def test_what_a_killed_worker_had_goes_on(tried, tmp_path, whole):
    row, how = tried
    if not row.process:
        pytest.skip("a thread of this process cannot be killed")
    submission, seen = written(tmp_path / "submission", "kills"), []
    (outcome,) = run(**asked(submission, tmp_path, "sent", 1), **how, watch=seen.append)
    assert outcome.status == "done"
    same_numbers(whole, outcome.folder)
    assert seen[-1].retries["lost (crash)"] == 1
    # From the checkpoint after step 3, which the machine of the run has.
    assert steps(submission) == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8]
    assert (Path(outcome.folder) / "meta_data_1.json").exists()
    assert not list((tmp_path / "experiments" / "sent" / "record").rglob("checkpoint*"))


def test_a_worker_that_hangs_is_given_up_at_its_deadline(tried, tmp_path, whole, monkeypatch):
    row, how = tried
    if not row.process:
        pytest.skip("a thread of this process cannot be ended")
    submission = written(tmp_path / "submission", "hangs")
    hung, ahead, seen = submission / "hung", [0.0], []

    def now(clock):
        """Goes on by more than the deadline while somebody hangs."""
        if hung.exists() and not seen[-1].retries["deadline"]:
            ahead[0] = 2000.0 * ((time.time() - hung.stat().st_mtime) // 2)
        return time.monotonic() + ahead[0]

    monkeypatch.setattr(coordinate.Clock, "now", now)
    given = asked(submission, tmp_path, "sent", 1)
    (outcome,) = run(**given, **how, deadline=1000.0, watch=seen.append)
    assert outcome.status == "done"
    same_numbers(whole, outcome.folder)
    assert seen[-1].retries["deadline"] >= 1


def test_a_killed_coordinator_goes_on_where_it_was(tried, tmp_path, whole, cache):
    row, how = tried
    if not row.process:
        pytest.skip("a run in line has it, in test_run_resume")
    submission = written(tmp_path / "submission", "nothing", "nothing")
    (submission / "slow").touch()
    words = command(submission, tmp_path, "sent", "--num-tuning-trials", 2, *as_options(how))
    for name, value in (("--max-global-steps", STEPS), ("--eval-period-steps", PERIOD)):
        words[words.index(name) + 1] = str(value)
    doomed = subprocess.Popen(words, env=environment(os.environ["JAX_COMPILATION_CACHE_DIR"]))
    try:
        within(120, lambda: doomed.poll() is not None or len(steps(submission)) > 4)
        assert doomed.poll() is None
    finally:
        doomed.kill()
        doomed.wait()
    given = asked(submission, tmp_path, "sent", 2, resume=True)
    file = submission / "submission.py"
    text = file.read_text()
    file.write_text(text + "# changed\n")
    with pytest.raises(ValueError, match="was begun with other flags: submission"):
        run(**given, **how)
    file.write_text(text)
    with contextlib.suppress(FileNotFoundError):
        (submission / "slow").unlink()
    outcomes = run(**given, **how)
    assert [one.status for one in outcomes] == ["done", "done"]
    same_numbers(whole, outcomes[0].folder)
    assert record(tmp_path, "sent")["status"].to_list() == ["done", "done"]


def test_the_first_interrupt_has_trials_save_what_they_have_made_and_end(tried, tmp_path, cache):
    _, how = tried
    long = {"max_global_steps": 60, "eval_period_steps": 20}
    submission = written(tmp_path / "submission", "nothing", "nothing")
    (undisturbed,) = run(**asked(submission, tmp_path, "whole", 1, **long))
    (submission / "steps_0.91").unlink()
    (submission / "slow").touch()  # so that it would take half a minute
    words = command(submission, tmp_path, "sent", "--num-tuning-trials", 2, *as_options(how))
    for name, value in (("--max-global-steps", 60), ("--eval-period-steps", 20)):
        words[words.index(name) + 1] = str(value)
    process = subprocess.Popen(
        words, env=environment(os.environ["JAX_COMPILATION_CACHE_DIR"]), stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    within(120, lambda: process.poll() is not None or steps(submission))
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "what was saved is kept, the same command with --resume goes on" in said
    made = steps(submission)
    assert 0 < len(made) < 60  # it did not come to its end, nor to an evaluation of its own
    folder = Path(undisturbed.folder.replace("/whole/", "/sent/"))
    assert json.loads((folder / "outcome.json").read_text())["status"] == "interrupted"
    (submission / "slow").unlink()
    (again,) = run(**asked(submission, tmp_path, "sent", 2, hparam_end_index=1, resume=True, **long), **how)
    assert again.status == "done"
    assert steps(submission) == list(range(60))  # each of them once
    same_numbers(undisturbed.folder, again.folder)


def as_options(how):
    """What `run` takes, as its command line has it."""
    words = ["--executor", how["executor"]]
    for name, value in (how.get("options") or {}).items():
        words += [f"--{name}", value]
    return words


def test_a_second_interrupt_ends_workers_and_their_trials(tmp_path, cache):
    submission = written(tmp_path / "submission", "hangs", "hangs")
    words = command(
        submission, tmp_path, "a", "--num-tuning-trials", 2, "--executor", "processes", "--workers", 1
    )
    process = subprocess.Popen(
        words, env=environment(os.environ["JAX_COMPILATION_CACHE_DIR"]), stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    within(120, (submission / "hung").exists)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = next(line for line in process.stderr if "waiting" in line)
    assert said == "shortlist: waiting for trial 1 of algoperf/mnist; press Ctrl-C again to stop now\n"
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert "the same command with --resume goes on" in rest
    trial = f"{tmp_path}/experiments/a/record".encode()

    def alive():
        return [p for p in Path("/proc").glob("[0-9]*") if trial in reads(p / "cmdline")]

    within(5, lambda: not alive())


def reads(file):
    with contextlib.suppress(OSError):
        return file.read_bytes()
    return b""
