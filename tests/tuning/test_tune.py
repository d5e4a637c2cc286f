"""Running studies: what is missing is trained, what is there is kept, and nothing changes a number."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workloads
from results import studies
from results.studies import StudySpec
from submissions.points import Point
from tests.results.old_studies import as_format_1
from tests.tuning.toy import toy_workload
from tuning import strategies
from tuning.engine import _spread
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

CLOCK = "cohort_seconds"  # the one column that a rerun may change
NAME = "toy/linear"


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The toy under its name, as a user's own workload would be; taken back, as other tests count the names."""
    workloads.register(NAME)(lambda data_dir: toy_workload())
    yield
    del _registry._REGISTERED[NAME]


def spec(**changes) -> StudySpec:
    points = tuple(Point(str(i), {"learning_rate": 10.0 ** (-3 + i / 2), "beta1": 0.5}) for i in range(6))
    return dataclasses.replace(
        StudySpec(
            name="s", title="s", role="candidates", optimizer="nadamw_optax", strategy={"name": "list", "list": "s"},
            points={NAME: points}, workloads=(NAME,), cohort_size=3,
        ),
        **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def populations() -> dict:
    return {}


def test_every_trial_is_a_row_with_its_provenance(tmp_path, populations):
    trials = tune(tmp_path / "s", spec(), populations=populations)
    assert trials["point"].to_list() == ["0", "1", "2", "3", "4", "5"]
    assert set(trials["status"]) == {"done"}
    assert trials["global_step"].to_list() == [[6, 12, 18, 24]] * 6
    row = trials.row(0, named=True)
    assert row["data"] == "synthetic: a linear teacher with noise"
    assert json.loads(row["versions"])["jax"]
    assert row["device"].startswith("cpu")
    assert row["hyperparameters"] == '{"beta1": 0.5, "learning_rate": 0.001}'
    assert len(row["validation/mse"]) == 4


def test_running_again_trains_nothing_and_changes_no_file(tmp_path, populations):
    folder = tmp_path / "s"
    tune(folder, spec(), populations=populations)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    tune(folder, spec(), populations=populations)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before


def test_only_the_missing_cohort_is_trained_and_its_numbers_are_the_same(tmp_path, populations):
    folder = tmp_path / "s"
    whole = tune(folder, spec(), populations=populations)
    lost = studies.cohort_path(folder, NAME, 1)
    kept = studies.cohort_path(folder, NAME, 0).stat().st_mtime_ns
    lost.unlink()
    again = tune(folder, spec(), populations=populations)
    assert_frame_equal(whole.drop(CLOCK), again.drop(CLOCK), check_exact=True)
    assert studies.cohort_path(folder, NAME, 0).stat().st_mtime_ns == kept


def test_repeats_differ_and_share_their_points(tmp_path, populations):
    trials = tune(tmp_path / "s", spec(repeats=2), populations=populations)
    first, second = trials.filter(pl.col("repeat") == 0), trials.filter(pl.col("repeat") == 1)
    assert first["hyperparameters"].to_list() == second["hyperparameters"].to_list()
    assert first["validation/mse"].to_list() != second["validation/mse"].to_list()


def test_width_moves_numbers_by_no_more_than_rounding(tmp_path, populations):
    narrow = tune(tmp_path / "a", spec(cohort_size=2), populations=populations)
    wide = tune(tmp_path / "b", spec(cohort_size=6), populations=populations)
    # float32, sums over at most 40 terms in another order, 24 steps
    np.testing.assert_allclose(
        np.array(narrow["validation/mse"].to_list()), np.array(wide["validation/mse"].to_list()), rtol=2e-4
    )


def test_one_program_serves_all_cohorts_of_a_study_and_the_study_says_so(tmp_path):
    populations: dict = {}
    tune(tmp_path / "s", spec(cohort_size=4, repeats=2), populations=populations)
    assert [population.compilations for population in populations.values()] == [1]
    (run,) = studies.read_runs(tmp_path / "s")
    assert (run.trials, run.compilations) == (12, 1)
    assert 0 < run.compile_seconds <= run.seconds
    tune(tmp_path / "s", spec(cohort_size=4, repeats=2), populations=populations)
    assert len(studies.read_runs(tmp_path / "s")) == 1  # nothing was missing
    studies.cohort_path(tmp_path / "s", NAME, 2).unlink()
    tune(tmp_path / "s", spec(cohort_size=4, repeats=2), populations=populations)
    assert [(run.trials, run.compilations) for run in studies.read_runs(tmp_path / "s")] == [(12, 1), (4, 0)]


def test_a_width_that_was_chosen_stays_with_the_study(tmp_path, populations, monkeypatch):
    folder = tmp_path / "s"
    whole = tune(folder, spec(cohort_size=None), populations=populations)
    widths = studies.read_spec(folder).cohort_sizes
    assert widths == {NAME: _spread.cohort_size("mlp")}
    studies.cohort_path(folder, NAME, 0).unlink()
    monkeypatch.setattr(_spread, "cohort_size", lambda *_: 1)  # another machine, another table
    again = tune(folder, spec(cohort_size=None), populations=populations)
    assert studies.read_spec(folder).cohort_sizes == widths
    assert_frame_equal(whole.drop(CLOCK), again.drop(CLOCK), check_exact=True)


def test_a_study_of_format_1_goes_on_with_the_same_cohorts_and_numbers(tmp_path, populations):
    folder = tmp_path / "s"
    whole = tune(folder, spec(cohort_size=None), populations=populations)
    as_format_1(folder)
    assert_frame_equal(studies.read_trials(folder), whole, check_exact=True)
    studies.cohort_path(folder, NAME, 0).unlink()
    again = tune(folder, spec(cohort_size=None), populations=populations)
    assert_frame_equal(whole.drop(CLOCK), again.drop(CLOCK), check_exact=True)
    assert json.loads((folder / "study.json").read_text())["format"] == studies.FORMAT


def test_programs_are_decided_when_the_study_begins(tmp_path, populations, monkeypatch):
    folder = tmp_path / "s"
    whole = tune(folder, spec(cohort_size=6), populations=populations)
    programs = studies.read_spec(folder).programs
    assert programs == {NAME: studies.Programs(6, _spread.places())}  # one cohort, spread over the cores
    studies.cohort_path(folder, NAME, 0).unlink()
    monkeypatch.setattr(_spread, "places", lambda: 7)  # another machine
    again = tune(folder, spec(cohort_size=6), populations=populations)
    assert studies.read_spec(folder).programs == programs
    assert_frame_equal(whole.drop(CLOCK), again.drop(CLOCK), check_exact=True)


def test_the_protocol_of_taskset_can_be_followed_in_small(tmp_path):
    planned = plan(name="s", workloads=(NAME,), strategy="list", protocol="taskset", steps=12, eval_period=4,
                   eval_batches=2, repeats=2, points=[Point("a", {"learning_rate": 0.01})])  # fmt: skip
    assert planned.eval_at_start
    trials = tune(tmp_path / "s", planned)
    assert trials["global_step"].to_list() == [[0, 4, 8, 12]] * 2
    assert None not in trials["validation/mse"].explode()
    assert trials["validation/mse"][0][0] != trials["validation/mse"][1][0]  # another initialisation


def test_protocols_give_what_is_not_asked_for():
    whole = plan(name="s", workloads=(NAME,), protocol="taskset")
    assert (whole.steps, whole.eval_period, whole.eval_batches, whole.repeats) == (10_000, 200, 50, 5)
    part = plan(name="s", workloads=(NAME,), protocol="taskset", repeats=1, eval_at_start=False)
    assert (part.steps, part.repeats, part.eval_at_start) == (10_000, 1, False)
    none = plan(name="s", workloads=(NAME,))
    assert (none.steps, none.eval_period, none.eval_batches, none.eval_at_start, none.repeats) == (
        None, None, None, False, 1,
    )  # fmt: skip
    with pytest.raises(ValueError, match="unknown protocol 'takset'; did you mean 'taskset'"):
        plan(name="s", workloads=(NAME,), protocol="takset")


def test_a_diverged_trial_is_recorded_and_its_curve_ends_in_nulls(tmp_path, populations):
    points = (
        Point("calm", {"learning_rate": 0.01}),
        Point("wild", {"learning_rate": 1e38, "weight_decay": 1e3}),
    )
    trials = tune(tmp_path / "s", spec(points={NAME: points}), populations=populations)
    calm, wild = trials.to_dicts()
    assert (calm["status"], calm["diverged_step"]) == ("done", None)
    assert wild["status"] == "diverged"
    assert wild["validation/mse"][-1] is None
    assert None not in calm["validation/mse"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'"),
        ({"points": {NAME: (Point("7", {"learning_rate": -1.0}),)}}, r"point 7: learning_rate is -1\.0"),
        (
            {"workloads": ("toy/linaer",), "points": None},
            "unknown workload 'toy/linaer'; did you mean 'toy/linear'",
        ),
    ],
)
def test_bad_requests_leave_no_folder_behind(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        tune(tmp_path / "s", spec(**change))
    assert not (tmp_path / "s").exists()


def test_a_study_never_mixes_data(tmp_path, populations):
    folder = tmp_path / "s"
    tune(folder, spec(), populations=populations)
    there = (folder / "study.json").read_text()
    (folder / "study.json").write_text(there.replace("a linear teacher", "another teacher"))
    with pytest.raises(ValueError, match=r"this study has data of toy/linear = .*another teacher"):
        tune(folder, spec(), populations=populations)


def test_steps_scale_the_schedule_and_the_evaluation_period(tmp_path):
    trials = tune(tmp_path / "s", spec(steps=12))
    assert trials["global_step"][0].to_list() == [3, 6, 9, 12]


class _Bisection(strategies.Strategy):
    """A sequential strategy: asks for one point, halves its learning rate after each answer."""

    budget = 3
    title = "bisection"

    def ask(self, told):
        if len(told) == self.budget:
            return ()
        rate = 0.1 * (1 + told[-1].value) / 2 if told else 0.1
        return (Point(str(len(told)), {"learning_rate": rate}),)


def test_a_sequential_strategy_hears_every_result_and_resumes_from_them(tmp_path, monkeypatch, populations):
    monkeypatch.setattr(strategies, "from_spec", lambda spec: _Bisection())
    sequential = spec(points=None, strategy={"name": "bisection"})
    whole = tune(tmp_path / "a", sequential, populations=populations)
    assert whole["point"].to_list() == ["0", "1", "2"]
    best = min(whole["validation/mse"][0])
    assert json.loads(whole["hyperparameters"][1])["learning_rate"] == 0.1 * (1 + best) / 2
    tune(tmp_path / "b", sequential, populations=populations)
    studies.cohort_path(tmp_path / "b", NAME, 2).unlink()
    again = tune(tmp_path / "b", sequential, populations=populations)
    assert_frame_equal(whole.drop(CLOCK), again.drop(CLOCK), check_exact=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "quasi"}, "unknown strategy 'quasi'"),
        ({"strategy": "list"}, "needs --list"),
        (
            {"strategy": "quasirandom", "weight_decay": 0.1},
            "--weight-decay does not go with strategy 'quasirandom'",
        ),
        (
            {"strategy": "list", "points": (Point("a", {"learning_rate": 0.1}),), "budget": 2},
            "the list has 1 points",
        ),
    ],
)
def test_plans_refuse_arguments_that_do_not_belong(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan(name="s", workloads=(NAME,), **arguments)


def test_a_list_can_be_held_to_a_space(tmp_path):
    path = tmp_path / "space.json"
    path.write_text('{"learning_rate": {"min": 0.01, "max": 0.1, "scaling": "log"}}')
    inside, outside = Point("in", {"learning_rate": 0.05}), Point("out", {"learning_rate": 0.5})
    plan(name="s", workloads=(NAME,), strategy="list", points=[inside], space=path)
    with pytest.raises(ValueError, match=r"out: learning_rate .*0\.5"):
        plan(name="s", workloads=(NAME,), strategy="list", points=[inside, outside], space=path)


def test_a_plan_writes_down_the_same_points_for_every_workload():
    made = plan(name="s", workloads=("a/b", "c/d"), strategy="medapati-candidates", budget=3)
    assert made.points is not None
    assert [p.id for p in made.points["a/b"]] == ["0", "1", "2"]
    assert made.points["a/b"] == made.points["c/d"]
    assert made.role == "candidates"
