"""Studies that spend a budget of steps: who stops, what is recorded of it, and that nothing depends on who was faster."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workloads
from reports.page import Note
from reports.study import study_report
from results import hits, read_source, studies
from shortlist._training_commands import best_points
from tests.tuning.toy import toy_workload
from tuning.engine import _spread
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

NAME = "toy/linear"
CLOCK = "cohort_seconds"  # the one column that a rerun may change
BUDGET = 5
STRATEGIES = ("successive-halving", "asha", "median-stopping")


@pytest.fixture(scope="module", autouse=True)
def registered():
    workloads.register(NAME)(lambda data_dir: toy_workload())
    yield
    del _registry._REGISTERED[NAME]


@pytest.fixture(autouse=True)
def one_program(monkeypatch):
    """As on a machine with one core, so that there is one program of each width to compile."""
    monkeypatch.setattr(_spread, "places", lambda: 1)


@pytest.fixture(scope="module")
def populations() -> dict:
    return {}


def planned(strategy, budget=BUDGET, **changes):
    given = {"optimizer": "nadamw_optax", "eval_period": 2, **changes}
    return plan(name="s", workloads=(NAME,), strategy=strategy, budget=budget, **given)


@pytest.fixture(scope="module", params=STRATEGIES)
def study(request, tmp_path_factory, populations):
    """A study of each strategy: its folder, and its trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spread, "places", lambda: 1)
        folder = tmp_path_factory.mktemp("studies") / request.param
        return folder, tune(folder, planned(request.param), populations=populations)


def test_trials_are_recorded_to_where_they_stopped_and_the_budget_holds(study):
    folder, trials = study
    taken = trials["global_step"].list.last()
    assert taken.sum() <= BUDGET * 24
    stopped = trials.filter(status="stopped")
    assert 0 < len(stopped) < len(trials)
    assert (trials["steps"] == 24).all()  # of a full training: where schedules end
    assert ((taken < 24) == (trials["status"] == "stopped")).all()
    assert (trials["validation/mse"].list.len() == trials["global_step"].list.len()).all()
    for reason, last in zip(stopped["status_reason"], stopped["global_step"].list.last(), strict=True):
        assert reason.endswith(f"at step {last} of 24")
    assert trials.filter(status="done")["status_reason"].null_count() == len(trials) - len(stopped)
    assert studies.read_spec(folder).role == "baseline"


def test_a_study_that_lost_its_last_cohort_has_the_same_numbers_again(study, populations):
    folder, trials = study
    studies.cohort_path(folder, NAME, int(trials["cohort"].max())).unlink()
    again = tune(folder, planned(folder.name), populations=populations)
    assert_frame_equal(again.drop(CLOCK), trials.drop(CLOCK), check_exact=True)


def test_a_trial_that_reached_its_target_before_it_stopped_counts(study):
    results = read_source(study[0])
    anything = results.trials.with_columns(validation_target=pl.lit(1e9))
    found = hits(dataclasses.replace(results, trials=anything))
    assert (found["hit_step"] == 2).all()


def test_a_report_says_what_it_took(study):
    results = read_source(study[0])
    (warning,) = results.warnings
    worth = float(study[1]["global_step"].list.last().sum()) / 24
    assert f"{worth:.2f} full trainings' worth of steps" in warning
    report = study_report(results)
    said = " ".join(block.text for part in report.sections for block in part.blocks if isinstance(block, Note))
    assert f"{worth:.1f} trainings" in said
    (row,) = next(table.data for table in report.tables if table.name == "studies").iter_rows(named=True)
    assert row["steps"] == f"{worth:.1f} trainings"
    assert row["stopped"] == study[1].filter(status="stopped").height
    (best,) = best_points(study[1])
    assert (best["stopped"], best["trainings"]) == (row["stopped"], pytest.approx(worth))


def test_every_cohort_is_halved_by_itself():
    spec = planned("successive-halving")
    assert [len(cohort.points) for cohort in spec.cohorts(spec.points[NAME], NAME)] == [9, 9]
    grown = planned("successive-halving", budget=7)
    assert grown.points[NAME][:18] == spec.points[NAME]


def test_a_larger_budget_adds_cohorts(tmp_path, populations):
    small = tune(tmp_path / "s", planned("successive-halving", budget=3), populations=populations)
    large = tune(tmp_path / "s", planned("successive-halving", budget=5), populations=populations)
    assert len(large) == 18
    assert_frame_equal(large[:9], small, check_exact=True)


def test_a_budget_that_decides_how_many_begin_together_does_not_grow(study, populations):
    folder, _ = study
    if folder.name == "successive-halving":
        return
    with pytest.raises(ValueError, match="budget = 5, asked for 6; how many trials begin together depends on"):
        tune(folder, planned(folder.name, budget=6), populations=populations)


def test_evaluations_that_come_too_late_are_refused_before_anything_is_written(tmp_path, populations):
    message = r"compared after 0.111 of 24 steps, but evaluated every 6; choose --least 0.25 or more, or --eval-period 2"
    with pytest.raises(ValueError, match=message):
        tune(tmp_path / "s", planned("successive-halving", eval_period=None), populations=populations)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "strategy, changes, message",
    [
        ("successive-halving", {"budget": 2}, "takes 2.33; choose a budget of 3 or more, or a smaller cohort size"),
        ("successive-halving", {"eta": 1}, "eta is 1; must be a whole number, at least 2"),
        ("asha", {"least": 1.0}, "least is 1.0; must be a part of a full training, between 0 and 1"),
        ("asha", {"cohort_size": 1}, "cohort is 1; must be a whole number, at least 2"),
        ("median-stopping", {"points_from": "sobol"}, "points_from is 'sobol'; must be one of quasirandom, random"),
        ("median-stopping", {"eta": 3}, "--eta does not go with strategy 'median-stopping'; leave it out"),
        ("median-stopping", {"repeats": 2}, "its points have no 2 equal repeats"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(strategy, changes, message):
    with pytest.raises(ValueError, match=message):
        planned(strategy, **changes)


def test_a_diverged_trial_is_dropped_at_once(tmp_path, populations):
    spec = planned("successive-halving", budget=3, points_from="random")
    folder = tmp_path / "s"
    points = list(spec.points[NAME])
    points[4] = type(points[4])("4", {**points[4].hyperparameters, "learning_rate": 1e38})
    trials = tune(folder, dataclasses.replace(spec, points={NAME: tuple(points)}), populations=populations)
    row = trials.row(4, named=True)
    assert (row["status"], row["status_reason"]) == ("diverged", None)
    assert row["global_step"][-1] < 24
    assert np.isfinite(trials.filter(status="done")["validation/mse"].list.last().to_numpy()).all()
