"""What the command line knows by name: optimizers, strategies, workloads, the version; and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import submissions
from shortlist import cli
from tuning.strategies import STRATEGIES


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def words(text: str) -> set[str]:
    """Of a help page, whatever its columns broke."""
    return set(text.replace("│", " ").replace(",", " ").replace(".", " ").split())


def test_every_optimizer_is_listed_with_its_defaults_and_reference():
    rows = json.loads(run("optimizers", "--json"))["optimizers"]
    assert [row["name"] for row in rows] == list(submissions.OPTIMIZERS)
    for row in rows:
        optimizer = submissions.OPTIMIZERS[row["name"]]
        defaults = {one["name"]: one["default"] for one in row["hyperparameters"]}
        assert defaults == {one.name: one.default for one in optimizer.hyperparameters}
        assert row["reference"] == optimizer.reference
    person = run("optimizers")
    (line,) = [line for line in person.splitlines() if line.startswith("adagrad_optax")]
    assert "learning_rate, initial_accumulator_value=0.1, epsilon=1e-07" in line
    assert "Duchi et al. 2011" in line


def test_one_optimizer_is_shown_whole():
    shown = run("optimizers", "adamw_optax")
    assert "1 - value: 0.001 to 0.2, log" in shown
    assert "v = b2 * v + (1 - b2) * g^2" in shown
    with pytest.raises(ValueError, match="did you mean 'adamw_optax'"):
        run("optimizers", "adamw_optx")


def test_an_optimizer_of_ones_own_is_shown(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import submissions\n\n@submissions.register('mine', rate=(0.1, 1.0, 'log'), momentum=0.9)\n"
        "def mine(hyperparameters, horizon):\n    '''My rule.'''\n"
    )
    (row,) = json.loads(run("optimizers", f"{file}:mine", "--json"))["optimizers"]
    assert [(one["name"], one["default"]) for one in row["hyperparameters"]] == [
        ("rate", None),
        ("momentum", 0.9),
    ]
    assert row["reference"] == "My rule."


def test_the_version_is_shown():
    assert run("--version").startswith("shortlist 0.")


@pytest.mark.parametrize("command", ["tune", "run", "package"])
def test_help_lists_the_optimizers(command):
    assert set(submissions.OPTIMIZERS) <= words(run(command, "--help"))


def test_help_lists_the_strategies():
    assert set(STRATEGIES) <= words(run("tune", "--help"))


def test_help_needs_neither_arrays_nor_tables():
    # What makes a start slow, each more than a tenth of a second.
    heavy = "('jax', 'numpy', 'polars', 'scipy', 'matplotlib', 'asyncio', 'importlib.metadata')"
    program = f"import sys, shortlist.cli; sys.exit([name for name in {heavy} if name in sys.modules] or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tune clicks/m", ["clicks/mlp"]),
        ("tune taskset/mlp_family_seed99", ["taskset/mlp_family_seed99"]),
        ("run --workload digits/", ["digits/conv"]),
        ("tune --optimizer shamp", ["shampoo_grafted"]),
        ("tune --strategy lr", ["lr-sweep"]),
        ("optimizers mars", ["mars_adamw"]),
        ("package --optimizer ./mi", ["./mine.py"]),
    ],
)
def test_a_shell_completes_names_and_own_files(tmp_path, line, expected):
    (tmp_path / "mine.py").touch()
    typed = ["shortlist", *line.split()]
    environment = os.environ | {
        "_SHORTLIST_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(typed),
        "COMP_CWORD": str(len(typed) - 1),
    }
    program = "import sys; sys.argv[0] = 'shortlist'; from shortlist.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.stdout.split() == expected, done.stderr
