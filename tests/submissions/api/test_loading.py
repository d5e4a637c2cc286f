"""Submissions from their folders, as AlgoPerf's repositories have them, and the errors of those that cannot be run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from submissions.api import loading

FUNCTIONS = """
def get_batch_size(workload_name):
    if workload_name == "mnist":
        return 16
    if workload_name == "wmt":
        return 128
    raise ValueError(f"Unsupported workload name: {workload_name}.")


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {}, None


def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    return optimizer_state, current_param_container, model_state


def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)
"""


def write(folder: Path, source: str = FUNCTIONS, **others: str) -> Path:
    """A submission's folder; others are files beside it, path with __ for / -> text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.py").write_text(source)
    for name, text in others.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_folder_and_its_file_are_the_same_submission(tmp_path):
    folder = write(tmp_path / "mine")
    by_folder, by_file = loading.load(folder), loading.load(str(folder / "submission.py"))
    assert by_folder.path == by_file.path == folder / "submission.py"
    assert by_folder.module.__name__ != by_file.module.__name__
    assert by_folder.source == FUNCTIONS
    assert by_folder.get_batch_size("wmt") == 128
    assert by_folder.prepare_for_eval is None
    assert by_folder.get_eval_batch_size is None
    assert not by_folder.device_axis
    assert not by_folder.wants_train_state


def test_a_changed_file_is_read_again(tmp_path):
    folder = write(tmp_path / "mine", FUNCTIONS + "VALUE = 1\n")
    assert loading.load(folder).module.VALUE == 1
    write(folder, FUNCTIONS + "VALUE = 22\n")
    assert loading.load(folder).module.VALUE == 22


def test_train_state_and_the_optional_functions_are_noticed(tmp_path):
    source = FUNCTIONS.replace(
        "global_step, rng):\n    return optimizer",
        "global_step, rng, train_state=None):\n    return optimizer",
    )
    source += """
def get_eval_batch_size(workload_name):
    return 8


def prepare_for_eval(workload, current_param_container, current_params_types, model_state, hyperparameters, loss_type,
                     optimizer_state, eval_results, global_step, rng):
    return optimizer_state, current_param_container, model_state
"""
    found = loading.load(write(tmp_path / "mine", source))
    assert found.wants_train_state
    assert found.get_eval_batch_size is not None
    assert found.prepare_for_eval is not None


@pytest.mark.parametrize(
    "line",
    [
        "from .rule import VALUE",
        "from . import rule\nVALUE = rule.VALUE",
        "from rule import VALUE",
        "from algorithms.shared.rule import VALUE",
        "from algorithms.shared import rule\nVALUE = rule.VALUE",
        "import algorithms.shared.rule\nVALUE = algorithms.shared.rule.VALUE",
        "from ..neighbour.rule import VALUE",
        "from submissions.entries_2024.team_7.external_tuning.mine.rule import VALUE",
        "from other_root.team.mine.rule import VALUE",
    ],
)
def test_whatever_lies_around_a_submission_can_be_imported(tmp_path, line):
    repository = tmp_path / "repository"
    folder = write(repository / "entries" / "mine", f"{line}\n{FUNCTIONS}", rule="VALUE = 7\n")
    for place in (repository / "algorithms" / "shared", repository / "entries" / "neighbour"):
        place.mkdir(parents=True)
        (place / "rule.py").write_text("VALUE = 7\n")
    before = loading.fingerprint(folder)
    assert loading.load(folder).module.VALUE == 7
    assert loading.fingerprint(folder) == before  # what we have found is the submission's all the same
    import submissions

    assert submissions.OPTIMIZERS  # an alias below our own package leaves it alone


def test_modules_of_equal_names_are_not_mixed_up(tmp_path):
    lines = "from rule import VALUE\nfrom algorithms.rule import OTHER\n"
    for name, value in (("first", 1), ("second", 2)):
        folder = write(tmp_path / name / "mine", lines + FUNCTIONS, rule=f"VALUE = {value}\n")
        (folder.parent / "algorithms").mkdir()
        (folder.parent / "algorithms" / "rule.py").write_text(f"OTHER = {10 * value}\n")
    for name, value in (("first", 1), ("second", 2), ("first", 1)):
        module = loading.load(tmp_path / name / "mine").module
        assert value == module.VALUE
        assert 10 * value == module.OTHER


def test_a_file_beside_a_submission_shadows_no_package(tmp_path):
    folder = write(tmp_path / "mine", "import json\n" + FUNCTIONS, json="broken = True\n")
    assert not hasattr(loading.load(folder).module.json, "broken")
    assert sys.modules["json"].loads("1") == 1


def test_an_algoperf_checkout_above_a_submission_is_not_imported(tmp_path):
    folder = write(tmp_path / "checkout" / "algorithms" / "mine", "from algoperf import spec\n" + FUNCTIONS)
    (tmp_path / "checkout" / "algoperf").mkdir()
    (tmp_path / "checkout" / "algoperf" / "spec.py").write_text("raise RuntimeError('needs PyTorch')\n")
    assert loading.load(folder).module.spec.LossType.CTC_LOSS.value == 3


@pytest.mark.parametrize(
    ("source", "axis"),
    [
        ("import jax\nstep = jax.pmap(lambda x: x, axis_name='batch')\n", True),
        ("from jax import pmap\n", True),
        ("import jax\n# jax.pmap is gone\nstep = jax.jit(lambda x: x)\n", False),
    ],
)
def test_pmap_means_a_device_axis(tmp_path, source, axis):
    assert loading.load(write(tmp_path / "mine", source + FUNCTIONS)).device_axis is axis


