"""Lists and their proofs from results: what is said beside them, at the edges of a budget and over repeats."""

from __future__ import annotations

import dataclasses
import math

import polars as pl
import pytest

import lists
import reports
import results
from tests.reports.fake_study import fake_study

TARGET_AT_START = "algoperf/mnist"


def small(**how) -> results.Results:
    how = {"candidates": 8, "repeats": 1, "baselines": False, "leave_one_out": False, **how}
    return fake_study(**how)


def reached_at_start(found: results.Results) -> results.Results:
    """The same with an evaluation at step 0 of a trial of one workload, that has reached the target."""
    trial = found.trials.filter(workload=TARGET_AT_START).row(0, named=True)
    first = found.evals.filter(trial_id=trial["trial_id"]).head(1)
    at_start = first.with_columns(
        eval_index=pl.lit(0, pl.Int64), global_step=pl.lit(0, pl.Int64),
        validation_metric=pl.lit(trial["validation_target"]),
    )  # fmt: skip
    later = found.evals.with_columns(pl.col("eval_index") + 1)
    return dataclasses.replace(found, evals=pl.concat([at_start, later]))


def test_a_target_reached_before_training_stops_neither_list_nor_proof_nor_report():
    found = reached_at_start(small())
    built = lists.build_list(found, size=3)
    column = built.fractions.workloads.index(TARGET_AT_START)
    assert built.fractions.values[0, column] == 1 / 1000  # one step of the hint's 1000
    assert math.isfinite(built.chosen.costs[-1])
    proof = lists.leave_one_workload_out(found, size=3)
    assert (proof.result.held_out > 0).all()
    assert reports.study_report(found, list_size=3).tables
    scored = reports.score(found)
    assert scored.time_to_target[TARGET_AT_START].item() == 1


def test_a_list_says_what_was_asked_what_adds_and_by_which_rule():
    source = small(workloads=["digits/conv"])
    built = lists.build_list(source, size=4)
    said = built.to_json()
    assert (said["asked"], said["adds"], said["ties"]) == (4, 1, "merit")
    assert built.table()["adds"].to_list() == [True, False, False, False]
    assert built.notes()[0].startswith("asked 4 points, 1 adds: points 2 to 4 lower the cost no further")
    saved = built.as_list()
    assert (saved.asked, saved.adds, saved.ties) == (4, 1, "merit")
    short = lists.build_list(source, size=4, stop_when_covered=True)
    assert short.to_json()["points"] == said["points"][:1]
    assert short.notes() == ("asked 4 points, 1 adds: the list stops there",)
    assert (short.as_list().asked, len(short.as_list().points)) == (4, 1)


def test_what_a_source_leaves_out_is_said_of_a_list_and_of_a_proof():
    left_out = (results.LeftOut("logs/x", "not usable"),)
    source = dataclasses.replace(small(), left_out=left_out, warnings=("read with care",))
    for made in (lists.build_list(source, size=2), lists.leave_one_workload_out(source, size=2)):
        assert (made.left_out, made.warnings) == (left_out, ("read with care",))
        assert made.to_json()["left_out"] == [{"path": "logs/x", "reason": "not usable"}]
        assert made.to_json()["warnings"] == ["read with care"]


def test_a_list_from_trials_that_were_stopped_before_the_target_is_refused_or_says_how_many():
    found = small()
    missed = results.hits(found).filter(pl.col("hit_index").is_null())["trial_id"]
    some, reached = (
        missed[:3].to_list(),
        found.trials.filter(~pl.col("trial_id").is_in(missed.implode()))["trial_id"][0],
    )

    def stopped(which, loop="population"):
        about = {
            name: one | {"loop": loop, "strategy": "asha"} for name, one in found.about["studies"].items()
        }
        status = pl.when(pl.col("trial_id").is_in(which)).then(pl.lit("stopped")).otherwise("status")
        trials = found.trials.with_columns(status=status)
        return dataclasses.replace(found, trials=trials, about=found.about | {"studies": about})

    source, everything = stopped([*some, reached]), len(found.trials)
    for make in (lists.build_list, lists.leave_one_workload_out):
        with pytest.raises(
            ValueError, match=rf"studies/demo: 3 of {everything} trials were stopped by asha before"
        ):
            make(source, size=2)
        made = make(source, size=2, allow_stopped=True)
        assert made.warnings[-1].endswith("is unseen: counted as missed (--allow-stopped)")
        assert make(stopped([reached]), size=2).warnings == ()  # nothing of it is unseen
        assert make(stopped(some, "submission"), size=2).warnings == ()  # a submission ended them


