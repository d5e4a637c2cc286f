"""Lists for a workload on which nothing was trained."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

import lists
from tests.lists.examples import INF, fractions_and_size
from tests.reports.fake_study import fake_study


def test_unlikeness_is_the_mean_over_the_facts_that_both_have():
    new = {
        "metric": "wer",
        "loss_type": "CTC_LOSS",
        "parameters": 1_000,
        "batch_size": None,
        "data": "ignored",
    }
    library = [
        {"metric": "wer", "loss_type": "CTC_LOSS", "parameters": 1_000, "batch_size": 3},
        {"metric": "wer", "loss_type": "other", "parameters": 10_000},  # 0, 1 and a decade of two: .5
        {"metric": "bleu", "parameters": 1_000_000_000},  # 1, and more than two decades: 1
    ]
    assert lists.unlikeness(new, library).tolist() == pytest.approx([0.0, 0.5, 1.0], rel=1e-15)


def test_a_workload_without_a_fact_in_common_is_refused():
    with pytest.raises(ValueError, match="workload 1 of the library shares no fact"):
        lists.unlikeness({"metric": "wer"}, [{"metric": "wer"}, {"parameters": 10}])


def test_weights_fall_by_a_factor_e_for_each_width():
    weights = lists.likeness_weights(np.array([0.0, 0.5]), width=0.5)
    assert weights.tolist() == pytest.approx([math.e / (1 + math.e), 1 / (1 + math.e)], rel=1e-15)
    with pytest.raises(ValueError, match="width is 0; must be positive"):
        lists.likeness_weights(np.array([0.0, 0.5]), width=0.0)


@given(fractions_and_size())
@settings(max_examples=30, deadline=None)
def test_equal_weights_give_greedys_list(case):
    values, size = case
    assert lists.recommend(values, np.full(values.shape[1], 3.0), size) == lists.greedy(values, size)


def test_the_likest_workload_decides_first_and_in_ties():
    # Row 2 covers all of what weighs; then row 1, which reaches the heavier workload, before row 0.
    values = np.array([[0.5, INF], [INF, 0.5], [0.4, 0.4]])
    assert lists.recommend(values, np.array([0.1, 0.9]), 3).points == (2, 1, 0)
    assert lists.recommend(values, np.array([0.9, 0.1]), 3).points == (2, 0, 1)
    assert lists.recommend(values, np.array([0.0, 1.0]), 1).costs == pytest.approx((0.4,), rel=1e-15)


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0, -1.0], "not negative"), ([0.0, 0.0], "their sum positive"), ([1.0, INF], "must be finite")],
)
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        lists.recommend(np.ones((2, 2)), np.array(weights), 1)


FACTS = {
    "digits/conv": {"metric": "accuracy", "parameters": 1_000},
    "algoperf/mnist": {"metric": "accuracy", "parameters": 1_100},
    "clicks/two_towers": {"metric": "loss", "parameters": 50, "validation_target": 0.5},
}


def study(*names):
    return fake_study(candidates=8, repeats=1, baselines=False, leave_one_out=False, workloads=list(names))


def test_a_recommendation_from_several_sources_never_reads_the_workload_itself():
    first, second = study("digits/conv", "algoperf/mnist"), study("clicks/two_towers")
    found = lists.recommend_list([first, second], "digits/conv", FACTS.__getitem__, size=3)
    assert found.built.fractions.workloads == ("algoperf/mnist", "clicks/two_towers")
    assert found.likeness()["workload"].to_list() == ["algoperf/mnist", "clicks/two_towers"]
    assert sum(found.weights.values()) == pytest.approx(1.0)
    changed = dataclasses.replace(
        first,
        trials=first.trials.with_columns(
            validation_target=pl.when(pl.col("workload") == "digits/conv")
            .then(0.0)
            .otherwise("validation_target")
        ),
    )
    again = lists.recommend_list([changed, second], "digits/conv", FACTS.__getitem__, size=3)
    assert again.built.chosen == found.built.chosen
    saved = found.built.as_list()
    assert (saved.method, len(saved.points)) == ("recommended", 3)


def test_a_target_that_a_study_lacks_is_taken_from_the_facts():
    second = study("clicks/two_towers")
    without = second.trials.with_columns(validation_target=pl.lit(None, pl.Float64))
    second = dataclasses.replace(second, trials=without)
    found = lists.recommend_list([second], "digits/conv", FACTS.__getitem__, size=2)
    assert found.built.fractions.workloads == ("clicks/two_towers",)


def test_sources_that_do_not_fit_together_are_refused():
    one = study("digits/conv")
    with pytest.raises(ValueError, match="workload digits/conv is in two of the sources"):
        lists.recommend_list([one, one], "clicks/two_towers", FACTS.__getitem__)
    with pytest.raises(ValueError, match="hold trials of digits/conv alone"):
        lists.recommend_list([one], "digits/conv", FACTS.__getitem__)
    with pytest.raises(ValueError, match="size is 9 but there are only 8 points"):
        lists.recommend_list([one], "clicks/two_towers", FACTS.__getitem__, size=9)
