"""The report on a reproduction of Medapati et al. says what the trials say, beside what the paper prints."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from statistics import median

import numpy as np
import polars as pl
import pytest

import lists
import reports
from reports import statistics
from reports.page import Note, Prose, Report, Table
from results import Results, fractions, hits, read_source, studies, write_packed
from submissions.points import Point
from tests.reports.fake_medapati import BASE, NUMBERS, VARIANTS, fake_reproduction

NAMES = NUMBERS.names


@pytest.fixture(scope="module")
def made() -> Results:
    return fake_reproduction()


@pytest.fixture(scope="module")
def report(made) -> Report:
    return reports.medapati_report(made)


@pytest.fixture(scope="module")
def search_alone() -> Report:
    others = [
        "leave-one-out",
        "leave-one-out-exact",
        "final-list",
        "final-list-variants",
        "lr-sweep-wd-0.5",
        "vizier",
    ]
    others += ["lr-sweep-wd-0.0001", "metz2020-appendix_f", "random", "medapati2025"]
    return reports.medapati_report(fake_reproduction(without=others, base=BASE[:3], candidates=8))


def table(report: Report, name: str) -> Table:
    return next(found for found in report.tables if found.name == name)


def row(report: Report, name: str, label: str, whose: str) -> dict:
    return table(report, name).data.row(
        by_predicate=(pl.col("contender") == label) & (pl.col("numbers") == whose), named=True
    )


def said(report: Report) -> str:
    blocks = [b.text for section in report.sections for b in section.blocks if isinstance(b, Prose | Note)]
    return " ".join([report.finding, *report.detail, *report.caveats, *blocks])


def by_hand(made: Results, study: str, first: int = 99) -> dict[str, tuple[float, float]]:
    """Workload -> (step fraction, best metric): the best point by its median over repeats, in plain Python."""
    values = defaultdict(list)
    for evaluation in made.evals.iter_rows(named=True):
        values[evaluation["trial_id"]].append((evaluation["global_step"], evaluation["validation_metric"]))
    reached, best, signs = defaultdict(list), defaultdict(list), {}
    for trial in made.trials.filter(submission=study).iter_rows(named=True):
        if trial["trial"] > first:
            continue
        sign = signs[trial["workload"]] = 1 if trial["minimize"] else -1
        curve = values[trial["trial_id"]]
        hit = [step for step, value in curve if sign * value <= sign * trial["validation_target"]]
        key = trial["workload"], trial["point"]
        reached[key].append(min(hit) / trial["step_hint"] if hit else math.inf)
        best[key].append(min(sign * value for _, value in curve))
    return {
        w: (
            min(median(v) for (name, _), v in reached.items() if name == w),
            sign * min(median(v) for (name, _), v in best.items() if name == w),
        )
        for w, sign in signs.items()
    }


@pytest.mark.parametrize(
    ("study", "label", "first", "tables", "workloads"),
    [
        ("leave-one-out", "leave-one-out lists", 99, ("table_5", "table_6"), BASE),
        ("lr-sweep-wd-0.5", "learning-rate sweep (decay 0.5)", 99, ("table_5", "table_6"), BASE),
        ("vizier", "Vizier with 5 trials", 5, ("table_5", "table_6"), BASE),
        ("vizier", "Vizier with 10 trials", 10, ("table_5", "table_6"), BASE),
        ("final-list", "the list of all eight", 99, ("table_9_14", "final_list_metrics"), BASE),
        ("final-list-variants", "the list, on variants", 99, ("table_7", "table_8"), VARIANTS),
    ],
)
def test_rows_of_ours_hold_the_best_point_by_its_median(made, report, study, label, first, tables, workloads):
    expected = by_hand(made, study, first)
    found, metrics = (row(report, name, label, "ours") for name in tables)
    for name, workload, printed in zip(NAMES, workloads, NUMBERS.workloads, strict=True):
        fraction, metric = expected[workload]
        assert found[name] == fraction
        # What we call accuracy is printed as error.
        assert metrics[name] == pytest.approx(1 - metric if printed.metric == "error" else metric, rel=1e-12)
    capped = [min(fraction, 2.0) for fraction, _ in expected.values()]
    assert found["cost"] == pytest.approx(math.prod(capped) ** (1 / 8), rel=1e-12)
    assert found["trained"] == sum(math.isfinite(fraction) for fraction, _ in expected.values())


def test_rows_of_theirs_are_as_printed(report):
    found = row(report, "table_5", "leave-one-out lists", "published")
    assert (found["fastmri"], found["wmt"], found["trained"]) == (0.12968, math.inf, 7)
    assert found["cost"] == pytest.approx(0.702442, abs=5e-7)
    assert row(report, "table_6", "random search of 5 (median)", "published")["wmt"] == 29.46569
    assert row(report, "table_8", "the list, on variants", "published")["imagenet_vit"] == 0.26942
    # The paper prints no step fractions of random search, and no best metrics of the final list on base workloads.
    for name, label in (
        ("table_5", "random search of 5 (median)"),
        ("final_list_metrics", "the list of all eight"),
    ):
        assert table(report, name).data.filter(contender=label)["numbers"].to_list() == ["ours"]


def test_counts_of_points_are_those_of_the_search(made, report):
    found = fractions(hits(made), submission="quasirandom", workloads=BASE).values
    shown = table(report, "table_4").data.filter(numbers="ours").select(NAMES).to_numpy()
    reached = np.isfinite(found)
    for k in range(3):
        assert shown[k].tolist() == (reached & (reached.sum(axis=1, keepdims=True) > k)).sum(axis=0).tolist()
    printed = table(report, "table_4").data.filter(numbers="published").select(NAMES).to_numpy()
    assert printed[0].tolist() == [24, 8, 2, 17, 6, 23, 9, 7]


def test_penalties_constructions_and_lengths_are_leave_one_out_anew(made, report):
    found = fractions(hits(made), submission="quasirandom", workloads=BASE)
    ours = table(report, "table_12").data.row(1)[1:]
    for one, trained in zip(NUMBERS.penalties.trained, ours, strict=True):
        assert trained == lists.leave_one_out(found.values, 5, one.penalty, places=found.places).trained[-1]
    rows = {r["construction"]: r for r in table(report, "table_13").data.iter_rows(named=True)}
    for method in ("greedy", "exact"):
        left = lists.leave_one_out(found.values, 4, method=method, places=found.places)
        assert rows[method]["search"] == left.trained[-1]
    anew = by_hand(made, "leave-one-out", first=4)
    assert rows["greedy"]["anew"] == sum(math.isfinite(fraction) for fraction, _ in anew.values())
    assert [rows[method]["published"] for method in ("greedy", "exact")] == [7, 5]
    longer = lists.leave_one_out(found.values, 10, places=found.places)
    assert table(report, "figure_2").data["trained_ours, search's trainings"].to_list() == list(
        longer.trained
    )


def test_exact_lists_that_are_parts_of_greedy_ones_are_judged_by_their_trainings():
    alone = fake_reproduction(without=["leave-one-out-exact"], base=BASE[:3], candidates=5, repeats=1)
    rows, of_search = hits(alone), fractions(hits(alone), submission="quasirandom", workloads=BASE[:3])
    left = lists.leave_one_out(of_search.values, 4, method="exact", places=of_search.places)
    expected = 0
    for workload, chosen in zip(BASE[:3], left.lists, strict=True):
        points = [of_search.points[p] for p in chosen.points]
        again = rows.filter(pl.col("point").is_in(points), submission="leave-one-out", workload=workload)
        assert len(again) == 4
        expected += bool(np.isfinite(again["step_fraction"].to_numpy()).any())
    shown = table(reports.medapati_report(alone), "table_13").data
    assert shown.filter(construction="exact")["anew"].to_list() == [expected]


def test_the_list_stands_beside_theirs(made, report):
    found = fractions(hits(made), submission="quasirandom", workloads=BASE)
    shown = table(report, "table_10").data
    chosen = lists.greedy(found.values, 5, places=found.places).points
    assert shown.filter(numbers="ours")["point"].to_list() == [found.points[p] for p in chosen]
    theirs = shown.filter(numbers="published")
    assert theirs["point"].to_list() == ["173", "170", "197", "43", "104"]
    assert theirs["beta1"][0] == 0.9521079797438937
    assert shown["shared"].sum() == 0


def test_their_own_list_is_tried_on_our_workloads(made, report):
    trained = [
        sum(math.isfinite(fraction) for fraction, _ in by_hand(made, study).values())
        for study in ("medapati2025", "final-list")
    ]
    assert f"the paper's own list trains {trained[0]} of 8, ours, built on these, {trained[1]}." in said(
        report
    )


def test_every_statement_has_both_sides_and_the_verdicts_are_counted(report):
    made = table(report, "agreement").data
    assert made.height == 14
    assert made["published"].str.len_chars().min() > 0
    assert made.filter(pl.col("agrees").is_not_null())["ours"].str.len_chars().min() > 0
    held = made.filter(agrees="yes").height
    told = made.filter(pl.col("agrees").is_not_null()).height
    assert f"of {told} statements that can be compared, {held} hold here" in report.finding
    assert report.facts[0][0] == f"{held} of {told}"


def test_statements_follow_the_tables(report):
    made = table(report, "agreement").data
    lead = row(report, "table_5", "leave-one-out lists", "ours")["trained"]
    rivals = ("learning-rate sweep (decay 0.5)", "learning-rate sweep (decay 0.0001)", "Vizier with 5 trials")
    best = max(
        row(report, "table_5", label, "ours")["trained"] for label in (*rivals, "first 5 of Metz et al.")
    )
    ahead = made.row(
        by_predicate=pl.col("published").str.starts_with("leave-one-out lists train"), named=True
    )
    assert f"train {lead} of 8" in ahead["ours"]
    assert ahead["agrees"] == ("yes" if lead > best else "in part" if lead == best else "no")
    costs = [row(report, *place, "ours")["cost"] for place in (("table_7", "the list, on variants"),
                                                              ("table_9_14", "the list of all eight"))]  # fmt: skip
    cheaper = made.row(by_predicate=pl.col("published").str.contains("costs less on variants"), named=True)
    assert cheaper["agrees"] == ("yes" if costs[0] < costs[1] else "no")
    assert f"{costs[0]:.3f}" in cheaper["ours"]


def test_costs_and_differences_stand_with_their_intervals(made, report):
    def values(study: str, points: int = 99) -> np.ndarray:
        found = np.full((5, 8, 3), np.inf)
        for trial in hits(made).filter(submission=study).iter_rows(named=True):
            if trial["trial"] <= points:
                found[trial["trial"] - 1, BASE.index(trial["workload"]), trial["repeat"]] = trial[
                    "step_fraction"
                ]
        return found

    of_lists, of_metz = values("leave-one-out"), values("metz2020-appendix_f")
    costs = {row["contender"]: row for row in table(report, "costs").data.iter_rows(named=True)}
    assert costs["Vizier with 5 trials"]["points"] == 5
    assert costs["Vizier with 5 trials"]["over_repeats"] == "–"
    for over in ("workloads", "repeats"):
        expected = statistics.cost_interval(of_lists, over=over)
        assert costs["leave-one-out lists"]["cost"] == pytest.approx(expected.value, rel=1e-12)
        assert costs["leave-one-out lists"][f"over_{over}"] == f"{expected.low:.2f} to {expected.high:.2f}"
    shown = table(report, "differences").data
    assert not shown["against"].str.contains("leave-one-out|variants|10").any()
    against = shown.row(by_predicate=pl.col("against") == "first 5 of Metz et al.", named=True)
    assert against["ratio"] == pytest.approx(
        costs["leave-one-out lists"]["cost"] / statistics.cost_of(of_metz)
    )
    assert against["p_workloads"] == statistics.p_value(of_lists, of_metz)
    assert against["ahead"] == pytest.approx(statistics.share_ahead(of_lists, of_metz), rel=1e-12)
    assert shown["holm_workloads"].to_list() == pytest.approx(statistics.holm(shown["p_workloads"].to_list()))
    assert {"the list, on variants", "the list of all eight, which built it"} <= costs.keys()


def test_without_lists_trained_anew_no_difference_is_tested(search_alone):
    assert "differences" not in {one.name for one in search_alone.tables}


def test_every_table_of_both_says_what_the_data_are(report):
    both = [
        t
        for t in report.tables
        if {"published", "our_metric"} & {*t.data.columns} or "numbers" in t.data.columns
    ]
    assert len(both) >= 10
    for one in both:
        assert "embedded stand-ins, mini scale" in one.caption
        assert "AlgoPerf's" in one.caption or one.name == "agreement"
    assert "data: embedded stand-ins, mini scale" in " ".join(report.detail)


def test_what_is_not_known_of_the_paper_is_said(report):
    assert "Figure 3, Figure 4 and Figure 5 of the paper are not drawn" in said(report)
    assert "5 cells of Tables 5 and 6 contradict Table 2" in said(report)


def test_random_search_is_told_over_all_subsets(made, report):
    rows = hits(made).filter(submission="random")
    values = fractions(rows, workloads=BASE).values
    chances = lists.trained_by_random(values, 5)
    middle = int(np.searchsorted(chances.cumsum(), 0.5))
    assert f"trains {middle} of 8 in the median of all subsets of 5 of 30 points" in said(report)
    shown = row(report, "table_5", "random search of 5 (median)", "ours")
    for w, name in enumerate(NAMES):
        assert shown[name] == lists.quantile_of_best(values[:, w], 5, 0.5)


def test_missing_studies_are_said_to_be_missing(search_alone):
    text = said(search_alone)
    assert "leave-one-out lists (no study leave-one-out)" in text
    assert "Vizier with 5 trials, Vizier with 10 trials (no study vizier)" in text
    assert "the list, on variants (no study final-list-variants)" in text
    assert "The same trainings build and judge our lists" in text
    ours = row(search_alone, "table_5", "leave-one-out lists", "ours")
    assert [ours[name] for name in (*NAMES, "trained", "cost")] == [None] * 10
    assert (
        row(search_alone, "table_5", "leave-one-out lists (search's trainings)", "ours")["trained"]
        is not None
    )
    verdicts = dict(table(search_alone, "agreement").data.select("published", "agrees").iter_rows())
    assert verdicts["the list of all eight trains 7 of 8 variants"] is None
    assert "3 workloads of the same kinds" in text


def test_without_the_search_baselines_are_still_shown():
    without = ["quasirandom", "leave-one-out", "leave-one-out-exact", "final-list"]
    baselines = fake_reproduction(base=BASE[:2], candidates=6, repeats=1, without=without)
    report = reports.medapati_report(baselines)
    assert "ours are not there" in report.finding
    assert row(report, "table_5", "Vizier with 5 trials", "ours")["criteo1tb"] is not None
    assert row(report, "table_5", "Vizier with 5 trials", "ours")["wmt"] is None
    assert report.opening is None
    assert table(report, "table_10").data["numbers"].unique().to_list() == ["published"]


def test_two_scales_and_other_studies_are_refused(made):
    other = made.trials.filter(submission="final-list", workload=BASE[0]).with_columns(
        workload=pl.lit("algoperf/criteo1tb@small"), trial_id=pl.col("trial_id") + 100_000
    )
    mixed = dataclasses.replace(made, trials=pl.concat([made.trials, other]))
    with pytest.raises(
        ValueError, match=r"holds algoperf/criteo1tb@mini and algoperf/criteo1tb@small; a report is on"
    ):
        reports.medapati_report(mixed)
    strange = dataclasses.replace(made, trials=made.trials.with_columns(submission=pl.lit("mine")))
    with pytest.raises(
        ValueError, match=r"no study of the protocol on a workload of the paper; names of studies: quasi"
    ):
        reports.medapati_report(strange)


def write_study(folder, name: str, role: str) -> None:
    """A study of five points on one workload, of which three reach the target."""
    workload, data = BASE[0], "embedded: little, in place of much"
    points = tuple(Point(str(i), {"learning_rate": 0.001 * (i + 1)}) for i in range(5))
    spec = studies.StudySpec(
        name=name, title=name, role=role, optimizer="nadamw_optax", strategy={"name": "medapati-candidates"},
        points={workload: points}, workloads=(workload,), cohort_size=5, steps=100, draws="quasi-random",
    )  # fmt: skip
    studies.write_spec(folder / name, spec)
    rows = pl.DataFrame(
        {
            "workload": workload, "cohort": 0, "repeat": 0, "point": [p.id for p in points],
            "hyperparameters": [json.dumps(dict(p.hyperparameters)) for p in points], "status": "done",
            "metric": "loss", "minimize": True, "validation_target": 0.5, "step_hint": 100, "steps": 100,
            "global_step": [[50, 100]] * 5, "validation/loss": [[0.9, 0.31 + 0.09 * i] for i in range(5)],
            "train/loss": [[0.8, 0.2]] * 5, "cohort_seconds": 1.0, "seed": 0, "optimizer": "nadamw_optax",
            "data": data, "device": "cpu", "versions": "{}", "command": None, "test_target": None,
            "loop": "population",
        },
        schema_overrides={"test_target": pl.Float64, "command": pl.String},
    )  # fmt: skip
    studies.write_cohort(folder / name, workload, 0, studies.as_parquet(rows))


def test_the_folder_of_a_protocol_is_read_packed_or_not(tmp_path):
    write_study(tmp_path / "studies", "quasirandom", "candidates")
    write_study(tmp_path / "studies", "notes", "baseline")
    write_study(tmp_path / "final", "final-list", "baseline")
    report = reports.medapati_report(tmp_path)
    assert table(report, "table_4").data.filter(numbers="ours")["criteo1tb"].to_list() == [3, 0, 0]
    assert table(report, "table_4").data.filter(numbers="ours")["wmt"].to_list() == [None] * 3
    assert row(report, "table_9_14", "the list of all eight", "ours")["criteo1tb"] == 1.0
    assert ("notes", "no study of the protocol") in table(report, "left_out").data.rows()
    write_packed(read_source(tmp_path / "studies"), tmp_path / "all.parquet")
    packed = reports.medapati_report(tmp_path / "all.parquet")
    assert table(packed, "table_4").data.equals(table(report, "table_4").data)
    assert row(packed, "table_9_14", "the list of all eight", "ours")["criteo1tb"] is None
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("studies", "final"):
        write_packed(read_source(tmp_path / name), parts / f"{name}.parquet")
    of_parts = reports.medapati_report(parts)
    for one, other in zip(of_parts.tables, report.tables, strict=True):
        assert one.data.equals(other.data), one.name
    assert row(of_parts, "table_9_14", "the list of all eight", "ours")["criteo1tb"] == 1.0
