"""Studies that spend a budget of steps: who stops, what is recorded, and what it took."""

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
from submissions.points import Told
from tests.tuning.toy import toy_workload
from tuning.engine import _spread
from tuning.strategies import from_spec
from tuning.strategies.rungs import Rungs
from tuning.strategies.stopping import Halving, Standing, TopOfRung, WorseThanMedian
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

NAME = "toy/linear"
CLOCK = "cohort_seconds"  # the one column that a rerun may change
BUDGETS = {"successive-halving": 5, "median-stopping": 8}  # ASHA differs from the latter by its rule alone


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


def planned(strategy, budget=None, **changes):
    given = {"optimizer": "sgd_optax", "eval_period": 2, **changes}
    if strategy != "successive-halving":
        given.setdefault("cohort_size", 3)  # of the programs of the other one, and one more
    budget = BUDGETS.get(strategy, 5) if budget is None else budget
    return plan(name="s", workloads=(NAME,), strategy=strategy, budget=budget, **given)


@pytest.fixture(scope="module", params=BUDGETS)
def study(request, tmp_path_factory, populations):
    """A study of each strategy: its folder, and its trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spread, "places", lambda: 1)
        folder = tmp_path_factory.mktemp("studies") / request.param
        return folder, tune(folder, planned(request.param), populations=populations)


def test_trials_are_recorded_to_where_they_stopped_and_the_budget_holds(study):
    folder, trials = study
    taken = trials["global_step"].list.last()
    assert taken.sum() <= BUDGETS[folder.name] * 24
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
    said = " ".join(
        block.text for part in report.sections for block in part.blocks if isinstance(block, Note)
    )
    assert f"{worth:.1f} trainings" in said
    (row,) = next(table.data for table in report.tables if table.name == "studies").iter_rows(named=True)
    assert row["steps"] == f"{worth:.1f} trainings"
    assert row["stopped"] == study[1].filter(status="stopped").height
    (best,) = best_points(study[1])
    assert (best["stopped"], best["trainings"]) == (row["stopped"], pytest.approx(worth))


def standing(values, earlier=(), running=None, period=2, total=24):
    """A cohort that was evaluated every two of 24 steps."""
    values = np.array(values, float)
    steps = period * np.arange(1, values.shape[1] + 1)
    running = np.ones(len(values), bool) if running is None else np.array(running)
    others = np.array(earlier, float).reshape(-1, values.shape[1])
    return Standing(steps, period, total, values, running, others)


def going(rule, *given, **named):
    return np.flatnonzero(rule.goes_on(standing(*given, **named))).tolist()


def test_halving_keeps_the_best_of_those_that_came_to_a_rung():
    # Rungs after 1/9 and 1/3 of 24 steps: at the evaluations after 2 and after 8 of them.
    rule = Halving(Rungs(3, 1 / 9))
    assert rule.rungs.sizes(9) == (9, 3, 1)
    values = [[5.0], [1.0], [2.0], [np.nan], [2.0], [9.0], [8.0], [7.0], [2.0]]
    assert going(rule, values) == [1, 2, 4]  # ties go to the lower number
    assert going(rule, [[0.0] * 2] * 9) == list(range(9))  # no rung after 4 steps
    at_8 = [[1.0] * 3 + [x] for x in (3.0, 2.0, 1.0, 0.0)]
    assert going(rule, at_8, running=[True, True, True, False]) == [2]


def test_asha_compares_with_all_that_came_to_the_rung_before():
    rule = TopOfRung(Rungs(3, 1 / 9))
    assert going(rule, [[3.0], [2.0], [1.0]]) == [2]
    # Of nine, three go on: the earlier ones hold two of these places, and a tie is theirs.
    earlier = [[1.0], [2.0], [5.0], [6.0], [7.0], [np.nan], [8.0]]
    assert going(rule, [[3.0], [2.0], [9.0]], earlier) == [1]
    assert going(rule, [[4.0], [2.0]], [[2.0]]) == []


def test_the_median_rule_compares_the_best_with_running_averages():
    rule = WorseThanMedian(0.1)
    # Averages 5, 4, 3, 2. Median of the others of each: 3, 3, 4, 4; the first one's best is 4, the second's 3.
    values = [[6.0, 4.0], [5.0, 3.0], [3.0, 3.0], [2.0, 2.0]]
    assert going(rule, values) == [1, 2, 3]
    assert going(rule, values[:3]) == [0, 1, 2]  # two others are too few
    assert going(rule, values[:1], values[1:]) == []
    assert going(rule, values, period=1) == [0, 1, 2, 3]  # 2 of 24 steps are less than a tenth
    gone = [*values[:3], [2.0, np.nan]]  # who did not come to this step is nobody's other
    assert going(rule, gone, running=[True] * 3 + [False]) == [0, 1, 2]


def test_rungs_stand_at_the_last_evaluation_that_is_not_past_them():
    rungs = Rungs(2, 0.125)
    assert [rungs.at(step, 5, 40) for step in (0, 5, 10, 15, 20, 35)] == [None, 0, 1, None, 2, None]
    assert [rungs.at(step, 8, 40) for step in (8, 16, 24)] == [1, 2, None]
    assert rungs.cost(8) == pytest.approx(8 / 8 + 4 / 8 + 2 / 4 + 1 / 2)


@pytest.mark.parametrize("strategy", ["asha", "median-stopping"])
def test_no_cohort_could_take_more_than_is_left(strategy):
    made = from_spec({"name": strategy, "budget": 5, "cohort": 4})
    told = []
    for part, expected in ((0.5, 4), (0.75, 3), (1.0, 0)):
        points = made.ask(told)
        assert [point.id for point in points] == [str(len(told) + i) for i in range(expected)]
        told += [Told(point, 1.0, True, part) for point in points]
    with pytest.raises(ValueError, match="told of point 1 where point 0 was expected"):
        made.ask(told[1:])


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
    with pytest.raises(
        ValueError, match="budget = 8, asked for 9; how many trials begin together depends on"
    ):
        tune(folder, planned(folder.name, budget=9), populations=populations)


def test_what_a_rule_looks_back_at_is_read_once_however_many_cohorts_there_are(
    study, populations, monkeypatch
):
    folder, trials = study
    if folder.name == "successive-halving":
        return
    reads, read = [], studies.read_cohort
    monkeypatch.setattr(studies, "read_cohort", lambda path, *more: reads.append(path) or read(path, *more))
    again = tune(folder, planned(folder.name), populations=populations)
    assert_frame_equal(again.drop(CLOCK), trials.drop(CLOCK), check_exact=True)
    cohorts = trials["cohort"].n_unique()
    assert cohorts > 2
    # For the strategy, for the next cohort but of the last, and all of them at the end.
    assert len(reads) == cohorts + cohorts - 1 + cohorts


def test_evaluations_that_come_too_late_are_refused_before_anything_is_written(tmp_path, populations):
    message = (
        "after 0.111 of 24 steps, but evaluated every 6; choose --least 0.25 or more, or --eval-period 2"
    )
    with pytest.raises(ValueError, match=message):
        tune(tmp_path / "s", planned("successive-halving", eval_period=None), populations=populations)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("strategy", "changes", "message"),
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
