"""Sums of losses over splits too large for float32."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from workloads._measure import Measure, Totals
from workloads._workload import Losses
from workloads.algoperf._base import Model


def in_float64(model: Model, losses: Losses) -> Measure:
    """The mean loss: float32 sums over batches, which the host adds up in float64.

    A program that holds a whole split adds its few chunks in float32.

    Args:
      model: in evaluation.
      losses: see `Workload.losses`.
    """

    def accumulate(params: Any, model_state: Any, batch: Any, key: Any) -> Totals:
        outputs, _ = model.model_fn(params, model_state, batch, key, False, False, None, 0.0)
        values, weights = losses(outputs, batch, None)
        weights = jnp.ones_like(values) if weights is None else weights
        return {"loss": jnp.sum(values * weights), "examples": jnp.sum(weights)}

    return Measure(accumulate, lambda totals, more: jax.tree.map(_sum, totals, more))


def _sum(x: Any, y: Any) -> Any:
    if isinstance(x, Tracer) or isinstance(y, Tracer):
        return x + y
    return np.add(x, y, dtype=np.float64)
