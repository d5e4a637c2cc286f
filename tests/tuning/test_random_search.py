"""Independent draws: where they lie, how they are spread, and that a budget does not change them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submissions.spaces import MEDAPATI_TABLE_1, Choices, Interval, SearchSpace
from tuning.strategies import from_spec
from tuning.studies.plan import plan

SPACE = SearchSpace(
    (
        ("learning_rate", Interval(1e-6, 1e2, "log")),
        ("momentum", Interval(-3.0, 5.0, "linear")),
        ("nesterov", Choices((0.0, 1.0, 7.0))),
    )
)
DRAWS = 4000
# P(D > e) <= 2 exp(-2 n e^2) (Dvoretzky, Kiefer, Wolfowitz, with Massart's constant): 1e-9 by chance.
LARGEST_DISTANCE = math.sqrt(math.log(2 / 1e-9) / (2 * DRAWS))
SIX_ERRORS = 6 / math.sqrt(DRAWS)  # of a correlation of independent numbers


def draw(budget, space=SPACE, seed=0):
    return from_spec({"name": "random", "budget": budget, "space": space.to_json(), "seed": seed}).ask(())


@pytest.fixture(scope="module")
def coordinates():
    """[draw, dimension], each value back on the scale on which it was drawn uniformly."""
    rows = [point.hyperparameters for point in draw(DRAWS)]
    rates = [math.log(row["learning_rate"] / 1e-6) / math.log(1e8) for row in rows]
    return np.array([rates, [(row["momentum"] + 3) / 8 for row in rows]]).T


@pytest.mark.parametrize("dimension", [0, 1])
def test_intervals_are_uniform_on_their_own_scale(coordinates, dimension):
    values = np.sort(coordinates[:, dimension])
    below, above = np.arange(DRAWS) / DRAWS, np.arange(1, DRAWS + 1) / DRAWS
    assert max((above - values).max(), (values - below).max()) < LARGEST_DISTANCE


def test_choices_are_equally_likely():
    values = [point.hyperparameters["nesterov"] for point in draw(DRAWS)]
    error = math.sqrt(1 / 3 * 2 / 3 / DRAWS)
    for choice in (0.0, 1.0, 7.0):
        assert abs(values.count(choice) / DRAWS - 1 / 3) < 6 * error


def test_dimensions_and_successive_draws_are_uncorrelated(coordinates):
    rate, momentum = coordinates.T
    assert abs(np.corrcoef(rate, momentum)[0, 1]) < SIX_ERRORS
    for values in (rate, momentum):
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < SIX_ERRORS


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), fewer=st.integers(1, 40), more=st.integers(0, 40))
def test_a_smaller_budget_is_the_beginning_of_a_larger_one(seed, fewer, more):
    few, many = draw(fewer, seed=seed), draw(fewer + more, seed=seed)
    assert many[:fewer] == few
    assert [point.id for point in many] == [str(row) for row in range(fewer + more)]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    low=st.floats(1e-12, 1e3),
    ratio=st.floats(1.001, 1e9),
    choices=st.lists(st.floats(-5, 5), min_size=1, max_size=7),
)
def test_every_draw_is_a_point_of_the_space(seed, low, ratio, choices):
    space = SearchSpace(
        (
            ("log", Interval(low, low * ratio, "log")),
            ("linear", Interval(-low, low * ratio, "linear")),
            ("choice", Choices(tuple(choices))),
        )
    )
    for point in draw(20, space, seed):
        space.check(point)


def test_coordinates_are_the_top_53_bits_of_pcg64_row_by_row():
    raw = np.random.PCG64(12).random_raw(14) >> np.uint64(11)
    rows = (raw * 2.0**-53).reshape(2, 7).tolist()
    expected = [MEDAPATI_TABLE_1.at(row) for row in rows]
    assert [dict(point.hyperparameters) for point in draw(2, MEDAPATI_TABLE_1, seed=12)] == expected


def test_the_studys_seed_decides_the_draws():
    first, again, other = (
        plan(name="s", workloads=("digits/mlp",), strategy="random", budget=5, seed=seed)
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first.points == {"digits/mlp": draw(5, MEDAPATI_TABLE_1, seed=3)}
    assert first.points != other.points
    assert (first.role, first.title, first.draws) == ("candidates", "random search", "independent")
