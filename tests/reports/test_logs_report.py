"""The report on AlgoPerf logs: the published leaderboard, and each submission's points as a list."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest

from reports.logs import logs_report
from reports.page import Note, Report, write_report
from results import LeftOut, Results
from results.algoperf import read_algoperf_parquet
from tests.reports.fake_study import HOSTILE
from tests.reports.test_report import Page

# AlgoPerf's published scores, facts/algoperf_logs.md section 2.
PUBLISHED = {
    "v05": {
        "shampoo_submission": 0.7784,
        "schedule_free_adamw": 0.7077,
        "generalized_adam": 0.6383,
        "cyclic_lr": 0.6301,
        "nadamp": 0.5909,
        "baseline": 0.5707,
        "amos": 0.4918,
        "caspr_adaptive": 0.4722,
        "lawa_queue": 0.3699,
        "lawa_ema": 0.3384,
        "schedule_free_prodigy": 0.0,
    },
    "v06": {"shampoo": 0.6244, "baseline": 0.4590},
}


@pytest.fixture(scope="module")
def logs(shared: Path) -> Results:
    return read_algoperf_parquet(shared / "data" / "algoperf_logs")


@pytest.fixture(scope="module")
def report(logs) -> Report:
    return logs_report(logs)


def table(report: Report, name: str) -> pl.DataFrame:
    return next(found.data for found in report.tables if found.name == name)


def notes(report: Report) -> str:
    return " ".join(b.text for section in report.sections for b in section.blocks if isinstance(b, Note))


def stem(version: str) -> str:
    return f"{version[:2]}-{version[2:]}"


@pytest.mark.parametrize("version", PUBLISHED)
def test_the_published_leaderboard_is_shown_to_four_decimals_and_in_order(report, version):
    shown = table(report, f"scores_{stem(version)}")
    expected = PUBLISHED[version]
    assert shown["submission"].to_list() == list(expected)
    assert [round(score, 4) for score in shown["score"]] == list(expected.values())


def test_the_baseline_as_a_list_is_that_of_the_facts(report):
    # facts/algoperf_logs.md section 4: greedy order, costs, and leave-one-out with 4 of its 5 points.
    greedy = table(report, "greedy_steps_v0-5").filter(submission="baseline").row(0, named=True)
    assert greedy["order"] == "4, 1, 2, 0, 3"
    costs = [0.9265654839, 0.7342314313, 0.7208936280, 0.7204941296, 0.7204941296]
    assert [greedy[f"cost_{k}"] for k in range(1, 6)] == pytest.approx(costs, abs=5e-11)
    left = table(report, "leave_one_out_steps_v0-5").filter(contender="baseline").row(0, named=True)
    expected = {
        "criteo1tb": 0.8860,
        "fastmri": 0.2381,
        "imagenet_resnet": math.inf,
        "imagenet_vit": 0.8241,
        "librispeech_conformer": 0.8626,
        "librispeech_deepspeech": 0.9016,
        "ogbg": 0.3015,
        "wmt": 0.8906,
    }
    assert {name: round(left[name], 4) for name in expected} == expected
    assert left["trained"] == 7


def test_steps_that_are_no_gradient_steps_are_compared_by_time_only(report):
    by_steps = set(table(report, "greedy_steps_v0-5")["submission"])
    by_time = set(table(report, "greedy_time_v0-5")["submission"])
    assert by_time - by_steps == {"lawa_ema", "lawa_queue"}
    assert "lawa_ema, lawa_queue: not compared by steps" in notes(report)


def test_the_finding_names_the_leader_and_the_picture_shows_the_profiles(report):
    assert report.finding == (
        "v0.5: shampoo_submission leads 11 submissions with a score of 0.7784, training 7 of 8 workloads."
    )
    assert "v0.6: shampoo leads 2 submissions with a score of 0.6244" in report.detail[0]
    assert report.opening is not None
    assert report.opening.name == "performance_profile_v0-5"


def test_what_was_left_out_and_the_caveats_are_said(report, logs):
    left_out = next(found for found in report.tables if found.name == "left_out")
    assert left_out.data.height == len(logs.left_out) == 185
    said = notes(report)
    for caveat in ("right-censored", "The same trials build and judge", "stale hparams.json"):
        assert caveat in said
    assert "recorded in AlgoPerf's published runs" in str(report.sections[-1])


def test_one_version_gives_one_part(logs):
    report = logs_report(logs.of_benchmark("v0.6"))
    assert [section.heading for section in report.sections] == [
        "v0.6 scores",
        "v0.6 submissions as lists",
        "What was read",
    ]
    assert report.finding.startswith("shampoo leads 2 submissions")


def small(*, submission: str = "mine", points: int = 2, seconds: bool = True) -> Results:
    """One submission on two workloads of v0.5: point k hits criteo1tb at evaluation k + 1, and never wmt."""
    trials, evals = [], []
    targets = {"criteo1tb": (0.123735, True), "wmt": (30.8491, False)}
    for workload, (target, minimize) in targets.items():
        for k in range(points):
            trial_id = len(trials)
            trials.append(
                {
                    "trial_id": trial_id, "benchmark": "v0.5", "submission": submission, "repeat": 0,
                    "workload": workload, "trial": k + 1, "point": str(k), "framework": "jax",
                    "hyperparameters": json.dumps({"learning_rate": 0.1 / (k + 1)}),
                    "metric": "loss" if minimize else "bleu", "minimize": minimize,
                    "validation_target": target, "test_target": None,
                    "step_hint": 10.0, "max_runtime_seconds": 100.0, "status": "done",
                    "data": None,
                }
            )  # fmt: skip
            for i in range(5):
                hit = workload == "criteo1tb" and i >= k + 1
                metric = target if hit else (1.0 if minimize else 2.0)
                evals.append((trial_id, i, i + 1, 10.0 * (i + 1) if seconds else None, metric, None, None))
    names = ("trial_id", "eval_index", "global_step", "submission_seconds")
    schema = dict.fromkeys(names, pl.Int64) | {"submission_seconds": pl.Float64}
    schema |= dict.fromkeys(("validation_metric", "test_metric", "train_metric"), pl.Float64)
    return Results(
        pl.DataFrame(trials, schema_overrides={"test_target": pl.Float64, "data": pl.String}),
        pl.DataFrame(evals, schema=schema, orient="row"),
        (LeftOut(f"{submission}/study_0", "stray"),),
        source="logs/here",
        kind="algoperf-logs",
    )


def test_a_lone_submission_is_reported_without_a_race():
    report = logs_report(small())
    assert report.finding == "mine trains 1 of 8 workloads."
    assert "just the share of workloads" in notes(report)
    greedy = table(report, "greedy_steps_v0-5").row(0, named=True)
    # By hand: point 0 hits criteo1tb at step 2 of 10 and misses wmt: sqrt(0.2 * 2).
    assert greedy["order"] == "0, 1"
    assert greedy["cost_1"] == pytest.approx(math.sqrt(0.2 * 2), rel=1e-12)


def two_studies() -> Results:
    """Two submissions of which each is the sooner one in one of two studies; only one of them has a second point."""
    trials, evals = [], []
    for name, points in (("mine", 2), ("yours", 1)):
        one = small(submission=name, points=points)
        for repeat in (0, 1):
            first = sum(map(len, trials))
            late = 2 if (name == "mine") == (repeat == 1) else 1
            trials.append(
                one.trials.with_columns(pl.col("trial_id") + first, repeat=pl.lit(repeat, pl.Int64))
            )
            evals.append(
                one.evals.with_columns(pl.col("trial_id") + first, pl.col("submission_seconds") * late)
            )
    return Results(pl.concat(trials), pl.concat(evals), (), source="logs/here", kind="algoperf-logs")


def test_scores_show_each_study_alone_and_the_rank_says_what_it_rests_on():
    report = logs_report(two_studies())
    # Hits at 20 s or, where a submission is late, at 40 s: r = 1 or 2, the score (4 - r) / 3 of 1 in 8 workloads.
    for submission in ("mine", "yours"):
        row = table(report, "scores_v0-5").row(by_predicate=pl.col("submission") == submission, named=True)
        assert row["exact_score low"] == pytest.approx(2 / 3 / 8, rel=1e-12)
        assert row["exact_score high"] == pytest.approx(1 / 8, rel=1e-12)
    times = table(report, "time_to_target_v0-5").row(0, named=True)
    assert (times["criteo1tb low"], times["criteo1tb"], times["criteo1tb high"]) == (20.0, 30.0, 40.0)
    assert report.caveats == ("Of 2 studies, each scored alone, mine is first in 1, yours in 1.",)


def test_one_study_of_several_submissions_is_said_to_rest_on_one_run():
    logs = two_studies()
    trials = logs.trials.filter(repeat=0)
    evals = logs.evals.join(trials, on="trial_id", how="semi")
    report = logs_report(Results(trials, evals, (), source="logs/here", kind="algoperf-logs"))
    assert report.caveats == ("Every submission was trained in one study: ranks rest on one run each.",)
    assert "score low" not in table(report, "scores_v0-5").columns


def test_a_chosen_submission_is_the_only_one_seen_as_a_list_and_is_recorded():
    logs = two_studies()
    other = logs.trials.with_columns(submission=pl.lit("other"), trial_id=pl.col("trial_id") + 100)
    evals = pl.concat([logs.evals, logs.evals.with_columns(pl.col("trial_id") + 100)])
    both = Results(
        pl.concat([logs.trials.filter(submission="mine"), other.filter(pl.col("point") == "0")]),
        evals.filter(pl.col("trial_id").is_in([0, 1, 2, 3, 4, 5, 6, 7])),
        (),
        "logs/here",
        "algoperf-logs",
    )
    report = logs_report(both, submission="mine", list_size=1)
    assert table(report, "greedy_steps_v0-5")["submission"].to_list() == ["mine"]
    said = " ".join(b.text for s in report.sections for b in s.blocks if hasattr(b, "text"))
    assert "lists of 1 point (--size), penalty 2 (--penalty), points of mine (--submission)" in said
    with pytest.raises(ValueError, match="no submission 'nobody'; it holds mine, other"):
        logs_report(both, submission="nobody")


def test_a_submission_with_one_point_is_no_list():
    report = logs_report(small(points=1))
    assert [section.heading for section in report.sections] == ["v0.5 scores", "What was read"]


@pytest.mark.parametrize("name", [HOSTILE, "</title><script>", "../../x"])
def test_names_from_logs_are_escaped(tmp_path, name):
    page = Page(write_report(logs_report(small(submission=name)), tmp_path / "out"))
    assert not [tag for tag, _ in page.elements if tag in ("script", "img", "b")]
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_a_real_report_is_written_whole(tmp_path, report):
    page = write_report(report, tmp_path / "out")
    assert "shampoo_" in page.read_text()
    scores = pl.read_csv(tmp_path / "out/tables/scores_v0-5.csv")
    assert scores["score"][0] == table(report, "scores_v0-5")["score"][0]


@pytest.mark.parametrize(
    ("arguments", "message"), [({"list_size": 0}, "list_size is 0"), ({"penalty": 0.1}, "penalty is 0.1")]
)
def test_arguments_out_of_range_are_refused_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        logs_report(small(), **arguments)
