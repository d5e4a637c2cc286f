"""Leave one workload out, the penalty ablation, and how far single points carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lists
from tests.lists.examples import (
    INF,
    PENALTIES,
    V05_BASELINE,
    V05_TOLERANCE,
    WORKLOADS,
    fractions_and_size,
)

# What the v0.5 baseline's 5 points give, left-out workload by left-out workload, from the published logs:
# greedy list on the other 7, its cost there, and the fraction on the left-out workload, for k = 1..5.
V05_LEAVE_ONE_OUT = {
    "criteo1tb": (
        (4, 1, 2, 0, 3),
        (0.9319207259, 0.7143336181, 0.6995228515, 0.6995228515, 0.6995228515),
        (0.8899306207, 0.8899306207, 0.8899306207, 0.8859928746, 0.8859928746),
    ),
    "fastmri": (
        (4, 1, 0, 2, 3),
        (0.9585409825, 0.8445118921, 0.8439770515, 0.8439770515, 0.8439770515),
        (0.7306916466, 0.2756915085, 0.2677609218, 0.2380833955, 0.2380833955),
    ),
    "imagenet_resnet": (
        (4, 1, 2, 0, 3),
        (0.8301180357, 0.6363000665, 0.6231072229, 0.6227126009, 0.6227126009),
        (INF,) * 5,
    ),
    "imagenet_vit": (
        (4, 2, 0, 1, 3),
        (0.8301180357, 0.7072414436, 0.7067935382, 0.7067935382, 0.7067935382),
        (INF, INF, INF, 0.8241297290, 0.8241297290),
    ),
    "librispeech_conformer": (
        (4, 1, 2, 0, 3),
        (0.9360768734, 0.7175193782, 0.7026425592, 0.7021975663, 0.7021975663),
        (0.8626375,) * 5,
    ),
    "librispeech_deepspeech": (
        (4, 1, 2, 0, 3),
        (0.9301842888, 0.7130026085, 0.6982194387, 0.6977772471, 0.6977772471),
        (0.901625,) * 5,
    ),
    "ogbg": (
        (0, 1, 2, 4, 3),
        (0.9533628461, 0.8399497525, 0.8254476385, 0.8159654106, 0.8159654106),
        (INF, INF, INF, 0.3015375, 0.3015375),
    ),
    "wmt": (
        (4, 1, 2, 0, 3),
        (0.9318266511, 0.7142615081, 0.6994522367, 0.6990092643, 0.6990092643),
        (0.8905597264,) * 5,
    ),
}


@pytest.mark.parametrize("workload", WORKLOADS)
def test_leave_one_out_of_the_v05_baseline_is_the_known_table(workload):
    w = WORKLOADS.index(workload)
    points, costs, held_out = V05_LEAVE_ONE_OUT[workload]
    result = lists.leave_one_out(V05_BASELINE, size=5, ties="lowest-id")
    assert result.lists[w].points == points
    assert result.lists[w].costs == pytest.approx(costs, abs=V05_TOLERANCE)
    assert result.held_out[w].tolist() == list(held_out)


def test_leave_one_out_of_the_v05_baseline_trains_seven_of_eight():
    result = lists.leave_one_out(V05_BASELINE, size=5, ties="lowest-id")
    assert result.trained == (5, 5, 5, 7, 7)
    expected = (1.1737813403, 1.0391383120, 1.0353539214, 0.7204941296, 0.7204941296)
    assert result.held_out_costs == pytest.approx(expected, abs=2 * V05_TOLERANCE)


@pytest.mark.parametrize("method", lists.METHODS)
@given(case=fractions_and_size(min_workloads=2, max_points=6), penalty=PENALTIES, data=st.data())
@settings(max_examples=60)
def test_leave_one_out_never_reads_the_held_out_column(method, case, penalty, data):
    values, size = case
    w = data.draw(st.integers(0, values.shape[1] - 1))
    other = data.draw(
        st.lists(st.sampled_from([1e-9, 0.3, 0.5, 2.0, INF]), min_size=len(values), max_size=len(values))
    )
    changed = values.copy()
    changed[:, w] = other
    before = lists.leave_one_out(values, size, penalty, method)
    after = lists.leave_one_out(changed, size, penalty, method)
    assert after.by_size[w] == before.by_size[w]
    for k, chosen in enumerate(after.by_size[w]):
        assert after.held_out[w, k] == min(other[p] for p in chosen.points)


@pytest.mark.parametrize("method", lists.METHODS)
@given(case=fractions_and_size(min_workloads=2, max_points=6), penalty=PENALTIES)
@settings(max_examples=30)
def test_every_list_is_what_the_method_builds_on_the_other_workloads(method, case, penalty):
    values, size = case
    result = lists.leave_one_out(values, size, penalty, method)
    for w in range(values.shape[1]):
        others = values[:, [v for v in range(values.shape[1]) if v != w]]
        expected = tuple(lists.METHODS[method](others, k, penalty) for k in range(1, size + 1))
        assert result.by_size[w] == expected
        assert result.lists[w] == expected[-1]


def test_exact_lists_of_different_sizes_are_solved_apart():
    # Without the last workload the best single point is row 0, and the best two are rows 1 and 2.
    values = np.array([[0.3, 0.3, 0.6], [0.1, 2.0, 0.7], [2.0, 0.1, INF]])
    result = lists.leave_one_out(values, size=2, method="exact")
    assert [chosen.points for chosen in result.by_size[2]] == [(0,), (1, 2)]
    assert result.held_out[2].tolist() == [0.6, 0.7]


def test_leave_one_out_reports_each_workload_as_it_goes():
    calls = []
    lists.leave_one_out(V05_BASELINE, 2, progress=lambda *call: calls.append(call))
    assert calls == [("leave one out", done, 8) for done in range(1, 9)]


def test_leaving_out_the_only_workload_is_refused():
    with pytest.raises(ValueError, match="values has 1 workload; leaving one out takes at least 2"):
        lists.leave_one_out(np.ones((3, 1)), 2)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="method is 'best'; must be one of greedy, exact"):
        lists.leave_one_out(np.ones((3, 2)), 2, method="best")


def test_bad_values_are_named_by_the_callers_own_columns():
    values = np.ones((3, 4))
    values[2, 3] = np.nan
    with pytest.raises(ValueError, match="the first at point 2, workload 3"):
        lists.leave_one_out(values, 2)


def test_a_higher_penalty_makes_lists_reach_more_rather_than_faster():
    # By hand, size 1. tau 1.5: row 1 always wins (costs .75 against 1.35, .75 against .81, .25 on the last
    # pair) and misses workload 2. tau 2: without workload 1 it costs 1.0 against .81, so that row 0 is
    # chosen, which misses workload 1.
    values = np.array([[0.9, INF, 0.9], [0.5, 0.5, INF]])
    assert lists.penalty_ablation(values, size=1, penalties=(1.5, 2.0)) == ((1.5, 2), (2.0, 1))


@pytest.mark.parametrize("method", lists.METHODS)
def test_the_ablation_counts_what_leave_one_out_trains(method):
    rows = lists.penalty_ablation(V05_BASELINE, 4, (2.0, 1.0, 1.44), method)
    assert [row.penalty for row in rows] == [2.0, 1.0, 1.44]
    for penalty, trained in rows:
        assert trained == lists.leave_one_out(V05_BASELINE, 4, penalty, method).trained[-1]


def test_an_ablation_without_penalties_is_refused():
    with pytest.raises(ValueError, match="penalties is empty"):
        lists.penalty_ablation(V05_BASELINE, 2, penalties=())


def test_trains_others_counts_points_by_what_else_they_reach():
    # Rows reach {0}, {0, 1}, {0, 1, 2}, {} of the three workloads.
    values = np.array([[0.5, INF, INF], [0.5, 0.5, INF], [0.5, 0.5, 3.0], [INF, INF, INF]])
    assert lists.trains_others(values).tolist() == [[3, 2, 1], [2, 2, 1], [1, 1, 1]]
    assert lists.trains_others(values, others=(3,)).tolist() == [[0, 0, 0]]


@given(fractions_and_size(max_points=12, max_workloads=6))
def test_asking_for_more_others_never_counts_more_points(case):
    values, _ = case
    counts = lists.trains_others(values, others=range(values.shape[1] + 1))
    assert counts[0].tolist() == np.isfinite(values).sum(axis=0).tolist()
    assert (np.diff(counts, axis=0) <= 0).all()
    assert (counts[-1] == 0).all()


def test_a_negative_number_of_others_is_refused():
    with pytest.raises(ValueError, match=r"others is \(0, -1\); must hold no negative"):
        lists.trains_others(V05_BASELINE, others=(0, -1))
