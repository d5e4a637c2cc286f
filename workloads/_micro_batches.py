"""A batch that the model sees in parts: gradient accumulation, inside the compiled step.

The model's forward pass of a part is made again on the way back (`jax.checkpoint`), so that only one part's activations
are in memory, for about a third more time; the gradients of the parts are added up by the scan over them. The loss is
that of the whole batch: sums over its valid examples, then divided. So numbers are those of the whole batch, up to
rounding, but for two things:

* batch normalisation: a part is normalised by its own statistics, and the moving averages get the mean of the parts'
  statistics, whose variances lack what lies between the parts;
* dropout, and what else is random in a model: each part has draws of its own.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from workloads._flops import batch_shapes
from workloads._workload import Workload


def in_micro_batches(workload: Workload, count: int) -> Workload:
    """The workload with a model that sees training batches in so many parts.

    Part i has the examples i, i + count, ...: where a batch is split over devices, every device has as much of it.

    Raises:
      ValueError: its loss is no mean over examples, or its batches cannot be cut.
    """
    apply, losses, model_fn, name = workload.apply, workload.losses, workload.model_fn, workload.name
    if apply is None or losses is None:
        raise ValueError(
            f"{name}: its loss is no mean over examples, so that it cannot be computed in micro-batches"
        )
    shapes = jax.tree.leaves(batch_shapes(workload))
    if any(not leaf.shape or leaf.shape[0] != workload.batch_size for leaf in shapes):
        raise ValueError(
            f"{name}: its batches are laid end to end, as graphs are, and cannot be cut into micro-batches"
        )

    def cut(values: jax.Array) -> jax.Array:
        if values.shape[0] % count:
            raise ValueError(
                f"{name}: a batch of {values.shape[0]} examples cannot be cut into {count} equal micro-batches"
            )
        return jnp.swapaxes(values.reshape(values.shape[0] // count, count, *values.shape[1:]), 0, 1)

    def joined(values: jax.Array) -> jax.Array:
        return jnp.swapaxes(values, 0, 1).reshape(-1, *values.shape[2:])

    def over_parts(function: Any, batch: Any, key: Any) -> Any:
        """function(part, key) of every part, results with a leading axis [part]."""
        parts = jax.tree.map(cut, dict(batch))
        if key is None:
            return jax.lax.map(jax.checkpoint(lambda part: function(part, None)), parts)
        return jax.lax.map(jax.checkpoint(lambda of: function(*of)), (parts, jax.random.split(key, count)))

    def mean_state(states: Any, model_state: Any) -> Any:
        return jax.tree.map(lambda x: jnp.mean(x, 0), states) if jax.tree.leaves(states) else model_state

    def applied(params, model_state, batch, key, train, dropout_rate):
        if not train:
            return apply(params, model_state, batch, key, train, dropout_rate)
        outputs, states = over_parts(
            lambda part, key: apply(params, model_state, part, key, True, dropout_rate), batch, key
        )
        return jax.tree.map(joined, outputs), mean_state(states, model_state)

    def modelled(
        params, model_state, batch, key, train, update_batch_norm, use_running_average_bn, dropout_rate
    ):
        def of_part(part, key):
            assert model_fn is not None
            said = update_batch_norm, use_running_average_bn, dropout_rate
            return model_fn(params, model_state, part, key, train, *said)

        if not train:
            return of_part(batch, key)
        outputs, states = over_parts(of_part, batch, key)
        kept = mean_state(states, model_state) if update_batch_norm else model_state
        return jax.tree.map(joined, outputs), kept

    def loss(params, model_state, batch, key, train, regularization):
        if not train:
            return workload.loss(params, model_state, batch, key, train, regularization)

        def of_part(part, key):
            outputs, new = apply(params, model_state, part, key, True, regularization.dropout_rate)
            values, weights = losses(outputs, part, regularization.label_smoothing)
            if weights is None:
                return jnp.sum(values), jnp.float32(values.size), new
            return jnp.sum(values * weights), jnp.sum(weights), new

        summed, valid, states = over_parts(of_part, batch, key)
        return jnp.sum(summed) / jnp.maximum(jnp.sum(valid), 1.0), mean_state(states, model_state)

    return dataclasses.replace(
        workload,
        apply=applied,
        loss=loss,
        model_fn=None if model_fn is None else modelled,
        shared=None,  # its programs would be the plain ones
    )
