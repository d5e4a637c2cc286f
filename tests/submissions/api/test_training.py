"""AlgoPerf's calls and random numbers, in the loop that `run` and `validate` share."""

from __future__ import annotations

import itertools
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from submissions import api
from submissions.api.loading import Submission
from submissions.api.training import Training

SEED = 11


class Workload:
    """Remembers what it is called with; its batches are numbers."""

    model_params_types = loss_type = None

    def __init__(self):
        self.keys = {}

    def _build_input_queue(self, rng, split, data_dir, global_batch_size):
        self.keys["data"] = rng
        return itertools.count()

    def init_model_fn(self, rng):
        self.keys["model"] = rng
        return {"w": 0.0}, None

    def eval_model(self, size, params, model_state, rng, data_dir, imagenet_v2_data_dir, global_step):
        self.keys["evaluation"] = rng
        return {"validation/loss": params["w"], "validation/num_examples": 3}

    def project_params(self, params):
        return {"w": min(params["w"], 2.0)}


def training(point, ends_at=None):
    """Parameters count the batches; the keys of all calls end in the workload's."""
    workload = Workload()

    def init_optimizer_state(workload, params, model_state, hyperparameters, rng):
        workload.keys["optimizer"] = rng
        return {}, None

    def data_selection(workload, queue, state, params, model_state, hyperparameters, global_step, rng):
        workload.keys["selection", global_step] = rng
        return next(queue)

    def update_params(workload, current_param_container, batch, rng, global_step, **others):
        workload.keys["update", global_step] = rng
        if global_step == ends_at:
            raise api.spec().TrainingCompleteError
        return others["optimizer_state"], {"w": current_param_container["w"] + 1}, None

    def prepare_for_eval(workload, current_param_container, rng, global_step, **others):
        workload.keys["preparation"] = rng
        return others["optimizer_state"], current_param_container, None

    submission = Submission(
        Path("submission.py"), types.ModuleType("submission"), lambda name: 1, init_optimizer_state, update_params,
        data_selection, None, prepare_for_eval, "", device_axis=False, wants_train_state=False,
    )  # fmt: skip
    return Training(submission, workload, point, seed=SEED, batch_size=1), workload.keys


@pytest.mark.parametrize("point", [{"rate": 0.1}, None])
def test_every_call_has_the_key_that_algoperf_gives_it(point):
    made, keys = training(point)
    made.step()
    made.step()
    preparation, evaluation = made.pause_keys()
    made.prepare_for_eval(preparation)
    made.evaluate(evaluation, 1, None, None)
    key = jax.random.PRNGKey(SEED)
    if point is not None:
        key, _ = jax.random.split(key, 2)
    data, optimizer, model, key = jax.random.split(key, 4)
    expected = {"data": data, "optimizer": optimizer, "model": model}
    for step in (0, 1):
        select, update, prepare, evaluate = jax.random.split(jax.random.fold_in(key, step), 4)
        expected |= {("selection", step): select, ("update", step): update}
    expected |= {"preparation": prepare, "evaluation": evaluate}
    assert keys.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(keys[name], value, str(name))


def test_a_constraint_holds_after_every_update():
    made, _ = training(None)
    for _ in range(4):
        made.step()
    assert made.params == {"w": 2.0}


def test_the_step_that_ends_training_counts_and_changes_nothing():
    made, _ = training(None, ends_at=1)
    made.step()
    assert not made.gave_up
    made.step()
    assert (made.gave_up, made.clock.training_complete, made.global_step) == (True, True, 2)
    assert made.params == {"w": 1.0}


def test_what_was_saved_goes_on_with_the_next_batch_and_key():
    whole, keys = training(None)
    whole.step()
    saved = whole.saved()
    whole.step()
    other, others = training(None)
    other.restore(*saved, eval_results=[])
    other.step()
    assert other.saved()[1]["batches"] == 2
    np.testing.assert_array_equal(others["update", 1], keys["update", 1])
    assert other.params == whole.params
