"""`shortlist validate`: exit status, and the same findings for people and for machines."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from shortlist import _validate_commands
from tests.submissions.validation.examples import STATIC, healthy


@pytest.fixture
def folder(tmp_path):
    return healthy(tmp_path / "healthy")


@pytest.fixture
def shortlist():
    app = typer.Typer()
    _validate_commands.add_to(app)
    app.callback()(lambda: None)  # so that `validate` is a command of several
    return lambda *arguments: CliRunner().invoke(app, ["validate", *map(str, arguments)])


def test_a_healthy_submission_passes(shortlist, folder):
    done = shortlist(folder, "--no-dry-run")
    assert done.exit_code == 0
    assert "0 errors, 0 warnings" in done.output
    assert "no dry run: not asked for" in done.output


def test_warnings_alone_pass(shortlist, folder):
    STATIC["R514"](folder)
    done = shortlist(folder, "--no-dry-run")
    assert done.exit_code == 0
    assert "0 errors, 1 warnings" in done.output


def test_errors_fail_and_are_shown_with_place_and_remedy(shortlist, folder):
    STATIC["R503"](folder)
    done = shortlist(folder, "--no-dry-run")
    line = next(
        n for n, text in enumerate((folder / "submission.py").read_text().splitlines(), 1) if "# here" in text
    )
    assert done.exit_code == 1
    assert f"error R503: submission.py:{line}: urllib.request.urlopen(...)" in done.output
    assert "remove it" in done.output


def test_json_is_one_object(shortlist, folder):
    STATIC["R503"](folder)
    done = shortlist(folder, "--no-dry-run", "--json", "--ruleset", "external")
    said = json.loads(done.stdout)
    assert done.exit_code == 1
    assert said["passed"] is False
    assert [finding["code"] for finding in said["findings"]] == ["R503"]


def test_a_dry_run_shows_the_time_of_a_step_beside_adams(shortlist, folder):
    done = shortlist(folder, "--workload", "taskset/quadratic_family_seed2", "--steps", "4", "--json")
    assert done.exit_code == 0
    (figures,) = json.loads(done.stdout)["dry_run"]
    assert figures["workload"] == "taskset/quadratic_family_seed2"
    assert figures["ratio"] == pytest.approx(figures["step_seconds"] / figures["adam_step_seconds"])
