"""Results of several sources as one."""

from __future__ import annotations

import dataclasses

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import results
from tests.reports.fake_study import fake_study


@pytest.fixture(scope="module")
def whole():
    return fake_study(candidates=4, size=2, repeats=1)


def of(whole: results.Results, *names: str) -> results.Results:
    part = whole.of_submissions(names)
    about = {**whole.about, "studies": {name: whole.about["studies"][name] for name in names}}
    return dataclasses.replace(part, about=about)


def test_parts_that_are_merged_are_the_whole(whole):
    names = sorted(whole.submissions, reverse=True)
    together = results.merged(of(whole, *names[:2]), of(whole, *names[2:]))
    assert together.trials["trial_id"].to_list() == list(range(len(whole.trials)))
    assert together.about == whole.about
    key = ["submission", "workload", "point", "repeat"]
    found, expected = (results.hits(one).sort(key).drop("trial_id") for one in (together, whole))
    assert_frame_equal(found, expected)
    assert len(together.evals) == len(whole.evals)


def test_one_name_twice_and_two_kinds_are_refused(whole):
    part = of(whole, "metz")
    with pytest.raises(ValueError, match="both hold 'metz'; names must differ"):
        results.merged(part, part)
    logs = dataclasses.replace(
        part, kind="algoperf-logs", trials=part.trials.with_columns(submission=pl.lit("x"))
    )
    with pytest.raises(ValueError, match="results of algoperf-logs and study cannot be merged"):
        results.merged(part, logs)
