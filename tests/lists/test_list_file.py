"""List files and the export to AlgoPerf."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lists
from submissions.points import Point

MINE = lists.HyperparameterList(
    name="mine",
    update_rule="nadamw_optax",
    source="study demo",
    method="greedy",
    penalty=2.0,
    workloads=("algoperf/mnist", "taskset/mlp_family_seed12"),
    points=(
        Point("7", {"learning_rate": 0.1, "beta1": 0.9}),
        Point("3", {"learning_rate": 1e-3, "beta1": 0.8}),
    ),
    costs=(0.7, 0.5),
    made_by={"program": "shortlist 0.1.0", "seeds": 3, "rerun": True, "note": None},
)


def test_a_list_survives_the_disk_exactly(tmp_path):
    lists.write_list(tmp_path / "mine.json", MINE)
    assert lists.read_list(tmp_path / "mine.json") == MINE


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4),
    st.text(min_size=1).filter(str.strip),
)
@settings(max_examples=50)
def test_every_number_and_every_name_survives_to_the_last_bit(tmp_path_factory, numbers, name):
    # A lone surrogate cannot be written as UTF-8, but JSON escapes it; reading must give it back or refuse.
    name = name.encode("utf-8", "replace").decode()
    path = tmp_path_factory.getbasetemp() / "any.json"
    point = Point(name, {f"h{i}": number for i, number in enumerate(numbers)})
    content = dataclasses.replace(MINE, name=name, points=(point,), costs=())
    lists.write_list(path, content, overwrite=True)
    assert lists.read_list(path) == content


def test_a_list_survives_a_trip_to_another_process_and_can_be_a_key():
    assert pickle.loads(pickle.dumps(MINE)) == MINE
    assert {point: point.id for point in MINE.points}[MINE.points[1]] == "3"


def test_the_keys_of_a_list_file_are_the_documented_ones(tmp_path):
    lists.write_list(tmp_path / "mine.json", MINE)
    data = json.loads((tmp_path / "mine.json").read_text())
    assert data == {
        "format": 1,
        "name": "mine",
        "update_rule": "nadamw_optax",
        "source": "study demo",
        "method": "greedy",
        "penalty": 2.0,
        "workloads": ["algoperf/mnist", "taskset/mlp_family_seed12"],
        "points": [
            {"id": "7", "hyperparameters": {"learning_rate": 0.1, "beta1": 0.9}},
            {"id": "3", "hyperparameters": {"learning_rate": 0.001, "beta1": 0.8}},
        ],
        "costs": [0.7, 0.5],
        "made_by": {"program": "shortlist 0.1.0", "seeds": 3, "rerun": True, "note": None},
    }


FILLED = dataclasses.replace(MINE, asked=5, adds=1, ties="merit")


def test_what_adds_is_a_field_of_format_2(tmp_path):
    lists.write_list(tmp_path / "filled.json", FILLED)
    data = json.loads((tmp_path / "filled.json").read_text())
    assert (data["format"], data["asked"], data["adds"], data["ties"]) == (2, 5, 1, "merit")
    assert set(data) == {*MINE.to_json(), "asked", "adds", "ties"}
    assert lists.read_list(tmp_path / "filled.json") == FILLED
    assert FILLED.adding == 1


def test_a_list_of_format_1_tells_what_adds_by_its_costs():
    assert MINE.adding == 2
    assert dataclasses.replace(MINE, costs=(0.7, 0.7)).adding == 1
    assert dataclasses.replace(MINE, costs=(2.0, 2.0)).adding == 0
    assert dataclasses.replace(MINE, costs=()).adding is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adds": 3}, "adds: is 3; must be from 0 to 2, the points of the list"),
        ({"asked": 1}, "asked: is 1; must be at least 2, the points of the list"),
        ({"ties": "best"}, "ties: is 'best'; must be one of merit, lowest-id, or null"),
        ({"zzzzz": 1}, "unknown key 'zzzzz' (allowed: format, name, "),
    ],
)
def test_wrong_fields_of_format_2_are_refused(tmp_path, change, message):
    path = tmp_path / "filled.json"
    path.write_text(json.dumps(FILLED.to_json() | change))
    with pytest.raises(ValueError) as caught:
        lists.read_list(path)
    assert str(caught.value).startswith(f"{path}: {message}")


DROP = object()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (["format"], 3, "format: is 3; this version of shortlist reads formats 1 and 2"),
        (["adds"], 1, "unknown key 'adds'"),
        (["format"], DROP, "key 'format' is missing"),
        (["costs"], [2.1, 0.5], "costs[0]: is 2.1; must be at most 2, the penalty"),
        (["costs"], [0.5, 0.7], "costs[1]: is 0.7, more than 0.5 of the list without its last point"),
        (["points", 0, "hyperparameters", "beta1"], True, "points[0]: point 7: beta1 is True; write 1 or 0"),
        (["costs"], DROP, "key 'costs' is missing"),
        (["pionts"], [], "unknown key 'pionts'; did you mean 'points'? (allowed: format, name, "),
        (
            ["points", 1, "ids"],
            "x",
            "points[1]: unknown key 'ids'; did you mean 'id'? (allowed: id, hyperparam",
        ),
        (["points", 0, "id"], DROP, "points[0]: key 'id' is missing"),
        (["points", 0, "id"], 7, "points[0].id: Expected `str`, got `int`"),
        (["points", 1, "id"], "7", "points: '7' appears more than once"),
        (
            ["points", 1, "hyperparameters", "beta1"],
            "0.9",
            "points[1]: point 3: beta1 is '0.9'; must be a finite",
        ),
        (
            ["points", 1, "hyperparameters", "beta1"],
            None,
            "points[1]: point 3: beta1 is None; must be a finite",
        ),
        (["points", 0, "hyperparameters"], {}, "points[0]: hyperparameters is empty"),
        (["points"], [], "points: is empty; a list needs at least one point"),
        (["method"], "best", "method: is 'best'; must be one of greedy, exact, hedged, "),
        (["penalty"], 0.5, "penalty: is 0.5; must be finite and at least 1, or null"),
        (["penalty"], None, "costs: are given but penalty is null"),
        (["costs"], [0.5], "costs: has 1 entries for 2 points; must have one per point, or be empty"),
        (["costs", 1], 0, "costs[1]: is 0; must be positive and finite"),
        (["costs", 1], None, "costs[1]: Expected `float`, got `null`"),
        (["workloads", 1], "algoperf/mnist", "workloads: 'algoperf/mnist' appears more than once"),
        (["update_rule"], " ", "update_rule: is empty; say what it is"),
        (
            ["made_by", "seeds"],
            [1, 2],
            "made_by: seeds: is [1, 2]; must be text, a number, true, false or null",
        ),
    ],
)
def test_a_wrong_list_file_is_refused_with_its_name_and_the_key(tmp_path, where, value, message):
    path = tmp_path / "mine.json"
    data = json.loads(json.dumps(MINE.to_json()))
    *parents, last = where
    holder = data
    for key in parents:
        holder = holder[key]
    if value is DROP:
        del holder[last]
    else:
        holder[last] = value
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError) as caught:
        lists.read_list(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b'{"format": 1, "na', b"\xff\xfe", b"[1e999]", b"[]", b'{"format": 1} x', b"[" * 100_000]
)
def test_a_file_that_is_no_list_is_one_line_naming_it(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_bytes(text)
    with pytest.raises(ValueError) as caught:
        lists.read_list(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.json: no such list file"):
        lists.read_list(tmp_path / "none.json")


def test_nothing_is_overwritten_unless_asked(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"mine.json: exists already"):
        lists.write_list(path, MINE)
    assert path.read_text() == "precious"
    lists.write_list(path, MINE, overwrite=True)
    assert lists.read_list(path) == MINE


def test_a_write_that_fails_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch):
    path = tmp_path / "mine.json"
    path.write_text("precious")

    def full_disk(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        lists.write_list(path, MINE, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.json"]
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"away: no such folder"):
        lists.write_list(tmp_path / "away" / "mine.json", MINE)


def test_the_search_space_keeps_names_order_and_values():
    assert lists.to_search_space(MINE.points) == [
        {"learning_rate": 0.1, "beta1": 0.9},
        {"learning_rate": 0.001, "beta1": 0.8},
    ]


def test_algoperfs_baseline_gets_its_own_names_and_the_same_betas_to_the_last_bit():
    points = lists.published("medapati2025").points
    space = lists.to_search_space(points, names="algoperf")
    for point, entry in zip(points, space, strict=True):
        ours = point.hyperparameters
        assert list(entry) == [
            "learning_rate",
            "warmup_factor",
            "one_minus_beta1",
            "beta2",
            "weight_decay",
            "dropout_rate",
            "label_smoothing",
        ]
        assert 1 - entry["one_minus_beta1"] == ours["beta1"]
        assert (entry["beta2"], entry["warmup_factor"]) == (ours["beta2"], ours["warmup_fraction"])
    assert lists.to_search_space([Point("a", {"one_minus_beta2": 0.25})], names="algoperf") == [
        {"beta2": 0.75}
    ]


def test_the_written_search_space_is_algoperfs_list_form(tmp_path):
    path = tmp_path / "tuning_search_space.json"
    lists.write_search_space(path, MINE.points)
    assert json.loads(path.read_text()) == lists.to_search_space(MINE.points)
    with pytest.raises(FileExistsError, match="exists already"):
        lists.write_search_space(path, MINE.points)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "points is empty"),
        ([Point("a", {"x": 1.0, "y": 1.0}), Point("b", {"x": 1.0})], "points a and b differ in having y"),
        ([Point("a", {"learning rate": 1.0})], "'learning rate' cannot go into a search space"),
        ([Point("a", {"lambda": 1.0})], "'lambda' cannot go into a search space"),
        ([Point("a", {"_x": 1.0})], "'_x' cannot go into a search space"),
    ],
)
def test_what_algoperfs_runner_would_refuse_is_refused_here(points, message):
    with pytest.raises(ValueError, match=message):
        lists.to_search_space(points)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="names is 'optax'; must be one of shortlist, algoperf"):
        lists.to_search_space(MINE.points, names="optax")
