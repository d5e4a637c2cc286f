"""A report on several searches for candidates holds them against each other, or asks which one is meant."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import lists
import reports
import results as results_room
from reports.page import Report, write_report
from reports.study import study_report
from results import Results
from results.studies import StudySpec, as_parquet, write_cohort, write_spec
from shortlist.cli import app
from submissions.points import Point
from tests.reports.fake_study import WORKLOADS, fake_study

NAMES = [workload[0] for workload in WORKLOADS]


def together(*parts: tuple[str, Results]) -> Results:
    """Fake studies as one folder holds them: those of each part renamed `<optimizer>-<study>`."""
    trials, evals, about = [], [], {}
    for optimizer, part in parts:
        first = sum(map(len, trials))
        renamed = pl.format("{}-{}", pl.lit(optimizer), "submission")
        trials.append(part.trials.with_columns(pl.col("trial_id") + first, submission=renamed))
        evals.append(part.evals.with_columns(pl.col("trial_id") + first))
        for name, one in part.about["studies"].items():
            about[f"{optimizer}-{name}"] = one | {
                "optimizer": optimizer,
                "workloads": set(part.trials["workload"]),
            }
    return dataclasses.replace(
        parts[0][1], trials=pl.concat(trials), evals=pl.concat(evals),
        about={"studies": about, "data": parts[0][1].about["data"]}, left_out=(), source="cmp",
    )  # fmt: skip


def slower(part: Results, factor: float = 1.25) -> Results:
    """The same trials, each evaluation at a later step; what is then beyond the budget never happened."""
    evals = part.evals.with_columns((pl.col("global_step") * factor).cast(pl.Int64))
    budget = part.trials["step_hint"].max()
    return dataclasses.replace(part, evals=evals.filter(pl.col("global_step") <= budget))


def search(**changed) -> Results:
    arguments = {"candidates": 12, "baselines": False, "leave_one_out": False}
    return fake_study(**(arguments | changed))


@pytest.fixture(scope="module")
def both() -> Results:
    return together(("adam", slower(search())), ("muon", search()))


@pytest.fixture(scope="module")
def report(both) -> Report:
    return study_report(both)


def table(report: Report, name: str) -> pl.DataFrame:
    return next(found.data for found in report.tables if found.name == name)


def candidates_by_hand(study: Results, submission: str) -> np.ndarray:
    """Point x workload, one repeat, in plain Python."""
    first: dict[int, float] = {}
    trials = {t["trial_id"]: t for t in study.trials.filter(submission=submission).iter_rows(named=True)}
    for row in study.evals.iter_rows(named=True):
        trial, value = trials.get(row["trial_id"]), row["validation_metric"]
        if trial is None or value is None:
            continue
        sign = 1 if trial["minimize"] else -1
        if sign * value <= sign * trial["validation_target"]:
            fraction = row["global_step"] / trial["step_hint"]
            first[row["trial_id"]] = min(first.get(row["trial_id"], math.inf), fraction)
    points = sorted({t["point"] for t in trials.values()}, key=int)
    values = np.full((len(points), len(NAMES)), np.inf)
    for i, trial in trials.items():
        values[points.index(trial["point"]), NAMES.index(trial["workload"])] = first.get(i, math.inf)
    return values


def test_every_search_has_its_own_list_and_its_own_numbers(both, report):
    shown = table(report, "comparison")
    for optimizer in ("adam", "muon"):
        values = candidates_by_hand(both, f"{optimizer}-candidates")
        held_out = lists.leave_one_out(values, 5).held_out[:, -1]
        row = shown.row(by_predicate=pl.col("contender") == f"list of {optimizer}", named=True)
        assert [row[w] for w in NAMES] == held_out.tolist()
        best = shown.row(by_predicate=pl.col("contender") == f"best point of {optimizer}", named=True)
        assert [best[w] for w in NAMES] == values.min(axis=0).tolist()
        assert row["trained"] == np.isfinite(held_out).sum()
    names = [found.name for found in report.tables]
    assert {"list_1-muon", "list_2-adam", "leave_one_out_lists_1-muon", "leave_one_out_lists_2-adam"} <= set(
        names
    )
    steps = table(report, "steps_to_target").filter(search="muon", workload=NAMES[0])
    reached = candidates_by_hand(both, "muon-candidates")[:, 0]
    assert steps["reached"][0] == np.isfinite(reached).sum()
    assert steps["least"][0] == 1000 * reached.min()


def test_tiles_count_each_search(report):
    tiles = {what: number for number, what in report.facts}
    counted = {what.split(",")[0]: number for what, number in tiles.items()}
    assert counted["trials of muon"] == counted["trials of adam"] == "72"
    assert {
        "workloads trained unseen by the list of muon",
        "workloads trained unseen by the list of adam",
    } <= set(counted)


def test_the_finding_names_the_better_by_how_much_and_how_sure(report):
    assert re.fullmatch(
        r"muon is better than adam on workloads that its list has not seen: muon trains \d of 6 workloads, adam \d, "
        r"at a cost of \d\.\d{3} against \d\.\d{3} \(.*fewer steps\)\.",
        report.finding,
    )
    # Sooner on m workloads, later on none: a fair coin does so 2 times in 2^m.
    verdict = table(report, "verdicts").row(0, named=True)
    assert verdict["told"]
    assert verdict["later"] == 0
    assert verdict["chance"] == 2 / 2 ** verdict["sooner"] <= 0.1
    assert "Every point was trained once" in report.caveats[0]


def test_the_order_of_folders_changes_nothing(both, report):
    other = together(("muon", search()), ("adam", slower(search())))
    again = study_report(other)
    assert again.finding == report.finding
    assert [number for number, _ in again.facts] == [number for number, _ in report.facts]


def test_few_workloads_trained_once_cannot_be_told_apart():
    few = {"workloads": NAMES[:3]}
    found = study_report(together(("adam", slower(search(**few))), ("muon", search(**few))))
    assert found.finding.startswith("It cannot be told whether muon or adam is better: muon trains")
    assert found.finding.endswith("chance alone would give as much 1 time in 4.")
    assert not table(found, "verdicts")["told"][0]


def test_equal_searches_are_said_to_be_equal():
    found = study_report(together(("adam", search()), ("muon", search())))
    assert "It cannot be told" in found.finding
    assert "as many workloads at the same cost" in found.finding


def test_repeats_tell_apart_where_they_do_not_overlap():
    rerun = {"leave_one_out": True, "repeats": 3, "workloads": NAMES[:3]}
    adam, muon = slower(search(**rerun)), search(**rerun)
    found = study_report(together(("adam", adam), ("muon", muon)))
    shown = table(found, "comparison")
    mine, its = (
        shown.row(by_predicate=pl.col("contender") == f"list of {name}, trained anew", named=True)
        for name in ("muon", "adam")
    )
    assert mine["cost low"] <= mine["cost"] <= mine["cost high"] < its["cost low"]
    assert mine["spread"] == "least to greatest of 3 repeats"
    # All of three before all of three: 2 of 20 orders.
    assert table(found, "verdicts")["chance"][0] == 0.1
    assert found.finding.startswith("muon is better than adam on workloads")
    assert f"({mine['cost low']:.3f} to {mine['cost high']:.3f})" in found.finding


def test_a_list_trained_anew_is_not_held_against_one_that_was_not():
    found = study_report(together(("adam", search()), ("muon", search(leave_one_out=True, repeats=2))))
    labels = table(found, "comparison")["contender"].to_list()
    assert labels[:2] == ["list of adam", "list of muon"] or labels[:2] == ["list of muon", "list of adam"]
    assert labels[2] == "leave-one-out list"


def test_one_ahead_with_more_points_to_choose_from_is_not_called_better():
    found = study_report(together(("adam", slower(search())), ("muon", search(candidates=20))))
    assert "but muon had 20 points to choose from, adam 12" in found.finding
    assert "muon 20, adam 12" in " ".join(found.caveats)


def test_without_targets_best_metrics_are_compared(tmp_path):
    found = study_report(together(("adam", search(targets=False)), ("muon", search(targets=False))))
    assert "cannot be told by steps: none of 6 workloads has a target" in found.finding
    assert "best metrics" in found.finding
    assert table(found, "best_metrics").height == 4
    assert write_report(found, tmp_path / "out").exists()


def test_one_workload_and_three_searches(tmp_path):
    one = {"workloads": NAMES[:1]}
    parts = [("adam", slower(search(**one))), ("muon", search(**one)), ("sgd", slower(search(**one), 2))]
    found = study_report(together(*parts))
    assert "muon or adam, the first two of 3, is better" in found.finding
    assert table(found, "verdicts").height == 3
    assert write_report(found, tmp_path / "out").exists()


def test_searches_of_one_optimizer_are_called_by_their_titles_or_names():
    two = together(("a", search()), ("b", search()))
    about = {n: one | {"optimizer": "nadamw_optax"} for n, one in two.about["studies"].items()}
    found = study_report(dataclasses.replace(two, about=two.about | {"studies": about}))
    assert "list of a-candidates" in table(found, "comparison")["contender"].to_list()


def other_target(part: Results) -> Results:
    changed = pl.when(pl.col("workload") == NAMES[0]).then(0.9).otherwise("validation_target")
    return dataclasses.replace(part, trials=part.trials.with_columns(validation_target=changed))


def other_steps(part: Results) -> Results:
    return dataclasses.replace(part, trials=part.trials.with_columns(step_hint=pl.lit(500.0)))


def other_data(part: Results) -> Results:
    return dataclasses.replace(part, trials=part.trials.with_columns(data=pl.lit("real: all of it")))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            lambda _: search(workloads=NAMES[:5]),
            f"workloads (1 workload: only adam-candidates has {NAMES[5]})",
        ),
        (other_target, f"target of {NAMES[0]} (0.9, 0.952)"),
        (other_steps, f"steps of {NAMES[0]} (500, 1,000)"),
        (other_data, f"data of {NAMES[0]} ("),
    ],
    ids=["workloads", "target", "steps", "data"],
)
def test_what_cannot_be_compared_is_asked_about_in_one_line(changed, message):
    two = together(("adam", search()), ("muon", changed(search())))
    with pytest.raises(ValueError, match="choose one with --submission NAME") as error:
        study_report(two)
    assert (
        f"the candidates of adam-candidates, muon-candidates cannot be compared, they differ in the {message}"
        in str(error.value)
    )
    assert "\n" not in str(error.value)
    chosen = study_report(two, submission="muon-candidates")
    assert "list" in [found.name for found in chosen.tables]


def test_a_chosen_search_is_reported_alone(both):
    rerun = together(("adam", search(leave_one_out=True)), ("muon", search(leave_one_out=True)))
    for optimizer in ("adam", "muon"):
        chosen = study_report(rerun, submission=f"{optimizer}-candidates")
        assert set(table(chosen, "studies")["submission"]) == {
            f"{optimizer}-candidates",
            f"{optimizer}-leave-one-out",
        }
        assert table(chosen, "left_out").height == 2
        said = " ".join(block.text for block in chosen.sections[-1].blocks if hasattr(block, "text"))
        assert f"candidates of {optimizer}-candidates (--submission)" in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "--submission nobody is no study here; candidates: adam-candidates, muon-candidates"),
        ("adam-metz", "--submission adam-metz is a study of role 'baseline'; candidates:"),
    ],
)
def test_a_search_that_is_not_there_is_named_with_those_that_are(name, message):
    two = together(
        ("adam", search(baselines=True, workloads=NAMES[:1])), ("muon", search(workloads=NAMES[:1]))
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        study_report(two, submission=name)


def study_on_disk(folder, name: str, optimizer: str, part: Results) -> None:
    """A fake search as a study's folder."""
    workloads = tuple(part.trials["workload"].unique(maintain_order=True))
    made_of = dict(part.trials.select("point", "hyperparameters").unique(maintain_order=True).iter_rows())
    points = tuple(Point(point, json.loads(text)) for point, text in made_of.items())
    folder.mkdir(parents=True)
    spec = StudySpec(
        name=name, title="quasi-random search", role="candidates", optimizer=optimizer,
        strategy={"name": "quasirandom"}, points=dict.fromkeys(workloads, points), workloads=workloads,
        cohort_size=len(points),
    )  # fmt: skip
    write_spec(folder, spec)
    for workload in workloads:
        trials = part.trials.filter(workload=workload)
        curves = part.evals.group_by("trial_id", maintain_order=True).agg("global_step", "validation_metric")
        rows = trials.join(curves, on="trial_id", maintain_order="left")
        metric = rows["metric"][0]
        content = rows.select(
            "workload", pl.lit(0, pl.Int64).alias("cohort"), "repeat", "point", "hyperparameters", "status",
            pl.lit(None, pl.String).alias("status_reason"), pl.lit(None, pl.Int64).alias("diverged_step"), "metric",
            "minimize", "validation_target", "test_target", pl.col("step_hint").cast(pl.Int64),
            "max_runtime_seconds", pl.col("step_hint").cast(pl.Int64).alias("steps"), "global_step",
            pl.lit(None, pl.List(pl.Float64)).alias("submission_seconds"),
            pl.lit(1.0).alias("cohort_seconds"), pl.lit("population").alias("loop"),
            pl.lit(0, pl.Int64).alias("seed"), pl.lit(optimizer).alias("optimizer"), "data",
            pl.lit("cpu").alias("device"), pl.lit("{}").alias("versions"), pl.lit(None, pl.String).alias("command"),
            *(pl.col("validation_metric").alias(f"{role}/{metric}") for role in ("validation", "test", "train")),
        )  # fmt: skip
        write_cohort(folder, workload, 0, as_parquet(content))


