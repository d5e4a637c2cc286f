"""VeLOdrome's score: by hand, as the original aggregates it, in a report, and from the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from reports import speedup
from reports.page import write_report
from results.baselines import BaselineCurve, Baselines, TrainingLosses, write_baselines
from results.curves import CurveArchive, archives_to_table, write_table
from shortlist.cli import app
from submissions import environment

# From 10 at step 0 to 0 at step 1000: loss x takes 100 (10 - x) steps.
LINE = BaselineCurve(np.array([0.0, 1000.0]), np.array([10.0, 0.0]))
STEPS = np.array([0, 50, 100])


def archive(name: str, task: str, points: list[list[list[float]]]) -> CurveArchive:
    """Training losses [point][repeat][evaluation] of a set of points on a task."""
    ys = np.full((len(points), len(points[0]), len(STEPS), 4), np.nan, np.float32)
    ys[..., 0] = points
    return CurveArchive(task, name, tuple(f"adam_lr_{p}" for p in range(len(points))), STEPS, ys)


def table_of(path: Path, *archives: CurveArchive) -> Path:
    write_table(path, archives_to_table(archives, "made up", hyperparameters={}))
    return path


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    write_baselines(tmp_path / "baseline.parquet", Baselines({f"t{i}": LINE for i in range(6)}))
    return tmp_path / "baseline.parquet"


def test_scores_by_hand(tmp_path, baseline):
    # After 100 steps: 9 and 7, mean 8, for which the baseline takes 200: score 2; its repeats 1 and 3.
    # Along the curve: means 10, 9, 8 -> 0, 1, 2.
    fine = archive("velo", "t0", [[[10, 9, 9], [10, 9, 7]]])
    # The second point diverges in one repeat, so the first is the best, though it ends above the start: score 0.
    poor = archive("velo", "t1", [[[10, 9, 11], [10, 9, 11]], [[10, 9, 1], [10, 9, math.nan]]])
    found = speedup.speedups([table_of(tmp_path / "a.parquet", fine, poor)], [baseline])
    rows = {row["workload"]: row for row in found.scores.table.iter_rows(named=True)}
    assert (rows["t0"]["last"], rows["t0"]["low"], rows["t0"]["high"]) == (2.0, 1.0, 3.0)
    assert (rows["t0"]["mean"], rows["t0"]["max"], rows["t0"]["limit"]) == (1.0, 2.0, 10.0)
    assert (rows["t0"]["loss"], rows["t0"]["steps"], rows["t0"]["repeats"]) == (8.0, 100, 2)
    assert (rows["t1"]["last"], rows["t1"]["max"], rows["t1"]["points"]) == (0.0, 1.0, 2)
    # One contender: nothing to hold against each other.
    assert found.comparison is None
    assert any("training losses alone" in note for note in found.notes)


def test_an_earlier_step_may_be_scored(tmp_path, baseline):
    source = table_of(tmp_path / "a.parquet", archive("velo", "t0", [[[10, 9, 9]]]))
    (row,) = speedup.speedups([source], [baseline], steps=50).scores.table.to_dicts()
    assert (row["last"], row["steps"], row["low"]) == (2.0, 50, None)
    with pytest.raises(ValueError, match="was not evaluated at step 60"):
        speedup.speedups([source], [baseline], steps=60)


def test_percentiles_are_the_originals(tmp_path, baseline):
    ends = [10.0, 9.0, 8.0, 5.0, 0.0, -3.0]  # 0 1 2 5 and twice the limit of 10
    archives = [archive("velo", f"t{i}", [[[10, 10, end]]]) for i, end in enumerate(ends)]
    found = speedup.speedups([table_of(tmp_path / "a.parquet", *archives)], [baseline])
    (row,) = found.summary().to_dicts()
    scores = [0.0, 1.0, 2.0, 5.0, 10.0, 10.0]
    assert row["mean"] == pytest.approx(np.mean(scores))
    assert row["std"] == pytest.approx(np.std(scores))
    for percent in range(5, 100, 5):
        assert row[f"{percent} %"] == pytest.approx(np.percentile(scores, percent))
    assert (row["workloads"], row["faster"], row["at_limit"], row["none"]) == (6, 4, 2, 1)
    assert any(note.startswith("2 of 6 scores stand at their limit") for note in found.notes)


def contenders(tmp_path: Path) -> list[Path]:
    """A list of two points, whose second is the better, and an optimizer of one point that is in between."""
    two, one = [], []
    for i in range(6):
        first, second = [[[10, 9, 9 - j * 0.1 - i * 0.01] for j in range(3)] for _ in range(2)]
        two.append(archive("list", f"t{i}", [first, [[10, 9, x - 4] for *_, x in second]]))
        one.append(archive("free", f"t{i}", [[[10, 9, x - 2] for *_, x in first]]))
    return [table_of(tmp_path / "list.parquet", *two), table_of(tmp_path / "free.parquet", *one)]


def test_a_list_counts_its_first_points_and_contenders_are_held_against_each_other(tmp_path, baseline):
    found = speedup.speedups(contenders(tmp_path), [baseline], budgets=(1, 2), resamples=200)
    assert found.scores.contenders == ("list, first 1", "list", "free")
    assert found.comparison is not None
    assert [row.measured.name for row in found.comparison.rows] == ["list", "free", "list, first 1"]
    # Medians of 1 / score over repeats on t0: (100 / 510), (100 / 310), (100 / 110); others alike.
    costs = {row.measured.name: row.value for row in found.comparison.rows}
    expected = [np.exp(np.mean(np.log([1 / (s + 0.01 * i) for i in range(6)]))) for s in (5.1, 3.1, 1.1)]
    # Losses are float32: 1e-7 of 10, over differences of 1.
    assert [costs["list"], costs["free"], costs["list, first 1"]] == pytest.approx(expected, rel=1e-5)
    pair = next(one for one in found.comparison.pairs if {one.a, one.b} == {"list", "free"})
    assert pair.differences["workloads"] is not None
    assert pair.differences["workloads"].ratio.high < 1
    assert pair.differences["repeats"] is not None


def test_one_contender_may_be_held_against_the_others(tmp_path, baseline):
    asked = {"baselines": [baseline], "budgets": (1, 2), "resamples": 100}
    found = speedup.speedups(contenders(tmp_path), a="free", **asked)
    assert found.comparison is not None
    assert [(pair.a, pair.b) for pair in found.comparison.pairs] == [
        ("free", "list"),
        ("free", "list, first 1"),
    ]
    with pytest.raises(ValueError, match="no such contender"):
        speedup.speedups(contenders(tmp_path), a="fre", **asked)


def test_random_search_is_the_middle_of_searches_among_the_points(baseline):
    # Six points with scores 1 ... 6: the best of one is 3.5 in the middle (by shares), of six always 6.
    rows = [
        ("random", "t0", str(p), 0, p, True, None, None, [0, 100], [10.0, 10.0 - (p + 1)]) for p in range(6)
    ]
    names = (
        "contender",
        "workload",
        "point",
        "repeat",
        "place",
        "drawn",
        "optimizer",
        "data",
        "step",
        "loss",
    )
    losses = TrainingLosses(pl.DataFrame(rows, schema=names, orient="row"))
    found = speedup.score_speedups(losses, Baselines({"t0": LINE}), budgets=(1, 5))
    assert found.contenders == ("1 of random", "5 of random")
    (one, five) = found.table.to_dicts()
    assert 3 <= one["last"] <= 4
    assert one["low"] <= one["last"] <= one["high"]
    # The best is among 5 of 6 drawn with replacement in 1 - (5/6)^5 = .6 of searches: the middle one has it.
    assert five["last"] == pytest.approx(6.0, rel=1e-6)
    assert five["points"] == 5
    assert all(one.searches for one in found.measured)


@pytest.mark.parametrize(
    ("task", "curve", "said"),
    [
        ("other", LINE, "no baseline was trained on it"),
        (
            "t0",
            BaselineCurve(np.array([0.0, 50.0]), np.array([10.0, 0.0])),
            "ends at step 50, before step 100",
        ),
    ],
)
def test_what_cannot_be_scored_is_told(task, curve, said, tmp_path):
    write_baselines(tmp_path / "b.parquet", Baselines({"t0": curve}))
    source = table_of(tmp_path / "a.parquet", archive("velo", task, [[[10, 9, 9]]]))
    with pytest.raises(ValueError, match=said):
        speedup.speedups([source], [tmp_path / "b.parquet"])


def test_two_contenders_of_one_name_are_told_apart(tmp_path, baseline):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    sources = [
        table_of(tmp_path / name / "a.parquet", archive("velo", "t0", [[[10, 9, 9]]]))
        for name in ("one", "two")
    ]
    assert speedup.speedups(sources, [baseline]).scores.contenders == tuple(f"{s}: velo" for s in sources)


def test_the_report_holds_all_of_it(tmp_path, baseline):
    found = speedup.speedups(contenders(tmp_path), [baseline], budgets=(1, 2), resamples=100)
    content = speedup.speedup_report(found)
    assert "a median speed-up of 5.1" in content.finding
    assert [table.name for table in content.tables] == [
        *("summary", "contenders", "pairs", "beats"),
        *("scores", "baselines"),
    ]
    out = write_report(content, tmp_path / "report").parent
    assert "| free" in (out / "tables/summary.md").read_text()
    assert pl.read_csv(out / "tables/scores.csv")["last"].to_list() == found.scores.table["last"].to_list()


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_from_training_to_score(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "use_compilation_cache", lambda: None)  # it would outlive this test
    task = ("taskset/TwoD_Bowl10", "--eval-at-start", "--eval-period", 2)
    adam, mine, kept = tmp_path / "adam", tmp_path / "mine", tmp_path / "adam.parquet"
    run("tune", *task, "--strategy", "rate-grid", "--lowest", "1e-2", "--schedule", "all", "--steps", 40,
        "--repeats", 2, "--study", adam)  # fmt: skip
    run("tune", *task, "--strategy", "rate-grid", "--lowest", 1, "--steps", 10, "--study", mine)
    said = json.loads(run("speedup", "baseline", adam, "--out", kept, "--decay", 0, "--json"))
    (curve,) = said["workloads"]
    assert curve["made_of"] == "15 points of adam_velodrome, 2 repeats, 21 evaluations, average 0"
    assert (curve["workload"], curve["last_step"], curve["note"]) == (task[0], 40, None)
    scored = json.loads(run("speedup", "score", mine, "--baseline", kept, "--json"))
    (row,) = scored["scores"]
    # The same rate is among the baseline's, from the same kind of start, so it cannot be much faster than itself.
    assert 0 < row["last"] <= 1.01
    assert (row["contender"], row["steps"], row["limit"]) == ("mine", 10, 4.0)
    assert "written" in run("speedup", "baseline", kept, "--out", tmp_path / "again.parquet")
    page = tmp_path / "report"
    assert "report:" in run("speedup", "score", mine, adam, "--baseline", kept, "--steps", 10, "--out", page)
    assert (page / "index.html").exists()
