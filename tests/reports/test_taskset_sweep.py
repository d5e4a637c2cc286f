"""The sweep in the repository says what the page on TaskSet says of it."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import lists
import results
from reports.taskset import metz_report, worth_of_lists

SWEEPS = Path(__file__).parents[2] / "docs/taskset_sweep"
SWEEP = SWEEPS / "nadamw_62_tasks.parquet"
# Of docs/taskset.md: trials -> median of lists and of random search on the other half of the tasks.
TOLD = {1: (0.358, 0.643), 2: (0.268, 0.492), 5: (0.196, 0.325), 10: (0.175, 0.252)}


@pytest.fixture(scope="module")
def costs():
    (of_set,) = lists.task_costs(results.read_curves(SWEEP))
    return of_set


def test_the_sweep_is_of_62_tasks_and_64_points(costs):
    assert costs.costs.shape == (64, 62)
    assert costs.judging_split == "test"
    assert costs.points[:2] == ("nadamw_grid_seed0", "nadamw_grid_seed1")


def test_a_list_learnt_on_one_half_beats_random_search_on_the_other(costs):
    experiment = lists.split_experiment(costs.costs, tuple(TOLD), judged=costs.judging, seed=0)
    for trials, (learnt, random) in TOLD.items():
        sentence = experiment.finding(trials)
        assert f"costs {learnt:.3f} (" in sentence
        assert f"as many trials {random:.3f} (" in sentence
        assert "better in 50 of 50 splits" in sentence
        low, _ = lists.bootstrap_interval(lists.saved_by_task(experiment, costs.judging, trials))
        assert low > 0


@pytest.mark.parametrize(
    ("file", "grid", "points", "told"),
    [
        ("nadamw_104_tasks", "nadamw_grid", 192, [(1, 5, 4, 6), (10, 58, 43, 77)]),
        ("adam8p_104_tasks", "adam8p_wide_grid", 160, [(1, 5, 4, 6), (10, 52, 41, 67)]),
    ],
)
def test_what_a_list_is_worth_on_104_tasks_is_what_the_page_says(file, grid, points, told):
    (costs,) = lists.task_costs(results.read_curves(SWEEPS / f"{file}.parquet"))
    assert costs.costs.shape == (points, 104)
    worth = worth_of_lists([costs], sizes=(1, 10)).select("trials", "equal", "low", "high").rows()
    assert worth == told
    page = (SWEEPS.parent / "reproduce_metz2020.md").read_text(encoding="utf-8")
    (_, one, low, high), (_, ten, at_least, at_most) = told
    assert f"| 104 tasks, 40 steps, `{grid}` | {points} | 1 | {one} | {low} to {high} |" in page
    assert f"| | | 10 | {ten} | {at_least} to {at_most} |" in page


def test_a_list_of_both_optimizers_points_is_worth_100_random_trials_as_the_page_says(tmp_path):
    both = pl.concat(pl.read_parquet(SWEEPS / f"{name}_104_tasks.parquet") for name in ("nadamw", "adam8p"))
    both.write_parquet(tmp_path / "both.parquet")
    sets = lists.task_costs(results.read_curves(tmp_path / "both.parquet"))
    page = (SWEEPS.parent / "reproduce_metz2020.md").read_text(encoding="utf-8")
    kept = ("chosen_from", "learnt_on", "set", "equal", "low", "high")
    for leave_out in (False, True):
        worth = worth_of_lists(sets, sizes=(10,), leave_out=leave_out)
        for chosen_from, learnt_on, searched, equal, low, high in worth.select(kept).iter_rows():
            row = f"| `{chosen_from}` | {learnt_on} | `{searched}` | {equal} | {low} to {high} |"
            assert row.replace(" + ", "`, `") in page
            if leave_out and "+" in chosen_from:
                assert equal >= 100  # the paper's order of magnitude


def test_a_set_of_other_tasks_is_judged_alone(costs):
    fewer = dataclasses.replace(
        costs, optimizer_set="fewer", tasks=costs.tasks[:20], judging=costs.judging[:, :20],
        choosing={name: table[:, :20] for name, table in costs.choosing.items()},
    )  # fmt: skip
    worth = worth_of_lists([costs, fewer], sizes=(1,), leave_out=True)
    assert worth.select("chosen_from", "set", "learnt_on").rows() == [
        ("nadamw_grid", "nadamw_grid", 61), ("fewer", "fewer", 19),
    ]  # fmt: skip


def test_the_finding_of_metz2020_names_every_set_and_how_long_its_list_is(tmp_path):
    both = pl.concat(pl.read_parquet(SWEEPS / f"{name}_104_tasks.parquet") for name in ("nadamw", "adam8p"))
    few = [f"adam8p_wide_grid_seed{seed}" for seed in range(4)]
    kept = (pl.col("set") == "nadamw_grid") | pl.col("optimizer").is_in(few)
    both.filter(kept).write_parquet(tmp_path / "few.parquet")
    found = metz_report(tmp_path / "few.parquet", resamplings=12)
    assert re.search(
        r"a list of 10 equals random search of \d+ trials in nadamw_grid and \d trials in adam8p_wide_grid by one of 4"
        r"; one that chooses from all sets together, of \d+ trials in nadamw_grid by one of 4 and ",
        found.finding,
    )


@pytest.mark.parametrize("study", ["learnt", "published", "adam"])
def test_what_came_of_the_transfer_is_what_the_page_says(study):
    reached = lists.held_out_fractions(
        results.read_packed(SWEEPS / "transfer_mini.parquet").of_submissions([study])
    )
    needed = [reached[name] for name in sorted(reached)]
    cells = [f"{x:.2f}".removeprefix("0") if math.isfinite(x) else "–" for x in needed]
    cost = f"{lists.cost(np.array([needed]), 2.0):.2f}".removeprefix("0")
    page = (SWEEPS.parent / "reproduce_metz2020.md").read_text(encoding="utf-8")
    row = " | ".join([study, *cells, str(sum(map(math.isfinite, needed))), cost])
    assert f"| {row} |" in page
