"""`shortlist score`: what it says beside the numbers."""

from __future__ import annotations

import json

import pytest

from shortlist import cli
from tests.results.log_tables import tables


def scored(monkeypatch, capsys, *arguments: object) -> str:
    monkeypatch.setattr("sys.argv", ["shortlist", "score", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    return capsys.readouterr().out


def test_json_tells_a_missed_target_from_a_workload_that_was_not_run(tmp_path, monkeypatch, capsys):
    logs = tables(
        tmp_path / "t",
        [{"workload": "wmt"}, {"workload": "ogbg"}],
        [{"trial_id": 0}, {"trial_id": 1, "validation_metric": 0.0}],
    )
    (one,) = json.loads(scored(monkeypatch, capsys, logs, "--json"))["scores"]
    row = one["time_to_target"][0]
    assert (row["wmt"], row["ogbg"], row["fastmri"]) == (100.0, None, None)
    status = one["status"][0]
    assert (status["wmt"], status["ogbg"], status["fastmri"]) == ("reached", "missed", "not run")
    assert one["ruleset"] == "external"
    assert "just the share of workloads" in one["notes"][0]


def test_a_speedup_says_against_whom_and_a_lone_score_what_it_is_worth(tmp_path, monkeypatch, capsys):
    alone = scored(monkeypatch, capsys, tables(tmp_path / "one", [{}]))
    assert "note: a score compares submissions" in alone
    assert "speedup" not in alone
    two = tables(tmp_path / "two", [{"submission": "baseline"}, {"submission": "other"}])
    assert "speedup against baseline (smaller is faster)" in scored(monkeypatch, capsys, two)
    (one,) = json.loads(scored(monkeypatch, capsys, two, "--json"))["scores"]
    assert one["speedups"][0]["against"] == "baseline"


def test_two_rulesets_are_shown_apart_or_chosen(tmp_path, monkeypatch, capsys):
    logs = tables(tmp_path / "t", [{}, {"ruleset": "self"}])
    shown = scored(monkeypatch, capsys, logs)
    assert "AlgoPerf v0.5 external: scores" in shown
    assert "AlgoPerf v0.5 self-tuning: scores" in shown
    assert "self-tuning" not in scored(monkeypatch, capsys, logs, "--ruleset", "external")
