"""`shortlist reproduce`: a protocol by name and scale, with parts of one's own in the place of the paper's."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import lists
from results import studies
from shortlist import cli

TWO = ("taskset/mlp_family_seed15", "clicks/mlp")
OWN = """
import optax
import submissions

@submissions.register("make", learning_rate=(1e-2, 1.0, "log"))
def make(hyperparameters, horizon):
    return optax.sgd(hyperparameters["learning_rate"])
"""


def run(*arguments: object):
    return CliRunner().invoke(cli.app, ["reproduce", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A small reproduction for an optimizer of a user's own."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(OWN)
    done = run(
        "medapati2025", "--scale", "demo", "--optimizer", f"{folder / 'mine.py'}:make", "--workload", TWO[0],
        "--workload", TWO[1], "--candidates", 3, "--size", 2, "--repeats", 2, "--out", folder / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out", done


def test_an_own_optimizer_gets_a_list_with_its_proof(own):
    out, done = own
    assert done.stdout == f"report: {out / 'report' / 'index.html'}\n"
    assert (out / "report" / "index.html").exists()
    proven = lists.read_list(out / "list.json")
    assert (proven.name, len(proven.points), set(proven.workloads)) == ("out", 2, set(TWO))
    assert set(proven.points[0].hyperparameters) == {"learning_rate"}
    assert (proven.made_by["left_out"], proven.made_by["repeats"]) == (2, 2)
    assert 0 <= proven.made_by["trained"] <= 2


def test_what_is_made_for_the_papers_own_optimizer_is_left_out(own):
    out, _ = own
    kept = [path.name for path in studies.find_studies(out / "studies")]
    assert kept == ["leave-one-out", "quasirandom"]
    asked = json.loads((out / "studies" / "quasirandom" / "study.json").read_text())
    assert asked["strategy"]["space"]["learning_rate"] == {"min": 0.01, "max": 1.0, "scaling": "log"}


def test_names_that_are_not_there_are_refused_in_one_line():
    with pytest.raises(ValueError, match=r"unknown protocol 'medapati'; did you mean 'medapati2025'\?"):
        run("medapati")
    with pytest.raises(ValueError, match=r"medapati2025 has no scale 'minni'; did you mean 'mini'\?"):
        run("medapati2025", "--scale", "minni")
    with pytest.raises(ValueError, match="size is 9 but there are only 3 candidates"):
        run("medapati2025", "--candidates", 3, "--size", 9)


def test_a_protocol_refuses_what_it_does_not_take():
    with pytest.raises(ValueError, match=r"metz2020 does not take --optimizer \(it takes --workload, "):
        run("metz2020", "--optimizer", "lion_optax")
    with pytest.raises(ValueError, match=r"dahl2023 does not take --size \(it takes --logs\)"):
        run("dahl2023", "--size", 3)
    with pytest.raises(ValueError, match="size is 9 but there are only 3 points of nadamw_grid"):
        run("metz2020", "--candidates", 3, "--size", 9)


def test_dahl2023_trains_nothing_and_shows_its_targets(tmp_path):
    done = run("dahl2023", "--out", tmp_path)
    assert done.stdout == f"report: {tmp_path / 'report' / 'index.html'}\n"
