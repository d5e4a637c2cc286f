"""Meta-training as a whole: it learns, it is reproducible, and a kill costs nothing."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from results.meta_trainings import kept_weights, read_state
from submissions.learned import weight_files
from tests.tuning.meta_training import golden as toy
from tuning.meta_training.distribution import listed, scale_of
from tuning.meta_training.estimators import FullES, PersistentES
from tuning.meta_training.learner import Learner
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths, drawn, parse
from tuning.meta_training.training import MetaTraining


@dataclasses.dataclass(frozen=True)
class Toy:
    """The quadratic of the golden file and nothing else."""

    names = (toy.TASK.workload.name,)

    def draw(self, key, outer_step):
        del key, outer_step
        return toy.TASK

    def describe(self):
        return {"workloads": list(self.names)}


def plan(estimator=PersistentES(window=5), **other):  # noqa: B008
    how = {"tasks": 4, "offset": 10, "seed": 3, "learner": Learner(0.03)}
    if isinstance(estimator, FullES):
        del how["offset"]
    return Plan("learnable_sgd", Toy(), estimator, Lengths(10, 30), **how | other)


def weights_after(steps, plan, folder=None, **how):
    training = MetaTraining(plan, folder)
    training.run(steps, record_every=2, **how)
    return training.weights["log_lr"]


@pytest.mark.parametrize(
    "estimator",
    [
        PersistentES(window=5),
        pytest.param(FullES(loss="last_recompute", recompute_batches=2), marks=pytest.mark.slow),
    ],
)
def test_a_training_that_stops_goes_on_with_the_same_numbers(tmp_path, estimator):
    asked = plan(estimator, resample_every=3, estimators=2, per_step=1)
    whole = weights_after(8, asked, tmp_path / "whole", keep_weights_every=3)
    kept = {step: weight_files.read(file) for step, file in kept_weights(tmp_path / "whole").items()}
    assert [(step, file.around["step"]) for step, file in kept.items()] == [(0, 0), (3, 3), (6, 6)]
    assert read_state(tmp_path / "whole") == {"outer_step": 8, "outer_steps": 8, "ended": True}
    weights_after(8, asked, tmp_path / "stopped", stopped=lambda: True)
    assert weights_after(4, asked, tmp_path / "stopped") != whole
    assert weights_after(8, asked, tmp_path / "stopped") == whole
    rows = [json.loads(line) for line in (tmp_path / "stopped" / "record.jsonl").read_text().splitlines()]
    other = [json.loads(line) for line in (tmp_path / "whole" / "record.jsonl").read_text().splitlines()]
    assert [row["outer_step"] for row in rows] == [2, 4, 6, 8]
    numbers = ("outer_step", "meta_loss", "gradient_norm", "inner_steps", "workloads")
    assert [[row[n] for n in numbers] for row in rows] == [[row[n] for n in numbers] for row in other]
    found = weight_files.read(tmp_path / "stopped" / "weights.msgpack")
    assert found.weights["log_lr"] == whole
    moved = abs(float(whole) - float(kept[0].weights["log_lr"]))
    assert [rows[-1]["distance"], other[-1]["distance"]] == pytest.approx([moved, moved], rel=1e-6)
    assert found.around["step"] == 8


def test_it_finds_a_learning_rate_that_trains_better():
    training = MetaTraining(plan(FullES(loss="avg"), tasks=8, learner=Learner(0.1)))
    rows = training.run(40, record_every=10)
    assert rows[-1].meta_loss < 0.9 * rows[0].meta_loss
    assert training.weights["log_lr"] > np.log(0.01) + 0.5


@pytest.mark.slow
def test_cutting_an_estimate_into_parts_changes_sums_alone(monkeypatch):
    from tuning.engine import _spread

    found = []
    for places in (1, 2):
        monkeypatch.setattr(_spread, "places", lambda places=places: places)
        training = MetaTraining(plan(sizes={"learning_rate": 0.1}))
        assert training.parts == places
        gradients = []
        training.step()
        gradients.append(training.learning)
        found.append(jax.tree.leaves(gradients))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(
            one, two, rtol=1e-4
        )  # means of 4 tasks whose differences lose digits in float32


def test_the_description_says_what_made_the_weights_and_holds_the_folder_to_its_plan(tmp_path):
    weights_after(2, plan(), tmp_path)
    with pytest.raises(ValueError, match="holds a meta-training with seed 3, not 4; choose another folder"):
        MetaTraining(plan(seed=4), tmp_path)
    said = json.loads((tmp_path / "meta_training.json").read_text())
    assert said["made_by"]["versions"]["jax"] == jax.__version__
    assert said["data"] == {"golden/quadratic": "synthetic: normal numbers"}
    assert said["plan"]["estimator"] == {
        "kind": "persistent-es", "std": 0.01, "window": 5, "sign": None, "exact_resets": False,
    }  # fmt: skip


def test_other_lengths_and_weights_compile_nothing():
    training = MetaTraining(plan(FullES()))
    rows = training.run(6, record_every=1)
    assert sum(row.compile_seconds > 0 for row in rows) <= 1


def test_the_learner_clips_then_averages_then_takes_adams_step():
    learner = Learner(learning_rate=0.1, clip=3.0, accumulate=2)
    learning = learner.begin({"a": np.float32([1, 1, 1])})
    gradients = [
        np.float32([8, np.nan, 0.5]),
        np.float32([-1, np.inf, 0.5]),
        *np.float32([[4, 0, 1], [0, 0, 0]]),
    ]
    p, m, v = np.ones(3), np.zeros(3), np.zeros(3)
    for number, gradient in enumerate(gradients, 1):
        learning, norm = learner.update(learning, [{"a": jnp.asarray(gradient)}])
        if number == 1:
            assert norm == pytest.approx(np.sqrt(8**2 + 0.5**2))
        if number % 2:
            continue
        pair = [np.where(np.isfinite(g), g, 0).clip(-3, 3) for g in gradients[number - 2 : number]]
        g = np.mean(pair, 0)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        t = number // 2
        p -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(learning.weights["a"], p, rtol=1e-5)


def test_gradients_of_several_estimators_are_averaged_before_what_is_no_number_counts_as_zero():
    learner = Learner(learning_rate=0.1)
    learning, norm = learner.update(
        learner.begin({"a": np.float32([1, 1])}),
        [{"a": jnp.float32([2, np.nan])}, {"a": jnp.float32([4, 1])}],
    )
    assert norm == pytest.approx(3.0)
    np.testing.assert_allclose(learning.weights["a"], [0.9, 1.0], rtol=1e-6)


@pytest.mark.parametrize("text", ["200", "loguniform:100,1000", "growing:10,20,100,1000,50"])
def test_schedules_of_lengths_are_read_and_written_alike(text):
    assert str(parse(text)) == text


def test_growing_lengths_grow_evenly_in_their_logarithm():
    lengths = parse("growing:10,20,1000,2000,100")
    assert [lengths.bounds(step) for step in (0, 50, 100, 1000)] == [
        (10, 20),
        (100, 200),
        (1000, 2000),
        (1000, 2000),
    ]
    assert lengths.longest == 2000


def test_a_length_is_within_its_bounds_and_a_multiple():
    rng = np.random.default_rng(0)
    assert {drawn((23, 23), rng, 10)} == {20}
    assert drawn((3, 3), rng, 10) == 10
    assert all(100 <= drawn((100, 1000), rng) < 1000 for _ in range(50))


@pytest.mark.parametrize("text", ["", "ten", "loguniform:100", "growing:1,2,3"])
def test_a_schedule_that_cannot_be_read_is_explained(text):
    with pytest.raises(ValueError, match="give N, constant:N, loguniform:LOW,HIGH"):
        parse(text)


def test_workloads_are_drawn_by_their_weights_and_families_share_theirs():
    found = listed(["digits/conv=2", "taskset/mlp_family_seed12@just_train=honoured"], ["stdlib=3"])
    assert found.names[:2] == ("digits/conv", "taskset/mlp_family_seed12@just_train=honoured")
    assert sum(found.weights) == pytest.approx(6)
    assert found.weights[0] == 2
    with pytest.raises(ValueError, match="named twice"):
        listed(["digits/conv", "digits/conv=2"])


def test_losses_are_scaled_by_those_of_fresh_parameters():
    divisor, cap = scale_of(toy.TASK)
    # .5 sum H (w - d)^2 with d normal: .5 sum H (w^2 + 1) = 12.1 in the mean; 8 batches, standard deviation 5.6
    expected = 0.5 * (toy.H * (toy.START**2 + 1)).sum()
    assert abs(divisor - expected) < 4 * 6 / np.sqrt(8)
    assert cap == 2
