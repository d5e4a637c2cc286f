"""Trials of submissions as jobs: what travels is all that is needed, what comes back is what a trial in line leaves.

Here a trial's process is this one; `test_run_contract` has real ones.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

import workloads
from results.studies import read_trials
from submissions import api
from submissions.api import TrialOutcome, failures, loading
from tests.tuning.run_trials import same_numbers
from tuning.execution import executors, work
from tuning.execution.jobs import Done, Result, WorkerLost, job_from_json
from tuning.execution.trials import _trial_folder, _trial_process
from tuning.execution.trials.run import run

SUBMISSION = '''
import pathlib

import jax
from steps.shrinking import shrink

FACTOR = float((pathlib.Path(__file__).parent / "factor.txt").read_text())

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {"taken": 0}, None

def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    if global_step == hyperparameters.breaks:
        raise FloatingPointError("made to crash")
    return optimizer_state, shrink(current_param_container, FACTOR), model_state

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)

def get_batch_size(workload_name):
    return 16
'''  # fmt: skip
STEPS, PERIOD = 6, 2


class ElsewhereInThisProcess:
    """An executor whose worker has none of the files of whoever asks, and gets its jobs as text."""

    workers, ahead, device = 1, 0, None

    def __init__(self, submission, folder, before=None, after=None):
        self.submission, self.folder, self.before, self.after = submission, folder, before, after
        self.jobs = []

    def submit(self, job):
        future = Future()
        future.set_running_or_notify_cancel()
        self.jobs.append(job)
        hidden = self.submission.with_name("hidden")
        self.submission.rename(hidden)
        try:
            there = dataclasses.replace(job_from_json(json.loads(json.dumps(job.to_json()))), host="another")
            if self.before is not None:
                self.before(there)
            result = work.work(there, work.Kept(checkpoints=self.folder))
            future.set_result(Result.from_json(json.loads(json.dumps(result.to_json()))))
        except Exception as error:
            future.set_exception(error)
        finally:
            hidden.rename(self.submission)
        return future

    def abandon(self, future):
        pass

    def interrupt(self, future):
        pass

    def close(self):
        pass


@pytest.fixture
def submission(tmp_path):
    folder = tmp_path / "submission"
    (folder / "steps").mkdir(parents=True)
    (folder / "submission.py").write_text(SUBMISSION)
    (folder / "factor.txt").write_text("0.9")
    (folder / "steps" / "shrinking.py").write_text(
        "import jax\n\ndef shrink(params, factor):\n    return jax.tree.map(lambda p: factor * p, params)\n"
    )
    (folder / "tuning_search_space.json").write_text('[{"breaks": -1}, {"breaks": 3}]')
    return folder


@pytest.fixture(scope="module")
def mnist():
    return api.view(workloads.load("algoperf/mnist"))


@pytest.fixture
def asked(submission, tmp_path, monkeypatch, mnist):
    """Arguments of a run of two trials, of which the second crashes; trials train in this process."""

    def in_this_process(spec, lock, stop, attendant, *, part=None, without=(), may_go=False):
        _trial_folder.write_spec(spec)
        try:
            outcome = api.train(spec, attendant)
        except Exception as error:
            why = failures.told(error, Path(spec.submission_path).parent)
            crashed = TrialOutcome(
                spec.trial, spec.folder, "crashed", f"{why}, see {spec.folder}/console.log"
            )
            outcome = _trial_folder.with_last_evaluation(crashed)
        _trial_folder.write_outcome(outcome)
        return outcome

    monkeypatch.setattr(_trial_process, "train_apart", in_this_process)
    monkeypatch.setattr(api, "algoperf_workload", lambda *_: mnist)
    return {
        "submission_path": submission, "workload": "algoperf/mnist", "experiment_dir": tmp_path / "experiments",
        "max_global_steps": STEPS, "eval_period_steps": PERIOD, "rng_seed": 7, "num_tuning_trials": 2,
    }  # fmt: skip


@pytest.fixture
def elsewhere(submission, tmp_path, monkeypatch):
    """Has `run` use an executor of ours, and gives what it is told for that."""
    made = ElsewhereInThisProcess(submission, tmp_path / "worker")
    monkeypatch.setitem(executors.EXECUTORS, "processes", executors.Row(lambda *_: made, "tests"))
    return made


def table(folder):
    """The rows of a record, but for what clocks and machines say."""
    told_apart = ("submission_seconds", "cohort_seconds", "command", "status_reason")
    return read_trials(folder).drop(told_apart)


def test_what_comes_back_is_what_trials_in_line_leave(asked, elsewhere, tmp_path):
    whole = run(**asked, experiment_name="whole")
    told = []
    progress = lambda what, done, total: told.append((what, done, total))  # noqa: E731
    sent = run(**asked, experiment_name="sent", executor="processes", progress=progress)
    assert [one.status for one in sent] == ["done", "crashed"]
    assert told == [("algoperf/mnist", done, 2) for done in (0, 1, 2)]
    for one, other in zip(whole, sent, strict=True):
        assert other.folder == one.folder.replace("/whole/", "/sent/")
        assert other.reason == one.reason.replace("/whole/", "/sent/")
        assert (other.global_step, other.metrics) == (one.global_step, one.metrics)
        assert sorted(os.listdir(other.folder)) == sorted(os.listdir(one.folder))
        same_numbers(one.folder, other.folder)
        mine, theirs = (_trial_folder.read_spec(Path(trial.folder) / "trial.json") for trial in (one, other))
        assert theirs == dataclasses.replace(mine, folder=other.folder, flags=theirs.flags)
    # The line of the user's own file, though the worker had it elsewhere.
    assert f"({tmp_path}/submission/submission.py:15)" in sent[1].reason
    records = (
        tmp_path / "experiments" / name / "record" / "algoperf.mnist_jax" for name in ("whole", "sent")
    )
    mine, theirs = (table(folder).drop("optimizer") for folder in records)
    assert theirs.equals(mine)
    assert not list((tmp_path / "worker").iterdir())
    assert not (tmp_path / "experiments" / "sent" / "record" / "algoperf.mnist_jax" / "checkpoints").exists()
    assert len(elsewhere.jobs) == 2  # what crashed is not tried again


def test_a_trial_that_was_lost_goes_on_where_its_worker_kept_it(asked, elsewhere, monkeypatch):
    asked |= {"num_tuning_trials": 1}
    (whole,) = run(**asked, experiment_name="whole")
    seen, made = [], []
    usual = _trial_process.train_apart
    lost = iter([WorkerLost("killed"), KeyError("whoever asked is killed")])

    class Lost(api.Attendant):
        def unsaved(self):
            made.append(1)
            if len(made) in (3, 5):  # past a checkpoint, each time
                raise next(lost)

    def dies(spec, lock, stop, attendant, **how):
        return usual(spec, lock, stop, attendant, **how) if len(made) >= 5 else api.train(spec, Lost())

    monkeypatch.setattr(_trial_process, "train_apart", dies)
    with pytest.raises(KeyError):
        run(**asked, experiment_name="sent", executor="processes", watch=seen.append)
    assert seen[-1].retries["lost (crash)"] == 1
    (sent,) = run(**asked, experiment_name="sent", executor="processes", resume=True)
    assert len(elsewhere.jobs) == 3
    same_numbers(whole.folder, sent.folder)
    with (Path(sent.folder) / "eval_measurements.csv").open() as rows:
        assert [row["preemption_count"] for row in csv.DictReader(rows)] == ["0", "0", "1", "2"]


def test_what_crashed_in_line_goes_on_elsewhere_from_its_checkpoint(asked, elsewhere, submission, tmp_path):
    asked |= {"hparam_start_index": 1}
    (crashed,) = run(**asked, experiment_name="a")
    assert crashed.status == "crashed"
    file = submission / "submission.py"
    file.write_text(file.read_text().replace("global_step == hyperparameters.breaks", "False"))
    # As the mended submission, undisturbed.
    (whole,) = run(**asked, experiment_name="whole")
    (sent,) = run(**asked, experiment_name="a", resume=True, executor="processes")
    assert (sent.status, len(elsewhere.jobs)) == ("done", 1)
    same_numbers(whole.folder, sent.folder)
    with (Path(sent.folder) / "eval_measurements.csv").open() as rows:
        counts = [row["preemption_count"] for row in csv.DictReader(rows)]
    assert counts == ["0", "0", "1", "1"]  # the first evaluation is after step 1


def test_the_first_result_counts_and_it_must_be_the_jobs(asked, elsewhere, monkeypatch):
    from tuning.execution.trials import _store

    asked |= {"num_tuning_trials": 1}
    tried, commit = [], _store.Trials.commit

    def twice(store, job, result):
        other = dataclasses.replace(job, spec=dataclasses.replace(job.spec, seed=8))
        with pytest.raises(
            ValueError, match="trial 1 of algoperf/mnist: what came back belongs to something else"
        ):
            commit(store, other, result)
        tried.append(commit(store, job, result))
        tried.append(commit(store, job, Result(b"of a duplicate", Done())))
        return True

    monkeypatch.setattr(_store.Trials, "commit", twice)
    (outcome,) = run(**asked, experiment_name="sent", executor="processes")
    assert tried == [True, False]
    assert outcome.status == "done"


def test_a_changed_submission_is_refused_where_a_trial_was_under_way(asked, elsewhere, submission):
    def killed(job):
        raise KeyError("the coordinator is killed")

    elsewhere.before = killed
    with pytest.raises(KeyError):
        run(**asked, experiment_name="a", executor="processes")
    (submission / "submission.py").write_text(SUBMISSION + "# changed\n")
    with pytest.raises(ValueError, match=r"trial 1 was begun with other flags: submission \(SHA-256"):
        run(**asked, experiment_name="a", executor="processes", resume=True)


def test_trials_on_different_data_are_not_mixed(asked, elsewhere, mnist):
    plain = mnist.workload
    another = workloads.Provenance("synthetic", "another set")
    other = dataclasses.replace(plain, data=dataclasses.replace(plain.data, provenance=another))

    def has_others(job):
        if job.spec.trial == 2:
            mnist.workload = other

    elsewhere.before = has_others
    try:
        with pytest.raises(
            ValueError, match=r"on 'synthetic: another set', trial_1 was on '.*'; give the same"
        ):
            run(**asked, experiment_name="a", executor="processes")
    finally:
        mnist.workload = plain


def test_what_cannot_travel_is_refused_before_anything_is_written(asked, elsewhere, submission, monkeypatch):
    from tuning.execution.trials import _making

    monkeypatch.setattr(_making, "MOST", 100)
    with pytest.raises(ValueError, match="submission: more than 0 MiB lie in the submission's folder"):
        run(**asked, experiment_name="a", executor="processes")
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"executor": "proceses"}, "unknown executor 'proceses'; did you mean 'processes'"),
        ({"executor": "processes", "isolated": False}, "has a process for every trial"),
        ({"workers": 2}, "executor 'inline' trains one trial after the other"),
        ({"options": {"folder": "jobs"}}, "'inline' does not take --folder"),
    )
    for how, said in ways:
        with pytest.raises(ValueError, match=said):
            run(**asked, experiment_name="a", **how)
    assert not (submission.parent / "experiments" / "a").exists()


def test_a_machine_that_is_wanted_back_is_no_crash_of_the_trial(asked, elsewhere, monkeypatch):
    asked |= {"num_tuning_trials": 1}
    usual, seen = _trial_process.train_apart, []

    def told_to_go(*given, **how):
        assert how["may_go"]
        monkeypatch.setattr(_trial_process, "train_apart", usual)
        raise _trial_process.ToldToGo("the process was ended by SIGTERM")

    monkeypatch.setattr(_trial_process, "train_apart", told_to_go)
    (outcome,) = run(**asked, experiment_name="a", executor="processes", watch=seen.append)
    assert outcome.status == "done"
    assert seen[-1].retries["lost (preempted)"] == 1


RULE = """
import submissions
from submissions import Rule

