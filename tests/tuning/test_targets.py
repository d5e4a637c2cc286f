"""Targets are the median of retrainings of the best point of several optimizers."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import workloads
from submissions.points import Point
from tests.tuning.test_contract import cache as cache
from tests.tuning.test_contract import tried as tried
from tuning import targets
from tuning.execution.stopping import Stop

WIDTH = 4
WORKLOAD = "taskset/quadratic_family_seed12"


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


def set_target(folder, reference, seeds=1, **how):
    found = targets.set_targets(
        [WORKLOAD], targets.Asked(reference, seeds, width=WIDTH), folder / "trials", **how
    )
    return found[WORKLOAD]


def test_the_best_point_of_every_optimizer_is_retrained(tmp_path):
    reference = [
        tuned("nadamw", "nadamw_optax", adam("0", 1e-7), adam("1", 1e-8), adam("2", 1e-9)),
        tuned("nesterov", "sgd_optax", momentum("0", 1e-9)),
        tuned("adamw", "adamw_optax", adam("0", 1e-6), adam("7", 3e-2)),
    ]
    steps: list[tuple[str, int, int]] = []
    found = set_target(tmp_path, reference, seeds=3, progress=lambda *at: steps.append(at))
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
    assert not list(tmp_path.iterdir())  # nothing is kept of what is done


def test_a_seed_that_diverges_counts_as_the_worst():
    point, one = adam("0", 1e-3), tuned("adamw", "adamw_optax", adam("0", 1e-3))
    reached = np.array([0.3, np.nan, 0.5])
    again = targets.Again(one, point, reached, reached, 1.0)
    assert again.median == 0.5
    assert targets.Again(one, point, -reached, -reached, -1.0).median == -0.5
    assert targets.Again(one, point, np.array([0.3, np.nan, np.nan]), reached, 1.0).median is None


def test_an_optimizer_whose_points_all_diverge_is_told(tmp_path):
    reference = [
        tuned("nesterov", "sgd_optax", momentum("0", 1e30)),
        tuned("adamw", "adamw_optax", adam("0", 1e-3)),
    ]
    found = set_target(tmp_path, reference)
    assert found.best_of_reference["nesterov"] is None
    assert found.best_reference == "adamw"
    with pytest.raises(ValueError, match="all 1 reference points diverged"):
        set_target(tmp_path, reference[:1])


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


def test_what_is_written_is_read_as_a_target(tmp_path):
    file = tmp_path / "targets.json"
    found = set_target(tmp_path, [tuned("adamw", "adamw_optax", adam("0", 1e-3))])
    targets.write_targets(file, {WORKLOAD: found}, "a test")
    assert workloads.read_targets(file)[WORKLOAD].validation_target == found.validation_target
    assert json.loads(file.read_text())["targets"][WORKLOAD]["best_reference"] == "adamw"


REFERENCE = [
    tuned("adamw", "adamw_optax", *(adam(str(i), 10.0**-i) for i in range(1, 7))),
    tuned("nesterov", "sgd_optax", momentum("0", 1e-3)),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What everybody must come to, whoever trains."""
    return set_target(tmp_path_factory.mktemp("whole"), REFERENCE, seeds=3)


def test_a_target_that_was_stopped_goes_on_to_the_same_numbers_and_trains_nothing_twice(tmp_path, whole):
    stop, first, then = Stop(), [], []

    def seen(name, done, total):
        first.append(done)
        stop.set() if done else None

    with pytest.raises(KeyError):  # it has no target yet
        set_target(tmp_path, REFERENCE, seeds=3, executor="threads", workers=1, stop=stop, progress=seen)
    assert 0 < first[-1] < 13
    again = set_target(
        tmp_path,
        REFERENCE,
        seeds=3,
        executor="threads",
        workers=1,
        watch=lambda seen: then.append(seen.trials),
    )
    assert again == whole
    assert first[-1] + then[-1] == 13


def test_what_is_asked_for_otherwise_takes_nothing_from_what_was_begun(tmp_path, whole):
    stop = Stop()
    with pytest.raises(KeyError):
        set_target(
            tmp_path, REFERENCE, seeds=1, stop=stop, progress=lambda _, done, total: done and stop.set()
        )
    (other,) = (tmp_path / "trials").rglob("00000.parquet")
    assert set_target(tmp_path, REFERENCE, seeds=3) == whole
    assert other.exists()  # it may still be wanted


def test_what_cannot_be_done_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="executor 'folder' needs --folder PATH"):
        set_target(tmp_path, REFERENCE, executor="folder")
    with pytest.raises(ValueError, match="executor 'inline' does not take --address"):
        set_target(tmp_path, REFERENCE, options={"address": "here:1"})
    with pytest.raises(ValueError, match="reference adamw is named twice"):
        targets.Asked([REFERENCE[0], REFERENCE[0]])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_targets_are_those_in_line_whoever_trains(tried, tmp_path, whole):
    _, how = tried
    assert set_target(tmp_path, REFERENCE, seeds=3, **how) == whole


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(tmp_path):
    words = [
        sys.executable, "-m", "shortlist.cli", "set-targets", WORKLOAD, WORKLOAD[:-1] + "3", "--reference", "adamw",
        "--points", "3", "--seeds", "3", "--executor", "processes", "--out",
    ]  # fmt: skip
    out = tmp_path / "targets.json"
    doomed = subprocess.Popen([*words, out], stderr=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert doomed.stdout is not None
    assert doomed.stdout.readline().startswith(WORKLOAD)  # one target of two
    doomed.kill()
    doomed.wait()
    assert not out.exists()
    for path in (out, tmp_path / "undisturbed.json"):
        subprocess.run([*words, path], check=True, capture_output=True)
    of = [
        json.loads((tmp_path / name).read_text())["targets"] for name in ("targets.json", "undisturbed.json")
    ]
    for target in (one for of_file in of for one in of_file.values()):
        target.pop("made_by")
    assert of[0] == of[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["targets.json", "undisturbed.json"]
