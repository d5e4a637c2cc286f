"""The runner's rules: points, seeds, folders, flags, budgets, and logs that read back."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import workloads
from results import read_algoperf_logs, read_studies, studies
from results.studies import STATUSES
from shortlist import _run_commands
from submissions import api
from submissions.api import _inputs as _run_inputs
from submissions.api import _logs as _run_logs
from submissions.api import checkpoints
from submissions.spaces import SearchSpace
from tuning.execution.seeding import seed_of_trial
from tuning.execution.trials import _run_points
from tuning.execution.trials import run as runner
from tuning.strategies import halton

RANGES = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "scaling": "log"},
    "layers": {"feasible_points": [1, 2, 4]},
    "grafting": {"feasible_points": ["adam", "sgd"]},
}
SUBMISSION = '''
import jax
from algoperf import spec

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {}, None

@jax.jit
def shrink(params):
    return jax.tree.map(lambda p: 0.9 * p, params)

def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng, train_state):
    assert train_state["is_time_remaining"]
    if hyperparameters and hyperparameters.stop == global_step:
        raise spec.TrainingCompleteError()
    return optimizer_state, shrink(current_param_container), model_state

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)

def get_batch_size(workload_name):
    return 16
'''  # fmt: skip


@pytest.fixture
def space(tmp_path):
    file = tmp_path / "space.json"
    file.write_text(json.dumps(RANGES))
    return file


@pytest.fixture(scope="module")
def mnist():
    """One view for all tests, so that it compiles once."""
    return api.view(workloads.load("algoperf/mnist"))


@pytest.fixture
def run(tmp_path, monkeypatch, mnist):
    """Runs the submission above in this process, on the MNIST stand-in with other facts."""
    (tmp_path / "submission.py").write_text(SUBMISSION)
    (tmp_path / "point.json").write_text('[{"stop": 7}, {"stop": -1}]')

    plain = mnist.workload

    def run(name, facts=None, **arguments):
        given_facts = dataclasses.replace(plain, **(facts or {}))
        monkeypatch.setattr(mnist, "workload", given_facts)
        monkeypatch.setattr(mnist, "eval_period", given_facts.eval_period)
        monkeypatch.setattr(api, "algoperf_workload", lambda *_: mnist)
        given = {
            "submission_path": tmp_path, "workload": "algoperf/mnist", "experiment_dir": tmp_path / "experiments",
            "experiment_name": name, "tuning_search_space": tmp_path / "point.json", "rng_seed": 1, "isolated": False,
            "save_checkpoints": False,
        }  # fmt: skip
        return runner.run(**(given | arguments))

    return run


def rows(outcome, file="eval_measurements.csv"):
    path = Path(outcome.folder) / file
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def test_points_are_algoperfs_and_keep_the_files_spelling(space, tmp_path):
    drawn = _run_points.points(tmp_path, space, 8, seed=3)
    numeric = {"learning_rate": RANGES["learning_rate"], "layers": {"feasible_points": [1, 2, 4]}}
    numeric["grafting"] = {"feasible_points": [0, 1]}
    expected = halton.points(SearchSpace.from_json(numeric), 8, order_seed=3)
    for point, numbers in zip(drawn, expected, strict=True):
        assert point["learning_rate"] == numbers.hyperparameters["learning_rate"]
        assert type(point["layers"]) is int
        assert point["layers"] == numbers.hyperparameters["layers"]
        assert ["adam", "sgd"].index(point["grafting"]) == numbers.hyperparameters["grafting"]


def test_points_are_drawn_once(space, tmp_path):
    first = _run_points.points(tmp_path, space, 5, seed=3)
    assert _run_points.points(tmp_path, space, 5, seed=3) == first
    with pytest.raises(ValueError, match="rng_seed was 3, now 4"):
        _run_points.points(tmp_path, space, 5, seed=4)
    with pytest.raises(ValueError, match="num_tuning_trials was 5, now 4; it may only grow"):
        _run_points.points(tmp_path, space, 4, seed=3)
    space.write_text(json.dumps(RANGES, indent=3))  # says the same
    assert _run_points.points(tmp_path, space, 5, seed=3) == first
    space.write_text(json.dumps(RANGES | {"layers": {"feasible_points": [1, 2, 8]}}))
    with pytest.raises(ValueError, match=r"layers was .*\[1, 2, 4\].*, now .*\[1, 2, 8\]"):
        _run_points.points(tmp_path, space, 5, seed=3)


def test_more_points_keep_those_that_were_there_and_complete_the_same_set(space, tmp_path):
    few = _run_points.points(tmp_path / "grown", space, 5, seed=3)
    for trials in (6, 9):  # by whatever way
        grown = _run_points.points(tmp_path / "grown", space, trials, seed=3)
    assert grown[:5] == few
    assert _run_points.points(tmp_path / "grown", space, 9, seed=3) == grown
    at_once = _run_points.points(tmp_path / "at_once", space, 9, seed=3)
    assert sorted(map(json.dumps, grown)) == sorted(map(json.dumps, at_once))


def test_a_list_grows_by_rows_behind_its_own(tmp_path):
    file = tmp_path / "list.json"
    file.write_text('[{"k": 1}, {"k": 2}]')
    assert _run_points.points(tmp_path, file, 2, seed=0) == [{"k": 1}, {"k": 2}]
    with pytest.raises(ValueError, match="2 points for 3 trials"):
        _run_points.points(tmp_path, file, 3, seed=0)
    file.write_text('[{"k": 1}, {"k": 2}, {"k": 3}]')
    assert _run_points.points(tmp_path, file, 3, seed=0) == [{"k": 1}, {"k": 2}, {"k": 3}]
    file.write_text('[{"k": 1}, {"k": 7}, {"k": 3}]')
    with pytest.raises(ValueError, match=r'point 1 was \{"k": 2\}, now \{"k": 7\}'):
        _run_points.points(tmp_path, file, 3, seed=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"learning-rate": 1}]', "cannot be a hyperparameter's name"),
        ('[{"k": NaN}]', "point 0: k is nan; must be finite"),
        ('[{"k": 1e999}]', "point 0: k is inf; must be finite"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_impossible_points_are_refused(tmp_path, content, said):
    file = tmp_path / "list.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=said):
        _run_points.points(tmp_path, file, 1, seed=0)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"asked": 3, "points": []}'])
def test_damaged_points_are_named(space, tmp_path, content):
    _run_points.points(tmp_path, space, 2, seed=0)
    (tmp_path / "points.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"points\.json: damaged .*; restore it, or delete it"):
        _run_points.points(tmp_path, space, 2, seed=0)


def test_a_list_holds_whatever_json_can_say(tmp_path):
    file = tmp_path / "list.json"
    points = [{"nesterov": True, "name": "ADAM", "k": 3}, {"k": 4, "nesterov": False, "name": None}]
    file.write_text(json.dumps(points))
    assert _run_points.points(tmp_path, file, 2, seed=0) == points
    with pytest.raises(ValueError, match="2 points for 3 trials"):
        _run_points.points(tmp_path / "other", file, 3, seed=0)
    file.write_text('[{"k": 1}, {"j": 1}]')
    with pytest.raises(ValueError, match="point 1: must be an object with the names of point 0"):
        _run_points.points(tmp_path / "third", file, 1, seed=0)


def test_only_trial_1_has_the_studys_seed():
    seeds = [seed_of_trial(5, trial) for trial in range(1, 101)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_slice_takes_its_own_trials_and_points(run, tmp_path):
    (second,) = run("sliced", num_tuning_trials=2, hparam_start_index=1, max_global_steps=3)
    assert second.trial == 2
    assert json.loads((tmp_path / second.folder / "hparams.json").read_text()) == {"stop": -1}
    (first,) = run("sliced", num_tuning_trials=2, hparam_end_index=1, max_global_steps=3)
    assert first.trial == 1
    with pytest.raises(FileExistsError, match="--resume goes on with it, --overwrite deletes it"):
        run("sliced", num_tuning_trials=2, max_global_steps=3)


def test_the_record_holds_what_every_slice_has_done(run, tmp_path):
    folder = tmp_path / "experiments" / "sliced" / "record"
    given = {"num_tuning_trials": 2, "max_global_steps": 2}
    run("sliced", hparam_start_index=1, skip_evals=True, **given)
    alone = read_studies(folder)
    assert alone.trials["trial"].to_list() == [2]
    assert len(alone.evals) == 0
    assert "1 of 2 trials are not run yet; 'shortlist run --resume'" in alone.left_out[0].reason
    run("sliced", hparam_end_index=1, **given)
    run("sliced", hparam_start_index=1, overwrite=True, **given)
    both = read_studies(folder)
    assert both.trials["trial"].to_list() == [1, 2]
    assert both.evals["global_step"].to_list() == [1, 2] * 2
    assert not both.left_out


def test_the_record_of_self_tuning_has_one_trial_without_hyperparameters(run, tmp_path):
    run("alone", tuning_ruleset="self-tuning", tuning_search_space=None, max_global_steps=1)
    results = read_studies(tmp_path / "experiments" / "alone" / "record")
    assert results.trials["hyperparameters"].to_list() == ["{}"]


def test_a_submission_that_completes_its_training_gets_a_last_evaluation(run):
    (outcome,) = run("completes")
    assert (outcome.status, outcome.reason) == ("stopped", "the submission ended its training")
    assert [row["global_step"] for row in rows(outcome)] == ["1", "8"]  # the step that raises counts


def test_without_a_clock_training_ends_at_the_step_hint(run):
    (outcome,) = run("hint", {"step_hint": 40, "eval_period": 16}, num_tuning_trials=2, hparam_start_index=1)
    assert [row["global_step"] for row in rows(outcome)] == ["1", "16", "32", "40"]
    assert "all 40 steps" in outcome.reason


@pytest.mark.parametrize("skip_evals", [False, True])
@pytest.mark.parametrize(("ruleset", "budget"), [("external", 0.4), ("self-tuning", 0.6)])
def test_a_budget_ends_a_trial(run, ruleset, budget, skip_evals):
    facts = {"max_runtime_seconds": 0.4, "eval_period_seconds": 0.05}
    given = {"tuning_ruleset": ruleset, "skip_evals": skip_evals}
    given |= (
        {"num_tuning_trials": 2, "hparam_start_index": 1}
        if ruleset == "external"
        else {"tuning_search_space": None}
    )
    (outcome,) = run("budget", facts, **given)
    assert outcome.status == "timeout"
    assert "budget" in outcome.reason
    assert outcome.score >= budget
    trials = studies.read_trials(
        Path(outcome.folder).parents[1] / "record" / Path(outcome.folder).parent.name
    )
    assert trials["max_runtime_seconds"].to_list() == pytest.approx([budget])
    if skip_evals:
        assert not outcome.metrics
    else:  # beyond the budget nothing is evaluated
        assert all(float(row["score"]) < budget for row in rows(outcome))


def test_a_trial_whose_last_evaluation_is_not_finite_has_diverged(run, monkeypatch, mnist):
    real = type(mnist).eval_model
    monkeypatch.setattr(
        mnist, "eval_model", lambda *given: real(mnist, *given) | {"validation/loss": float("nan")}
    )
    (outcome,) = run("diverges", max_global_steps=3)
    assert outcome.status == "diverged"
    assert outcome.reason == "all 3 steps are made; validation/loss is nan at the last evaluation"
    assert outcome.status in STATUSES


def test_a_budget_used_up_behind_the_target_is_no_timeout(run):
    facts = {"max_runtime_seconds": 0.4, "eval_period_seconds": 0.05, "validation_target": 0.001}
    given = {"num_tuning_trials": 2, "hparam_start_index": 1, "stop_at_targets": False}
    (outcome,) = run("behind", facts, **given)
    assert (outcome.status, outcome.reached) == ("done", True)
    assert "budget" in outcome.reason


def test_algoperfs_spelling_of_self_tuning_is_taken(run, tmp_path):
    (outcome,) = run("alone", tuning_ruleset="self", tuning_search_space=None, max_global_steps=2)
    assert json.loads((Path(outcome.folder) / "flags_0.json").read_text())["tuning_ruleset"] == "self"
    with pytest.raises(
        ValueError, match=r"allowed: external, self-tuning \(or self, as AlgoPerf spells it\)"
    ):
        run("other", tuning_ruleset="selftuning", tuning_search_space=None)


def test_targets_end_a_trial_unless_told_to_go_on(run):
    facts = {"validation_target": 0.001, "test_target": 0.001, "step_hint": 20}
    given = {"num_tuning_trials": 2, "hparam_start_index": 1}
    (outcome,) = run("targets", facts, **given)
    assert (outcome.reason, outcome.reached) == ("both targets are reached", True)
    (outcome,) = run("on", facts, **given, stop_at_targets=False)
    assert (outcome.global_step, outcome.reached) == (20, True)


def test_our_reader_reads_every_number_back(run, tmp_path):
    facts = {"validation_target": 0.99, "test_target": 0.99, "step_hint": 50, "eval_period": 10}
    facts |= {"max_runtime_seconds": 1e4, "eval_period_seconds": 1e3}
    (outcome,) = run(
        "mine/study_0",
        facts,
        eval_period_steps=10,
        num_tuning_trials=2,
        hparam_start_index=1,
        max_global_steps=50,
    )
    results = read_algoperf_logs(tmp_path / "experiments" / "mine", "v0.6")
    assert results.left_out == ()
    (trial,) = results.trials.to_dicts()
    assert trial["workload"] == "algoperf/mnist"  # ours, never AlgoPerf's own name
    assert (trial["repeat"], trial["trial"], json.loads(trial["hyperparameters"])) == (0, 2, {"stop": -1})
    assert (trial["metric"], trial["validation_target"], trial["step_hint"]) == ("accuracy", 0.99, 50)
    assert (trial["benchmark"], trial["max_runtime_seconds"]) == (None, 1e4)
    assert trial["data"].startswith("embedded: ")
    written = rows(outcome)
    columns = {
        "global_step": "global_step", "submission_seconds": "accumulated_submission_time",
        "validation_metric": "validation/accuracy", "test_metric": "test/accuracy", "train_metric": "train/accuracy",
    }  # fmt: skip
    assert [row["global_step"] for row in written] == ["1", "10", "20", "30", "40", "50"]
    for ours, theirs in columns.items():
        assert results.evals[ours].to_list() == [float(row[theirs]) for row in written]
    assert list(written[0]) == sorted(written[0])
    last = rows(outcome, "measurements.csv")[-1]
    assert {name for name, value in last.items() if value} == {"score", "global_step", "preemption_count"}
    assert float(last["score"]) == outcome.score


def test_a_new_column_keeps_the_rows_and_half_a_line_is_dropped(tmp_path):
    logs = _run_logs.TrialLogs(tmp_path)
    logs.scalars({"loss": 0.1}, 0)
    logs.scalars({"loss": 0.2, "grad_norm": 1 / 3}, 5)
    file = tmp_path / "measurements.csv"
    with file.open("a") as out:
        out.write("0.3,7")
    assert logs.go_on(9, []) == []
    logs.scalars({"loss": 0.4}, 9)
    found = _run_logs.read_rows(file)
    assert [row["loss"] for row in found] == ["0.1", "0.2", "0.4"]
    assert float(found[1]["grad_norm"]) == 1 / 3


def test_a_checkpoint_of_another_state_is_refused(tmp_path):
    file = checkpoints.save(tmp_path, 3, {"w": np.ones(2)}, {"step": 3}, keep_others=False)
    arrays, kept = checkpoints.restore(file, {"w": np.zeros(2)})
    assert arrays["w"].tolist() == [1, 1]
    assert kept == {"step": 3}
    with pytest.raises(ValueError, match="saved another state"):
        checkpoints.restore(file, {"v": np.zeros(2)})
    with pytest.raises(ValueError, match="shape"):
        checkpoints.restore(file, {"w": np.zeros(3)})
    with pytest.raises(ValueError, match="only arrays and numbers can be saved"):
        checkpoints.check_savable(({"f": print}, None))


def test_variants_of_algoperf_know_their_base():
    name = "algoperf-installed/imagenet_resnet_silu"
    assert _run_inputs.base_workload(name) == "imagenet_resnet"
    assert _run_inputs.base_workload("algoperf-installed/mnist") is None
    assert _run_inputs.base_workload("taskset/mlp_family_seed0") is None


def test_the_command_takes_algoperfs_flags(monkeypatch):
    seen = {}
    monkeypatch.setattr(runner, "run", lambda **arguments: seen.update(arguments) or [])
    app = typer.Typer()
    _run_commands.add_to(app)
    app.command()(lambda: None)
    flags = (
        "--framework=jax --workload=mnist --submission_path=a/b.py --tuning_search_space=x.json --experiment_dir=/e "
        "--experiment_name=n/study_0 --num_tuning_trials=2 --rng_seed=1 --max_global_steps=5 --overwrite=true "
        "--nosave_checkpoints --noskip_evals --notorch_compile --hparam_end_index=1"
    )
    CliRunner().invoke(app, ["run", *flags.split()])
    expected = {
        "workload": "mnist", "experiment_name": "n/study_0", "num_tuning_trials": 2, "rng_seed": 1,
        "max_global_steps": 5, "overwrite": True, "save_checkpoints": False, "skip_evals": False, "hparam_end_index": 1,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected


def test_pytorch_is_refused():
    app = typer.Typer()
    _run_commands.add_to(app)
    app.command()(lambda: None)
    flags = "--framework=pytorch --workload=mnist --submission_path=a --experiment_dir=/e --experiment_name=n"
    result = CliRunner().invoke(app, ["run", *flags.split()])
    assert isinstance(result.exception, ValueError)
    assert "only JAX submissions run here" in str(result.exception)


def test_the_search_space_beside_a_submission_is_found(run, tmp_path):
    with pytest.raises(ValueError, match=r"there is no tuning_search_space.json beside .*submission.py"):
        run("beside", tuning_search_space=None)
    (tmp_path / "tuning_search_space.json").write_text('[{"stop": -1}]')
    (outcome,) = run("beside", tuning_search_space=None, max_global_steps=1)
    assert json.loads((Path(outcome.folder) / "hparams.json").read_text())["stop"] == -1


def test_a_submission_that_does_not_exist_is_told_first(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such file; give a submission.py or the folder"):
        run("nowhere", submission_path=tmp_path / "nowhere", tuning_search_space=None)


@pytest.mark.parametrize(
    ("workload", "data", "message"),
    [
        ("algoperf/mnist", "a", "algoperf/mnist has no test images of ImageNet-v2; leave it out"),
        ("algoperf/imagenet_vit@mini", "a", "mini has no test images of ImageNet-v2"),
        (
            "algoperf/imagenet_vit",
            "a",
            "algoperf/imagenet_vit reads imagenet_v2/ below data_dir; link it there",
        ),
        ("algoperf/imagenet_vit", None, "reads imagenet_v2/ below data_dir"),
    ],
)
def test_a_folder_of_test_images_that_nothing_would_read_is_refused(run, tmp_path, workload, data, message):
    for name in "ab":
        (tmp_path / name).mkdir()
    given = {
        "workload": workload,
        "data_dir": data and tmp_path / data,
        "imagenet_v2_data_dir": tmp_path / "b",
    }
    with pytest.raises(ValueError, match=message):
        run("refused", **given)
    assert not (tmp_path / "experiments").exists()
