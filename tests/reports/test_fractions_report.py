"""The report on a bare table of fractions."""

from __future__ import annotations

import numpy as np
import pytest

import results
from reports import fractions_report, write_report

VALUES = np.array([[0.5, np.inf, 0.9], [0.4, 0.3, np.inf], [np.inf, 0.8, 0.2]])


def test_a_table_of_fractions_becomes_a_report(tmp_path):
    report = fractions_report(
        results.Fractions(("a", "b", "c"), ("x/mnist", "x/wmt", "x/ogbg"), VALUES), list_size=2
    )
    # By hand, tau = 2. Without mnist: c (.8 * .2), then b (.3 * .2), which reaches mnist at .4. Without wmt:
    # c (2 * .2), then b (.4 * .2): .3. Without ogbg: b (.4 * .3), then a and c tie: a, the first row, at .9.
    table = next(t.data for t in report.tables if t.name == "leave_one_out")
    assert table.row(0)[2:5] == (0.4, 0.3, 0.9)
    assert report.finding == "A list of 2 points trains 3 of 3 workloads that it has not seen."
    assert write_report(report, tmp_path / "out").exists()


def test_one_workload_leaves_nothing_out():
    report = fractions_report(results.Fractions(("a", "b", "c"), ("mnist",), VALUES[:, :1]))
    assert report.finding == "3 points out of 3 train 1 of 1 workloads."


def test_a_list_longer_than_the_table_is_refused():
    with pytest.raises(ValueError, match="only 3 points"):
        fractions_report(results.Fractions(("a", "b", "c"), ("mnist",), VALUES[:, :1]), list_size=4)
