"""First hits and fractions: the reference results of the v0.5 baseline, and hand-made trials."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lists
import results
from results import EVAL_COLUMNS, TRIAL_COLUMNS, LeftOut, Results, fractions, hits
from results.algoperf import read_algoperf_logs, read_algoperf_parquet

INF = float("inf")
BASE = (
    *("criteo1tb", "fastmri", "imagenet_resnet", "imagenet_vit"),
    *("librispeech_conformer", "librispeech_deepspeech", "ogbg", "wmt"),
)
# algoperf_logs.md, section 4: median step fraction over 5 studies.
BASELINE = np.array(
    [
        [0.8859928746, 0.2677609218, INF, INF, 0.8959, 0.9415208333, INF, 0.8942947357],
        [INF, 0.2756915085, INF, 0.8241297290, INF, INF, INF, INF],
        [INF, 0.2380833955, INF, INF, 0.8923125, INF, INF, 0.8939122348],
        [INF, 0.3043466247, INF, INF, INF, 0.9158333333, INF, 0.9392123480],
        [0.8899306207, 0.7306916466, INF, INF, 0.8626375, 0.901625, 0.3015375, 0.8905597264],
    ]
)
# Studies of 5 in which each point hit.
BASELINE_COUNTS = [
    [4, 5, 1, 0, 5, 4, 1, 5],
    [2, 5, 0, 5, 0, 0, 0, 2],
    [2, 5, 0, 0, 5, 2, 2, 5],
    [0, 5, 0, 0, 0, 5, 0, 5],
    [3, 5, 0, 0, 4, 5, 5, 5],
]
BASELINE_LEFT_OUT = {
    "criteo1tb": [0.8899306207, 0.8899306207, 0.8899306207, 0.8859928746, 0.8859928746],
    "fastmri": [0.7306916466, 0.2756915085, 0.2677609218, 0.2380833955, 0.2380833955],
    "imagenet_resnet": [INF] * 5,
    "imagenet_vit": [INF, INF, INF, 0.8241297290, 0.8241297290],
    "librispeech_conformer": [0.8626375] * 5,
    "librispeech_deepspeech": [0.901625] * 5,
    "ogbg": [INF, INF, INF, 0.3015375, 0.3015375],
    "wmt": [0.8905597264] * 5,
}
# Ten printed digits.
PRINTED = {"abs": 5e-11, "rel": 0}


@pytest.fixture(scope="module")
def v05(shared) -> Results:
    return read_algoperf_parquet(shared / "data/algoperf_logs").of_benchmark("v0.5")


@pytest.fixture(scope="module")
def v05_hits(v05) -> pl.DataFrame:
    return hits(v05)


@pytest.fixture(scope="module")
def baseline(v05_hits) -> results.Fractions:
    return fractions(v05_hits, submission="baseline")


def test_the_baselines_matrix_is_the_reference(baseline):
    assert baseline.points == ("0", "1", "2", "3", "4")
    assert baseline.workloads == BASE
    np.testing.assert_allclose(baseline.values, BASELINE, rtol=0, atol=5e-11)


def test_as_many_repeats_hit_as_in_the_reference(v05_hits):
    rows = v05_hits.filter(pl.col("submission") == "baseline", pl.col("workload").is_in(BASE))
    counts = rows.group_by("trial", "workload").agg(pl.col("hit_step").is_not_null().sum())
    found = counts.sort("trial", "workload")["hit_step"].to_numpy().reshape(5, 8)
    assert found.tolist() == BASELINE_COUNTS


def test_the_baselines_greedy_list_is_the_reference(baseline):
    chosen = lists.greedy(baseline.values, size=5, ties="lowest-id")
    assert chosen.points == (4, 1, 2, 0, 3)
    expected = [0.9265654839, 0.7342314313, 0.7208936280, 0.7204941296, 0.7204941296]
    assert chosen.costs == pytest.approx(expected, **PRINTED)


def test_the_baselines_leave_one_out_is_the_reference(baseline):
    result = lists.leave_one_out(baseline.values, size=5, ties="lowest-id")
    np.testing.assert_allclose(
        result.held_out, [BASELINE_LEFT_OUT[name] for name in BASE], rtol=0, atol=5e-11
    )
    assert tuple(result.trained) == (5, 5, 5, 7, 7)


@pytest.mark.parametrize("by", ["steps", "time"])
def test_fractions_agree_with_a_plain_loop_over_the_tables(by, v05, v05_hits, shared):
    # Independent: dictionaries and Python floats, straight from the Parquet columns.
    tables = shared / "data/algoperf_logs"
    trials = pl.read_parquet(tables / "trials.parquet").filter(pl.col("leaderboard") == "v0.5")
    evals = pl.read_parquet(tables / "evals.parquet").sort("trial_id", "eval_index")
    curves: dict[int, list] = {}
    for row in evals.select(
        "trial_id", "global_step", "accumulated_submission_time", "validation_metric"
    ).rows():
        curves.setdefault(row[0], []).append(row[1:])
    submission = "nadamp"
    reached: dict[tuple[str, str], list[float]] = {}
    for row in trials.filter(pl.col("submission") == submission, pl.col("is_base_workload")).iter_rows(
        named=True
    ):
        target, sign = row["scoring_validation_target"], 1 if row["minimize"] else -1
        spent = INF
        for step, seconds, value in curves.get(row["trial_id"], []):
            if sign * value <= sign * target:
                used = (
                    (step, row["step_hint"]) if by == "steps" else (seconds, row["max_allowed_runtime_sec"])
                )
                spent = used[0] / used[1]
                break
        reached.setdefault((str(row["trial"] - 1), row["workload"]), []).append(spent)
    expected = [[sorted(reached[str(p), name])[2] for name in BASE] for p in range(5)]
    np.testing.assert_array_equal(fractions(v05_hits, by=by, submission=submission).values, expected)


def test_several_submissions_give_points_named_after_both(v05_hits):
    rows = v05_hits.filter(pl.col("submission").is_in(["baseline", "nadamp"]))
    both = fractions(rows)
    assert both.points == tuple(f"{name}/{p}" for name in ("baseline", "nadamp") for p in range(5))
    np.testing.assert_array_equal(both.values[:5], fractions(rows, submission="baseline").values)


def test_row_order_changes_neither_hits_nor_fractions(v05, v05_hits, baseline):
    shuffled = Results(
        trials=v05.trials.sample(fraction=1, shuffle=True, seed=1),
        evals=v05.evals.sample(fraction=1, shuffle=True, seed=2),
        left_out=(),
        source="shuffled",
        kind="algoperf-parquet",
    )
    found = hits(shuffled)
    assert found.sort("trial_id").equals(v05_hits.sort("trial_id"))
    np.testing.assert_array_equal(fractions(found, submission="baseline").values, baseline.values)


def test_held_out_workloads_are_columns_only_on_request(v05_hits):
    names = ["ogbg_model_size", "ogbg"]
    assert fractions(v05_hits, submission="baseline", workloads=names).workloads == (
        "ogbg_model_size",
        "ogbg",
    )


def test_a_hit_is_the_first_row_at_the_target_in_the_sample_tree(shared):
    # fastmri, point 2, studies 0 and 1: the only rows read here are those before and at the hit.
    results = read_algoperf_logs(shared / "data/algoperf_logs/sample")
    rows = hits(results).filter(pl.col("hit_index").is_not_null())
    joined = results.evals.join(rows.select("trial_id", "hit_index", "minimize"), on="trial_id").join(
        results.trials.select("trial_id", "validation_target"), on="trial_id"
    )
    sign = pl.when("minimize").then(1).otherwise(-1)
    past = sign * pl.col("validation_metric") <= sign * pl.col("validation_target")
    assert not joined.filter(pl.col("eval_index") < pl.col("hit_index")).select(past.any()).item()
    assert joined.filter(pl.col("eval_index") == pl.col("hit_index")).select(past.all()).item()


# Hand-made trials.


def make(
    curves: dict[tuple[int, int], list[float | None]],
    minimize: bool = True,
    target: float | None = 0.5,
    step_hint: float | None = 100.0,
    seconds: bool = False,
) -> Results:
    """(repeat, trial) -> validation metric at steps 10, 20, ...; one workload, one submission."""
    trials = [
        {
            "trial_id": k,
            "benchmark": None,
            "submission": "mine",
            "repeat": repeat,
            "workload": "w",
            "trial": trial,
            "point": f"p{trial}",
            "framework": "jax",
            "hyperparameters": json.dumps({"learning_rate": 0.1 * trial}),
            "metric": "loss",
            "minimize": minimize,
            "validation_target": target,
            "test_target": None,
            "step_hint": step_hint,
            "max_runtime_seconds": 1000.0 if seconds else None,
            "status": "done",
            "data": None,
        }
        for k, (repeat, trial) in enumerate(curves)
    ]
    evals = [
        (k, index, 10 * (index + 1), 50.0 * (index + 1) if seconds else None, value, None, None)
        for k, curve in enumerate(curves.values())
        for index, value in enumerate(curve)
    ]
    return Results(
        trials=pl.DataFrame(trials, schema=dict(TRIAL_COLUMNS)),
        evals=pl.DataFrame(evals, schema=dict(EVAL_COLUMNS), orient="row"),
        left_out=(LeftOut("x", "why"),),
        source="made",
        kind="study",
    )


@pytest.mark.parametrize(
    ("minimize", "curve", "index"),
    [
        (True, [0.9, 0.5, 0.4], 1),  # reached at equality
        (True, [0.9, 0.4, 0.9], 1),  # once is enough
        (True, [None, 0.6], None),
        (True, [float("nan"), 0.5], 1),
        (False, [0.4, float("nan"), 0.6], 2),
        (False, [0.4, float("inf")], None),
        (True, [], None),
    ],
)
def test_first_hit(minimize, curve, index):
    row = hits(make({(0, 1): curve}, minimize)).row(0, named=True)
    assert row["hit_index"] == index
    assert row["hit_step"] == (None if index is None else 10 * (index + 1))
    assert row["step_fraction"] == (INF if index is None else (index + 1) / 10)


def test_the_best_metric_ignores_what_is_no_number():
    assert hits(make({(0, 1): [0.9, None, 0.7, 0.8]}))["best_metric"].to_list() == [0.7]
    assert hits(make({(0, 1): [0.1, float("nan")]}, minimize=False))["best_metric"].to_list() == [0.1]
    assert hits(make({(0, 1): []}))["best_metric"].to_list() == [None]


def test_results_are_judged_by_other_targets_where_they_are_given():
    made = make({(0, 1): [0.9, 0.5, 0.3]})
    assert hits(made.judged_by({"w": 0.3}))["hit_step"].to_list() == [30]
    assert hits(made.judged_by({"other": 0.3}))["hit_step"].to_list() == [20]
    assert hits(made.judged_by({"w": None}))["step_fraction"].to_list() == [None]
    assert made.trials["validation_target"].to_list() == [0.5]


def test_a_missing_trial_counts_as_missed():
    # Point 2 ran in one repeat of three, so its median is missed; point 1 hit in two.
    results = make({(0, 1): [0.5], (1, 1): [0.9, 0.5], (2, 1): [0.9], (0, 2): [0.5]})
    assert fractions(hits(results)).values.tolist() == [[0.2], [INF]]


def test_an_even_number_of_repeats_gives_the_mean_of_the_middle_two():
    assert fractions(hits(make({(0, 1): [0.5], (1, 1): [0.9, 0.5]}))).values.tolist() == [
        [pytest.approx(0.15)]
    ]
    assert fractions(hits(make({(0, 1): [0.5], (1, 1): [0.9]}))).values.tolist() == [[INF]]
    assert fractions(hits(make({(0, 1): [0.9], (1, 1): [0.9]}))).values.tolist() == [[INF]]


def test_times_and_steps_are_shares_of_their_own_budgets():
    found = hits(make({(0, 1): [0.9, 0.5]}, seconds=True))
    assert fractions(found, by="steps").values.item() == 0.2
    assert fractions(found, by="time").values.item() == 0.1


def at_start(curve, *, seconds=False, later=True):
    """`make` of one curve whose first evaluation is the one before training, at step 0 and second 0."""
    made = make({(0, 1): curve}, seconds=seconds)
    evals = made.evals.with_columns(pl.col("global_step") - 10, pl.col("submission_seconds") - 50.0)
    return dataclasses.replace(made, evals=evals if later else evals.head(1))


def test_a_target_that_holds_before_training_counts_as_reached_with_the_first_step():
    row = hits(at_start([0.4, 0.3])).row(0, named=True)
    assert (row["hit_index"], row["hit_step"], row["step_fraction"]) == (0, 1, 0.01)
    assert fractions(hits(at_start([0.4, 0.3]))).values.item() == 0.01
    later = hits(at_start([0.9, 0.3])).row(0, named=True)
    assert (later["hit_index"], later["hit_step"]) == (1, 10)


def test_its_time_is_that_of_one_step():
    # 50 seconds for the first 10 steps; without a later evaluation the budget's 1000 s for 100 steps.
    measured, planned = at_start([0.4, 0.3], seconds=True), at_start([0.4, 0.3], seconds=True, later=False)
    assert hits(measured)["hit_seconds"].item() == 5.0
    assert fractions(hits(measured), by="time").values.item() == 0.005
    assert hits(planned)["hit_seconds"].item() == 10.0


def test_fractions_keep_every_repeat_and_the_place_by_best_metric():
    found = fractions(hits(make({(0, 1): [0.5], (1, 1): [0.9, 0.5], (0, 2): [0.4], (1, 2): [0.7]})))
    assert found.values.tolist() == [[pytest.approx(0.15)], [INF]]
    assert found.by_repeat is not None
    assert found.by_repeat.tolist() == [[[0.1, 0.2]], [[0.1, INF]]]
    assert found.places is not None
    assert found.places.tolist() == [[1.0], [2.0]]  # medians .5 and .55
    once = fractions(hits(make({(0, 1): [0.9], (0, 2): [None], (0, 3): [0.9]}, minimize=False)))
    assert once.by_repeat is None
    assert once.places is not None
    assert once.places.tolist() == [[1.5], [3.0], [1.5]]  # without any finite metric: the last place


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        ({}, "time", "workload w: no validation target or no runtime budget or clock"),
        ({"step_hint": None}, "steps", "workload w: no validation target or no step hint"),
        ({"target": None}, "steps", "workload w: no validation target"),
        ({}, "stairs", "by is 'stairs'; must be 'steps' or 'time'"),
    ],
)
def test_a_fraction_that_cannot_be_told_is_an_error(change, by, message):
    with pytest.raises(ValueError, match=message):
        fractions(hits(make({(0, 1): [0.5]}, **change)), by=by)


def test_two_trials_of_a_point_in_one_repeat_are_an_error():
    results = make({(0, 1): [0.5], (0, 2): [0.5]})
    twice = hits(results).with_columns(point=pl.lit("p1"))
    with pytest.raises(ValueError, match="mine: two trials of point p1 on w in repeat 0"):
        fractions(twice)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"submission": "yours"}, "no submission 'yours'; present: mine"),
        ({"workloads": ["v"]}, "no trials on workload v; present: w"),
    ],
)
def test_unknown_names_are_errors_that_list_the_known(arguments, message):
    with pytest.raises(ValueError, match=message):
        fractions(hits(make({(0, 1): [0.5]})), **arguments)


def test_versions_are_not_mixed(shared):
    found = hits(read_algoperf_parquet(shared / "data/algoperf_logs"))
    with pytest.raises(ValueError, match=r"2 benchmark versions \(v0\.5, v0\.6\)"):
        fractions(found)


metric_values = st.one_of(st.none(), st.floats(0, 1))


@settings(deadline=None, max_examples=60)
@given(st.lists(metric_values, max_size=12), st.booleans(), st.floats(0, 1))
def test_a_hit_is_what_a_loop_finds(curve, minimize, target):
    expected = next(
        (
            index
            for index, value in enumerate(curve)
            if value is not None and (value <= target if minimize else value >= target)
        ),
        None,
    )
    assert hits(make({(0, 1): curve}, minimize, target))["hit_index"].to_list() == [expected]


# Results.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, e: (t.drop("point"), e), "trials: no column point"),
        (lambda t, e: (t.cast({"repeat": pl.Int32}), e), "column repeat has type Int32; must be Int64"),
        (lambda t, e: (t.with_columns(status=pl.lit("fine")), e), "unknown status .*'fine'.*allowed: done"),
        (lambda t, e: (t.with_columns(point=pl.lit(None, pl.String)), e), "column point has 1 nulls"),
        (lambda t, e: (pl.concat([t, t]), e), "trial_id repeats"),
        (
            lambda t, e: (t, e.with_columns(trial_id=pl.lit(7, pl.Int64))),
            "1 rows of trials that do not exist",
        ),
    ],
)
def test_tables_of_another_shape_are_refused(change, message):
    good = make({(0, 1): [0.5]})
    trials, evals = change(good.trials, good.evals)
    with pytest.raises(ValueError, match=message):
        Results(trials, evals, (), "made", "study")


def test_results_can_be_narrowed(v05):
    one = v05.of_submissions(["nadamp"])
    assert one.submissions == ("nadamp",)
    assert set(one.evals["trial_id"]) <= set(one.trials["trial_id"])
    with pytest.raises(ValueError, match="no submission adam; present: amos"):
        v05.of_submissions(["adam"])
    with pytest.raises(ValueError, match=r"no trials of benchmark v0\.6; present: v0\.5"):
        v05.of_benchmark("v0.6")
