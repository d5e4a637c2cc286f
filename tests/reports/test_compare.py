"""`reports.compare` and its command: studies, AlgoPerf's logs and tables of fractions held against each other."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import lists
import reports
from reports.bands import median_of_best
from reports.comparison import contenders_of
from reports.statistics import cost_of, paired_difference
from results import Fractions, Results, fractions, hits, read_source
from shortlist.cli import app
from tests.reports.fake_study import WORKLOADS, fake_study
from tests.reports.test_rivals_report import study_on_disk

NAMES = [workload[0] for workload in WORKLOADS]
FEW = 200  # resamples, where intervals themselves are not looked at


@pytest.fixture(scope="module")
def study() -> Results:
    return fake_study(candidates=12, size=4)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "fractions.csv"
    rows = ["point,workload,fraction"]
    for w in range(8):
        rows += [f"a,w{w},{0.3 + 0.05 * w}", f"b,w{w},{0.45 + 0.05 * w}", f"c,w{w},{'inf' if w % 2 else 0.5}"]
    path.write_text("\n".join(rows) + "\n")
    return path


def by_name(read: Results | Fractions, **changed) -> dict[str, np.ndarray]:
    asked = {"by": "steps", "size": None, "penalty": 2.0} | changed
    found = contenders_of(read, "here", **asked)
    return {one.name: one.on(tuple(found[0].fractions), asked["size"]) for one in found}


def by_hand(study: Results, submission: str) -> dict[str, list[list[float]]]:
    """Workload -> points in the order of trials -> step fraction in each repeat, in plain Python."""
    reached: dict[int, float] = {}
    trials = {t["trial_id"]: t for t in study.trials.filter(submission=submission).iter_rows(named=True)}
    for row in study.evals.iter_rows(named=True):
        trial, value = trials.get(row["trial_id"]), row["validation_metric"]
        if trial is None or value is None:
            continue
        sign = 1 if trial["minimize"] else -1
        if sign * value <= sign * trial["validation_target"]:
            fraction = row["global_step"] / trial["step_hint"]
            reached[row["trial_id"]] = min(reached.get(row["trial_id"], math.inf), fraction)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for i, trial in sorted(trials.items(), key=lambda item: (item[1]["trial"], item[1]["repeat"])):
        found[trial["workload"]][trial["point"]].append(reached.get(i, math.inf))
    return {workload: list(points.values()) for workload, points in found.items()}


# Contenders


def test_baselines_and_lists_trained_anew_are_contenders_with_their_repeats(study):
    found = by_name(study)
    assert set(found) == {"leave-one-out", "sweep-0.5", "sweep-0.0001", "metz", "4 of candidates"}
    for name in ("leave-one-out", "metz"):
        expected = by_hand(study, name)
        for w, workload in enumerate(NAMES):
            assert found[name][:, w].tolist() == expected[workload]


def test_left_out_lists_are_judged_by_the_candidates_where_nothing_was_trained_anew():
    study = fake_study(candidates=12, leave_one_out=False, baselines=False)
    found = by_name(study, size=3)
    assert set(found) == {"candidates leave-one-out", "3 of candidates"}
    candidates = fractions(hits(study), submission="candidates").of_workloads(NAMES)
    left = lists.leave_one_out(candidates.values, 3, places=candidates.places)
    values = found["candidates leave-one-out"]
    assert values.shape == (3, len(NAMES), 1)
    assert values.min(axis=(0, 2)).tolist() == left.held_out[:, -1].tolist()


def test_random_search_stands_there_by_its_median(study):
    values = by_name(study, size=3)["3 of candidates"]
    candidates = fractions(hits(study), submission="candidates").of_workloads(NAMES)
    for w in range(len(NAMES)):
        expected = median_of_best(candidates.values[:, w], 3, minimize=True)
        assert np.median(values[0, w]) == expected


def test_a_baseline_of_many_drawn_points_is_random_search_too(study):
    about = study.about["studies"]
    drawn = about | {"metz": about["metz"] | {"draws": "independent"}}
    found = by_name(dataclasses.replace(study, about=study.about | {"studies": drawn}), size=2)
    assert "2 of metz" in found
    assert "metz" not in found


def test_a_budget_keeps_the_first_points(study):
    assert by_name(study, size=2)["metz"].shape[0] == 2
    whole, two = by_name(study)["metz"], by_name(study, size=2)["metz"]
    assert two.tolist() == whole[:2].tolist()


def test_studies_without_targets_have_nothing_to_compare():
    with pytest.raises(ValueError, match="none of its workloads has a target"):
        contenders_of(fake_study(candidates=6, targets=False), "here", by="steps", size=None, penalty=2.0)


# The comparison


def test_every_number_is_that_of_the_statistics(table):
    found = reports.compare([table], resamples=2000, seed=5)
    assert [row.measured.name for row in found.rows] == ["a", "b", "c"]
    values = {name: np.array([[0.3 + d + 0.05 * w] for w in range(8)]) for name, d in (("a", 0), ("b", 0.15))}
    assert found.rows[0].value == pytest.approx(cost_of(values["a"]))
    pair = found.pairs[0]
    assert (pair.a, pair.b) == ("a", "b")
    expected = paired_difference(values["a"], values["b"], resamples=2000, seed=5)
    assert pair.differences["workloads"].ratio.low == pytest.approx(expected.ratio.low)
    assert pair.differences["repeats"] is None
    assert pair.p["workloads"] == 2 / 2**8  # always ahead
    # Holm: 3 pairs, so that the least p is taken three times.
    assert pair.corrected["workloads"] == pytest.approx(3 * min(p.p["workloads"] for p in found.pairs))
    assert any("trained once per point" in note for note in found.notes)


def test_pairs_are_all_or_those_of_a(table):
    assert len(reports.compare([table], resamples=FEW).pairs) == 3
    named = reports.compare([table], a="b", resamples=FEW).pairs
    assert [(pair.a, pair.b) for pair in named] == [("b", "a"), ("b", "c")]
    (pair,) = reports.compare([table], a="c", b="a", resamples=FEW).pairs
    assert pair.ratio > 1


def test_power_says_what_the_first_pair_takes(table):
    found = reports.compare([table], resamples=FEW, power=True)
    assert found.power is not None
    assert found.power["found"].max() == 1.0
    (said,) = found.power_in_words()
    assert (
        said == "over workloads: 4 of 5 experiments find a to cost less than b with 6 workloads with 1 repeat"
    )


def test_equal_names_of_two_sources_are_told_apart(table, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("point,workload,fraction\na,w1,0.5\na,w0,0.4\na,elsewhere,0.2\n")
    found = reports.compare([table, other], resamples=FEW)
    assert {f"{table}: a", f"{other}: a"} <= {row.measured.name for row in found.rows}
    assert found.workloads == ("w0", "w1")
    assert any(note.startswith("elsewhere is left out: not trained there: ") for note in found.notes)
    two = reports.compare([table, other], a="b", b="c", resamples=FEW)
    assert len(two.workloads) == 8
    assert [row.measured.name for row in two.rows] == ["b", "c"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"a": "aa"}, "--a aa: no such contender; there are: a, b, c"),
        ({"b": "a"}, "--b a: is compared with --a NAME, which is missing"),
        ({"a": "a", "b": "a"}, "--a and --b are both a"),
        ({"budget": 0}, "budget is 0"),
        ({"confidence": 1.0}, "confidence is 1"),
        ({"penalty": 0.5}, "penalty is 0.5"),
        ({"benchmark": "v0.5"}, "--benchmark v0.5: no source holds AlgoPerf's logs; leave it out"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(table, asked, message):
    with pytest.raises(ValueError, match=message):
        reports.compare([table], **asked)


def test_too_many_pairs_ask_for_one_contender(tmp_path):
    path = tmp_path / "many.csv"
    rows = [f"p{i},w{w},{0.1 + 0.01 * i + 0.1 * w:.2f}" for i in range(26) for w in range(3)]
    path.write_text("\n".join(["point,workload,fraction", *rows]) + "\n")
    with pytest.raises(
        ValueError, match="26 contenders make 325 pairs; choose one with --a NAME, which leaves 25"
    ):
        reports.compare([path], resamples=FEW)
    assert len(reports.compare([path], a="p3", resamples=FEW).pairs) == 25


def test_a_single_workload_and_a_single_contender(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("point,workload,fraction\na,w,0.5\nb,w,0.6\n")
    found = reports.compare([path], resamples=FEW)
    assert found.pairs[0].p == {"workloads": None, "repeats": None}
    assert found.to_json()["contenders"][0]["cost"] == {
        "value": 0.5,
        "over_workloads": None,
        "over_repeats": None,
    }
    path.write_text("point,workload,fraction\na,w,0.5\na,v,0.5\n")
    with pytest.raises(ValueError, match="holds 1 contender; two are needed"):
        reports.compare([path])


# Folders, logs and the command


def test_the_command_prints_what_json_holds(tmp_path):
    few = {"workloads": NAMES[:3], "candidates": 8, "baselines": False, "leave_one_out": False}
    study_on_disk(tmp_path / "two" / "adam", "adam", "nadamw_optax", fake_study(**few))
    study_on_disk(tmp_path / "two" / "muon", "muon", "muon_optax", fake_study(**few, seed=1))
    asked = ["compare", str(tmp_path / "two"), "--budget", "2", "--resamples", str(FEW), "--seed", "4"]
    said = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (
        reports.compare([read_source(tmp_path / "two")], budget=2, resamples=FEW, seed=4).pairs[0].ratio
        == (said["pairs"][0]["ratio"]["value"])
    )
    assert {one["name"] for one in said["contenders"]} == {
        "adam leave-one-out", "muon leave-one-out", "2 of adam", "2 of muon",
    }  # fmt: skip
    assert said == json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert (said["by"], said["budget"], said["seed"], len(said["pairs"])) == ("steps", 2, 4, 6)
    for pair in said["pairs"]:
        low, high = pair["ratio"]["over_workloads"]
        assert low <= pair["ratio"]["value"] <= high
        assert pair["ratio"]["over_repeats"] is None
    printed = CliRunner().invoke(app, [*asked, "--a", "muon leave-one-out", "--power"])
    assert printed.exit_code == 0, printed.output
    for word in (
        "workloads drawn",
        "P(A beats B)",
        "share of experiments",
        "Holm: family-wise, over 3 pairs",
    ):
        assert word in printed.stdout


def test_other_targets_are_not_compared(tmp_path):
    few = {"workloads": NAMES[:2], "candidates": 6, "baselines": False, "leave_one_out": False}
    other = fake_study(**few)
    other = dataclasses.replace(other, trials=other.trials.with_columns(validation_target=pl.lit(0.5)))
    study_on_disk(tmp_path / "one", "one", "nadamw_optax", fake_study(**few))
    study_on_disk(tmp_path / "other", "other", "muon_optax", other)
    with pytest.raises(ValueError, match=r"on algoperf/mnist they differ in the target \(0.952 and 0.5\)"):
        reports.compare([tmp_path / "one", tmp_path / "other"], resamples=FEW)


def test_algoperfs_first_leaderboard(shared):
    found = reports.compare(
        [shared / "data/algoperf_logs"],
        a="baseline",
        by="steps",
        benchmark="v0.5",
        resamples=2000,
        power=True,
    )
    rows = {row.measured.name: row for row in found.rows}
    assert len(rows) == 11
    assert len(found.workloads) == 8
    # The facts of these logs: the whole list of the baseline costs this and trains 7.
    assert rows["baseline"].value == pytest.approx(0.7204941296, abs=1e-10)
    assert (rows["baseline"].trained, rows["baseline"].points, rows["baseline"].repeats) == (7, 5, 5)
    assert len(found.pairs) == 10
    for row in rows.values():
        for over in ("workloads", "repeats"):
            assert row.cost[over].low <= row.value <= row.cost[over].high
    prodigy = next(pair for pair in found.pairs if pair.b == "schedule_free_prodigy")
    assert prodigy.ratio < 1
    assert prodigy.beats_value > 0.7
    assert prodigy.corrected["repeats"] <= 0.05  # these workloads, other seeds
    assert found.power is not None
    assert set(found.power["over"]) == {"workloads", "repeats"}


def test_algoperfs_self_tuning_logs(shared):
    logs = shared / "data/algoperf_logs_v10"
    if not logs.is_dir():
        pytest.skip("needs the logs of v1.0")
    read = read_source(logs)
    found = reports.compare([logs], a=read.submissions[0], resamples=FEW)
    assert len(found.rows) == len(read.submissions) == len(found.pairs) + 1
    assert found.by == "time"
    assert {row.points for row in found.rows} == {1}
    assert all(0 <= pair.beats_value <= 1 for pair in found.pairs)