def test_build_list_and_report_take_the_same_option_on_a_folder_of_two_searches(tmp_path):
    few = {"workloads": NAMES[:2], "candidates": 6}
    study_on_disk(tmp_path / "cmp" / "adam", "adam", "nadamw_optax", slower(search(**few)))
    study_on_disk(tmp_path / "cmp" / "muon", "muon", "muon_optax", search(**few))
    with pytest.raises(ValueError, match="choose one with --submission"):
        lists.build_list(tmp_path / "cmp", size=2)
    built = lists.build_list(tmp_path / "cmp", size=2, submission="muon")
    page = reports.report(tmp_path / "cmp", tmp_path / "one", size=2, submission="muon")
    shown = pl.read_csv(page.parent / "tables" / "list.csv", schema_overrides={"point": pl.String})
    assert shown["point"].to_list() == built.to_json()["points"]
    page = reports.report(tmp_path / "cmp", tmp_path / "both", size=2, penalty=3.0, confidence=0.9)
    assert "lists of 2 points (--size), penalty 3 (--penalty), confidence of bands 0.9" in page.read_text()
    marker = json.loads((page.parent / "report.json").read_text())
    assert "trained once" in " ".join(marker["caveats"])
    compared = reports.contenders(results_room.read_source(tmp_path / "cmp"), size=2, penalty=3.0)
    assert compared.equals(
        pl.read_csv(page.parent / "figures" / "step_fractions.csv", schema=compared.schema)
    )


