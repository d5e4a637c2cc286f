"""The report on studies says what the trials say, and says less where there is less."""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections import defaultdict

import polars as pl
import pytest

import lists
from reports.page import Gallery, Note, Prose, Report, Table, write_report
from reports.study import study_report
from results import Results
from tests.reports.fake_study import WORKLOADS, fake_study
from tests.reports.test_report import Page

NAMES = [workload[0] for workload in WORKLOADS]


@pytest.fixture(scope="module")
def study() -> Results:
    return fake_study()


@pytest.fixture(scope="module")
def report(study) -> Report:
    return study_report(study)


def table(report: Report, name: str) -> pl.DataFrame:
    return next(found.data for found in report.tables if found.name == name)


def notes(report: Report) -> str:
    return " ".join(b.text for section in report.sections for b in section.blocks if isinstance(b, Note))


def by_hand(study: Results, submission: str) -> dict[str, tuple[float, float]]:
    """Workload -> (step fraction, best metric): best point by the median over repeats, in plain Python."""
    evals = defaultdict(list)
    for row in study.evals.iter_rows(named=True):
        if row["validation_metric"] is not None:
            evals[row["trial_id"]].append((row["global_step"], row["validation_metric"]))
    fractions, metrics = defaultdict(list), defaultdict(list)
    signs = {}
    for trial in study.trials.filter(submission=submission).iter_rows(named=True):
        sign = signs[trial["workload"]] = 1 if trial["minimize"] else -1
        hits = [s for s, v in evals[trial["trial_id"]] if sign * v <= sign * trial["validation_target"]]
        key = trial["workload"], trial["point"]
        fractions[key].append(min(hits) / trial["step_hint"] if hits else math.inf)
        metrics[key].append(min((sign * v for _, v in evals[trial["trial_id"]]), default=math.inf))
    return {
        w: (
            min(statistics.median(v) for (name, _), v in fractions.items() if name == w),
            sign * min(statistics.median(v) for (name, _), v in metrics.items() if name == w),
        )
        for w, sign in signs.items()
    }


@pytest.mark.parametrize("submission", ["leave-one-out", "sweep-0.5", "sweep-0.0001", "metz"])
def test_both_tables_hold_the_best_point_by_its_median_over_repeats(study, report, submission):
    expected = by_hand(study, submission)
    title = study.about["studies"][submission]["title"]
    fractions = table(report, "leave_one_out").row(by_predicate=pl.col("contender") == title, named=True)
    metrics = table(report, "best_metrics").row(by_predicate=pl.col("contender") == title, named=True)
    for workload, (fraction, metric) in expected.items():
        assert fractions[workload] == fraction
        assert metrics[workload] == pytest.approx(metric, rel=1e-15)
    capped = [min(fraction, 2.0) for fraction, _ in expected.values()]
    assert fractions["cost"] == pytest.approx(math.prod(capped) ** (1 / 6), rel=1e-12)
    assert fractions["trained"] == sum(math.isfinite(fraction) for fraction, _ in expected.values())


def test_the_finding_counts_what_the_list_and_the_best_baseline_train(study, report):
    def trained(name: str) -> int:
        return sum(math.isfinite(fraction) for fraction, _ in by_hand(study, name).values())

    rivals = {name: trained(name) for name in ("sweep-0.5", "sweep-0.0001", "metz")}
    assert max(rivals.values()) == rivals["sweep-0.0001"] == trained("leave-one-out")
    assert report.finding == (
        f"A list of 5 points trains {trained('leave-one-out')} of 6 workloads that it has not seen, as many as the "
        "best baseline, learning-rate sweep, weight decay 0.0001, and at a higher cost: 0.87 against 0.86."
    )


def test_a_baseline_that_does_better_is_said_to(study):
    # The sweep takes the list's place and the list the sweep's.
    swap = {"leave-one-out": "metz", "metz": "leave-one-out"}
    trials = study.trials.with_columns(pl.col("submission").replace(swap))
    swapped = study_report(dataclasses.replace(study, trials=trials))
    assert "fewer than the best baseline" in swapped.finding


def test_the_list_is_greedy_over_all_candidates_and_the_optimum_stands_beside_it(study, report):
    shown = table(report, "list")
    fractions = table(report, "list_fractions")
    assert fractions["point"].to_list() == [*shown["point"], "the list"]
    values = fractions.select(NAMES).to_numpy()
    assert shown["cost"][-1] == pytest.approx(lists.cost(values[:-1]), rel=1e-12)
    assert shown["cost"].is_sorted(descending=True)
    curve = table(report, "cost_by_length")
    assert (curve["cost_exact"] <= curve["cost_greedy"] + 1e-12).all()
    by_point = study.trials.filter(submission="candidates").group_by("point").first()
    first = by_point.filter(point=shown["point"][0])["hyperparameters"].str.json_path_match("$.learning_rate")
    assert shown["learning_rate"][0] == float(first[0])


