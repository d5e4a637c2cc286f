"""Trials and evaluations as tables to work on."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest

from results import Results, evaluations, hits, trials
from tests.reports.fake_study import WORKLOADS, fake_study

NAMES = [workload[0] for workload in WORKLOADS[:2]]


@pytest.fixture(scope="module")
def made() -> Results:
    return fake_study(candidates=6, workloads=NAMES, repeats=2)


def test_a_trial_is_one_row_with_its_hyperparameters_and_what_it_reached(made):
    table = trials(made)
    assert table.height == made.trials.height
    assert table["trial_id"].to_list() == made.trials["trial_id"].to_list()
    for row, text in zip(table.iter_rows(named=True), made.trials["hyperparameters"], strict=True):
        for name, value in json.loads(text).items():
            assert row[name] == value
    reached = hits(made)
    assert table["best_metric"].equals(reached["best_metric"])
    assert table["steps_to_target"].equals(reached["hit_step"].alias("steps_to_target"))
    missed = table.filter(pl.col("steps_to_target").is_null())
    assert len(missed) > 0
    assert (missed["step_fraction"] == math.inf).all()


def test_evaluations_are_long_and_a_value_that_was_not_finite_has_no_row(made):
    table = evaluations(made)
    finite = made.evals["validation_metric"].count() + made.evals["test_metric"].count()
    assert table.height == finite < 2 * made.evals.height
    assert set(table["split"]) == {"validation", "test"}  # nobody evaluated on the training split
    of_one = table.filter(trial_id=3, split="validation")
    of_wide = made.evals.filter(trial_id=3).drop_nulls("validation_metric")
    assert of_one["value"].to_list() == of_wide["validation_metric"].to_list()
    assert of_one["global_step"].to_list() == of_wide["global_step"].to_list()
    best = table.filter(split="validation", metric="loss").group_by("trial_id").agg(pl.col("value").min())
    both = trials(made).join(best, on="trial_id")
    assert both["best_metric"].equals(both["value"].alias("best_metric"))


def test_hyperparameters_that_differ_or_clash_keep_their_own_columns(made):
    texts = ['{"a": 1, "status": 2}', '{"a": 3, "b": "x"}', '{"a": true}']
    three = Results(made.trials.head(3).with_columns(hyperparameters=pl.Series(texts)), made.evals.clear(), (), "s",
                    "study")  # fmt: skip
    table = trials(three)
    assert table["a"].to_list() == ["1", "3", "True"]
    assert table["b"].to_list() == [None, "x", None]
    assert table["status (hyperparameter)"].to_list() == [2.0, None, None]
    assert set(table["status"]) <= {"done", "diverged"}


def test_a_table_of_fractions_has_no_trials(tmp_path):
    (tmp_path / "t.csv").write_text("point,workload,fraction\na,w,0.5\n")
    with pytest.raises(ValueError, match="a table of fractions holds no trials"):
        trials(tmp_path / "t.csv")
