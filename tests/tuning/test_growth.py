"""A study grows: what it has stays as it is, only what is missing is trained, and it ends as one asked for at once."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import workloads
from results import studies
from submissions.points import Point
from tests.results.old_studies import as_format_2
from tests.tuning.toy import toy_workload
from tuning import strategies
from tuning.studies.plan import plan
from tuning.studies.tune import tune
from workloads import _registry

NAMES = ("toy/linear", "toy/wide")
KEYS = ["workload", "repeat", "point"]
APART = (
    "cohort",
    "cohort_seconds",
)  # the numbers of files, which say in what order they were asked for, and the clock


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Two workloads under their names, as a user's own would be; taken back, as other tests count the names."""
    for name, features in zip(NAMES, (5, 9), strict=True):
        workloads.register(name)(
            lambda data_dir, name=name, features=features: toy_workload(features=features, name=name)
        )
    yield
    for name in NAMES:
        del _registry._REGISTERED[name]


@pytest.fixture(scope="module")
def populations() -> dict:
    return {}


def asked(budget=7, strategy="random", names=NAMES[:1], **changes):
    how: dict[str, Any] = {"cohort_size": 3, "steps": 12} | changes
    return plan(name="s", workloads=names, strategy=strategy, budget=budget, **how)


def as_numbers(trials: pl.DataFrame) -> pl.DataFrame:
    return trials.drop(APART).sort(KEYS).select(sorted(set(trials.columns) - set(APART)))


def assert_grown(folder, whole_folder, steps, populations):
    """That a study asked for in steps has the trials of one asked for at once, and what it had as it was."""
    before: dict = {}
    for spec in steps:
        trials = tune(folder, spec, populations=populations)
        files = {path: path.read_bytes() for path in folder.glob("trials/*/*.parquet")}
        assert {path: files[path] for path in before} == before
        before = files
    whole = tune(whole_folder, steps[-1], populations=populations)
    assert_frame_equal(as_numbers(trials), as_numbers(whole), check_exact=True)
    runs = studies.read_runs(folder)
    assert sum(run.trials for run in runs) == len(whole)
    tune(folder, steps[-1], populations=populations)  # nothing is missing
    assert studies.read_runs(folder) == runs


STEPS = {
    "points": [{}, {"budget": 8}, {"budget": 13}],
    "all at once": [{"repeats": 2}, {"budget": 10, "repeats": 3, "names": NAMES[::-1]}],
    "one by one": [
        {},
        {"repeats": 2},
        {"repeats": 2, "budget": 9},
        {"repeats": 3, "budget": 9, "names": NAMES},
    ],
}


@pytest.mark.parametrize("name", STEPS)
def test_a_grown_study_is_bit_for_bit_the_one_asked_for_at_once(name, tmp_path, populations):
    steps = [asked(**changes) for changes in STEPS[name]]
    assert_grown(tmp_path / "grown", tmp_path / "whole", steps, populations)


@pytest.mark.slow  # programs of another width
def test_a_study_whose_cohorts_were_chosen_grows(tmp_path, populations):
    steps = [asked(cohort_size=None, **changes) for changes in ({}, {"repeats": 2, "names": NAMES})]
    assert_grown(tmp_path / "grown", tmp_path / "whole", steps, populations)


BUDGETS = {
    "quasirandom": {},
    "random": {},
    "medapati-candidates": {},
    "taskset-grid": {"grid": "nadamw_grid"},
    "list": {"points": [Point(str(i), {"learning_rate": 0.01 * (i + 1)}) for i in range(6)]},
}


@pytest.mark.parametrize("name", BUDGETS)
def test_strategies_say_whether_their_points_can_become_more(name):
    less, more = (asked(budget, name, **BUDGETS[name]) for budget in (3, 6))
    assert less.points is not None
    assert more.points is not None
    assert more.points[NAMES[0]][:3] == less.points[NAMES[0]]
    made = strategies.from_spec({"name": name, "budget": 3}) if name in ("quasirandom", "random") else None
    assert strategies.row(name).fixed(made) == "" if made else strategies.row(name).asks == "parallel"