def test_left_out_lists_are_those_that_were_trained_anew(study, report):
    shown = table(report, "leave_one_out_lists")
    ran = study.trials.filter(submission="leave-one-out")
    for workload, points in shown.select("workload", "list").iter_rows():
        assert set(points.split(", ")) == set(ran.filter(workload=workload)["point"])
    assert "trained anew are not those" not in notes(report)
    fractions = table(report, "leave_one_out")
    assert shown["anew"].to_list() == [fractions[w][0] for w in shown["workload"]]


def test_a_left_out_workload_that_only_points_which_add_nothing_reach_anew_is_not_called_learnt(report):
    assert "add nothing" not in " ".join(report.caveats)
    # With one other workload, the first point of a left-out list has its least cost, and no later one adds: what is
    # left of the list's trials without that point is what the tie rule brought.
    names = ["digits/conv", "photographs/autoencoder"]
    study = fake_study(workloads=names, baselines=False)
    found = study_report(study)
    built = table(found, "leave_one_out_lists")
    assert built["adds"].to_list() == [1, 1]
    lucky = []
    for workload, chosen in built.select("workload", "list").iter_rows():
        trials = study.trials.filter(
            submission="leave-one-out", workload=workload, point=chosen.split(", ")[0]
        )
        best = study.evals.filter(pl.col("trial_id").is_in(trials["trial_id"].implode()))
        reached = best.group_by("trial_id").agg(
            (pl.col("validation_metric").min() <= trials["validation_target"][0]).alias("it")
        )
        lucky += [workload.split("/")[1]] if reached["it"].sum() < 2 else []  # of three repeats
    assert len(lucky) == 1
    said = f"Of the 2 workloads trained, {lucky[0]} is reached only by points that add nothing on the workloads that"
    assert said in " ".join(found.caveats)
    assert said in notes(found)
    assert "Points that add train 1." in notes(found)


def test_lists_of_another_length_than_those_trained_anew_are_said_to_differ(study):
    assert "trained anew are not those" in notes(study_report(study, list_size=3))


def test_every_workload_has_its_tuning_curve_and_its_equal_budget(report):
    gallery = next(b for s in report.sections for b in s.blocks if isinstance(b, Gallery))
    assert len(gallery.pictures) == 6
    budgets = table(report, "equal_budget")
    assert budgets["workload"].to_list() == NAMES
    assert (budgets["run"] == 40).all()
    within = budgets.filter(pl.col("trials").is_not_null())
    assert (within["least"] <= within["trials"]).all()
    # The list of 5 and random search of 5: who is better by metric needs more or fewer than 5 trials.
    for _, metric, result, random, trials, *_ in within.iter_rows():
        better = result > random if metric == "accuracy" else result < random
        assert trials > 5 if better else trials <= 5


def test_the_caveats_stand_beside_the_curves(report):
    said = notes(report)
    assert "not independent draws" in said
    assert "ld_equal_tailed, simultaneous at 70 %" in said
    assert "not censored" in said


@pytest.mark.parametrize(
    ("draws", "says"),
    [
        ("independent", "They are independent draws, as the band supposes."),
        ("chosen", "If that is no random search, read the curve as describing these points only."),
        (None, "If that is no random search, read the curve as describing these points only."),
    ],
)
def test_the_note_on_bands_says_how_the_points_were_drawn(study, draws, says):
    about = dict(study.about)
    about["studies"] = {**about["studies"], "candidates": {**about["studies"]["candidates"], "draws": draws}}
    said = notes(study_report(dataclasses.replace(study, about=about)))
    assert says in said
    assert "Halton" not in said


def test_trials_that_stopped_at_their_target_make_best_values_censored(study):
    some = study.trials.filter(status="done")["trial_id"][:7]
    kept = ~(pl.col("trial_id").is_in(some.to_list()) & (pl.col("global_step") > 900))
    cut = dataclasses.replace(study, evals=study.evals.filter(kept))
    assert "7 trials ended earlier" in notes(study_report(cut))