def test_a_target_reached_after_the_budget_is_named():
    found = small(workloads=["digits/conv", "algoperf/mnist"])
    late = dataclasses.replace(found, trials=found.trials.with_columns(step_hint=pl.lit(20.0)))
    built = lists.build_list(late, size=2)
    assert built.to_json()["late"] == [2, 2]
    named = "after the budget (a fraction above 1): algoperf/mnist, digits/conv"
    assert any(note.startswith(named) for note in built.notes())
    proof = lists.leave_one_workload_out(late, size=2)
    assert proof.to_json()["late"] == list(proof.result.trained)
    captions = [table.caption for table in reports.study_report(late, list_size=2).tables]
    assert sum("†: reached" in caption for caption in captions) >= 2


def test_the_costs_of_single_repeats_stand_beside_the_cost():
    found = small(workloads=["digits/conv", "algoperf/mnist"])
    # The trials once more as another repeat, in which every evaluation came 20 steps later.
    count = len(found.trials)
    again = found.trials.with_columns(pl.col("trial_id") + count, repeat=pl.lit(1, pl.Int64))
    later = found.evals.with_columns(pl.col("trial_id") + count, pl.col("global_step") + 20)
    twice = dataclasses.replace(
        found, trials=pl.concat([found.trials, again]), evals=pl.concat([found.evals, later])
    )
    table = lists.build_list(twice, size=2).table()
    assert (table["lowest"] < table["cost"]).all()
    assert (table["cost"] < table["highest"]).all()
    alone = lists.build_list(found, size=2)
    assert alone.to_json()["repeat_costs"] is None
    assert table["lowest"][-1] == pytest.approx(alone.chosen.costs[-1], rel=1e-12)
    proof = lists.leave_one_workload_out(twice, size=2)
    assert (proof.table()["lowest"] <= proof.table()["k=2"]).all()
    assert (proof.table()["k=2"] <= proof.table()["highest"]).all()
    summary = proof.summary()
    assert (summary["lowest"] < summary["highest"]).all()


def only(found: results.Results, study: str) -> results.Results:
    trials = found.trials.filter(submission=study)
    return dataclasses.replace(
        found, trials=trials, evals=found.evals.filter(pl.col("trial_id").is_in(trials["trial_id"].implode()))
    )


def test_a_proven_list_says_what_leaving_one_out_came_to_as_the_report_does():
    found = fake_study(baselines=False)
    searched, anew = only(found, "candidates"), only(found, "leave-one-out")
    reached = lists.held_out_fractions(anew)
    shown = reports.contenders(found).filter(row="leave-one-out list")
    assert reached == dict(shown.select("workload", "fraction").iter_rows())
    assert 0 < sum(map(math.isfinite, reached.values())) < len(reached) == 6
    proven = lists.proven_list(searched, anew, size=5, name="mine")
    said = dict(proven.made_by)
    assert (said["left_out"], said["repeats"], proven.name) == (6, 3, "mine")
    assert said["trained"] == sum(math.isfinite(fraction) for fraction in reached.values())
    assert said["left_out_cost"] == pytest.approx(
        math.exp(sum(math.log(min(fraction, 2.0)) for fraction in reached.values()) / 6)
    )
    assert proven.points == lists.build_list(searched, size=5).as_list().points
    assert said["data of digits/conv"] == found.about["data"]["digits/conv"]
    assert sum(key.startswith("data of ") for key in said) == 6


def test_without_targets_nothing_proves_a_list():
    found = fake_study(baselines=False)
    untargeted = only(fake_study(baselines=False, targets=False), "candidates")
    with pytest.raises(ValueError, match="no finished trials on workloads with targets, so nothing proves"):
        lists.proven_list(only(found, "candidates"), untargeted)
