"""The notebook and the examples of docs/dataframes.md run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

import reports
from tests.reports.fake_study import WORKLOADS
from tests.reports.test_rivals_report import search, study_on_disk

DOCS = Path(__file__).parents[2] / "docs"


def test_every_cell_of_the_notebook_runs_on_a_study(tmp_path, monkeypatch):
    names = [workload[0] for workload in WORKLOADS[:2]]
    study_on_disk(
        tmp_path / "studies" / "first", "first", "nadamw_optax", search(workloads=names, candidates=8)
    )
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((DOCS / "dataframes.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)  # outputs would be of another study
    shown: list[object] = []
    known: dict[str, object] = {}
    for cell in cells:
        *body, last = re.split(r"\n(?=\S)(?![)\]}])", "".join(cell["source"]))
        exec("\n".join(body), known)
        shown.append(eval(last, known) if "=" not in last.split("(")[0] else exec(last, known))
    assert sum(isinstance(one, pl.DataFrame) for one in shown) == 3
    assert sum(isinstance(one, Figure) for one in shown) == 3


def test_the_example_that_draws_a_figure_from_its_files_runs(tmp_path, monkeypatch):
    names = [workload[0] for workload in WORKLOADS[:2]]
    study_on_disk(tmp_path / "first", "first", "nadamw_optax", search(workloads=names, candidates=4))
    reports.report(tmp_path / "first", tmp_path / "report", size=2)
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (DOCS / "dataframes.md").read_text(), re.DOTALL)
    exec(examples[-1], {})
    assert (tmp_path / "mine.pdf").exists()