def test_what_was_run_is_recorded(study, report):
    data = table(report, "data")
    assert dict(data.select("workload", "kind").iter_rows())["clicks/two_towers"] == "synthetic"
    assert dict(data.select("workload", "stands_in_for").iter_rows())["algoperf/mnist"] == "MNIST"
    studies = table(report, "studies")
    assert studies["trials"].sum() == study.trials.height
    assert studies["diverged"].sum() == study.trials.filter(status="diverged").height > 0
    assert "left_out" in [found.name for found in report.tables]
    assert "2 real, 3 embedded, 1 synthetic; 3 of them stand in" in " ".join(report.detail)


@pytest.mark.parametrize(
    ("what", "finding", "absent"),
    [
        ({"candidates": 0}, r"trains \d of 6 workloads", {"list", "equal_budget", "leave_one_out"}),
        ({"workloads": NAMES[:1]}, "reaches the target of mnist at", {"leave_one_out_lists"}),
        (
            {"workloads": NAMES[:1], "baselines": False},
            r"\d+ of 40 points reach the target of mnist, the soonest at",
            {"leave_one_out"},
        ),
        ({"targets": False}, "510 trials on 6 workloads without a target", {"leave_one_out", "list"}),
        ({"leave_one_out": False}, "A list of 5 points trains", set()),
        ({"candidates": 3}, "A list of 3 points trains", set()),
    ],
    ids=["no candidates", "one workload", "only a search", "no targets", "no rerun", "few candidates"],
)  # fmt: skip
def test_less_data_give_a_shorter_report(tmp_path, what, finding, absent):
    report = study_report(fake_study(**what))
    assert re.search(finding, report.finding)
    assert not absent & {found.name for found in report.tables}
    assert write_report(report, tmp_path / "out").exists()


def test_without_a_rerun_the_report_says_that_the_same_trainings_judge():
    report = study_report(fake_study(leave_one_out=False, workloads=NAMES[:3], candidates=12))
    assert "The same trainings build and judge" in " ".join(report.detail)
    assert "were not trained anew" in notes(report)


def test_workloads_without_a_target_are_named_and_kept_out_of_costs(study):
    target = pl.when(pl.col("workload") != NAMES[2]).then("validation_target")
    report = study_report(
        dataclasses.replace(study, trials=study.trials.with_columns(validation_target=target))
    )
    assert "No target is set for conv" in notes(report)
    assert NAMES[2] not in table(report, "leave_one_out").columns
    assert NAMES[2] in table(report, "best_metrics").columns


def test_studies_that_disagree_on_a_target_are_pointed_out(study):
    other = pl.when((pl.col("submission") == "metz") & (pl.col("workload") == NAMES[0])).then(0.9)
    trials = study.trials.with_columns(validation_target=other.otherwise("validation_target"))
    said = notes(study_report(dataclasses.replace(study, trials=trials)))
    assert f"disagree on the target of {NAMES[0]} (0.9, 0.952)" in said


def test_an_unfinished_rerun_counts_as_missed_and_is_named(study):
    kept = ~((pl.col("submission") == "leave-one-out") & (pl.col("workload") == NAMES[0]))
    trials = study.trials.filter(kept)
    evals = study.evals.join(trials, on="trial_id", how="semi")
    report = study_report(dataclasses.replace(study, trials=trials, evals=evals))
    assert "Not run yet, and so counted as missed: mnist." in report.detail
    assert table(report, "leave_one_out")[NAMES[0]][0] is None


def test_two_studies_of_one_title_stay_apart(study):
    about = {
        name: facts | {"title": "sweep"} if "sweep" in name else facts
        for name, facts in study.about["studies"].items()
    }
    report = study_report(dataclasses.replace(study, about=study.about | {"studies": about}))
    labels = table(report, "leave_one_out")["contender"].to_list()
    assert {"sweep (sweep-0.5)", "sweep (sweep-0.0001)"} <= set(labels)


def test_studies_without_labels_are_reported_all_the_same(study):
    report = study_report(dataclasses.replace(study, about={}))
    assert "trains" in report.finding
    assert "not recorded" in " ".join(b.text for s in report.sections for b in s.blocks if hasattr(b, "text"))


def test_of_several_left_out_lists_the_best_stands_first_whatever_its_folder_is_called():
    study = fake_study(candidates=8, workloads=NAMES[:2], baselines=False)
    # The same trials twice, those of one evaluated later: it must not lead, whichever comes first.
    rerun = study.trials.filter(submission="leave-one-out")
    first = len(study.trials)
    evals = study.evals.join(rerun, on="trial_id", how="semi").with_columns(
        pl.col("trial_id") + first, (pl.col("global_step") * 1.5).cast(pl.Int64)
    )
    for name in ("a-rerun", "z-rerun"):
        trials = rerun.with_columns(pl.col("trial_id") + first, submission=pl.lit(name))
        about = study.about["studies"] | {
            name: study.about["studies"]["leave-one-out"] | {"title": "late list"}
        }
        both = [trials, study.trials] if name < "leave" else [study.trials, trials]
        found = study_report(
            dataclasses.replace(
                study,
                trials=pl.concat(both),
                evals=pl.concat([study.evals, evals]),
                about=study.about | {"studies": about},
            )
        )
        assert table(found, "leave_one_out")["contender"][0] == "leave-one-out list"
        assert (
            "Of 2 studies of left-out lists the best one stands first, leave-one-out list." in found.caveats
        )


