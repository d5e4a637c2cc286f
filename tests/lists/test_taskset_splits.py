"""Lists on tasks they have not seen: splits, random search, transfer between groups."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import lists

RNG = np.random.default_rng(0)
COSTS = RNG.random((12, 9))


@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 3), st.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=50)
def test_splits_part_the_tasks(tasks, resamplings, seed, share):
    for split in lists.task_splits(tasks, resamplings, seed, share):
        assert sorted(split.train + split.test) == list(range(tasks))
        assert len(split.train) == min(max(int(tasks * share), 1), tasks - 1)


def test_fewer_resamplings_are_the_beginning_of_more():
    assert lists.task_splits(10, 3, seed=5) == lists.task_splits(10, 7, seed=5)[:3]
    assert lists.task_splits(10, 3, seed=5) != lists.task_splits(10, 3, seed=6)


def test_every_task_trains_in_about_half_of_the_splits():
    # 400 splits, p = 1/2: the standard error of a share is .025; 5 of them for 20 tasks.
    counts = np.bincount([t for s in lists.task_splits(20, 400) for t in s.train], minlength=20)
    assert np.abs(counts / 400 - 0.5).max() < 5 * 0.025


@given(hnp.arrays(np.float64, (6, 5), elements=st.floats(0, 1)), st.integers(0, 4), st.integers(0, 9))
@settings(max_examples=40)
def test_test_tasks_never_enter_the_choice(costs, seed, other_seed):
    before = lists.split_experiment(costs, (1, 3), resamplings=3, seed=seed)
    for number, split in enumerate(before.splits):
        changed = costs.copy()
        changed[:, split.test] = np.random.default_rng(other_seed).random((6, len(split.test)))
        after = lists.split_experiment(changed, (1, 3), resamplings=3, seed=seed)
        assert after.lists[number].points == before.lists[number].points
        assert after.train[number].tolist() == before.train[number].tolist()


def test_training_tasks_never_enter_the_judgement():
    before = lists.split_experiment(COSTS, (2,), judged=COSTS, resamplings=2)
    judged = COSTS.copy()
    judged[:, before.splits[0].train] = 1.0
    after = lists.split_experiment(COSTS, (2,), judged=judged, resamplings=2)
    assert after.test[0].tolist() == before.test[0].tolist()
    assert after.random[0].tolist() == before.random[0].tolist()


def test_split_experiment_against_plain_loops():
    sizes = (1, 2, 5)
    experiment = lists.split_experiment(COSTS, sizes, resamplings=4, seed=3)
    for r, split in enumerate(experiment.splits):
        train, test = COSTS[:, split.train], COSTS[:, split.test]
        points = lists.greedy_normalised(train, 5).points
        assert experiment.lists[r].points == points
        for k, size in enumerate(sizes):
            own = list(points[:size])
            assert experiment.train[r, k] == pytest.approx(train[own].min(axis=0).mean(), rel=1e-14)
            assert experiment.test[r, k] == pytest.approx(test[own].min(axis=0).mean(), rel=1e-14)
            searches = [
                test[list(rows)].min(axis=0).mean() for rows in itertools.combinations(range(12), size)
            ]
            assert experiment.random[r, k] == pytest.approx(np.mean(searches), rel=1e-12)


@pytest.mark.parametrize("trials", [1, 2, 4, 6])
def test_expected_best_equals_the_mean_over_all_searches(trials):
    costs = np.array([[0.1, 0.9], [0.1, 0.2], [0.5, 0.7], [1.0, 0.3], [0.4, 0.3], [0.8, 1.0]])
    every = [costs[list(rows)].min(axis=0) for rows in itertools.combinations(range(6), trials)]
    found = lists.expected_best(costs, np.array([trials]))[0]
    assert found == pytest.approx(np.mean(every, axis=0), rel=1e-14)


@pytest.mark.parametrize("trials", [1, 2, 4, 6])
def test_quantiles_and_counts_of_random_search_equal_those_over_all_searches(trials):
    values = np.array(
        [[0.1, np.inf], [np.inf, np.inf], [0.5, 0.7], [np.inf, 0.3], [0.4, np.inf], [0.8, np.inf]]
    )
    every = np.array([values[list(rows)].min(axis=0) for rows in itertools.combinations(range(6), trials)])
    for q in (0.1, 0.25, 0.5, 0.75, 1.0):
        for w in range(2):
            assert lists.quantile_of_best(values[:, w], trials, q) == np.quantile(
                every[:, w], q, method="inverted_cdf"
            )
    counts = np.bincount(np.isfinite(every).sum(axis=1), minlength=3) / len(every)
    assert lists.trained_by_random(values, trials) == pytest.approx(counts, rel=1e-14)


def test_random_search_of_two_hundred_points_is_told_exactly():
    values = np.where(np.random.default_rng(0).random((200, 8)) < 0.08, 0.5, np.inf)
    chances = lists.trained_by_random(values, 5)
    assert chances.min() >= 0
    assert chances.sum() == pytest.approx(1.0, rel=1e-12)
    alone = [1 - math.comb(200 - n, 5) / math.comb(200, 5) for n in np.isfinite(values).sum(axis=0).tolist()]
    assert chances @ np.arange(9) == pytest.approx(sum(alone), rel=1e-12)  # expectations add


def test_expected_best_of_a_thousand_is_stable():
    # Uniform ranks: the lowest of n out of N has mean (N + 1) / (n + 1) - 1, closed form.
    found = lists.expected_best(np.arange(1000.0)[:, None], np.arange(1, 1001))[:, 0]
    assert found == pytest.approx(1001 / (np.arange(1, 1001) + 1) - 1, rel=1e-9, abs=1e-9)


def test_equal_trials_is_the_first_random_budget_that_matches_the_list():
    experiment = lists.split_experiment(COSTS, (3,), resamplings=5)
    for r, split in enumerate(experiment.splits):
        average = lists.expected_best(COSTS, np.arange(1, 13))[:, split.test].mean(axis=1)
        n = experiment.equal_trials[r, 0]
        assert average[n - 1] <= experiment.test[r, 0] + 1e-12
        assert n == 1 or average[n - 2] > experiment.test[r, 0]


def test_savings_by_task_come_from_lists_that_did_not_learn_from_it():
    experiment = lists.split_experiment(COSTS, (2,), resamplings=8)
    found = lists.saved_by_task(experiment, COSTS, 2)
    for task in range(9):
        random = np.mean([COSTS[list(rows), task].min() for rows in itertools.combinations(range(12), 2)])
        each = [
            random - COSTS[list(chosen.points), task].min()
            for split, chosen in zip(experiment.splits, experiment.lists, strict=True)
            if task in split.test
        ]
        assert found[task] == pytest.approx(np.mean(each), rel=1e-12)
    with pytest.raises(ValueError, match="judges in no split"):
        lists.saved_by_task(lists.split_experiment(COSTS, (2,), resamplings=1), COSTS, 2)


def test_bootstrap_interval_covers_at_its_nominal_rate():
    # 200 worlds of 40 tasks, p = .9: the standard error is .021, and the percentile bootstrap is some .01 short.
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(size=40) - 1.0
        low, high = lists.bootstrap_interval(values, 0.9, seed=seed, draws=400)
        covered += low <= 0 <= high
    assert abs(covered / 200 - 0.9) < 4 * 0.021 + 0.02


def test_won_counts_single_searches():
    # Point 0 is best everywhere: a random search of one trial ties if it finds it (1/12), and else loses.
    costs = np.ones((12, 6)) * np.array([0.1] + 11 * [0.6])[:, None]
    experiment = lists.split_experiment(costs, (1,), resamplings=10, draws=200)
    # 2,000 draws: mean 11/12 + 1/24, standard error .5 * sqrt(11)/12 / sqrt(2000) = .0031; 4 of them.
    assert abs(experiment.won.mean() - (11 / 12 + 1 / 24)) < 4 * 0.0031
    assert "better in 10 of 10 splits" in experiment.finding(1)


def test_a_learnt_list_beats_random_search_where_tasks_share_their_best_points():
    noise = np.random.default_rng(1).uniform(0, 0.05, (30, 20))
    costs = np.linspace(0.1, 0.9, 30)[:, None] + noise
    experiment = lists.split_experiment(costs, (1, 3), resamplings=20)
    assert (experiment.saved > 0).all()


def test_a_learnt_list_is_no_better_than_random_search_where_tasks_share_nothing():
    saved = [
        lists.split_experiment(np.random.default_rng(seed).random((30, 40)), (1,), resamplings=5).saved.mean()
        for seed in range(20)
    ]
    # Judging on unseen tasks must not reward luck: mean 0 within 4 standard errors over 20 worlds.
    assert abs(np.mean(saved)) < 4 * np.std(saved) / math.sqrt(20)


def test_pools_limit_the_choice():
    pools = [[3, 5, 7], [0, 1]]
    experiment = lists.split_experiment(
        COSTS, (2,), splits=lists.task_splits(9, 2), pools=pools, resamplings=2
    )
    for pool, chosen, split in zip(pools, experiment.lists, experiment.splits, strict=True):
        assert set(chosen.points) <= set(pool)
        best = min(
            COSTS[list(rows)][:, split.train].min(axis=0).mean() for rows in itertools.combinations(pool, 1)
        )
        assert chosen.costs[0] == pytest.approx(best, rel=1e-14)


def test_more_candidates_never_cost_more_on_the_training_tasks():
    found = lists.by_pool_size(COSTS, (1, 3, 12), 1, resamplings=6)
    train = np.stack([each.train[:, 0] for each in found])
    assert (np.diff(train, axis=0) <= 1e-12).all()
    assert found[-1].test.tolist() == lists.split_experiment(COSTS, (1,), resamplings=6).test.tolist()


def test_fewer_tasks_are_judged_on_the_same_others():
    few, all_ = lists.by_task_count(COSTS, (1, 4), (1,), resamplings=5)
    assert [split.test for split in few.splits] == [split.test for split in all_.splits]
    assert all(a.train == b.train[:1] for a, b in zip(few.splits, all_.splits, strict=True))
    assert all_.test.tolist() == lists.split_experiment(COSTS, (1,), resamplings=5).test.tolist()


def test_transfer_finds_what_suits_a_group_and_what_does_not():
    # Points 0 and 1 suit one group each, point 2 is middling on both.
    own = np.array([[0.1] * 4 + [0.9] * 4, [0.9] * 4 + [0.1] * 4, [0.4] * 8])
    result = lists.transfer(own, ["a"] * 4 + ["b"] * 4, 1, resamplings=3)
    assert result.learnt == ("a", "b", "all others", "all")
    assert result.costs[0].tolist() == [[0.1, 0.9], [0.9, 0.1], [0.9, 0.9], [0.4, 0.4]]
    assert result.random[0] == pytest.approx([1.4 / 3, 1.4 / 3], rel=1e-14)


def test_transfer_halves_groups_and_never_judges_what_it_learnt_from():
    groups = ["a"] * 4 + ["b"] * 5
    before = lists.transfer(COSTS, groups, 2, resamplings=4, seed=1)
    test_b = lists.task_splits(5, 4, seed=1)[0].test
    changed = COSTS.copy()
    changed[:, [4 + t for t in test_b]] = 1.0
    after = lists.transfer(changed, groups, 2, resamplings=4, seed=1)
    # In the first resampling only what judges b has changed.
    assert after.costs[0][:, 0].tolist() == before.costs[0][:, 0].tolist()
    assert (after.costs[0][:, 1] == 1.0).all()


def test_the_box_holds_the_best_points_and_only_what_lies_between():
    table = np.array([[1.0, 5.0], [2.0, 1.0], [3.0, 3.0], [1.5, 9.0], [2.5, 2.0]])
    assert lists.inside_box(table, np.array([0, 2, 1])).tolist() == [True, True, True, False, True]
    # 20 tasks of which one has an outlying best point: the outer 5 % on each side leave it out.
    many = np.array([1] * 19 + [3])
    assert lists.inside_box(table, many, 0.9).tolist() == [False, True, False, False, False]


def test_boxes_do_not_depend_on_the_scale_of_a_hyperparameter():
    values = RNG.uniform(1e-6, 1.0, (50, 3))
    best = RNG.integers(0, 50, 20)
    for share in (0.5, 0.9, 1.0):
        assert (lists.inside_box(values, best, share) == lists.inside_box(np.log(values), best, share)).all()


def test_nearest_is_by_ratio():
    assert lists.nearest_points(np.array([1.0, 100.0]), np.array([9.0, 11.0])).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lists.task_splits(1), "1 task cannot be split"),
        (lambda: lists.split_experiment(COSTS, (2, 1)), "must ascend"),
        (lambda: lists.split_experiment(COSTS, (13,)), "at most 12"),
        (lambda: lists.split_experiment(COSTS, (1,), judged=COSTS[:, :3]), "both are point x task"),
        (lambda: lists.split_experiment(COSTS, (1,), pools=[[0]]), "1 pools were given for 50 splits"),
        (lambda: lists.transfer(COSTS, ["a"] * 8 + ["b"], 1), "group 'b' has a single task"),
        (lambda: lists.transfer(COSTS, ["a"] * 9, 1), "needs at least 2"),
        (lambda: lists.by_task_count(COSTS, (5,), (1,)), "from 1 to 4, half of the tasks"),
        (lambda: lists.by_pool_size(COSTS, (1,), 2), "from 2, the list's, to 12 points"),
        (lambda: lists.expected_best(COSTS, np.array([0])), "each must be from 1 to 12"),
        (lambda: lists.quantile_of_best(np.array([np.nan]), 1, 0.5), "values has 1 NaN entries"),
        (lambda: lists.quantile_of_best(np.array([0.1]), 2, 0.5), "trials is 2; must be from 1 to 1"),
        (lambda: lists.quantile_of_best(np.array([0.1]), 1, 0.0), r"q is 0; must lie in \(0, 1\]"),
        (lambda: lists.trained_by_random(np.ones((3, 17)), 1), "17 workloads; sets of at most 16"),
        (lambda: lists.inside_box(COSTS, np.array([0]), 0.0), "share is 0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_task_is_left_out_once_and_never_builds_the_list_that_it_judges():
    for parts in (2, 3, 7, None):
        splits = lists.leave_out_splits(7, parts)
        assert len(splits) == (parts or 7)
        assert sorted(task for split in splits for task in split.test) == list(range(7))
        assert all(sorted((*split.train, *split.test)) == list(range(7)) for split in splits)
    for parts in (1, 8):
        with pytest.raises(ValueError, match=f"parts is {parts}; must be from 2 to 7, the tasks"):
            lists.leave_out_splits(7, parts)
    with pytest.raises(ValueError, match="1 task cannot be split"):
        lists.leave_out_splits(1)
