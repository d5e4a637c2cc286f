"""Batches of trainings on data that live on the device, drawn inside their programs. Everything here is traced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from tuning.engine._training import Training
from tuning.engine._trials import State, Trials
from workloads import Batch

ASK_STREAM = (
    0xFFFFFFFE  # sets the validation batches that optimizers ask for apart from the draws of evaluations
)
Data = Mapping[str, Mapping[str, jax.Array]]  # split -> field -> [example, ...]; {} per split where generated


def order(training: Training, batch_keys: jax.Array, steps: int) -> jax.Array:
    """Rows of the training split for every step: [step, row] if trials share batches, else [step, trial, row]."""
    source, split = training.workload.data, training.workload.eval_splits["train"]
    order = jax.vmap(lambda key: source.order(key, split, training.workload.batch_size, steps))(batch_keys)
    return order[0] if training.shared_batches else jnp.swapaxes(order, 0, 1)


def step(
    training: Training, trials: Trials, state: State, data: Data, rows: jax.Array, number: jax.Array
) -> State:
    """One update of all trials on the rows of a step."""
    batch = _drawn(training, trials, number, lambda key, rows: _batch(training, data, rows, key), rows)
    return trials.step(state, batch, number, lambda number: _asked(training, trials, data, number))


def _batch(training: Training, data: Data, rows: jax.Array, key: jax.Array) -> Batch:
    split = training.workload.eval_splits["train"]
    return training.workload.data.batch(data[split], rows, key, split, training.workload.batch_size)


def _asked(training: Training, trials: Trials, data: Data, number: jax.Array) -> Batch:
    """A fresh batch of the validation split."""
    split = training.workload.eval_splits["validation"]

    def draw(key):
        key = jax.random.fold_in(key, ASK_STREAM)
        return training.workload.data.fresh(data[split], key, split, training.workload.batch_size)

    return _drawn(training, trials, number, draw)


def _drawn(training: Training, trials: Trials, number: jax.Array, draw: Any, *rows: jax.Array) -> Batch:
    """What the models see in one step: [example, ...] where they share it, else [trial, example, ...]."""
    if training.shared_batches:
        return draw(jax.random.fold_in(trials.batch_keys[0], number), *rows)
    keys = jax.vmap(lambda key: jax.random.fold_in(key, number))(trials.batch_keys)
    return jax.vmap(draw)(keys, *rows)
