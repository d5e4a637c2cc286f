"""Packed results: one file that is read as the source is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import lists
import reports
import results
from results import Results, read_packed, read_source, write_packed
from tests.reports.fake_study import fake_study


@pytest.fixture(scope="module")
def found() -> Results:
    return fake_study(candidates=6, size=2, repeats=2)


@pytest.fixture
def packed(found, tmp_path):
    path = tmp_path / "studies.parquet"
    write_packed(found, path)
    return path


def test_what_is_packed_is_read_back_whole(found, packed):
    read = read_source(packed)
    assert isinstance(read, Results)
    assert_frame_equal(read.trials, found.trials)
    assert_frame_equal(read.evals, found.evals)
    assert (read.kind, read.left_out, read.warnings) == (found.kind, found.left_out, found.warnings)
    assert read.about == found.about
    assert read.source == str(packed)


def test_a_trial_without_evaluations_stays_one(found, tmp_path):
    bare = results.Results(
        found.trials, found.evals.filter(pl.col("trial_id") != 3), (), "here", "study", {"data": {}}
    )
    write_packed(bare, tmp_path / "bare.parquet")
    read = read_packed(tmp_path / "bare.parquet")
    assert_frame_equal(read.trials, bare.trials)
    assert_frame_equal(read.evals, bare.evals)


def test_lists_and_reports_are_those_of_the_source(found, packed):
    read = read_packed(packed)
    searched = [results.fractions(results.hits(one.of_submissions(["candidates"]))) for one in (found, read)]
    built = [lists.build_list(one, size=2).chosen for one in searched]
    assert built[0] == built[1]
    of_source, of_file = (reports.study_report(one, list_size=2).tables for one in (found, read))
    assert [table.name for table in of_source] == [table.name for table in of_file]
    for one, other in zip(of_source, of_file, strict=True):
        assert_frame_equal(one.data, other.data)


def test_the_same_results_give_the_same_bytes_and_nothing_is_overwritten(found, packed, tmp_path):
    write_packed(found, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == packed.read_bytes()
    with pytest.raises(FileExistsError, match="is there already"):
        write_packed(found, packed)
    with pytest.raises(ValueError, match=r"give a name that ends in \.parquet"):
        write_packed(found, tmp_path / "studies.csv")


def test_a_file_of_another_format_is_told_in_one_line(found, tmp_path, monkeypatch):
    path = tmp_path / "later.parquet"
    with monkeypatch.context() as later:
        later.setattr("results._packed.FORMAT", 9)
        write_packed(found, path)
    with pytest.raises(ValueError, match="packed in format 9; this version reads format 1") as told:
        read_source(path)
    assert str(told.value).startswith(str(path))


def test_every_changed_byte_is_found(packed):
    content = packed.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(content), 60):
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        packed.write_bytes(bytes(changed))
        with pytest.raises(ValueError) as told:
            read_packed(packed)
        assert str(told.value).startswith(str(packed))
        assert len(str(told.value).splitlines()) == 1


def test_a_row_that_was_taken_out_is_found(packed):
    metadata = {key: value for key, value in pl.read_parquet_metadata(packed).items() if "ARROW" not in key}
    pl.read_parquet(packed).head(5).write_parquet(packed, metadata=metadata)
    with pytest.raises(
        ValueError, match="has changed since it was written, by its checksum; pack its source again"
    ):
        read_source(packed)


def test_another_table_is_no_packed_file(tmp_path):
    table = pl.DataFrame({"point": ["a"], "workload": ["one"], "fraction": [0.5]})
    table.write_parquet(tmp_path / "fractions.parquet")
    assert isinstance(read_source(tmp_path / "fractions.parquet"), results.Fractions)
    with pytest.raises(ValueError, match="not packed results"):
        read_packed(tmp_path / "fractions.parquet")
