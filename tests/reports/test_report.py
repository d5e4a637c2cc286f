"""A report as a folder: complete, safe, atomic, never in the way of other files."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from reports.figures import drawing
from reports.figures.drawing import new_figure
from reports.page import (
    Code,
    Column,
    Gallery,
    Note,
    Picture,
    Prose,
    Report,
    Section,
    Table,
    file_stem,
    markdown_table,
    write_report,
)
from tests.reports.fake_study import HOSTILE

ATTACKS = [
    HOSTILE,
    "<img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><script>",
    "javascript:alert(1)",
]


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def table(name: str = "numbers", **kwargs) -> Table:
    data = pl.DataFrame({"who": ["list", "sweep"], "fraction": [1 / 3, math.inf]})
    return Table(name, data, "A caption.", {"fraction": Column(show="fraction", best="min")}, **kwargs)


def picture(name: str = "cost") -> Picture:
    figure = new_figure(1.5, 1.0)
    figure.add_axes((0.2, 0.2, 0.7, 0.7)).plot([1, 2], [0.9, 0.8], marker="o")  # marks and clips have ids
    return Picture(name, figure, "A caption.", "Falling.", narrow=figure)


def report(text: str = "A finding.") -> Report:
    blocks = (
        Prose(text),
        Note(text),
        Code(text),
        table(),
        picture("cost_2"),
        Gallery((picture("a"), picture("b")), text),
        Table("names", pl.DataFrame({text: [text], "kind": [text], "id": [text]}), text,
              {"kind": Column(show="badge"), "id": Column(show="code", note=text)}),
    )  # fmt: skip
    return Report(text, text, (text,), ((text, text),), picture(), (Section(text, blocks),) * 1)


def test_a_report_is_a_page_with_its_tables_and_figures(tmp_path):
    page = write_report(report(), tmp_path / "new" / "out")
    out = page.parent
    assert page == tmp_path / "new" / "out" / "index.html"
    found = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    figures = {f"figures/{name}.{kind}" for name in ("cost", "cost_2", "a", "b") for kind in ("svg", "png")}
    tables = {f"tables/{name}.{kind}" for name in ("numbers", "names") for kind in ("csv", "md")}
    assert found == {"index.html", "report.json", *figures, *tables}
    assert set(json.loads((out / "report.json").read_text())["files"]) == found - {"report.json"}


def test_the_csv_keeps_full_precision(tmp_path):
    write_report(report(), tmp_path / "out")
    read = pl.read_csv(tmp_path / "out/tables/numbers.csv")
    assert read.equals(table().data)


def test_the_page_needs_no_network_and_no_script_and_its_links_lead_to_files(tmp_path):
    page = write_report(report(), tmp_path / "out")
    elements = Page(page).elements
    assert not [tag for tag, _ in elements if tag in ("script", "img", "link", "iframe", "object", "embed")]
    for tag, attributes in elements:
        if tag == "a":
            href = attributes["href"] or ""
            assert href.startswith("#") or (page.parent / href).exists()
    assert "url(http" not in page.read_text()
    assert not re.search(r"@import|src=", page.read_text())
    policy = next(a["content"] for t, a in elements if t == "meta" and a.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_ids_are_unique_on_the_page_and_references_inside_figures_resolve(tmp_path):
    page = write_report(report(), tmp_path / "out")
    ids = [a["id"] for _, a in Page(page).elements if "id" in a]
    assert len(ids) == len(set(ids))
    references = re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", page.read_text())
    assert {one or other for one, other in references} <= set(ids)


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_text_is_shown_and_never_obeyed(tmp_path, attack):
    page = Page(write_report(report(attack), tmp_path / "out"))
    harmless = Page(write_report(report("harmless"), tmp_path / "harmless"))
    # Only the places where long names may break differ.
    tags, expected = ([tag for tag, _ in p.elements if tag != "wbr"] for p in (page, harmless))
    assert tags == expected
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    shown = "".join(page.texts)
    assert attack.replace("\u202e", "\ufffd") in shown
    markdown = (tmp_path / "out/tables/names.md").read_text()
    assert len(markdown.splitlines()[2].replace(r"\|", "").split("|")) == 5  # still three cells
    assert "<script" not in markdown.replace(r"\<", "")


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_report(report(), tmp_path / name)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_an_earlier_report_is_replaced_only_when_asked(tmp_path):
    out = tmp_path / "out"
    write_report(report("first"), out)
    with pytest.raises(FileExistsError, match=f"{out}: holds an earlier report; overwrite it"):
        write_report(report("second"), out)
    assert "first" in (out / "index.html").read_text()
    write_report(Report("second", "second"), out, overwrite=True)
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        "report.json",
    }  # nothing of the first is left


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_no_report_wrote_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="not a report"):
        write_report(report(), tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_that_somebody_put_into_a_report_is_never_lost(tmp_path):
    out = tmp_path / "out"
    write_report(report(), out)
    (out / "tables" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds 'tables/notes.txt', which no report wrote"):
        write_report(report(), out, overwrite=True)
    assert (out / "tables" / "notes.txt").read_text() == "mine"


def test_a_marker_of_something_else_is_not_ours(tmp_path):
    (tmp_path / "report.json").write_text('{"format": "other", "files": []}')
    with pytest.raises(FileExistsError, match="not a report"):
        write_report(report(), tmp_path, overwrite=True)


def test_a_report_cannot_take_the_place_of_a_file(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileExistsError, match="is a file"):
        write_report(report(), tmp_path / "out", overwrite=True)


def test_an_empty_folder_is_used(tmp_path):
    assert write_report(Report("t", "f"), tmp_path).exists()


def test_a_failure_leaves_nothing_behind_and_keeps_the_earlier_report(tmp_path, monkeypatch):
    write_report(Report("t", "the earlier one"), tmp_path / "out")

    def fails(*_: object) -> bytes:
        raise OSError("disk full")

    monkeypatch.setattr(drawing, "as_png", fails)
    with pytest.raises(OSError, match="disk full"):
        write_report(report(), tmp_path / "out", overwrite=True)
    assert "the earlier one" in (tmp_path / "out/index.html").read_text()
    monkeypatch.undo()

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="disk full"):
        write_report(report(), tmp_path / "out", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_tables_of_one_name_are_refused():
    with pytest.raises(ValueError, match="tables: the name 'numbers' occurs twice"):
        Report("t", "f", sections=(Section("s", (table(), table())),))


def test_a_name_that_would_leave_the_folder_is_refused():
    with pytest.raises(ValueError, match="must be small letters"):
        Report("t", "f", opening=Picture("../../etc/passwd", new_figure(1, 1), "", ""))
    assert file_stem("../../etc/passwd") == "etc-passwd"
    assert file_stem("名前") == "unnamed"


def test_the_best_of_a_column_is_marked_without_the_rows_for_context():
    data = pl.DataFrame({"who": ["a", "b", "c"], "cost": [0.5, 0.4, 0.1], "score": [1, 3, 9]})
    columns = {"cost": Column(best="min"), "score": Column(best="max")}
    rows = markdown_table(Table("t", data, "", columns, muted_rows=(2,))).splitlines()[2:5]
    assert rows == ["| a | 0.5 | 1 |", "| b | **0.4** | **3** |", "| c | 0.1 | 9 |"]


def test_misses_and_absences_differ_in_words():
    data = pl.DataFrame({"fraction": [math.inf, None], "n": [None, 3]})
    columns = {"fraction": Column(show="fraction"), "n": Column(absent="more than 40")}
    rows = markdown_table(Table("t", data, "", columns)).splitlines()[2:4]
    assert rows == ["| missed | more than 40 |", "| – | 3 |"]


def test_a_column_of_nothing_is_still_a_column_of_numbers():
    nothing = pl.DataFrame({"n": [None]}, schema={"n": pl.Int64})
    assert "| --: |" in markdown_table(Table("t", nothing, ""))


def test_a_long_table_is_cut_on_the_page_but_not_in_its_file(tmp_path):
    long = Table("long", pl.DataFrame({"n": range(100)}), "", rows_shown=10)
    page = write_report(Report("t", "f", sections=(Section("s", (long,)),)), tmp_path / "out")
    assert "and 90 more rows" in page.read_text()
    assert pl.read_csv(tmp_path / "out/tables/long.csv").height == 100
    assert "and 90 more rows in long.csv" in markdown_table(long)
