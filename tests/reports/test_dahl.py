"""The report of dahl2023: published scores beside ours, and targets."""

from __future__ import annotations

import dataclasses

import pytest

import results
from reports.logs import dahl_report, published_scores, score, scores_beside
from results.algoperf import read_algoperf_parquet

TARGET = {
    "metric": "loss", "validation_target": 0.5, "test_target": 0.6, "best_reached": [0.4, 0.5, 0.7],
    "best_reference": "nadamw", "best_point": "230", "seeds": 3, "part_of_budget": 0.5, "procedure": "best-median",
}  # fmt: skip


def tables(report):
    return {table.name: table for table in report.tables}


@pytest.fixture(scope="module")
def logs(shared) -> list[results.Results]:
    return [read_algoperf_parquet(shared / "data" / name) for name in ("algoperf_logs", "algoperf_logs_v10")]


def test_every_published_score_comes_out_of_the_logs(logs):
    report = dahl_report(logs)
    assert report.finding == "25 of 25 published scores of AlgoPerf come out of its logs."
    shown = tables(report)
    for name, published in published_scores().items():
        table = shown[f"published_{name.replace('.', '-').replace(' ', '-')}"].data
        known = table.drop_nulls("published")
        assert dict(known.select("submission", "published").iter_rows()) == published.scores
        assert known["agrees"].all()
    assert sum("performance_profile" in picture.name for picture in report.pictures) == 3


def test_a_score_of_others_does_not_agree(logs):
    published = published_scores()["v0.5 external"]
    few = logs[0].of_benchmark("v0.5").of_submissions(["amos", "nadamp"])
    table = scores_beside(score(few), published)
    assert table["submission"].to_list()[:2] == ["nadamp", "amos"]
    assert table.filter(submission="amos")["agrees"].to_list() == [False]
    assert table.filter(submission="baseline")["agrees"].to_list() == [False]
    report = dahl_report([few])
    assert report.finding.startswith("0 of 11")


def test_one_leaderboard_is_given_once(logs):
    again = dataclasses.replace(logs[1], source="elsewhere")
    with pytest.raises(ValueError, match=r"elsewhere and .*_v10: both hold v1.0 self-tuning; give it once"):
        dahl_report([logs[1], again])


def test_targets_stand_beside_those_of_full_size_and_say_who_set_them():
    report = dahl_report([], {"algoperf/wmt@mini": TARGET | {"metric": "bleu"}, "mine/one@mini": TARGET})
    table = tables(report)["targets"].data
    assert table["published"].to_list() == [30.8491, None]
    assert table.row(0)[3:8] == (0.5, 0.6, 0.4, 0.7, "nadamw")
    assert report.finding == "2 targets set by the paper's procedure."


def test_nothing_at_all_is_refused():
    with pytest.raises(ValueError, match="neither logs nor targets"):
        dahl_report([])