def test_hostile_titles_change_nothing_but_text(tmp_path):
    def tags(hostile: bool) -> list[str]:
        small = fake_study(hostile=hostile, workloads=NAMES[:3], candidates=12)
        page = Page(write_report(study_report(small), tmp_path / str(hostile)))
        # Labels of different length wrap differently in keys of figures, which are outside this claim.
        return [tag for tag, _ in page.elements if tag not in ("g", "path", "use", "text", "tspan", "wbr")]

    hostile = tags(True)
    assert hostile == tags(False)
    assert "script" not in hostile


def test_progress_is_told(study):
    told = []
    study_report(study, progress=lambda what, done, total: told.append((what, done, total)))
    assert told[0] == ("tuning curves", 0, 6)
    assert told[-1] == ("tuning curves", 6, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"list_size": 0}, "list_size is 0"),
        ({"penalty": 0.5}, "penalty is 0.5"),
        ({"confidence": 70}, "confidence is 70"),
    ],
)
def test_arguments_out_of_range_are_refused_in_one_line(study, arguments, message):
    with pytest.raises(ValueError, match=message):
        study_report(study, **arguments)


def test_a_list_of_more_points_than_there_are_is_refused():
    with pytest.raises(ValueError, match="list_size is 9, but there are 8 points to choose from"):
        study_report(fake_study(candidates=8, workloads=NAMES[:2], baselines=False), list_size=9)


def test_medians_show_their_spread_and_one_run_is_said_to_be_one(study, report):
    shown = table(report, "leave_one_out")
    title = study.about["studies"]["metz"]["title"]
    for contender, name in (("leave-one-out list", "leave-one-out"), (title, "metz")):
        row = shown.row(by_predicate=pl.col("contender") == contender, named=True)
        assert row["spread"] == "least to greatest of 3 repeats"
        for workload in NAMES:
            assert row[f"{workload} low"] <= row[workload] <= row[f"{workload} high"]
            of_it = study.trials.filter(submission=name, workload=workload)
            assert row[f"{workload} low"] >= by_hand_least(study, of_it)
        assert row["cost low"] <= row["cost high"]
    random = shown.row(by_predicate=pl.col("contender").str.starts_with("random"), named=True)
    assert random["spread"] == "quartiles over searches"
    once = study_report(fake_study(candidates=8, workloads=NAMES[:2], baselines=False, leave_one_out=False))
    assert "ranks rest on one run each" in once.caveats[0]


def by_hand_least(study: Results, trials: pl.DataFrame) -> float:
    """The soonest that any of these trials reached its target, as a share of the budget."""
    evals = study.evals.join(trials, on="trial_id")
    sign = pl.when("minimize").then(1).otherwise(-1)
    reached = evals.filter(sign * pl.col("validation_metric") <= sign * pl.col("validation_target"))
    return (reached["global_step"] / reached["step_hint"]).min() or math.inf


def test_no_trials_are_no_report(study):
    empty = dataclasses.replace(study, trials=study.trials.clear(), evals=study.evals.clear())
    with pytest.raises(ValueError, match="no finished trials"):
        study_report(empty)


def test_tables_are_named_once(report):
    names = [found.name for found in report.tables]
    assert len(names) == len(set(names))
    assert all(isinstance(found, Table) for found in report.tables)


def test_the_record_says_what_suggestions_cost(study, report):
    assert not suggestions(report)
    about = study.about["studies"] | {
        "metz": study.about["studies"]["metz"]
        | {"title": "Vizier", "suggestion_cpu_seconds": [6.0, 2.0, 1.0]}
    }
    told = study_report(dataclasses.replace(study, about=study.about | {"studies": about}))
    assert suggestions(told) == ["Suggestions, beside training: Vizier 3 suggestions, 3 CPU seconds each."]


def suggestions(report: Report) -> list[str]:
    prose = [b.text for section in report.sections for b in section.blocks if isinstance(b, Prose)]
    return [text for text in prose if text.startswith("Suggestions")]