@submissions.register("mine", learning_rate=(1e-2, 1.0, "log"))
def mine():
    def update(weights, hyperparameters, grads, state, params, seen):
        return grads, state

    return Rule(lambda *given: (), update)
"""


def test_a_rule_of_ones_own_travels_with_the_submission_that_reads_it(
    asked, elsewhere, tmp_path, monkeypatch
):
    elsewhere.submission = tmp_path / "rules"
    elsewhere.submission.mkdir()
    file = elsewhere.submission / "mine.py"
    file.write_text(RULE)
    loaded = []

    def looks(spec, lock, stop, attendant, **how):
        loaded.append(loading.load(spec.submission_path))
        outcome = TrialOutcome(spec.trial, spec.folder, "done", f"{spec.submission_path} is run")
        _trial_folder.write_outcome(outcome)
        return outcome

    monkeypatch.setattr(_trial_process, "train_apart", looks)
    del asked["submission_path"]
    asked |= {"optimizer": f"{file}:mine", "num_tuning_trials": 1}
    (outcome,) = run(**asked, experiment_name="a", executor="processes")
    assert str(file) not in loaded[0].source
    assert "mine.py:mine" in loaded[0].source
    assert outcome.reason == f"{tmp_path}/experiments/a/submission/submission.py is run"


def test_a_workload_of_ones_own_travels(asked, elsewhere, submission, tmp_path, monkeypatch):
    file = submission / "own.py"
    file.write_text(
        "import workloads\nfrom tests.tuning.toy import toy_workload\n\n"
        '@workloads.register("own/sent")\ndef build(data_dir):\n    return toy_workload(name="own/sent")\n'
    )
    found = []

    def looks(spec, lock, stop, attendant, **how):
        found.append((spec.workload_file, workloads.load(spec.workload_to_load).name))
        outcome = TrialOutcome(spec.trial, spec.folder, "done", "")
        _trial_folder.write_outcome(outcome)
        return outcome

    monkeypatch.setattr(_trial_process, "train_apart", looks)
    asked |= {"workload": f"{file}:own/sent", "num_tuning_trials": 1}
    run(**asked, experiment_name="a", executor="processes")
    ((where, name),) = found
    assert name == "own/sent"
    assert Path(where).name == "own.py"
    assert where != str(file)
