"""Search spaces, and AlgoPerf's file for them."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submissions.points import Point
from submissions.spaces import MEDAPATI_TABLE_1, Choices, Interval, SearchSpace, read_space

BOUND = st.floats(1e-6, 1e6)
DIMENSION = st.one_of(
    st.tuples(BOUND, BOUND, st.sampled_from(["log", "linear"]))
    .filter(lambda d: d[0] < d[1])
    .map(lambda d: Interval(*d)),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4).map(lambda v: Choices(tuple(v))),
)
SPACE = st.dictionaries(st.text(min_size=1), DIMENSION, min_size=1, max_size=5).map(
    lambda d: SearchSpace(tuple(d.items()))
)
POINT = Point("3", {name: dimension.at(0.5) for name, dimension in MEDAPATI_TABLE_1.dimensions})


@given(space=SPACE)
def test_a_space_survives_the_file(tmp_path_factory, space):
    path = tmp_path_factory.mktemp("space") / "tuning_search_space.json"
    path.write_text(json.dumps(space.to_json()))
    assert read_space(path) == space  # with the order of its dimensions


@given(space=SPACE, u=st.floats(0, 1, exclude_max=True))
def test_every_coordinate_gives_a_point_of_the_space(space, u):
    space.check(Point("0", space.at([u] * len(space.dimensions))))


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True),
    rows=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5),
)
def test_a_list_of_points_survives_the_file_and_gets_its_positions_as_ids(tmp_path_factory, names, rows):
    points = tuple(Point(str(i), dict.fromkeys(names, value)) for i, value in enumerate(rows))
    path = tmp_path_factory.mktemp("points") / "tuning_search_space.json"
    path.write_text(json.dumps([dict(point.hyperparameters) for point in points]))
    assert read_space(path) == points


def test_algoperfs_real_space_is_read_as_it_is(shared, tmp_path):
    entry = json.loads((shared / "facts" / "halton_golden.json").read_text())["archived_nadamw_space"]
    path = tmp_path / "tuning_search_space.json"
    path.write_text(json.dumps(entry["search_space"]))
    space = read_space(path)
    assert isinstance(space, SearchSpace)
    assert list(space.names) == list(entry["search_space"])
    assert space.to_json() == entry["search_space"]


def test_mapping_follows_the_formulas():
    assert Interval(1e-4, 1e-2, "log").at(0.5) == pytest.approx(1e-3, rel=1e-15)
    assert Interval(-1, 3, "linear").at(0.25) == 0.0
    assert [Choices((5.0, 6.0, 7.0)).at(u) for u in (0.0, 0.33, 0.34, 0.99)] == [5, 5, 6, 7]


def test_table_1_of_the_paper_has_its_seven_dimensions_in_order():
    assert MEDAPATI_TABLE_1.names == (
        "learning_rate",
        "warmup_fraction",
        "one_minus_beta1",
        "one_minus_beta2",
        "weight_decay",
        "label_smoothing",
        "dropout_rate",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"learning_rate": 0.02},
            r"point 3: learning_rate is 0.02, outside its search space \[0.0001, 0.01\]",
        ),
        ({"dropout_rate": 0.05}, r"point 3: dropout_rate is 0.05, outside its search space \{0.0, 0.1\}"),
        ({"learning_rat": 0.001}, "'learning_rat' is not in the search space; did you mean 'learning_rate'?"),
        ({"weight_decay": None}, r"weight_decay is missing; the search space has it in \[0.0001, 0.5\]"),
    ],
)
def test_points_outside_their_space_are_refused(change, message):
    MEDAPATI_TABLE_1.check(POINT)
    changed = {k: v for k, v in {**POINT.hyperparameters, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        MEDAPATI_TABLE_1.check(Point("3", changed))


def test_a_bound_that_was_computed_is_still_inside():
    assert Interval(1e-4, 1e-2, "log").contains(0.01 * (1 + 1e-15))
    assert not Interval(1e-4, 1e-2, "log").contains(0.01 * (1 + 1e-9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        ('{"lr": {"min": 1', "not valid JSON"),
        ("3", "must be an object of at least one dimension, not 3"),
        ("{}", "must be an object of at least one dimension"),
        ("[]", "the list of points is empty"),
        ('{"lr": 0.1}', "lr: must be an object with min, max, scaling, feasible_points, not 0.1"),
        (
            '{"lr": {"min": 1, "max": 2, "scalling": "log"}}',
            r"lr: unknown key 'scalling'; did you mean 'scaling'\? \(allowed: min, max, scaling, feas",
        ),
        ('{"lr": {"min": 1, "max": 2}}', "lr: has min, max; must be either min, max, scaling or"),
        ('{"lr": {"min": 1, "feasible_points": [2]}}', "lr: has min, feasible_points; must be either"),
        (
            '{"lr": {"min": 1, "max": 2, "scaling": "cubic"}}',
            "lr: scaling is 'cubic'; allowed: 'log', 'linear'",
        ),
        ('{"lr": {"min": 2, "max": 1, "scaling": "log"}}', "lr: min 2.0 is not below max 1.0"),
        ('{"lr": {"min": 0, "max": 1, "scaling": "log"}}', "lr: min 0.0 has no logarithm"),
        ('{"lr": {"min": "0", "max": 1, "scaling": "log"}}', "lr: min is '0'; must be a finite number"),
        ('{"lr": {"min": NaN, "max": 1, "scaling": "log"}}', "NaN is not a finite number"),
        ('{"lr": {"feasible_points": []}}', "lr: feasible_points is empty"),
        ('{"lr": {"feasible_points": "12"}}', "lr: feasible_points is '12'; must be a list"),
        ('{"lr": {"feasible_points": [true]}}', "lr: feasible_points is True; must be a finite number"),
        ('{"lr": {"feasible_points": [1]}, "lr": {"feasible_points": [2]}}', "'lr' occurs twice"),
        ('[{"lr": 1}, {"lr": "2"}]', "point 1: lr is '2'; must be a finite number"),
        ('[{"lr": 1}, {}]', "point 1: must be an object of numbers"),
        ('[{"lr": 1, "wd": 2}, {"lr": 1}]', "point 1: wd is missing; all must have the same names"),
        ('[{"lr": 1}, {"lr": 1, "wd": 2}]', "point 1: wd is not in point 0"),
    ],
)
def test_broken_files_are_answered_in_one_line_with_their_name(tmp_path, text, message):
    path = tmp_path / "tuning_search_space.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_space(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nowhere.json: no such file; give a tuning_search_space.json"
    ):
        read_space(tmp_path / "nowhere.json")


def test_points_survive_json_and_pickle_and_cannot_be_changed():
    assert Point.from_json(json.loads(json.dumps(POINT.to_json()))) == POINT
    assert pickle.loads(pickle.dumps(POINT)) == POINT
    assert hash(POINT) == hash(Point("3", dict(reversed(POINT.hyperparameters.items()))))
    with pytest.raises(TypeError):
        POINT.hyperparameters["learning_rate"] = 1.0  # type: ignore[index]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"id": "", "hyperparameters": {"a": 1}}, "points.json: a point's id must be a non-empty string"),
        ({"id": "4", "hyperparameters": [1]}, "points.json: point 4: hyperparameters must be a mapping"),
        ({"id": "4", "hyperparameters": {"a": float("inf")}}, "point 4: a is inf; must be a finite number"),
        ({"id": "4", "hyperparameters": {"a": "1"}}, "point 4: a is '1'; must be a finite number"),
        ({"id": "4"}, r"has the keys \['id'\]; must be \['hyperparameters', 'id'\]"),
        (4, 'must be an object with "id" and "hyperparameters", not 4'),
    ],
)
def test_broken_points_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        Point.from_json(data, "points.json")