def test_pmap_in_the_module_that_update_params_comes_from_counts(tmp_path):
    base = "import jax\nstep = jax.pmap(lambda x: x)\n" + FUNCTIONS
    star = "from .base import get_batch_size, init_optimizer_state, update_params, data_selection\n"
    assert loading.load(write(tmp_path / "mine", star, base=base)).device_axis


def test_names_that_jax_dropped_are_there_for_old_submissions(tmp_path):
    folder = write(
        tmp_path / "mine", "import jax\nDOUBLED = jax.tree_map(lambda x: 2 * x, {'a': 1})\n" + FUNCTIONS
    )
    assert loading.load(folder).module.DOUBLED == {"a": 2}


def test_keywords_that_jax_dropped_are_understood(tmp_path):
    line = "import jax.numpy as jnp\nCLIPPED = float(jnp.clip(5.0, a_min=1.0, a_max=2.0))\n"
    assert loading.load(write(tmp_path / "mine", line + FUNCTIONS)).module.CLIPPED == 2.0
    import jax.numpy as jnp

    assert float(jnp.clip(5.0, 1.0, max=3.0)) == 3.0
    assert loading.load(tmp_path / "mine").module.CLIPPED == 2.0  # once wrapped, not wrapped again


ERRORS = {
    "no function": (
        FUNCTIONS.replace("def data_selection", "def select"),
        ValueError,
        "defines no data_selection",
    ),
    "no function, from a star": (
        "from .base import *\n",
        ValueError,
        "defines no get_batch_size",
    ),
    "not a function": (
        FUNCTIONS + "get_batch_size = 16\n",
        ValueError,
        "get_batch_size is int, not a function",
    ),
    "wrong names": (
        FUNCTIONS.replace("loss_type, optimizer_state, eval", "loss, optimizer_state, eval"),
        ValueError,
        r"submission.py:\d+: update_params\(.*cannot be called as AlgoPerf does, with these names",
    ),
    "too few arguments": (
        FUNCTIONS.replace(
            "model_params, model_state, hyperparameters, rng", "model_params, hyperparameters, rng"
        ),
        ValueError,
        "init_optimizer_state.*by position",
    ),
    "torch": ("import torch\n" + FUNCTIONS, ValueError, "written for PyTorch"),
    "pytorch_utils": (
        "from algoperf.pytorch_utils import pytorch_setup\n" + FUNCTIONS,
        ValueError,
        "written for PyTorch",
    ),
    "not Python": ("def (:\n", ValueError, "submission.py:1: is not Python"),
    "missing package": (
        "import a_package_that_is_nowhere\n" + FUNCTIONS,
        ImportError,
        "No module named 'a_package_that_is_nowhere'; install the package",
    ),
    "missing name": (
        "from json import nothing_like_it\n" + FUNCTIONS,
        ImportError,
        "may need another version of json",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_run_is_said_before_it_runs(tmp_path, name):
    source, error, message = ERRORS[name]
    folder = write(tmp_path / "mine", source, base="import math\n")
    with pytest.raises(error, match=message):
        loading.load(folder)


def test_other_parts_of_algoperf_need_a_real_one(tmp_path):
    from submissions import api

    if api.is_installed():
        pytest.skip("AlgoPerf is installed")
    folder = write(tmp_path / "mine", "from algoperf.workloads import workloads\n" + FUNCTIONS)
    with pytest.raises(
        ImportError, match=r"without an installed AlgoPerf there are algoperf, .*algoperf\.spec"
    ):
        loading.load(folder)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no submission\.py"):
        loading.load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        loading.load(tmp_path / "submission.py")


def test_a_broken_import_leaves_nothing_behind(tmp_path):
    folder = write(tmp_path / "mine", "raise RuntimeError('at import')\n" + FUNCTIONS)
    with pytest.raises(RuntimeError, match="at import"):
        loading.load(folder)
    write(folder)
    assert loading.load(folder).get_batch_size("mnist") == 16


@pytest.mark.parametrize(
    ("name", "base", "default", "size"),
    [
        ("mnist", None, None, 16),
        ("algoperf/mnist", None, 32, 16),
        ("algoperf-installed/wmt", None, None, 128),
        ("wmt_post_ln", "wmt", None, 128),
        ("algoperf/wmt_post_ln", "wmt", None, 128),
        ("taskset/mlp_family_seed3", None, 64, 64),
    ],
)
def test_the_batch_size_is_asked_for_by_algoperfs_rule(tmp_path, name, base, default, size):
    submission = loading.load(write(tmp_path / "mine"))
    assert loading.batch_size(submission, name, base, default) == size


def test_a_batch_size_without_an_answer_or_default_is_an_error(tmp_path):
    submission = loading.load(write(tmp_path / "mine"))
    with pytest.raises(ValueError, match="Unsupported workload name"):
        loading.batch_size(submission, "cifar")
    with pytest.raises(ValueError, match="Unsupported workload name"):
        loading.batch_size(submission, "taskset/mlp_family_seed3")


@pytest.mark.parametrize("answer", ["None", "0", "16.0", "True", "'16'"])
def test_an_answer_must_be_a_positive_integer(tmp_path, answer):
    source = FUNCTIONS.replace("return 16", f"return {answer}")
    submission = loading.load(write(tmp_path / "mine", source))
    with pytest.raises(ValueError, match=r"must return an integer|not a positive integer"):
        loading.batch_size(submission, "mnist", default=8)


def test_for_our_own_names_a_table_without_an_entry_is_no_answer(tmp_path):
    source = FUNCTIONS.replace(
        'raise ValueError(f"Unsupported workload name: {workload_name}.")', "return {}[workload_name]"
    )
    submission = loading.load(write(tmp_path / "mine", source))
    assert loading.batch_size(submission, "taskset/mlp_family_seed3", default=64) == 64
    with pytest.raises(KeyError):
        loading.batch_size(submission, "cifar", default=64)
