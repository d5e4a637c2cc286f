"""A character language model: a small GRU on sources of Python's standard library.

An example of the metrics is a predicted character, not a window, so `loss` is in nats per character.
"""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp

from workloads import _layers, _losses
from workloads._workload import Metric, Regularization, ResidentData, Workload
from workloads.data import stdlib_text

NAME = "stdlib/char_rnn"
VOCABULARY = len(stdlib_text.VOCABULARY)  # 96
STEPS = 24  # characters predicted per window
EMBEDDING, UNITS = 16, 32


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """Embedding 16, GRU 32, dense 96 over 24 steps; the text is always that of the running Python."""
    del data_dir
    sizes = {"train": 8192, "validation": 384, "test": 384}
    windows, provenance = stdlib_text.stdlib_windows(STEPS + 1, sizes)
    data = {name: {"inputs": w[:, :-1], "targets": w[:, 1:]} for name, w in windows.items()}
    return Workload(
        name=NAME,
        family="rnn",
        summary="character model with a GRU of 32 units on standard library text",
        init=_init,
        loss=_loss,
        metrics=_metrics,
        data=ResidentData(data, provenance),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=400,
        eval_period=10,
        batch_size=32,
        loss_type="SOFTMAX_CROSS_ENTROPY",
        eval_examples=256,
    )


def _init(key):
    key_embedding, key_gru, key_dense = jax.random.split(key, 3)
    params = {
        "Embed_0": {"embedding": jax.random.normal(key_embedding, (VOCABULARY, EMBEDDING))},
        "GRU_0": _layers.gru_init(key_gru, EMBEDDING, UNITS),
        "Dense_0": _layers.dense_init(key_dense, UNITS, VOCABULARY),
    }
    return params, ()


def _logits(params, inputs, key, train, dropout_rate):
    # A product, not a look-up: with a shared batch it is one for all trials, and its gradient no scatter.
    embedded = jax.nn.one_hot(inputs, VOCABULARY) @ params["Embed_0"]["embedding"]
    states = _layers.gru(params["GRU_0"], embedded)
    return _layers.dense(params["Dense_0"], _layers.dropout(key, states, dropout_rate, train))


def _loss(params, model_state, batch, key, train, regularization: Regularization):
    logits = _logits(params, batch["inputs"], key, train, regularization.dropout_rate)
    smoothing = regularization.label_smoothing if train else None
    return jnp.mean(_losses.cross_entropy(logits, batch["targets"], smoothing)), model_state


def _metrics(params, model_state, batch):
    del model_state
    logits = _logits(params, batch["inputs"], None, False, 0.0)
    return _losses.classification_sums(logits, batch["targets"])
