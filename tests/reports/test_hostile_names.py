"""Names come from logs, and logs come from anywhere: wherever text leaves, it is shown and never obeyed."""

from __future__ import annotations

import csv
import dataclasses
import io
import re

import polars as pl
import pytest

from reports.logs import logs_report, scores
from reports.page import Column, Table, csv_bytes, markdown_table, write_report
from results.algoperf import read_algoperf_parquet
from shortlist._output import echo, print_table
from tests.results.log_tables import tables

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "=1\n=2"]


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("cell", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_quoted(cell):
    (header, row) = read(csv_bytes(pl.DataFrame({cell: [cell]})))
    assert header == ["'" + cell]
    assert row == ["'" + cell]


def test_numbers_and_plain_text_stay_as_they_are():
    table = pl.DataFrame(
        {"number": [-1.5, None], "integer": [-3, 4], "text": ["-1e-3", "a=b"], "flag": [True, None]}
    )
    assert csv_bytes(table) == table.write_csv().encode()


def test_a_line_break_in_a_name_does_not_end_a_row_of_markdown():
    broken = "a\n| b\r\nc\x1b[31m"
    table = Table("t", pl.DataFrame({broken: [broken]}), broken, {broken: Column(title=broken, note=broken)})
    lines = markdown_table(table).splitlines()
    assert len(lines) == 5  # heading, rule, row, empty, caption
    assert "\x1b" not in "".join(lines)


def test_submissions_of_any_name_are_scored_and_reported(tmp_path):
    names = [*FORMULAS, "^.*$", "*", "a\nb", "\x1b[31mred", "[/]", "$x^{2", "<b>", "a\u202eb", "..", "plain"]
    logs = read_algoperf_parquet(tables(tmp_path / "t", [{"submission": name} for name in names]))
    assert scores(logs)["v0.5"].scores["submission"].to_list() == sorted(names)
    page = write_report(logs_report(logs), tmp_path / "out").read_text()
    assert "\x1b" not in page
    assert "<b>" not in page
    for path in (tmp_path / "out").glob("*/*.csv"):
        for cell in (cell for row in read(path.read_bytes()) for cell in row):
            assert cell.strip()[:1] not in ("=", "+", "@", "＝")
    for path in (tmp_path / "out/tables").glob("*.md"):
        rows = [line for line in path.read_text().splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, path.name


@pytest.mark.parametrize("name", ["tau", "submission"])
def test_a_submission_named_as_a_column_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"cannot be called '{name}'; rename it"):
        scores(read_algoperf_parquet(tables(tmp_path / "t", [{"submission": name}])))


@pytest.mark.parametrize("name", ["*", "^.*$"])
def test_a_workload_named_as_a_pattern_is_refused(tmp_path, name):
    results = read_algoperf_parquet(tables(tmp_path / "t", [{}]))
    with pytest.raises(ValueError, match="is a pattern, not a name"):
        dataclasses.replace(results, trials=results.trials.with_columns(workload=pl.lit(name)))


def test_names_on_a_terminal_are_shown_and_not_obeyed(capsys):
    print_table("title \x1b[2J", ["[/] \x1b]0;x\x07", "b"], [("a\nb\x1b[31m", 1.0)])
    echo("one\nline \x1b[31m")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[/]" in out
    assert [line for line in out.splitlines() if line.startswith("a")] == [out.splitlines()[2]]
    assert out.splitlines()[-1].startswith("one")
