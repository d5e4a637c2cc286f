"""A character language model: a small GRU on sources of Python's standard library.

An example of the metrics is a predicted character, not a window, so `loss` is in nats per character.
"""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp

from workloads import classification, layers
from workloads._source import ResidentData
from workloads._workload import Metric, Workload
from workloads.data import stdlib_text
from workloads.initializers import lecun_normal

NAME = "stdlib/char_rnn"
VOCABULARY = len(stdlib_text.VOCABULARY)  # 70
STEPS = 16  # characters predicted per window
UNITS = 32


def build(data_dir: pathlib.Path | None = None) -> Workload:
    """GRU 32 and dense 70 over 16 steps; the text is always that of the running Python."""
    del data_dir
    sizes = {"train": 16384, "validation": 256, "test": 256}
    windows, provenance = stdlib_text.stdlib_windows(STEPS + 1, sizes)
    data = {name: {"inputs": w[:, :-1], "targets": w[:, 1:]} for name, w in windows.items()}
    return Workload(
        name=NAME,
        cost_class="rnn",
        summary="character model with a GRU of 32 units on standard library text",
        **FUNCTIONS._asdict(),
        data=ResidentData(data, provenance),
        metric=Metric("loss", minimize=True),
        validation_target=None,
        test_target=None,
        step_hint=400,
        eval_period=20,
        batch_size=16,
        loss_type="SOFTMAX_CROSS_ENTROPY",
        eval_examples=64,
    )


def _init(key):
    key_gru, key_dense = jax.random.split(key)
    dense = layers.init_layers(key_dense[None], {"Dense_0": ((UNITS, VOCABULARY), lecun_normal)})
    return {"GRU_0": layers.gru_init(key_gru, VOCABULARY, UNITS), **dense}, ()


def _apply(params, model_state, batch, key, train, dropout_rate):
    """Logits [time, batch, vocabulary]: time comes first, which spares the recurrence two transpositions."""
    states = layers.gru(params["GRU_0"], batch["inputs"].T.astype(jnp.int32))
    return layers.dense(params["Dense_0"], layers.dropout(key, states, dropout_rate, train)), model_state


FUNCTIONS = classification.functions(_init, _apply, time_first=True)
