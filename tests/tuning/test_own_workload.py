"""A workload from a user's own file, in studies, in jobs for other processes and in runs."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

import workloads
from results import read_studies, studies
from submissions import api
from tuning.execution import kept_files
from tuning.execution.claims import Claims
from tuning.execution.coordinate import commit
from tuning.execution.jobs import Job
from tuning.execution.making import maker
from tuning.execution.stopping import Stop
from tuning.execution.trials.run import run
from tuning.execution.work import Kept, work
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

TOY = """
import workloads
from tests.tuning.toy import toy_workload

@workloads.register("own/toy")
def build(data_dir):
    return toy_workload(name="own/toy")
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What this process knows of files, forgotten after the test."""
    monkeypatch.setattr(_registry, "_RECORDED", {})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(TOY)
    return path


def planned(file, **options):
    arguments = {"name": "s", "budget": 2, "steps": 4} | options
    return plan(workloads=[f"{file}:own/toy"], **arguments)


def test_a_study_records_the_name_and_keeps_the_file(file, tmp_path):
    spec = planned(file)
    assert spec.workloads == ("own/toy",)
    trials = tune(tmp_path / "study", spec)
    assert trials["workload"].unique().to_list() == ["own/toy"]
    assert studies.workload_copy(tmp_path / "study", "own/toy").read_text() == TOY
    assert str(tmp_path) not in (tmp_path / "study/study.json").read_text()


def test_a_study_goes_on_with_its_copy_where_the_file_is_unknown(file, tmp_path, monkeypatch):
    first = tune(tmp_path / "study", planned(file))
    studies.cohort_path(tmp_path / "study", "own/toy", 0).unlink()
    file.unlink()
    monkeypatch.setattr(_registry, "_RECORDED", {})
    again = tune(tmp_path / "study", studies.read_spec(tmp_path / "study"))
    assert again["validation/mse"].to_list() == first["validation/mse"].to_list()


def test_a_changed_file_is_refused_from_the_first_trial_on(file, tmp_path):
    folder = tmp_path / "study"
    tune(folder, planned(file))
    file.write_text(TOY + "# changed\n")
    with pytest.raises(
        ValueError, match=r"mine.py: has changed since this study began, .*own__toy.py; choose"
    ):
        tune(folder, planned(file))
    file.write_text(TOY)
    tune(folder, planned(file))


def test_a_mistake_may_be_mended_until_the_first_trial_is_finished(file, tmp_path):
    folder = tmp_path / "study"
    file.write_text(TOY + "# begun\n")
    stop = Stop()
    tune(folder, planned(file), progress=lambda *_: stop.set(), stop=stop)  # nothing is finished
    assert studies.workload_copy(folder, "own/toy").read_text() == TOY + "# begun\n"
    part = studies.checkpoint_folder(folder, "own/toy", 0)
    part.mkdir(parents=True)
    (part / "state.npz").write_bytes(b"of the version before")
    file.write_text(TOY)
    trials = tune(folder, planned(file, budget=1))
    assert (len(trials), studies.read_spec(folder).strategy["budget"]) == (1, 1)
    assert studies.workload_copy(folder, "own/toy").read_text() == TOY
    assert not part.exists()


def test_a_workload_without_trials_may_be_mended_beside_one_that_has_some(file, tmp_path):
    folder, other = tmp_path / "study", tmp_path / "other.py"
    first = tune(folder, planned(file))
    other.write_text(TOY.replace("own/toy", "own/other") + "# begun\n")
    stop = Stop()
    both = plan(name="s", workloads=["own/toy", f"{other}:own/other"], budget=2, steps=4)
    tune(folder, both, progress=lambda *_: stop.set(), stop=stop)
    other.write_text(TOY.replace("own/toy", "own/other"))
    trials = tune(folder, plan(name="s", workloads=[f"{other}:own/other", "own/toy"], budget=3, steps=4))
    assert trials["workload"].to_list() == ["own/toy"] * 3 + ["own/other"] * 3
    assert trials["validation/mse"].to_list()[:2] == first["validation/mse"].to_list()
    assert studies.workload_copy(folder, "own/other").read_text() == other.read_text()
    other.write_text(TOY.replace("own/toy", "own/other") + "# changed\n")
    with pytest.raises(ValueError, match=r"other.py: has changed since this study began"):
        tune(folder, plan(name="s", workloads=["own/toy", f"{other}:own/other"], budget=4, steps=4))
    assert studies.read_spec(folder).strategy["budget"] == 3


def test_a_file_is_not_changed_under_a_process_that_trains_it(file, tmp_path):
    folder, stop = tmp_path / "study", Stop()
    tune(folder, planned(file), progress=lambda *_: stop.set(), stop=stop)
    file.write_text(TOY + "# changed\n")
    with Claims(folder) as other:
        assert other.take("own/toy", 1)
        with pytest.raises(ValueError, match=r"mine.py: has changed since this study began"):
            tune(folder, planned(file))
    assert studies.workload_copy(folder, "own/toy").read_text() == TOY


def job_of(folder, own, cohort):
    spec = studies.read_spec(folder)
    return maker(folder, spec, None, workload_files={"own/toy": kept_files.sent(own)})("own/toy", cohort)


def test_a_cohort_is_of_the_version_that_the_study_keeps(file, tmp_path):
    folder = tmp_path / "study"
    tune(folder, planned(file))
    own = workloads.own_file("own/toy")
    (cohort,) = studies.read_spec(folder).cohorts(planned(file).points["own/toy"], "own/toy")
    copy, written = studies.workload_copy(folder, "own/toy"), studies.cohort_path(folder, "own/toy", 0)
    done = work(job_of(folder, own, cohort), Kept())
    copy.write_text(TOY + "# put there\n")
    with pytest.raises(
        ValueError, match=r"00000.parquet: does not belong here: it was made for workload_sha256"
    ):
        studies.read_trials(folder)
    written.unlink()
    with pytest.raises(ValueError, match=r"own__toy.py: another file was put into this study while cohort 0"):
        commit(job_of(folder, own, cohort), done)
    assert not written.exists()


def test_trials_of_a_registered_workload_are_not_gone_on_with_from_a_file(file, tmp_path, monkeypatch):
    monkeypatch.setattr(_registry, "_REGISTERED", {})
    exec(TOY, {})
    tune(tmp_path / "study", plan(name="s", workloads=["own/toy"], budget=2, steps=4))
    with pytest.raises(ValueError, match="has trials of a workload 'own/toy' that was not in a file"):
        tune(tmp_path / "study", planned(file))


def test_a_job_that_travelled_has_the_file_where_it_has_changed(file, tmp_path):
    folder, spec = tmp_path / "study", planned(file)
    first = tune(folder, spec)
    own = workloads.own_file("own/toy")
    (cohort,) = studies.read_spec(folder).cohorts(spec.points["own/toy"], "own/toy")
    job = Job.from_json(json.loads(json.dumps(job_of(folder, own, cohort).to_json())))
    file.write_text("raise RuntimeError('this is another version')")
    studies.cohort_path(folder, "own/toy", 0).unlink()
    assert commit(job, work(job, Kept()))
    assert studies.read_trials(folder)["validation/mse"].to_list() == first["validation/mse"].to_list()


@pytest.mark.slow
def test_worker_processes_find_it(file, tmp_path):
    spec = planned(file, budget=4, cohort_size=2)
    alone, shared = (
        tune(tmp_path / executor, spec, executor=executor, workers=2) for executor in ("threads", "processes")
    )
    assert alone["validation/mse"].to_list() == shared["validation/mse"].to_list()


SUBMISSION = """
import jax
from algoperf import spec

