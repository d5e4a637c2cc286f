"""Every kind of source is recognised by what it is, and what is none says what would be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import results
from results import Results, read_fraction_table, read_source

GOOD = "point,workload,fraction\na,mnist,0.5\na,wmt,inf\nb,mnist,0.25\nb,wmt,1.5\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("place", "kind", "trials"),
    [
        ("data/algoperf_logs", "algoperf-parquet", 4121),
        ("data/algoperf_logs/oddities", "algoperf-logs", 30),
        ("data/algoperf_logs/sample/external_tuning", "algoperf-logs", 160),
        ("data/algoperf_logs/sample/external_tuning/baseline", "algoperf-logs", 80),
        ("data/algoperf_logs/sample/external_tuning/baseline/study_0", "algoperf-logs", 40),
    ],
)
def test_algoperf_logs_are_recognised_at_every_level(shared, place, kind, trials):
    results = read_source(shared / place)
    assert isinstance(results, Results)
    assert (results.kind, len(results.trials)) == (kind, trials)


@pytest.mark.parametrize("place", ["mine", ""])
def test_a_study_and_a_folder_of_studies_are_handed_to_their_reader(tmp_path, place):
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine/study.json", "{}")
    with pytest.raises(ValueError, match=r"mine/study\.json: study format"):
        read_source(tmp_path / place)


def test_progress_reaches_the_caller(shared):
    calls = []
    read_source(shared / "data/algoperf_logs/oddities", progress=lambda *call: calls.append(call))
    assert ("read evaluations", 30, 30) in calls


def test_a_benchmark_can_be_chosen_for_log_trees_only(shared, tmp_path):
    tree = shared / "data/algoperf_logs/oddities/v05_external/lawa_ema"
    results = read_source(tree, benchmark="v0.5")
    assert isinstance(results, Results)
    assert results.benchmarks == ("v0.5",)
    with pytest.raises(ValueError, match="has no AlgoPerf version to choose"):
        read_source(write(tmp_path / "t.csv", GOOD), benchmark="v0.5")
    with pytest.raises(ValueError, match=r"no AlgoPerf benchmark 'v9'; known: v0\.5"):
        read_source(tree, benchmark="v9")


def test_what_is_no_source_says_what_would_be(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="nothing to read here; a source is a study"):
        read_source(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"must be a table that ends in \.csv or \.parquet"):
        read_source(write(tmp_path / "notes.txt", GOOD))


def test_one_of_algoperfs_tables_points_at_its_folder(shared):
    with pytest.raises(ValueError, match="a part of AlgoPerf's tables; give its folder"):
        read_source(shared / "data/algoperf_logs/trials.parquet")


# Tables of fractions.


def test_a_csv_table_gives_fractions_in_the_order_of_its_rows(tmp_path):
    table = read_source(write(tmp_path / "t.csv", GOOD))
    assert isinstance(table, results.Fractions)
    assert (table.points, table.workloads) == (("a", "b"), ("mnist", "wmt"))
    np.testing.assert_array_equal(table.values, [[0.5, np.inf], [0.25, 1.5]])


def test_a_parquet_table_gives_the_same_as_a_csv(tmp_path):
    write(tmp_path / "t.csv", GOOD)
    frame = pl.read_csv(tmp_path / "t.csv").with_columns(comment=pl.lit("ignored"))
    frame.write_parquet(tmp_path / "t.parquet")
    first, second = (read_fraction_table(tmp_path / name) for name in ("t.csv", "t.parquet"))
    assert (first.points, first.workloads) == (second.points, second.workloads)
    np.testing.assert_array_equal(first.values, second.values)


@pytest.mark.parametrize("spelling", ["inf", "Inf", "infinity", "+inf"])
def test_a_missed_target_may_be_spelt_as_python_does(tmp_path, spelling):
    table = read_fraction_table(write(tmp_path / "t.csv", f"point,workload,fraction\na,w,{spelling}\n"))
    assert np.isinf(table.values).all()


def test_numbers_may_name_points(tmp_path):
    frame = pl.DataFrame({"point": [10, 2], "workload": ["w", "w"], "fraction": [1, 2]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_fraction_table(tmp_path / "t.parquet").points == ("10", "2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("point,workload\na,w\n", r"t\.csv: no column fraction; it has point, workload"),
        ("", r"t\.csv: not a readable csv table"),
        ("point,workload,fraction\n", r"t\.csv: no rows"),
        (GOOD + "c,mnist,nan\n", "row 6: fraction of point c on workload mnist is nan; must be a number"),
        (GOOD + "c,mnist,\n", "row 6: fraction of point c on workload mnist is None; must be a number"),
        (GOOD + "c,mnist,fast\n", "row 6: fraction of point c on workload mnist is fast; must be a number"),
        (GOOD + "c,mnist,0\n", "row 6: fraction of point c on workload mnist is 0; must be positive"),
        (GOOD + "c,mnist,-inf\n", "is -inf; must be positive"),
        (GOOD + ",mnist,1\n", "row 6: .*point and workload must both be given"),
        (GOOD + "a,wmt,0.5\n", r"row 3: .* this point has another row for this workload \(2 such rows\)"),
        (GOOD + "c,mnist,0.5\n", r"no row for point 'c' on workload 'wmt' \(1 pairs are missing\)"),
        (GOOD + "c,mnist,0.5,7,8\n", r"t\.csv: not a readable csv table"),
    ],
)
def test_a_bad_table_says_where_and_what(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_fraction_table(write(tmp_path / "t.csv", text))


def test_a_damaged_parquet_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"t\.parquet: not a readable parquet table"):
        read_fraction_table(write(tmp_path / "t.parquet", "PAR1 and then nothing"))


def test_a_fraction_column_of_another_type_is_an_error_and_not_a_crash(tmp_path):
    frame = pl.DataFrame({"point": ["a"], "workload": ["w"], "fraction": [[0.5]]})
    frame.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"column fraction has type List.*must be text or numbers"):
        read_fraction_table(tmp_path / "t.parquet")


def test_errors_are_one_line(tmp_path):
    for name, text in (("a.csv", ""), ("b.csv", GOOD + "c,mnist,nan\n"), ("c.parquet", "no")):
        with pytest.raises(ValueError) as caught:
            read_source(write(tmp_path / name, text))
        assert "\n" not in str(caught.value)
        assert json.dumps(str(caught.value))


def test_a_fraction_beyond_floating_point_is_no_missed_target(tmp_path):
    path = tmp_path / "fractions.csv"
    path.write_text("point,workload,fraction\na,w,1e999\nb,w,inf\n")
    with pytest.raises(
        ValueError, match="fraction of point a on workload w is 1e999; is beyond what a number"
    ):
        read_source(path)
    path.write_text("point,workload,fraction\na,w,0.5\nb,w,inf\n")
    assert read_source(path).values.tolist() == [[0.5], [float("inf")]]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["cost", "trained", "point", "*", "^.*$", " "])
def test_a_workload_that_is_named_like_a_column_of_reports_is_refused(tmp_path, name):
    path = tmp_path / "fractions.csv"
    path.write_text(f"point,workload,fraction\na,one,0.5\na,{name},0.5\n")
    with pytest.raises(ValueError, match=r"fractions\.csv: a workload is named .* give it another name"):
        read_source(path)
