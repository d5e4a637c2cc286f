"""The numbers of Medapati et al. as data: what can be worked out from them agrees with the rest of them."""

from __future__ import annotations

import math

import pytest

import lists
from reports.medapati import published_numbers

NUMBERS = published_numbers()
NAMES = NUMBERS.names
ROWS = {row.name: row for table in NUMBERS.fractions for row in table.rows}


def contender(name: str):
    row = NUMBERS.row(name)
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("row", "trained", "cost"),
    [
        #                      worked out by hand from the printed tables, tau = 2
        ("leave-one-out", 7, 0.702442),
        ("lr-sweep-wd-0.5", 2, 1.579038),
        ("lr-sweep-wd-0.0001", 2, 1.543411),
        ("vizier-5", 2, 1.677425),
        ("vizier-10", 3, 1.526354),
        ("metz2020-appendix_f", 0, 2.0),
        ("final-list-variants", 7, 0.584081),
        ("final-list", 7, 0.856396),
    ],
)
def test_costs_and_counts_of_the_rows_of_fractions(row, trained, cost):
    found = contender(row)
    assert found.trained(NAMES) == trained
    assert found.cost(NAMES, 2.0) == pytest.approx(cost, abs=5e-7)  # half of the last digit


def test_every_step_fraction_is_a_whole_number_of_evaluations():
    checked = 0
    for row in ROWS.values():
        for workload in NUMBERS.workloads:
            value = row.values[workload.name]
            if value is None:
                continue
            evaluations = value * workload.steps / workload.period
            # Half of the last of five digits, in evaluations.
            assert abs(evaluations - round(evaluations)) <= 0.5e-5 * workload.steps / workload.period
            checked += 1
    assert checked == 7 + 2 + 2 + 2 + 3 + 0 + 7 + 7


def test_table_14_repeats_table_9():
    tables = {table.source: table.rows for table in NUMBERS.fractions}
    assert tables["Table 14"] == tables["Table 9"]


def test_table_12_and_table_5_count_the_same_lists():
    at = {one.penalty: one.trained for one in NUMBERS.penalties.trained}
    assert at[2.0] == contender("leave-one-out").trained(NAMES)
    assert tuple(at) == tuple(sorted(at))
    assert len(at) == 10


def test_fewer_points_reach_more_targets():
    assert [row.others for row in NUMBERS.reach.rows] == [0, 1, 2]
    for name in NAMES:
        counts = [row.values[name] for row in NUMBERS.reach.rows]
        assert counts == sorted(counts, reverse=True)
        assert 0 < counts[0] <= NUMBERS.reach.points
    # A point that reaches k targets is counted k times: so those with three or more make at least three.
    assert sum(NUMBERS.reach.rows[2].values.values()) >= 3


def reaches(value: float, target: float, minimize: bool) -> bool:
    return value <= target if minimize else value >= target


def test_the_cells_that_contradict_the_targets_are_those_noted():
    found = []
    for name in (
        "leave-one-out",
        "lr-sweep-wd-0.5",
        "lr-sweep-wd-0.0001",
        "vizier-5",
        "vizier-10",
        "metz2020-appendix_f",
    ):
        row = contender(name)
        for workload in NUMBERS.workloads:
            hit = reaches(row.best[workload.name], workload.target, workload.minimize)
            if hit != math.isfinite(row.fractions[workload.name]):
                found.append((name, workload.name))
    assert sorted(found) == sorted((cell.row, cell.workload) for cell in NUMBERS.contradictions)
    assert len(found) == 5


def test_tables_7_and_8_agree_with_the_targets_of_the_variants():
    row = contender("final-list-variants")
    for workload in NUMBERS.workloads:
        hit = reaches(row.best[workload.name], workload.variant.target, workload.minimize)
        assert hit == math.isfinite(row.fractions[workload.name])


def test_more_vizier_trials_are_never_worse():
    five, ten = contender("vizier-5"), contender("vizier-10")
    for workload in NUMBERS.workloads:
        assert ten.fractions[workload.name] <= five.fractions[workload.name]
        assert reaches(ten.best[workload.name], five.best[workload.name], workload.minimize)


def test_the_list_is_that_of_the_published_file():
    assert [point.id for point in NUMBERS.points.points] == ["173", "170", "197", "43", "104"]
    assert NUMBERS.points.name == NUMBERS.list.published
    assert NUMBERS.list.published in lists.PUBLISHED


def test_numbers_are_as_printed():
    by_name = {workload.name: workload for workload in NUMBERS.workloads}
    assert (by_name["fastmri"].target, by_name["fastmri"].steps) == (0.723653, 36189)
    assert by_name["imagenet_vit"].variant.target == 0.24688
    assert contender("random-5").best["imagenet_resnet"] == 0.2602
    assert contender("random-5").fractions == {}
    assert NUMBERS.row("no such row") is None