def get_batch_size(workload_name):
    if workload_name != "own/toy":
        raise ValueError(f"told {workload_name}")
    return 8

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return (), None

def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    return (optimizer_state, None), current_param_container, model_state

def prepare_for_eval(workload, current_param_container, current_params_types, model_state, hyperparameters,
                     loss_type, optimizer_state, eval_results, global_step, rng):
    return optimizer_state, current_param_container, model_state

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)
"""


@pytest.fixture
def runs(file, tmp_path):
    (tmp_path / "submission.py").write_text(textwrap.dedent(SUBMISSION))

    def start(**options):
        return run(
            submission_path=tmp_path / "submission.py", workload=f"{file}:own/toy", experiment_dir=tmp_path,
            experiment_name="x", rng_seed=1, max_global_steps=4, **{"tuning_ruleset": "self-tuning"} | options,
        )  # fmt: skip

    return start


def test_a_trial_in_a_process_of_its_own_finds_it(runs, tmp_path):
    (outcome,) = runs()
    assert (outcome.status, outcome.global_step) == ("done", 4), outcome.reason
    assert Path(outcome.folder).parent.name == api.workload_folder("own/toy")
    record = tmp_path / "x/record" / api.workload_folder("own/toy")
    assert studies.read_trials(record)["workload"].to_list() == ["own/toy"]
    assert studies.workload_copy(record, "own/toy").read_text() == TOY


def test_a_run_is_not_gone_on_with_when_the_file_has_changed(runs, file):
    runs(isolated=False)
    file.write_text(TOY + "# changed\n")
    with pytest.raises(ValueError, match="has changed since this study began"):
        runs(isolated=False, resume=True)
    (outcome,) = runs(isolated=False, overwrite=True)
    assert outcome.status == "done", outcome.reason


SPACE = '[{"rate": 1.0}, {"rate": 2.0}]'


def test_a_file_that_changes_during_a_run_changes_no_trial(runs, file, tmp_path):
    (tmp_path / "tuning_search_space.json").write_text(SPACE)
    submission = tmp_path / "submission.py"
    # The first trial spoils the file.
    spoil = f"open({str(file)!r}, 'w').write('raise RuntimeError')"
    submission.write_text(
        submission.read_text().replace("    return (), None", f"    {spoil}\n    return (), None")
    )
    outcomes = runs(isolated=False, tuning_ruleset="external", num_tuning_trials=2)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]


def test_what_is_refused_deletes_nothing(runs, file, tmp_path):
    (tmp_path / "tuning_search_space.json").write_text(SPACE)
    both = runs(isolated=False, tuning_ruleset="external", num_tuning_trials=2)
    file.write_text(TOY + "# changed\n")
    with pytest.raises(ValueError, match="has changed since this study began"):
        runs(
            isolated=False, tuning_ruleset="external", num_tuning_trials=2, hparam_end_index=1, overwrite=True
        )
    assert all((Path(outcome.folder) / "outcome.json").is_file() for outcome in both)


WITHOUT_TEST = """
import dataclasses
import workloads
from tests.tuning.toy import toy_workload

