"""Names, loading, facts and targets."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys

import pytest

import workloads
from workloads import _registry, _targets
from workloads.taskset import fixed

SIX = (  # one of TaskSet, and all others
    "algoperf/mnist",
    "taskset/mlp_family_seed15",
    "digits/conv",
    "photographs/autoencoder",
    "stdlib/char_rnn",
    "clicks/mlp",
)


@pytest.fixture
def registry(monkeypatch):
    """A registry of registered workloads that is forgotten after the test."""
    monkeypatch.setattr(_registry, "_REGISTERED", {})


def test_the_package_and_its_names_import_without_jax():
    code = "import sys, workloads; workloads.names(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_ours_and_the_1309_of_taskset(registry):
    names = workloads.names()
    assert len(set(names)) == len(names)
    assert set(SIX) <= set(names)
    sampled = [name for name in names if "_seed" in name]
    others = [name for name in names if name.startswith("taskset/") and "_seed" not in name]
    assert (len(sampled), len(others)) == (1200, 109)
    assert "taskset/losg_tasks_family_seed99" in sampled
    assert "taskset/FixedMLP_mnist_ce_128x128x128_relu_bs128" in others


def test_representatives_are_a_member_of_each_family_and_all_others():
    names = workloads.representatives()
    assert set(SIX) <= set(names)
    assert len([name for name in names if name.startswith("taskset/")]) == 12
    assert set(names) <= set(workloads.names())


def test_every_name_has_a_builder_in_a_module_that_is_there(registry):
    modules = {where.split(":")[0] for where in _registry.WORKLOADS.values()}
    modules |= {f"workloads.taskset.{module}" for module in fixed.GROUPS.values()}
    assert all(importlib.util.find_spec(module) for module in modules)


@pytest.mark.parametrize("name", SIX)
def test_every_name_loads_as_itself(loaded, name):
    assert loaded[name].name == name


def test_a_pattern_loads_for_any_number():
    workload = workloads.load("taskset/mlp_family_seed13")
    assert workload.name == "taskset/mlp_family_seed13"
    assert workload.batch_size == 52


@pytest.mark.parametrize(
    ("wrong", "suggestion"),
    [
        ("algoperf/minst", "did you mean 'algoperf/mnist'"),
        ("taskset/mlp_famly_seed12", "did you mean 'taskset/mlp_family_seed12'"),
        ("taskset/mlp_family_seed<k>", "did you mean"),
        ("taskset/mlp_family_seed-1", "did you mean"),
        ("taskset/mlp_family_seed07", "did you mean"),
        ("taskset/TwoD_Bowl3", "did you mean 'taskset/TwoD_Bowl"),
        ("FixedMAF_mnist_2layer_bs64", "did you mean 'taskset/FixedMAF_mnist_2layer_bs64'"),
        ("zzz", "'shortlist workloads' lists them"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(wrong, suggestion):
    with pytest.raises(ValueError, match="unknown workload") as caught:
        workloads.load(wrong)
    assert suggestion in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_seed_beyond_the_generator_is_refused():
    with pytest.raises(ValueError, match="out of range; allowed: 0 to 4195843804"):
        workloads.load("taskset/mlp_family_seed4195843805")


def test_a_data_dir_that_is_not_a_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="leave it out"):
        workloads.load("clicks/mlp", tmp_path / "nowhere")


def test_one_decorator_adds_a_workload(registry, loaded):
    @workloads.register("mine/clicks")
    def build(data_dir):
        assert data_dir is None
        return dataclasses.replace(loaded["clicks/mlp"], name="mine/clicks")

    assert "mine/clicks" in workloads.names()
    assert workloads.load("mine/clicks").metric.name == "loss"


@pytest.mark.parametrize("taken", ["clicks/mlp", "taskset/mlp_family_seed3", "taskset/TwoD_Bowl1"])
def test_a_taken_name_is_not_registered_again(registry, taken):
    with pytest.raises(ValueError, match="exists already"):
        workloads.register(taken)


def test_a_name_that_is_no_path_is_not_registered(registry):
    with pytest.raises(ValueError, match="path-like"):
        workloads.register("mine")


def test_a_builder_must_return_the_name_it_was_registered_under(registry, loaded):
    workloads.register("mine/other")(lambda data_dir: loaded["clicks/mlp"])
    with pytest.raises(ValueError, match="returned a workload named 'clicks/mlp'"):
        workloads.load("mine/other")


# Closed forms: sums of inputs * outputs + outputs over dense layers, and 9 * channels * outputs + outputs.
PARAMETERS = {
    "algoperf/mnist": 101_770,  # as AlgoPerf's
    "taskset/mlp_family_seed15": 784 * 18 + 18 + 18 * 10 + 10,
    "digits/conv": (9 * 8 + 8) + (9 * 8 * 16 + 16) + (256 * 32 + 32) + (32 * 10 + 10),
    "photographs/autoencoder": 2 * (144 * 96 + 96 * 48 + 48 * 16) + 96 + 48 + 16 + 48 + 96 + 144,
    "stdlib/char_rnn": 3 * (70 * 32 + 32 * 32 + 32) + 32 * 70 + 70,
    "clicks/mlp": 8 * 48 * 6 + (54 * 64 + 64) + (64 * 32 + 32) + (32 + 1),
}


@pytest.mark.parametrize("name", SIX)
def test_parameter_counts_equal_their_closed_forms(loaded, name):
    assert workloads.parameter_count(loaded[name]) == PARAMETERS[name]


@pytest.mark.parametrize("name", SIX)
def test_facts_survive_json_and_name_the_data(loaded, name):
    row = workloads.facts(loaded[name])
    assert json.loads(json.dumps(row)) == row
    assert row["parameters"] == PARAMETERS[name]
    assert row["data"].startswith(row["data_kind"] + ": ")


@pytest.mark.parametrize("name", SIX)
def test_evaluations_divide_the_budget(loaded, name):
    assert loaded[name].step_hint % loaded[name].eval_period == 0


def _targets_file(path, **changes):
    entry = {
        "metric": "loss",
        "validation_target": 0.5,
        "test_target": None,
        "how": "any other key is allowed",
    }
    content = {"format": 1, "targets": {"clicks/mlp": entry | changes.pop("entry", {})}, **changes}
    path.write_text(json.dumps(content))
    return path


def test_targets_are_read_and_absent_names_have_none(tmp_path):
    targets = _targets.read_targets(_targets_file(tmp_path / "targets.json"))
    assert targets["clicks/mlp"] == _targets.Target("loss", 0.5, None)
    assert targets.get("digits/conv") is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2 is not known"),
        ({"entry": {"validation_target": "low"}}, r"validation_target"),
        ({"targets": 3}, r"\$\.targets"),
        (
            {"entry": {"test_targett": 0.6}},
            "clicks/mlp: unknown key 'test_targett'; did you mean 'test_target'",
        ),
        ({"entry": {"metric": " "}}, "clicks/mlp: metric is empty"),
    ],
)
def test_a_wrong_targets_file_is_refused_with_its_key(tmp_path, changes, message):
    path = _targets_file(tmp_path / "targets.json", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        _targets.read_targets(path)
    assert str(path) in str(caught.value)


def test_load_fills_targets_of_the_same_metric_only(monkeypatch):
    target = workloads.Target("loss", 0.5, 0.6)
    monkeypatch.setattr(_registry, "read_targets", lambda: {"clicks/mlp": target})
    workload = workloads.load("clicks/mlp")
    assert (workload.validation_target, workload.test_target) == (0.5, 0.6)
    assert workloads.load("digits/conv").validation_target is None
    monkeypatch.setattr(_registry, "read_targets", lambda: {"clicks/mlp": workloads.Target("accuracy", 0.5)})
    with pytest.raises(ValueError, match="judged by 'loss'"):
        workloads.load("clicks/mlp")


def test_quirks_behind_a_name_switch_the_task_and_stay_in_its_name():
    name = "taskset/mlp_family_seed12@just_train=honoured"
    honoured, released = workloads.load(name), workloads.load("taskset/mlp_family_seed12")
    assert honoured.name == name
    assert honoured.data.size("test") == honoured.data.size("train") != released.data.size("test")
    fixed = workloads.load("taskset/FixedNVP_mnist_9layer_thin_bs16@misnamed_tasks=as_named")
    assert fixed.batch_size == 16


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("taskset/mlp_family_seed12@just_trian=honoured", "did you mean 'just_train'"),
        ("taskset/mlp_family_seed12@just_train=maybe", "allowed: ignored, honoured"),
        ("taskset/mlp_family_seed12@just_train", "switch=position"),
        ("taskset/mlp_family_seed12@just_train=honoured,just_train=ignored", "once"),
        ("digits/conv@just_train=honoured", "unknown workload"),
    ],
)
def test_wrong_quirks_are_refused_with_what_would_be_right(wrong, said):
    with pytest.raises(ValueError, match=said):
        workloads.load(wrong)
