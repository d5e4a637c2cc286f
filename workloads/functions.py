"""A workload's loss and metrics, made of a model and of what is said of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import Batch
from workloads._workload import Apply, Functions, Losses, ModelState, Params

Init = Callable[[jax.Array], tuple[Params, ModelState]]
Sums = Callable[[Any, Batch], Mapping[str, jax.Array]]  # (outputs, batch) -> what `Workload.metrics` returns


def functions_of(
    init: Init, apply: Apply, losses: Losses, sums: Sums | None = None, time_first: bool = False
) -> Functions:
    """The functions of a workload whose loss is a mean over predictions.

    Args:
      init, apply, losses: see `Workload`.
      sums: (outputs in evaluation, batch) -> the metrics' sums; by default of the losses, without smoothing.
      time_first: losses and weights of losses are [time, batch], as a recurrence leaves them. `Functions.losses`
        then has them turned, so that examples come first for whoever reads it.
    """

    def loss(params, model_state, batch, key, train, regularization):
        outputs, model_state = apply(params, model_state, batch, key, train, regularization.dropout_rate)
        values, weights = losses(outputs, batch, regularization.label_smoothing if train else None)
        if weights is None:
            return jnp.mean(values), model_state
        return jnp.sum(values * weights) / jnp.maximum(jnp.sum(weights), 1.0), model_state

    def metrics(params, model_state, batch, key):
        outputs, _ = apply(params, model_state, batch, key, False, 0.0)
        return (sums or loss_sums)(outputs, batch)

    def loss_sums(outputs, batch):
        values, weights = losses(outputs, batch, None)
        if weights is None:
            return {"loss": jnp.sum(values), "examples": jnp.float32(values.size)}
        return {"loss": jnp.sum(values * weights), "examples": jnp.sum(weights)}

    def examples_first(outputs, batch, label_smoothing):
        values, weights = losses(outputs, batch, label_smoothing)
        return values.T, None if weights is None else weights.T

    return Functions(init, loss, metrics, apply, examples_first if time_first else losses)