@workloads.register("own/two")
def build(data_dir):
    made = toy_workload(name="own/two")
    return dataclasses.replace(made, eval_splits={"train": "train", "validation": "validation"}, test_target=None)
"""


def test_a_workload_without_a_test_split_is_tuned_run_and_read(file, tmp_path):
    file.write_text(WITHOUT_TEST)
    name = f"{file}:own/two"
    trials = tune(tmp_path / "studies/tuned", plan(workloads=[name], name="s", budget=2, steps=4))
    assert trials["status"].to_list() == ["done", "done"]
    space = tmp_path / "space.json"
    space.write_text(json.dumps([{"learning_rate": 0.01}]))
    (outcome,) = run(
        optimizer="adam1p", workload=name, experiment_dir=tmp_path, experiment_name="e", num_tuning_trials=1,
        tuning_search_space=space, max_global_steps=3, rng_seed=0, isolated=False,
    )  # fmt: skip
    assert outcome.status == "done"
    for source in (tmp_path / "studies", tmp_path / "e" / studies.RECORD):
        read = read_studies(source)
        assert read.evals["test_metric"].null_count() == len(read.evals) > 0
        assert read.evals["validation_metric"].null_count() == 0


def test_a_run_of_an_own_workload_that_crashes_at_once_has_its_row(file, tmp_path):
    submission = tmp_path / "broken.py"
    submission.write_text("raise RuntimeError('at import')")
    space = tmp_path / "space.json"
    space.write_text(json.dumps([{"learning_rate": 0.01}]))
    (outcome,) = run(
        submission_path=submission, workload=f"{file}:own/toy", experiment_dir=tmp_path, experiment_name="e",
        tuning_search_space=space, rng_seed=0,
    )  # fmt: skip
    assert outcome.status == "crashed"
    (record,) = (tmp_path / "e" / studies.RECORD).iterdir()
    assert studies.read_trials(record)["status"].to_list() == ["crashed"]