@pytest.mark.parametrize(
    ("begun", "then", "message"),
    [
        (
            {"strategy": "lr-sweep", "budget": 3},
            {"strategy": "lr-sweep", "budget": 4},
            "this study has budget = 3, asked for 4; a sweep spreads its learning rates anew for every budget",
        ),
        (
            {"strategy": "quasirandom", "order_seed": 1},
            {"strategy": "quasirandom", "order_seed": 1, "budget": 8},
            r"budget = 7, asked for 8; AlgoPerf's shuffle \(--order-seed\) is another one",
        ),
        ({}, {"budget": 6}, "budget = 7, asked for 6; a study grows and never shrinks"),
        ({"repeats": 2}, {"repeats": 1}, "repeats = 2, asked for 1; a study grows and never shrinks"),
        (
            {"names": NAMES},
            {},
            r"workloads = \['toy/linear', 'toy/wide'\], asked for \['toy/linear'\]; a study grows",
        ),
        ({}, {"seed": 1}, r"strategy\.seed = 0, asked for 1; seed = 0, asked for 1"),
        ({}, {"strategy": "quasirandom"}, r"strategy\.name = 'random', asked for 'quasirandom'"),
        ({}, {"steps": 24, "eval_period": 4}, "steps = 12, asked for 24; eval_period = None, asked for 4"),
        ({}, {"cohort_size": 4}, "cohort_size = 3, asked for 4"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_both_values_in_full(
    begun, then, message, tmp_path, populations
):
    folder = tmp_path / "s"
    tune(folder, asked(**begun), populations=populations)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message) as error:
        tune(folder, asked(**then), populations=populations)
    assert "choose another folder, or ask for the same" in str(error.value)
    assert "…" not in str(error.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_another_folder_another_order_and_no_word_on_cohorts_are_the_same_study(tmp_path, populations):
    first = tune(tmp_path / "s", asked(names=NAMES), populations=populations)
    (tmp_path / "s").rename(tmp_path / "t")
    before = (tmp_path / "t" / "study.json").read_bytes()
    again = dataclasses.replace(asked(names=NAMES[::-1], cohort_size=None), name="t")
    assert_frame_equal(tune(tmp_path / "t", again, populations=populations), first, check_exact=True)
    assert (tmp_path / "t" / "study.json").read_bytes() == before


def test_a_study_stopped_before_it_grew_trains_what_is_missing_of_both(tmp_path, populations):
    folder = tmp_path / "s"
    tune(folder, asked(), populations=populations)
    studies.cohort_path(folder, NAMES[0], 2).unlink()
    grown = tune(folder, asked(10), populations=populations)
    whole = tune(tmp_path / "whole", asked(10), populations=populations)
    assert_frame_equal(as_numbers(grown), as_numbers(whole), check_exact=True)


def test_a_study_from_before_studies_grew_keeps_its_cohorts(tmp_path, populations):
    spec = asked(4, cohort_size=3)
    folder = tmp_path / "s"
    studies.write_spec(folder, spec)  # as earlier versions began: no sizes for good
    begun = tune(folder, spec, populations=populations)
    as_format_2(folder)
    assert [len(cohort.points) for cohort in studies.read_spec(folder).cohorts(range(4), NAMES[0])] == [2, 2]  # type: ignore[arg-type]
    again = tune(folder, spec, populations=populations)
    assert_frame_equal(again, begun, check_exact=True)
    grown = tune(folder, asked(7, cohort_size=3, repeats=2), populations=populations)
    assert_frame_equal(grown.head(4), begun, check_exact=True)
    assert grown["cohort"].to_list() == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6, 7]
    assert len(grown.unique(KEYS)) == 14


def test_a_sequential_strategy_goes_on_with_a_larger_budget(tmp_path, monkeypatch, populations):
    @dataclasses.dataclass(frozen=True)
    class Bisection(strategies.Strategy):
        budget: int
        title = "bisection"

        def ask(self, told):
            if len(told) == self.budget:
                return ()
            rate = 0.1 * (1 + told[-1].value) / 2 if told else 0.1
            return (Point(str(len(told)), {"learning_rate": rate}),)

    monkeypatch.setattr(strategies, "from_spec", lambda spec: Bisection(spec["budget"]))
    steps = [
        dataclasses.replace(asked(), points=None, strategy={"name": "bisection", "budget": budget})
        for budget in (2, 4)
    ]
    assert_grown(tmp_path / "grown", tmp_path / "whole", steps, populations)
    with pytest.raises(ValueError, match="repeats = 1, asked for 2; its strategy was told the medians"):
        tune(tmp_path / "grown", dataclasses.replace(steps[1], repeats=2), populations=populations)


def test_study_json_says_how_it_grew(tmp_path, populations):
    for spec in (asked(), asked(8, repeats=2)):
        tune(tmp_path / "s", spec, populations=populations)
    raw = json.loads((tmp_path / "s" / "study.json").read_text())
    assert (raw["blocks"], raw["grown"]) == ({NAMES[0]: 3}, {NAMES[0]: [[7, 1]]})
    assert raw["strategy"]["budget"] == 8
