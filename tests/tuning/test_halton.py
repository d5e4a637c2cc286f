"""AlgoPerf's quasi-random points, bit for bit, and the published points that are among them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submissions.spaces import MEDAPATI_TABLE_1, Interval, SearchSpace
from tuning.strategies import halton

# Medapati et al., arXiv:2503.03986, Table 10, in the order of the list; and the rows of the set that they
# are.
TABLE_10 = {
    173: (0.007188680089024849, 0.1, 0.9521079797438937, 0.9545645606521953, 0.020932289532959312, 0.0, 0.2),
    170: (0.0011719210768906827, 0.02, 0.9641782560318817, 0.9953311727740848, 0.15957548811577366, 0.1, 0.0),
    197: (0.001183374563441696, 0.02, 0.918959806679234, 0.9941923836947718, 0.028400661323288435, 0.1, 0.1),
    43: (0.0014515212275017363, 0.1, 0.9600296609757403, 0.889423091749684, 0.031808785805059143, 0.0, 0.2),
    104: (0.0005102205206215031, 0.05, 0.9120180064671332, 0.9597041640569521, 0.04833675039698776, 0.1, 0.0),
}

# The five points of AlgoPerf's NAdamW baseline (v0.6): learning rate, 1 - beta1 as printed, beta2, weight
# decay; and the row and the number of dimensions of the set from which they came.
BASELINE = [
    (116, 7, 0.001308209823469072, 0.02686663061, 0.9981232922116359, 0.16375311233774334),
    (42, 7, 0.0008445074561975979, 0.11042418465, 0.9978504782314613, 0.08135402759553023),
    (116, 7, 0.001308209823469072, 0.02686663061, 0.9981232922116359, 0.16375311233774334),
    (159, 7, 0.004958460849689891, 0.13625575743, 0.6291854735396584, 0.1147386261512052),
    (60, 8, 0.0017486387539278373, 0.06733926164, 0.9955159689799007, 0.08121616522670176),
]


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "facts" / "halton_golden.json").read_text())


def values(points):
    return [dict(point.hyperparameters) for point in points]


def test_bases_match_the_golden_file(golden):
    for dimensions, expected in golden["bases_for_num_dims"].items():
        assert list(halton.bases(int(dimensions))) == expected


def test_more_dimensions_than_primes_below_1000_raise_the_limit():
    # 166 primes are left below 1000 without 2 and 997, and 301 below 2000 without 2 and 1999.
    assert halton.bases(166)[0] == 3
    assert halton.bases(167)[-1] == 1997


def test_coordinates_match_the_golden_file_bit_for_bit(golden):
    assert halton.coordinates(2, 5).tolist() == golden["unshuffled_num_dims_2_rows_0_to_4"]
    assert halton.coordinates(7, 100).tolist() == golden["unshuffled_num_dims_7_rows_0_to_99"]


def test_a_seeded_order_is_algoperfs_after_seeding_numpy(golden):
    case = golden["archived_nadamw_space"]
    space = SearchSpace.from_json(case["search_space"])
    points = halton.points(space, case["num_trials"], order_seed=case["numpy_seed_before_the_call"])
    assert values(points) == case["points_in_returned_order"]


def test_first_candidates_match_the_golden_file_bit_for_bit(golden):
    expected = golden["medapati_table_1_space"]["rows_0_to_9"]
    got = values(halton.points(MEDAPATI_TABLE_1, 10))
    assert [{"base_lr": p.pop("learning_rate"), **p} for p in got] == expected


def test_the_papers_five_points_are_among_the_200_bit_for_bit():
    points = halton.points(MEDAPATI_TABLE_1, 200)
    for row, printed in TABLE_10.items():
        hp = points[row].hyperparameters
        assert points[row].id == str(row)
        assert printed == (
            hp["learning_rate"],
            hp["warmup_fraction"],
            1 - hp["one_minus_beta1"],
            1 - hp["one_minus_beta2"],
            hp["weight_decay"],
            hp["dropout_rate"],
            hp["label_smoothing"],
        )


@pytest.mark.parametrize(("row", "dimensions", "rate", "one_minus_beta1", "beta2", "decay"), BASELINE)
def test_algoperfs_own_baseline_points_are_rows_too(row, dimensions, rate, one_minus_beta1, beta2, decay):
    u = halton.coordinates(dimensions, rows=1, start=row)[0]
    assert Interval(1e-5, 1e-1, "log").at(u[0]) == rate
    # The file has this one cut off after 11 decimals, not rounded.
    assert 0 <= Interval(1e-3, 1, "log").at(u[1]) - one_minus_beta1 < 1e-11
    assert 1 - Interval(1e-3, 1, "log").at(u[2]) == beta2
    assert Interval(1e-5, 1, "log").at(u[3]) == decay


@settings(max_examples=30, deadline=None)
@given(
    dimensions=st.integers(1, 8), start=st.integers(0, 2000), rows=st.integers(0, 20), more=st.integers(0, 20)
)
def test_any_window_of_the_set_is_the_same_rows(dimensions, start, rows, more):
    whole = halton.coordinates(dimensions, start + rows + more)
    window = halton.coordinates(dimensions, rows, start)
    assert window.shape == (rows, dimensions)
    np.testing.assert_array_equal(window, whole[start : start + rows])
    assert ((whole >= 0) & (whole < 1)).all()


def test_a_dimension_in_front_leaves_the_others_as_they_are():
    np.testing.assert_array_equal(halton.coordinates(8, 30)[:, 1:], halton.coordinates(7, 30))


def test_an_order_seed_permutes_the_points_and_keeps_their_ids():
    plain, shuffled = (halton.points(MEDAPATI_TABLE_1, 40, order_seed=seed) for seed in (None, 3))
    assert shuffled != plain
    assert set(shuffled) == set(plain)


def test_drawing_points_leaves_numpys_global_generator_alone():
    np.random.seed(0)  # noqa: NPY002
    expected = np.random.random_sample()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    halton.points(MEDAPATI_TABLE_1, 5, order_seed=1)
    assert np.random.random_sample() == expected  # noqa: NPY002


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget is 0; must be at least 1"),
        ({"budget": 5, "start": -1}, "start -1 must not be negative"),
        ({"budget": 5, "order_seed": -1}, "order_seed is -1; must lie in 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        halton.points(MEDAPATI_TABLE_1, **arguments)
