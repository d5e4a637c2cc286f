"""A user's own optimizer, from its file to a study and to a packaged submission."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import yaml

import submissions
from submissions.package import package
from tests.submissions import training
from tests.submissions.algoperf_toy import hyperparameters, imported, train
from tests.submissions.test_packaged_rules import ABOUT, Waves
from tests.test_imports import ROOMS
from tuning.studies.plan import plan
from tuning.studies.tune import tune

PAGE = Path(__file__).parents[2] / "docs/own_optimizer.md"


@pytest.fixture
def example(tmp_path):
    """The example of the documentation, as a file."""
    code = PAGE.read_text().split("```python\n")[1].split("```")[0]
    file = tmp_path / "my_optimizer.py"
    file.write_text(code)
    return file


def write(tmp_path, code):
    file = tmp_path / f"own{len(list(tmp_path.iterdir()))}.py"
    file.write_text("import optax\nimport submissions\n" + textwrap.dedent(code))
    return file


def test_the_example_has_ten_lines(example):
    lines = [line for line in example.read_text().splitlines() if line.strip()]
    assert len(lines) <= 10


def test_a_file_and_its_function_are_an_optimizer(example):
    own = submissions.optimizer(f"{example}:clipped_adam")
    assert own.search_space["learning_rate"] == {"min": 1e-4, "max": 1e-1, "scaling": "log"}
    prepared = own.prepare({"learning_rate": 0.01, "one_minus_beta1": 0.25, "largest_norm": 1.0}, 100)
    assert prepared["beta1"] == 0.75
    assert isinstance(own(prepared, 100), optax.GradientTransformation)
    assert (
        submissions.optimizer("clipped_adam").make.__name__ == "clipped_adam"
    )  # by name too, in this process


def test_a_new_point_never_compiles(example):
    own = submissions.optimizer(f"{example}:clipped_adam")

    @jax.jit
    def step(hp, x):
        transformation = own(hp, 100)
        return transformation.update(x, transformation.init(x), x)[0]

    moved = []
    for rate in (0.01, 0.02):
        point = {"learning_rate": rate, "one_minus_beta1": 0.1, "largest_norm": 1.0}
        moved.append(step(jax.tree.map(jnp.float32, own.prepare(point, 100)), jnp.ones(3)))
    assert step._cache_size() == 1
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-6)


def test_a_packaged_folder_carries_the_source_and_trains_like_the_function(example, tmp_path, algoperf):
    own = submissions.optimizer(f"{example}:clipped_adam")
    points = [{"learning_rate": 0.1, "one_minus_beta1": 0.2, "largest_norm": n} for n in (0.5, 100.0)]
    folder = package(tmp_path / "mine", **ABOUT, optimizer=own, points=points)
    carried = (folder / "optimizer.py").read_text()
    assert "submissions" not in carried
    assert "def clipped_adam(" in carried
    submission, workload = imported(folder), Waves("mine")
    for trial, point in enumerate(points):
        path, _, _ = train(
            submission, workload, hyperparameters(folder, trial), 5,
            batch=lambda t: {"targets": np.full(4, t)}, leaf=lambda params: params["body"],
        )  # fmt: skip
        transformation = own(jax.tree.map(jnp.float32, own.prepare(point, 20)), 20)
        x = jax.tree.map(jnp.float32, training.start_of("mine"))
        state, update = transformation.init(x), jax.jit(transformation.update)
        for t in range(1, 6):
            updates, state = update(training.gradient(t, x, 1.0, sin=jnp.sin), state, x)
            x = optax.apply_updates(x, updates)
            for key in x:
                np.testing.assert_allclose(path[t - 1][key], x[key], rtol=0, atol=1e-5)
    assert workload.traces == 1


def test_without_points_the_declared_ranges_are_searched(example, tmp_path):
    own = submissions.optimizer(f"{example}:clipped_adam")
    folder = package(tmp_path / "mine", name="Mine", authors="A", optimizer=own)
    assert json.loads((folder / "tuning_search_space.json").read_text()) == own.search_space
    assert "the ranges declared with clipped_adam" in (folder / "README.md").read_text()


@pytest.mark.parametrize("ruleset", ["external", "self-tuning"])
def test_the_folder_is_clean_and_imports_nothing_of_ours(example, tmp_path, ruleset):
    own = submissions.optimizer(f"{example}:clipped_adam")
    point = {"learning_rate": 0.1, "one_minus_beta1": 0.2, "largest_norm": 1.0}
    folder = package(tmp_path / "mine", **ABOUT, optimizer=own, points=[point], ruleset=ruleset)
    for file in ("submission.py", "optimizer.py"):
        imported_modules = {
            name.split(".")[0]
            for node in ast.walk(ast.parse((folder / file).read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
            )
        }
        assert not imported_modules & set(ROOMS)
    for command in (["format", "--check", "--diff"], ["check", "--select", "E,F,I,UP,B,PIE,RUF100"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--target-version", "py311"]
        done = subprocess.run([*ruff, str(folder / "submission.py")], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load((folder / "submission_info.yml").read_text())["ruleset"] == ruleset


def test_a_number_that_is_not_searched_may_be_replaced_by_a_point(tmp_path):
    file = write(
        tmp_path,
        """
        @submissions.register("scaled", learning_rate=(0.1, 1.0, "log"), scale=2.0, dropout_rate=[0.0, 0.1])
        def scaled(hyperparameters, total_steps):
            return optax.sgd(hyperparameters["learning_rate"] * hyperparameters["scale"])
        """,
    )
    own = submissions.optimizer(f"{file}:scaled")
    assert list(own.search_space) == ["learning_rate", "dropout_rate"]
    assert own.canonical({"learning_rate": 0.5})["scale"] == 2.0
    assert own.canonical({"learning_rate": 0.5, "scale": 3})["scale"] == 3.0
    folder = package(tmp_path / "scaled", name="S", authors="A", optimizer=own)
    assert '"scale": 2.0,' in (folder / "submission.py").read_text()


def test_what_the_file_needs_beyond_algoperf_is_required(tmp_path):
    file = write(
        tmp_path,
        """
        import math
        import scipy.special

        @submissions.register("odd", learning_rate=(0.1, 1.0, "log"))
        def odd(hyperparameters, total_steps):
            return optax.sgd(hyperparameters["learning_rate"] * scipy.special.expit(math.pi))
        """,
    )
    folder = package(tmp_path / "odd", name="O", authors="A", optimizer=submissions.optimizer(f"{file}:odd"))
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if line[0] != "#"]
    (line,) = lines
    assert line.startswith("scipy==")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ('@submissions.register("lion_optax", learning_rate=(1, 2, "log"))', "'lion_optax' exists already"),
        ('@submissions.register("a", rate=(1, 2))', r"rate is \(1, 2\); an interval is"),
        ('@submissions.register("a", rate="fast")', "rate is 'fast'; write"),
        ('@submissions.register("a", rate=(2, 1, "log"))', "rate: min 2.0 is not below max 1.0"),
        ('@submissions.register("a", rate=(0, 1, "log"))', "rate: min 0.0 has no logarithm"),
        ('@submissions.register("a", rate=(1, 2, "cubic"))', "rate: scaling is 'cubic'; allowed"),
        ('@submissions.register("a", rate=[])', "rate: feasible_points is .*at least one"),
        (
            '@submissions.register("a", rate=[float("nan")])',
            "rate: feasible_points is nan; must be a finite number",
        ),
        ('@submissions.register("a", dropout_rate=[0.0, 1.5])', "dropout_rate .*must lie in"),
        ('@submissions.register("a", dropout_rate=0.1)', "dropout_rate is a fixed number"),
        ("", "own says nothing of its hyperparameters; write @submissions.register"),
    ],
)
def test_a_bad_declaration_is_a_one_line_error(tmp_path, code, message):
    file = write(tmp_path, f"{code}\ndef own(hyperparameters, total_steps):\n    return optax.sgd(0.1)\n")
    with pytest.raises(ValueError, match=message) as error:
        submissions.optimizer(f"{file}:own")
    assert "\n" not in str(error.value)


def test_a_missing_file_or_function_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.py: no such file.*FILE.py:FUNCTION"):
        submissions.optimizer("nowhere.py:own")
    file = write(tmp_path, "")
    with pytest.raises(ValueError, match="has no function 'own'"):
        submissions.optimizer(f"{file}:own")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from workloads import load", "uses workloads beyond the declaration"),
        ("LION = submissions.optimizer('lion_optax')", "uses submissions beyond the declaration"),
        ("import helper", "imports helper from beside it"),
    ],
)
def test_a_file_that_needs_more_is_not_packaged(tmp_path, monkeypatch, line, message):
    (tmp_path / "helper.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    file = write(
        tmp_path,
        f"""
        {line}

        @submissions.register("needy", learning_rate=(0.1, 1.0, "log"))
        def needy(hyperparameters, total_steps):
            return optax.sgd(hyperparameters["learning_rate"])
        """,
    )
    with pytest.raises(ValueError, match=message):
        package(tmp_path / "needy", name="N", authors="A", optimizer=submissions.optimizer(f"{file}:needy"))
    assert not (tmp_path / "needy").exists()


@pytest.mark.parametrize(
    ("line", "declaration"),
    [("from submissions import register as declare", "declare"), ("import submissions as s", "s.register")],
)
def test_the_declaration_is_left_out_under_any_name(tmp_path, line, declaration):
    file = tmp_path / "renamed.py"
    file.write_text(
        f"import functools\n{line}\n\n\n@{declaration}(\n    'renamed', learning_rate=(0.1, 1.0, 'log')\n)\n"
        "def renamed(hp, total_steps):\n    return None\n"
    )
    carried = submissions.optimizer(f"{file}:renamed").carried_source()
    assert carried == "import functools\n\n\ndef renamed(hp, total_steps):\n    return None\n"


def test_it_is_tuned_like_any_other(example, tmp_path):
    name = f"{example}:clipped_adam"
    spec = plan(
        name="mine", workloads=["algoperf/mnist"], strategy="quasirandom", budget=2, optimizer=name, steps=4
    )
    trials = tune(tmp_path / "study", spec)
    assert spec.optimizer == os.path.relpath(example) + ":clipped_adam"
    assert list(trials["status"]) == ["done", "done"]
    assert (tmp_path / "study/optimizer.py").read_text() == example.read_text()
    example.write_text(example.read_text() + "# another one\n")
    with pytest.raises(ValueError, match="has changed since this study's first trial"):
        tune(tmp_path / "study", spec)
