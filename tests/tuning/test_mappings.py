"""Compiled programs are let go before a process runs out of memory mappings."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from results import meta_trainings, studies
from submissions.learned import weight_files
from submissions.points import Point
from tuning.engine import mappings
from tuning.execution import work
from tuning.meta_training import _slots, evaluation
from tuning.meta_training.distribution import listed
from tuning.meta_training.estimators import FullES
from tuning.meta_training.learner import Learner
from tuning.meta_training.plan import Plan
from tuning.meta_training.schedules import Lengths
from tuning.meta_training.training import MetaTraining
from tuning.studies.plan import plan
from tuning.studies.tune import tune

WORKLOADS = tuple(f"taskset/quadratic_family_seed{seed}" for seed in (3, 4, 5))
POINTS = [Point(str(i), {"learning_rate": 10.0 ** (-3 + i)}) for i in range(2)]


def study(folder):
    return plan(
        name="s", workloads=WORKLOADS, strategy="list", points=POINTS, optimizer="sgd_optax", steps=20, eval_period=10,
        cohort_size=1,
    )  # fmt: skip


@pytest.mark.parametrize(("used", "crowded"), [(39, False), (41, True)])
def test_a_process_is_crowded_from_two_fifths_of_its_mappings_on(tmp_path, monkeypatch, used, crowded):
    (tmp_path / "most").write_text("100\n")
    (tmp_path / "maps").write_bytes(b"7f00-7f01 rw-p 00000000 00:00 0\n" * used)
    monkeypatch.setattr(mappings, "MOST", tmp_path / "most")
    monkeypatch.setattr(mappings, "MAPS", tmp_path / "maps")
    assert mappings.crowded() is crowded


def test_where_nothing_counts_mappings_no_process_is_crowded(tmp_path, monkeypatch):
    monkeypatch.setattr(mappings, "MOST", tmp_path / "not there")
    assert mappings.crowded() is False


def test_a_crowded_process_keeps_one_engine_and_makes_the_same_numbers(tmp_path, monkeypatch):
    roomy, crowded = {}, {}
    whole = tune(tmp_path / "roomy", study(tmp_path / "roomy"), workers=1, populations=roomy)
    engines = len(roomy)
    roomy.clear()  # what it has compiled would serve the other
    gc.collect()
    monkeypatch.setattr(work, "crowded", lambda: True)
    again = tune(tmp_path / "crowded", study(tmp_path / "crowded"), workers=1, populations=crowded)
    assert (engines, len(crowded)) == (3, 1)
    assert_frame_equal(again.drop("cohort_seconds"), whole.drop("cohort_seconds"), check_exact=True)
    # Every cohort of a workload whose engine had gone compiles anew, and all of it is counted.
    counted = [
        sum(run.compilations for run in studies.read_runs(tmp_path / name)) for name in ("roomy", "crowded")
    ]
    assert counted[0] == 3
    assert counted[1] >= 3


@pytest.mark.skipif(not mappings.MAPS.exists(), reason="mappings are counted on Linux alone")
def test_an_engine_that_goes_takes_its_mappings_with_it(tmp_path):
    def used():
        gc.collect()
        return len(mappings.MAPS.read_bytes().splitlines())

    populations, before = {}, used()
    tune(tmp_path / "s", study(tmp_path / "s"), workers=1, populations=populations)
    held = used() - before
    populations.clear()
    assert used() - before < held / 2


def test_a_crowded_meta_training_compiles_again_and_learns_the_same(monkeypatch):
    def learnt():
        among = listed(("taskset/TwoD_Bowl10", "taskset/quadratic_family_seed3"))
        plan = Plan(
            "learnable_sgd",
            among,
            FullES(),
            Lengths(10, 10),
            tasks=1,
            seed=1,
            learner=Learner(0.03),
            resample_every=1,
        )
        training = MetaTraining(plan)
        training.run(6)
        return float(training.weights["log_lr"])

    whole, asked = learnt(), []
    monkeypatch.setattr(_slots, "crowded", lambda: asked.append(True) or True)
    assert learnt() == whole
    assert asked  # both structures came up


def test_a_crowded_chief_keeps_one_engine_and_counts_all_that_it_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "crowded", lambda: True)
    (tmp_path / meta_trainings.DESCRIPTION).write_text(
        json.dumps(
            {"format": 1, "plan": {"optimizer": "learnable_sgd", "switches": {}}, "made_by": {}, "data": {}}
        )
    )
    around = {"gen_id": "shortlist", "step": 0}
    weight_files.write(tmp_path / meta_trainings.WEIGHTS, {"log_lr": np.float32(-3.0)}, around)
    meta_trainings.write_state(tmp_path, 0, 0, ended=True)
    chief = evaluation.Chief(tmp_path, ["taskset/TwoD_Bowl10"], [5, 6, 7], seeds=1)
    assert chief.run() == 3
    assert chief.compilations == 3
