"""Hold the table of the docs against the workloads."""

import pathlib
import re

import pytest

import workloads
from workloads.algoperf import table

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "algoperf_workloads.md"


def test_every_native_workload_has_its_row():
    named = set(re.findall(r"^\| `([\w@]+)`", PAGE.read_text(), re.MULTILINE))
    native = {name.removeprefix("algoperf/") for name in workloads.names() if name.startswith("algoperf/")}
    of_base = {name for name in native if "@" not in name} | {name for name in named if "@" in name}
    assert named == of_base - {"mnist"}
    assert {name for name in named if "@" in name} <= native


@pytest.mark.slow
def test_the_docs_have_the_tables_of_the_models():
    page = PAGE.read_text()
    for part in table.markdown().split("\n\n"):
        assert part in page, "python -m workloads.algoperf.table prints the tables anew"
