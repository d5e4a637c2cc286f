"""The protocol dahl2023 from files."""

from __future__ import annotations

import csv
import json

import pytest

from shortlist.reproduce_dahl import reproduce_dahl


def test_the_targets_of_a_scale_are_those_of_the_package(tmp_path):
    page = reproduce_dahl("mini", tmp_path)
    assert page == tmp_path / "report" / "index.html"
    rows = list(csv.DictReader((tmp_path / "report" / "tables" / "targets.csv").open()))
    assert {"algoperf/wmt@mini", "algoperf/ogbg@mini"} <= {row["workload"] for row in rows}
    assert all(row["workload"].endswith("@mini") for row in rows)


def test_a_targets_file_of_ones_own_can_take_its_place(tmp_path):
    file = tmp_path / "targets.json"
    target = {"metric": "loss", "validation_target": 0.5, "test_target": None}
    file.write_text(json.dumps({"format": 1, "targets": {"mine/one@tiny": target}}))
    with pytest.raises(ValueError, match=r"no targets at scale 'mini' \(there are: tiny\)"):
        reproduce_dahl("mini", tmp_path, targets=file)
    assert reproduce_dahl("tiny", tmp_path, targets=file).exists()
