"""The stored reproduction of Medapati et al.: what the documents say of it is what its trials say."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

import lists
import reports
from results import fractions, hits, read_packed
from submissions.points import Point

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "docs/medapati2025-mini"
PAGE = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
ROWS = {  # of the page's table -> the file and the study
    "lists, the workload left out": ("studies", "leave-one-out"),
    "first five of Metz et al.": ("studies", "metz2020-appendix_f"),
    "learning-rate sweep, decay 1e-4": ("studies", "lr-sweep-wd-0.0001"),
    "learning-rate sweep, decay .5": ("studies", "lr-sweep-wd-0.5"),
    "the paper's own list": ("studies", "medapati2025"),
    "Vizier, ten trials": ("studies", "vizier"),
    "the list of all eight": ("final", "final-list"),
}


@pytest.fixture(scope="module")
def stored():
    return {name: read_packed(STORED / f"{name}.parquet") for name in ("studies", "final")}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_of_the_page_is_what_the_trials_give(row, stored):
    (line,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", PAGE, re.MULTILINE)
    *cells, trained, cost = (cell.strip() for cell in line.split("|"))
    file, study = ROWS[row]
    reached = lists.held_out_fractions(stored[file].of_submissions([study]))
    needed = [reached[name] for name in sorted(reached)]  # the page's order
    assert cells == [f"{x:.2f}".lstrip("0") if math.isfinite(x) else "–" for x in needed]
    assert int(trained) == sum(map(math.isfinite, needed))
    assert cost == f"{lists.cost(np.array([needed]), 2.0):.2f}".lstrip("0")


def test_the_list_of_all_trains_the_variants_at_the_cost_that_the_page_names(stored):
    reached = lists.held_out_fractions(stored["final"].of_submissions(["final-list-variants"]))
    assert sum(map(math.isfinite, reached.values())) == len(reached) == 8
    assert f"{lists.cost(np.array([list(reached.values())]), 2.0):.2f}" == "0.47"
    assert "all eight variants, at a cost of .47" in " ".join(PAGE.split())


def test_random_search_trains_as_many_as_the_page_says(stored):
    drawn = fractions(hits(stored["studies"].of_submissions(["random"]))).values
    at_most = lists.trained_by_random(drawn, 5).cumsum()
    assert [int((at_most >= share).argmax()) for share in (0.5, 0.25, 0.75)] == [3, 1, 4]
    said = "Five random points train three workloads in the median draw, one and four at the quartiles"
    assert said in " ".join(PAGE.split())


def test_the_published_list_is_the_one_that_these_trials_give_and_prove(stored):
    searched, proof = (stored["studies"].of_submissions([n]) for n in ("quasirandom", "leave-one-out"))
    again = lists.proven_list(searched, proof, name="mini/nadamw_optax")
    kept = lists.published("mini/nadamw_optax")
    assert [Point(p.id, p.hyperparameters) for p in kept.points] == list(again.points)
    assert kept.costs == pytest.approx(again.costs, rel=1e-12)
    for name in ("left_out", "trained", "left_out_cost", "repeats"):
        assert kept.made_by[name] == pytest.approx(again.made_by[name], rel=1e-12)


def test_the_report_counts_statements_as_the_page_does():
    report = reports.medapati_report(str(STORED))  # as the page has it
    (table,) = (table for table in report.tables if table.name == "agreement")
    verdicts = table.data["agrees"].to_list()
    assert [verdicts.count(verdict) for verdict in ("yes", "in part", "no", None)] == [8, 5, 1, 0]
    said = "Of fourteen statements that the paper's numbers make, eight hold here, five in part, and one does not"
    assert said in " ".join(PAGE.split())
    assert sum(len(read_packed(path).trials) for path in STORED.glob("*.parquet")) == 3400
