"""`shortlist package`: what its options choose, and what they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import submissions
from shortlist import cli
from submissions.package.built_in import BUILT_IN

PAGE = Path(__file__).parents[2] / "docs/package.md"
AUTHORS = ("--authors", "A. Author")


def run(*arguments):
    """Exit status, or the error that `shortlist` would print in a line."""
    result = CliRunner().invoke(cli.app, ["package", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        return result.exception
    return result.exit_code


def space(folder):
    return json.loads((folder / "tuning_search_space.json").read_text())


def test_a_list_becomes_points(tmp_path):
    assert run("--list", "medapati2025", "--size", 3, "--out", tmp_path / "mine", *AUTHORS) == 0
    assert [point["learning_rate"] for point in space(tmp_path / "mine")][:1] == [0.007188680089024849]
    assert len(space(tmp_path / "mine")) == 3


def test_points_that_add_nothing_are_marked_and_said(tmp_path):
    import lists
    from submissions.points import Point

    rates = {"a": 0.1, "b": 0.2, "c": 0.3}
    mine = lists.HyperparameterList(
        name="mine", update_rule="sgd_optax", source="a study", method="greedy", penalty=2.0, workloads=("w",),
        points=tuple(Point(name, {"learning_rate": rate}) for name, rate in rates.items()),
        costs=(0.5, 0.5, 0.5), asked=3, adds=1, ties="merit", made_by={},
    )  # fmt: skip
    lists.write_list(tmp_path / "mine.json", mine)
    given = ["package", "--list", str(tmp_path / "mine.json"), *AUTHORS, "--out"]
    said = CliRunner().invoke(cli.app, [*given, str(tmp_path / "all")]).output
    assert "note: 1 of 3 points adds: points 2 to 3 lower the cost no further" in " ".join(said.split())
    assert "; --size 1 ships those alone" in " ".join(said.split())
    readme = (tmp_path / "all" / "README.md").read_text()
    assert "| 1 | 0.1 |" in readme
    assert "| 2 * | 0.2 |" in readme
    assert "adds nothing: 1 of the 3 points lowers the cost" in readme
    assert len(space(tmp_path / "all")) == 3
    info = (tmp_path / "all" / "submission_info.yml").read_text()
    assert "a list of 3 fixed points, 1 of which lowers its cost" in info
    short = CliRunner().invoke(cli.app, [*given, str(tmp_path / "one"), "--size", "1"]).output
    assert "adds" not in short
    assert "*" not in (tmp_path / "one" / "README.md").read_text().split("## The list")[1]


def test_an_optimizer_becomes_ranges(tmp_path):
    assert run("--optimizer", "lion_optax", "--out", tmp_path / "mine", *AUTHORS) == 0
    assert space(tmp_path / "mine")["learning_rate"] == {"min": 1e-5, "max": 3e-3, "scaling": "log"}
    assert 'submission_name: "lion_optax"' in (tmp_path / "mine" / "submission_info.yml").read_text()


def test_ranges_of_a_file_replace_the_optimizers(tmp_path):
    ranges = {
        "learning_rate": {"min": 0.1, "max": 0.2, "scaling": "linear"},
        "warmup_factor": {"feasible_points": [0.1]},
    }
    (tmp_path / "space.json").write_text(json.dumps(ranges))
    given = ("--optimizer", "sgd_optax", "--space", tmp_path / "space.json")
    assert run(*given, "--out", tmp_path / "mine", *AUTHORS) == 0
    assert space(tmp_path / "mine") == ranges


def test_self_tuning_takes_the_first_point(tmp_path):
    given = ("--list", "medapati2025", "--ruleset", "self-tuning")
    assert run(*given, "--out", tmp_path / "mine", *AUTHORS) == 0
    assert not (tmp_path / "mine" / "tuning_search_space.json").exists()
    assert '"learning_rate": 0.007188680089024849,' in (tmp_path / "mine" / "submission.py").read_text()


def test_an_optimizer_of_ones_own_is_carried(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import optax\nimport submissions\n\n\n"
        '@submissions.register("mine", learning_rate=(0.1, 1.0, "log"))\n'
        'def my_sgd(hp, total_steps):\n    return optax.sgd(hp["learning_rate"])\n'
    )
    assert run("--optimizer", f"{file}:my_sgd", "--out", tmp_path / "folder", *AUTHORS) == 0
    assert "def my_sgd(" in (tmp_path / "folder" / "optimizer.py").read_text()
    assert 'submission_name: "my_sgd"' in (tmp_path / "folder" / "submission_info.yml").read_text()


def test_all_built_in_ones_are_written_beside_each_other(tmp_path):
    assert run("--built-in", "all", "--out", tmp_path) == 0
    assert {folder.name for folder in tmp_path.iterdir()} == set(BUILT_IN)


def test_the_page_lists_the_built_in_ones():
    rows = PAGE.read_text().split("## Built-in submissions")[1].split("## Which rule")[0]
    listed = [line.split("`")[1::2] for line in rows.splitlines() if line.startswith("| `")]
    assert listed == [[name, row.optimizer] for name, row in BUILT_IN.items()]
    assert all(row.optimizer in submissions.OPTIMIZERS for row in BUILT_IN.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*AUTHORS,), "nothing to package; give --list, --optimizer or --built-in"),
        (("--list", "medapati2025"), "--authors is missing"),
        (("--list", "medapati2025", "--space", "x.json", *AUTHORS), "--list and --space were both given"),
        (
            ("--optimizer", "lion_optax", "--ruleset", "self-tuning", *AUTHORS),
            "takes one point; give it with --list",
        ),
        (("--built-in", "lion", "--list", "medapati2025"), "--built-in goes without --list"),
        (("--built-in", "loin"), "did you mean 'lion'"),
        (("--built-in", "all", "--name", "x"), "--name and --description are of one submission"),
        (("--optimizer", "lion", *AUTHORS), "unknown optimizer 'lion'.*lion_optax"),
        (("--optimizer", "zero", *AUTHORS), "'zero' has no hyperparameters to search"),
    ],
)
def test_what_does_not_go_together_is_a_one_line_error(tmp_path, arguments, message):
    error = run("--out", tmp_path / "mine", *arguments)
    assert isinstance(error, ValueError)
    with pytest.raises(ValueError, match=message):
        raise error
    assert "\n" not in str(error)
    assert not (tmp_path / "mine").exists()
