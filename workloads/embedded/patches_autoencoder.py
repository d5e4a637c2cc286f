"""A deep autoencoder with a narrow code on patches of photographs.

Neither dropout nor label smoothing makes sense here (there are no labels, and dropout would make it another,
denoising task), so both are ignored.
"""

from __future__ import annotations

import pathlib

import jax.numpy as jnp

from workloads._source import ResidentData
from workloads._workload import Metric, Workload
from workloads.data import photographs
from workloads.functions import functions_of
from workloads.layers import dense, mlp_init

NAME = "photographs/autoencoder"
SIDE = 12  # pixels
SIZES = (SIDE * SIDE, 96, 48, 16, 48, 96, SIDE * SIDE)
CODE = 2  # index of the layer that makes the code; it is linear, as is the last


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """Patches of 144 pixels through 96-48-16-48-96 units, always of the embedded photographs."""
    del data_dir
    patches = photographs.photograph_patches(SIDE, {"train": 4096, "validation": 384, "test": 384})
    return Workload(
        name=NAME,
        cost_class="mlp",
        summary="autoencoder 144-96-48-16-48-96-144 on patches of photographs",
        **FUNCTIONS._asdict(),
        data=ResidentData({name: {"inputs": x} for name, x in patches.items()}, photographs.PROVENANCE),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=400,
        eval_period=10,
        batch_size=64,
        loss_type="MEAN_SQUARED_ERROR",
        eval_examples=256,
    )


def _init(key):
    return mlp_init(key, SIZES), ()


def _apply(params, model_state, batch, key, train, dropout_rate):
    del key, train, dropout_rate
    x = batch["inputs"]
    for i in range(len(SIZES) - 1):
        x = dense(params[f"Dense_{i}"], x)
        if i not in (CODE, len(SIZES) - 2):
            x = jnp.tanh(x)
    return x, model_state


def _losses(outputs, batch, label_smoothing):
    """Squared error, the mean over the pixels. Pixels have variance 1, so 1 is the error of guessing 0."""
    del label_smoothing
    return jnp.mean((outputs - batch["inputs"]) ** 2, axis=-1), None


FUNCTIONS = functions_of(_init, _apply, _losses)
