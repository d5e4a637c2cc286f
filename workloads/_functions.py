"""A workload's loss and metrics, made of a model and of what is said of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import Batch
from workloads._workload import Functions, ModelState, Params, Predict, Score

Init = Callable[[jax.Array], tuple[Params, ModelState]]
Sums = Callable[[Any, Batch], Mapping[str, jax.Array]]  # (outputs, batch) -> what `Workload.metrics` returns


def functions_of(
    init: Init, predict: Predict, score: Score, sums: Sums | None = None, time_first: bool = False
) -> Functions:
    """The functions of a workload whose loss is a mean over predictions.

    Args:
      init, predict, score: see `Workload`.
      sums: (outputs in evaluation, batch) -> the metrics' sums; by default of the losses, without smoothing.
      time_first: losses and weights of score are [time, batch], as a recurrence leaves them. `Functions.score`
        then has them turned, so that examples come first for whoever reads it.
    """

    def loss(params, model_state, batch, key, train, regularization):
        outputs, model_state = predict(params, model_state, batch, key, train, regularization.dropout_rate)
        losses, weights = score(outputs, batch, regularization.label_smoothing if train else None)
        if weights is None:
            return jnp.mean(losses), model_state
        return jnp.sum(losses * weights) / jnp.maximum(jnp.sum(weights), 1.0), model_state

    def metrics(params, model_state, batch, key):
        outputs, _ = predict(params, model_state, batch, key, False, 0.0)
        return (sums or loss_sums)(outputs, batch)

    def loss_sums(outputs, batch):
        losses, weights = score(outputs, batch, None)
        if weights is None:
            return {"loss": jnp.sum(losses), "examples": jnp.float32(losses.size)}
        return {"loss": jnp.sum(losses * weights), "examples": jnp.sum(weights)}

    def examples_first(outputs, batch, label_smoothing):
        losses, weights = score(outputs, batch, label_smoothing)
        return losses.T, None if weights is None else weights.T

    return Functions(init, loss, metrics, predict, examples_first if time_first else score)