def test_the_command_takes_what_build_list_takes(tmp_path):
    few = {"workloads": NAMES[:2], "candidates": 6}
    study_on_disk(tmp_path / "cmp" / "adam", "adam", "nadamw_optax", slower(search(**few)))
    study_on_disk(tmp_path / "cmp" / "muon", "muon", "muon_optax", other_steps(search(**few)))
    run = CliRunner().invoke
    asked = ["report", str(tmp_path / "cmp"), "--out", str(tmp_path / "out")]
    assert "choose one with --submission NAME" in str(run(app, asked).exception)
    options = ["--submission", "muon", "--size", "3", "--penalty", "1.5", "--confidence", "0.9"]
    said = run(app, [*asked, *options])
    assert said.exit_code == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert (
        "lists of 3 points (--size), penalty 1.5 (--penalty), confidence of bands 0.9 (--confidence)" in page
    )
    assert pl.read_csv(tmp_path / "out" / "tables" / "list.csv").height == 3


def test_options_that_say_nothing_about_a_source_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("point,workload,fraction\na,w,0.5\nb,w,0.7\n")
    with pytest.raises(ValueError, match="only reports on studies draw bands; leave it out"):
        reports.report(tmp_path / "t.csv", tmp_path / "out", confidence=0.8)
    with pytest.raises(ValueError, match="--submission mine: a table of fractions has none; leave it out"):
        reports.report(tmp_path / "t.csv", tmp_path / "out", submission="mine")
