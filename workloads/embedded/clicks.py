"""Click-through prediction: embedded categories beside numbers, through a perceptron.

As in AlgoPerf's Criteo workload, the loss is binary cross-entropy, label smoothing is ignored, and dropout
acts behind the last hidden layer.
"""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp

from workloads import layers
from workloads._source import ResidentData
from workloads._workload import Metric, Workload
from workloads.data import clicks
from workloads.functions import functions_of
from workloads.initializers import he_normal, kernels, normal

NAME = "clicks/mlp"
EMBEDDING = 6
SIZES = (clicks.DENSE + clicks.FIELDS * EMBEDDING, 64, 32, 1)


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """8 embeddings of size 6 and 6 numbers through 64-32 ReLU units to a logit; the data are generated."""
    del data_dir
    rows = clicks.synthetic_clicks({"train": 16384, "validation": 1024, "test": 1024})
    data = {
        name: {"dense": split.dense, "categories": split.categories, "targets": split.clicked}
        for name, split in rows.items()
    }
    return Workload(
        name=NAME,
        cost_class="mlp",
        summary="click-through perceptron 64-32 over 8 embedded categories and 6 counts",
        **FUNCTIONS._asdict(),
        data=ResidentData(data, clicks.PROVENANCE),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=500,
        eval_period=10,
        batch_size=64,
        loss_type="SIGMOID_CROSS_ENTROPY",
    )


def _init(key):
    key_table, key_mlp = jax.random.split(key)
    (table,) = kernels(key_table[None], [((clicks.FIELDS, clicks.VOCABULARY, EMBEDDING), normal(1.0))])
    return {"Embed_0": {"embedding": table}, **layers.mlp_init(key_mlp, SIZES, he_normal)}, ()


def _apply(params, model_state, batch, key, train, dropout_rate):
    embedded = params["Embed_0"]["embedding"][
        jnp.arange(clicks.FIELDS), batch["categories"]
    ]  # [row, field, e]
    x = jnp.concatenate([batch["dense"], embedded.reshape(embedded.shape[0], -1)], axis=-1)
    x = jax.nn.relu(layers.dense(params["Dense_0"], x))
    x = jax.nn.relu(layers.dense(params["Dense_1"], x))
    logits = layers.dense(params["Dense_2"], layers.dropout(key, x, dropout_rate, train))
    return logits[:, 0], model_state


def _losses(logits, batch, label_smoothing):
    """-(y log s(z) + (1 - y) log s(-z)), one value per row."""
    del label_smoothing
    return jax.nn.softplus(jnp.where(batch["targets"] == 1, -logits, logits)), None


def _sums(logits, batch) -> dict[str, jax.Array]:
    losses, _ = _losses(logits, batch, None)
    right = (losses < jnp.log(2.0)).astype(jnp.float32)  # less than log 2: the label had more than half
    return {"loss": jnp.sum(losses), "accuracy": jnp.sum(right), "examples": jnp.float32(losses.size)}


FUNCTIONS = functions_of(_init, _apply, _losses, _sums)
