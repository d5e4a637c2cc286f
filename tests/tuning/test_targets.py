"""Targets are the median of retrainings of the best point of several optimizers."""

from __future__ import annotations

import json

import numpy as np
import pytest

import workloads
from submissions.points import Point
from tuning import targets

WIDTH = 4


def tuned(name, optimizer, *points):
    return targets.Tuned(name, optimizer, tuple(points))


def adam(number, rate):
    return Point(
        number,
        {"learning_rate": rate, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "weight_decay": 0.0,
         "warmup_fraction": 0.05, "dropout_rate": 0.0, "label_smoothing": 0.0},
    )  # fmt: skip


def momentum(number, rate):
    return Point(
        number,
        {"learning_rate": rate, "beta1": 0.9, "use_nesterov": 1.0, "weight_decay": 0.0, "warmup_fraction": 0.05,
         "dropout_rate": 0.0, "label_smoothing": 0.0},
    )  # fmt: skip


@pytest.fixture(scope="module")
def workload():
    return workloads.load("taskset/quadratic_family_seed12")


def test_the_best_point_of_every_optimizer_is_retrained(workload):
    reference = [
        tuned("nadamw", "nadamw_optax", adam("0", 1e-7), adam("1", 1e-8), adam("2", 1e-9)),
        tuned("nesterov", "sgd_optax", momentum("0", 1e-9)),
        tuned("adamw", "adamw_optax", adam("0", 1e-6), adam("7", 3e-2)),
    ]
    steps: list[tuple[str, int, int]] = []
    found = targets.set_target(
        workload, reference, seeds=3, width=WIDTH, progress=lambda *at: steps.append(at)
    )
    assert (found.best_reference, found.optimizer, found.best_point) == ("adamw", "adamw_optax", "7")
    assert found.reference == {"nadamw": "0 to 2", "nesterov": "0", "adamw": "0, 7"}
    best = found.best_of_reference
    assert min(best, key=lambda name: best[name] or np.inf) == "adamw"
    assert found.validation_target == np.median(found.best_reached)
    assert len(found.best_reached) == 3
    assert found.best_points == {"nadamw": "0", "nesterov": "0", "adamw": "7"}
    assert min(found.medians.values(), key=lambda value: value or np.inf) == found.validation_target
    assert steps[0][1:] == (0, 15)
    assert steps[-1][1:] == (15, 15)


def test_a_seed_that_diverges_counts_as_the_worst():
    point, one = adam("0", 1e-3), tuned("adamw", "adamw_optax", adam("0", 1e-3))
    reached = np.array([0.3, np.nan, 0.5])
    again = targets.Again(one, point, reached, reached, 1.0)
    assert again.median == 0.5
    assert targets.Again(one, point, -reached, -reached, -1.0).median == -0.5
    assert targets.Again(one, point, np.array([0.3, np.nan, np.nan]), reached, 1.0).median is None


def test_an_optimizer_whose_points_all_diverge_is_told(workload):
    reference = [
        tuned("nesterov", "sgd_optax", momentum("0", 1e30)),
        tuned("adamw", "adamw_optax", adam("0", 1e-3)),
    ]
    found = targets.set_target(workload, reference, seeds=1, width=WIDTH)
    assert found.best_of_reference["nesterov"] is None
    assert found.best_reference == "adamw"
    with pytest.raises(ValueError, match="all 1 reference points diverged"):
        targets.set_target(workload, reference[:1], seeds=1)


def test_the_four_of_algoperf_draw_from_their_own_spaces():
    four = targets.reference_points(tuple(targets.references()), 100, 200)
    assert [one.name for one in four] == ["adamw", "nadamw", "nesterov", "heavy_ball"]
    assert [{p.hyperparameters["use_nesterov"] for p in one.points} for one in four[2:]] == [{1.0}, {0.0}]
    assert all(len(one.points) == 100 for one in four)
    assert four[0].points == four[1].points  # of one space
    candidates = targets.reference_points(("nadamw",), 200, 0)[0].points
    assert not {p.id for p in candidates} & {p.id for p in four[1].points}
    with pytest.raises(ValueError, match="no reference adam; there are adamw, nadamw"):
        targets.reference_points(("adam",), 1, 0)


def test_what_is_written_is_read_as_a_target(workload, tmp_path):
    file = tmp_path / "targets.json"
    reference = [tuned("adamw", "adamw_optax", adam("0", 1e-3))]
    found = targets.set_target(workload, reference, seeds=1)
    targets.write_targets(file, {workload.name: found}, "a test")
    assert workloads.read_targets(file)[workload.name].validation_target == found.validation_target
    assert json.loads(file.read_text())["targets"][workload.name]["best_reference"] == "adamw"
