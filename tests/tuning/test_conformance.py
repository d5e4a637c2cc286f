"""Every check of the conformance kit passes on a sound workload, and finds the fault that it is there for."""

from __future__ import annotations

import dataclasses
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import lists
import workloads
from shortlist import cli
from tuning import conformance
from workloads import layers
from workloads.functions import functions_of

POINTS = lists.published("medapati2025").points[:2]
STEPS = 200


def splits():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(96, 4)).astype(np.float32)
    fields = {
        "inputs": inputs,
        "targets": inputs.sum(1) + 1,
        "weights": (np.arange(96) % 5 > 0).astype(np.float32),
    }
    return dict.fromkeys(("train", "validation", "test"), fields)


def sound_init(key):
    return layers.mlp_init(key, (4, 16, 1)), ()


def sound_apply(params, model_state, batch, key, train, dropout_rate):
    x = jnp.tanh(layers.dense(params["Dense_0"], batch["inputs"]))
    return layers.dense(params["Dense_1"], layers.dropout(key, x, dropout_rate, train))[:, 0], model_state


def sound_losses(outputs, batch, label_smoothing):
    return jnp.square(outputs - batch["targets"]), batch["weights"]


def workload(init=sound_init, apply=sound_apply, losses=sound_losses, sums=None, **changes):
    made = workloads.Workload(
        name="test/sums",
        cost_class="mlp",
        summary="sums of four numbers",
        **functions_of(init, apply, losses, sums)._asdict(),
        data=workloads.ResidentData(splits(), workloads.Provenance("synthetic", "sums")),
        metric=workloads.Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=STEPS,
        eval_period=8,
        batch_size=16,
        loss_type="MEAN_SQUARED_ERROR",
    )
    return dataclasses.replace(made, **changes)


OF_PROGRAM = tuple(name for name in conformance.CHECKS if name not in ("one_program", "learnable"))


def outcomes(made, checks=conformance.CHECKS):
    found = conformance.inspect(made, POINTS, "nadamw_optax", checks=checks, steps=STEPS)
    return {check.name: check for check in found}


def test_a_sound_workload_passes_every_check():
    found = outcomes(workload())
    assert tuple(found) == conformance.CHECKS
    assert {check.outcome for check in found.values()} == {"passed"}


class Unsteady(workloads.ResidentData):
    """Its streams depend on what was drawn before."""

    count = itertools.count()

    def stream(self, *args, first_step=0, **how):
        return super().stream(*args, first_step=next(self.count), **how)


class Unseekable(workloads.ResidentData):
    """Its streams always begin at the start."""

    def stream(self, *args, first_step=0, **how):
        return super().stream(*args, first_step=0, **how)


def _growing_state(params, model_state, batch, key, train, dropout_rate):
    outputs, _ = sound_apply(params, model_state, batch, key, train, dropout_rate)
    return outputs, {"steps": jnp.zeros(())}


def _of_the_batch(params, model_state, batch, key, train, dropout_rate):
    outputs, model_state = sound_apply(params, model_state, batch, key, train, dropout_rate)
    return outputs - outputs.mean(), model_state


def _decides(params, model_state, batch, key, train, dropout_rate):
    return sound_apply(params, model_state, batch, key, train, dropout_rate if dropout_rate else 0.0)


def _nan_gradient(outputs, batch, label_smoothing):
    del label_smoothing
    return jnp.sqrt(jnp.square(outputs - outputs)) + jnp.square(outputs), batch["weights"]


def _unweighted_sums(outputs, batch):
    return {"loss": jnp.sum(jnp.square(outputs - batch["targets"])), "examples": jnp.float32(len(outputs))}


def _largest(outputs, batch):
    return {"loss": jnp.max(outputs), "examples": jnp.sum(batch["weights"])}


def _no_gradient(outputs, batch, label_smoothing):
    del label_smoothing
    return jnp.square(jax.lax.stop_gradient(outputs) - batch["targets"]), batch["weights"]


def _other_mean(params, model_state, batch, key, train, regularization):
    outputs, _ = sound_apply(params, model_state, batch, key, train, regularization.dropout_rate)
    return jnp.mean(jnp.square(outputs - batch["targets"])), model_state


FAULTS = {
    "shapes": (workload(apply=_growing_state), "must stay alike"),
    "predictions": (workload(loss=_other_mean), "the mean of the losses"),
    "determinism": (workload(init=lambda key: sound_init(jax.random.key(3))), "two keys gave the same"),
    "seeking": (workload(data=Unseekable(splits(), workload().data.provenance)), "resumed trainings"),
    "gradients": (workload(losses=_nan_gradient), "not finite"),
    "rates": (workload(apply=_decides), "TracerBoolConversionError"),
    "masks": (workload(sums=_unweighted_sums), "weight 0 change"),
    "independence": (workload(apply=_of_the_batch), "change when the others"),
    "measure": (workload(sums=_largest), "must add up"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found(name):
    made, message = FAULTS[name]
    check = outcomes(made, [name])[name]
    assert check.outcome == "failed"
    assert message in check.message


def test_streams_that_differ_are_found():
    check = outcomes(workload(data=Unsteady(splits(), workload().data.provenance)), ["determinism"])[
        "determinism"
    ]
    assert "different batches" in check.message


def test_gradients_that_are_all_zero_are_found():
    assert "all gradients" in outcomes(workload(losses=_no_gradient), ["gradients"])["gradients"].message


def test_a_metric_that_nobody_computes_is_found():
    made = workload(metric=workloads.Metric("accuracy", minimize=False))
    assert "'accuracy', which judges, is not among them" in outcomes(made, ["measure"])["measure"].message


def test_nothing_to_learn_is_found():
    rng = np.random.default_rng(1)
    noise = {
        split: {**fields, "targets": rng.normal(size=96).astype(np.float32) * 100}
        for split, fields in splits().items()
    }
    data = workloads.ResidentData(noise, workloads.Provenance("synthetic", "noise"))
    check = outcomes(workload(data=data), ["learnable"])["learnable"]
    assert check.outcome == "failed"
    assert "nothing is known to be learnt" in check.message


def test_unknown_checks_are_refused():
    with pytest.raises(ValueError, match="no check mask; there are shapes, "):
        outcomes(workload(), ["mask"])


def test_the_command_tells_each_check_and_fails_with_them(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import tests.tuning.test_conformance as kit\nimport workloads\n\n"
        "@workloads.register('test/sums')\ndef build(data_dir):\n    return kit.workload(init=broken)\n\n\n"
        "def broken(key):\n    return kit.sound_init(kit.jax.random.key(3))\n"
    )
    arguments = [
        "validate-workload",
        f"{file}:test/sums",
        "--check",
        "determinism",
        "--check",
        "shapes",
        "--json",
    ]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert not told["passed"]
    by_name = {row["name"]: row["outcome"] for row in told["workloads"]["test/sums"]}
    assert by_name == {"determinism": "failed", "shapes": "passed"}
