"""What may be changed while a meta-training runs: it is taken, recorded, or refused in a line."""

from __future__ import annotations

import json
import os

import pytest

from tests.tuning.meta_training.test_meta_training import Toy
from tuning.meta_training.distribution import listed
from tuning.meta_training.estimators import PersistentES
from tuning.meta_training.learner import Learner
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths
from tuning.meta_training.settings import Settings, changed
from tuning.meta_training.training import MetaTraining

NAMES = ("digits/conv", "clicks/mlp")


@pytest.fixture(scope="module")
def alive():
    """Holds programs, so that tests here compile them once."""
    held = MetaTraining(plan(), parts=1)
    held.step()
    return held


def plan(among=None, **other):
    how = {"tasks": 2, "learner": Learner(0.03), "estimators": 2}
    return Plan("learnable_sgd", among or Toy(), PersistentES(window=5), Lengths(10, 20), **how | other)


def test_settings_are_taken_as_they_change_and_every_change_is_a_row(tmp_path, alive):
    file, said, stamps = tmp_path / "settings.json", [], iter(range(1, 100))

    def write(content):
        file.write_text(content)
        os.utime(file, (next(stamps), 0))  # another time, however fast the training is

    def change(what, done, total):
        match done:
            case 1:
                write('{"learning_rate": 0.001, "batch": 1}')
            case 2:
                write('{"learning_rat": 1}')
            case 4:
                file.unlink()

    training = MetaTraining(plan(), tmp_path, parts=1, say=said.append)
    moves = []
    for until in range(1, 7):
        before = training.weights["log_lr"]
        training.run(until, record_every=1, progress=change)
        moves.append(abs(float(training.weights["log_lr"] - before)))
    rows = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [row["outer_step"] for row in rows if "changed" not in row] == [1, 2, 3, 4, 5, 6]
    assert [row for row in rows if "changed" in row] == [
        {"outer_step": 1, "changed": {"learning_rate": [0.03, 0.001], "batch": [2, 1]}},
        {"outer_step": 4, "changed": {"learning_rate": [0.001, 0.03], "batch": [1, 2]}},
    ]
    assert [row["accepted"] for row in rows if "changed" not in row] == [2, 1, 1, 1, 2, 2]
    assert said == [
        f"{file}: unknown setting 'learning_rat'; did you mean 'learning_rate'? (allowed: learning_rate, clip, batch, "
        "staleness, distribution); the settings stay as they are"
    ]
    assert max(moves[1:4]) < 0.002 < min(moves[0], *moves[4:])  # an early step of Adam's is about its rate


def test_what_was_in_force_is_known_when_a_training_goes_on(tmp_path, alive):
    file = tmp_path / "settings.json"
    tmp_path.mkdir(exist_ok=True)
    file.write_text('{"clip": 1}')
    MetaTraining(plan(), tmp_path, parts=1).run(1)
    assert MetaTraining(plan(), tmp_path, parts=1).settings.clip == 1
    file.write_text('{"clip": 0.5}')
    MetaTraining(plan(), tmp_path, parts=1)
    rows = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert [row for row in rows if "changed" in row] == [
        {"outer_step": 0, "changed": {"clip": [3.0, 1.0]}},
        {"outer_step": 1, "changed": {"clip": [1.0, 0.5]}},
    ]


@pytest.mark.slow
def test_workloads_are_drawn_by_other_weights_from_then_on(tmp_path):
    asked = plan(
        listed(["taskset/quadratic_family_seed1", "taskset/quadratic_family_seed3=1e-9"]), resample_every=1
    )
    training = MetaTraining(asked, tmp_path, parts=1)
    (first,) = training.run(1, record_every=1)
    weights = {"taskset/quadratic_family_seed1": 1e-9, "taskset/quadratic_family_seed3": 1}
    (tmp_path / "settings.json").write_text(json.dumps({"distribution": weights}))
    second, third = training.run(3, record_every=1)
    assert set(first.workloads) == set(second.workloads) == {"taskset/quadratic_family_seed1"}  # drawn before
    assert set(third.workloads) == {"taskset/quadratic_family_seed3"}
    # A training that goes on draws again what it had drawn, and by what.
    weights = MetaTraining(asked, tmp_path, parts=1)
    assert set(weights.run(4)[0].workloads) == {"taskset/quadratic_family_seed3"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1], "must be one JSON object"),
        ({"learning_rate": 0}, "learning_rate is 0; must be a positive number"),
        ({"clip": "3"}, "clip is '3'; must be a positive number"),
        ({"batch": 1.5}, "batch is 1.5; must be a whole number, at least 1"),
        ({"batch": 3}, "batch is 3, of 2 estimators; must be at most as many"),
        ({"staleness": -1}, "staleness is -1; must be a whole number, at least 0"),
        ({"distribution": {"digits/con": 1}}, "'digits/con' is not trained on; did you mean 'digits/conv'"),
        ({"distribution": {"digits/conv": True}}, "digits/conv is True; must be a positive number"),
        ({"distribution": ["digits/conv"]}, "must be workloads with their weights"),
    ],
)
def test_what_cannot_be_is_explained(content, said):
    asked = plan(listed(NAMES))
    with pytest.raises(ValueError, match=said.replace("(", r"\(")) as error:
        changed(content, Settings.of(asked), asked, "meta/settings.json")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("meta/settings.json: ")


def test_of_the_distribution_what_differs_is_recorded():
    asked = plan(listed(NAMES))
    found = changed({"distribution": {"clicks/mlp": 3}}, Settings.of(asked), asked, "settings.json")
    assert found.changes(Settings.of(asked)) == {"distribution": [{"clicks/mlp": 1.0}, {"clicks/mlp": 3.0}]}
    assert found.shares(asked) == (1.0, 3.0)
    assert Settings.of(asked).shares(asked) is None


def test_an_asynchronous_training_may_average_more_gradients_than_it_has_estimators():
    asked = plan(listed(NAMES))
    found = changed({"batch": 3}, Settings.of(asked, staleness=5), asked, "settings.json", asynchronous=True)
    assert found.changes(Settings.of(asked, staleness=5)) == {"batch": [2, 3]}
