"""Losses and sums of classifiers, whose labels may be mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from workloads._source import Batch
from workloads.losses import cross_entropy


def losses(logits: jax.Array, batch: Batch, label_smoothing: Any) -> tuple[jax.Array, jax.Array | None]:
    """Softmax cross-entropy per example, and the batch's weights.

    Targets are classes [example], or shares of the classes [example, class] as mixing images makes them, which are
    smoothed too: (1 - a) * y + a / classes.
    """
    targets = batch["targets"]
    if targets.ndim == logits.ndim:
        a = 0.0 if label_smoothing is None else label_smoothing
        shares = (1.0 - a) * targets + a / targets.shape[-1]
        return -jnp.sum(shares * jax.nn.log_softmax(logits), axis=-1), batch.get("weights")
    return cross_entropy(logits, targets, label_smoothing), batch.get("weights")


def sums(logits: jax.Array, batch: Batch) -> Mapping[str, jax.Array]:
    """Loss in nats, right answers and examples, weighted."""
    values, weights = losses(logits, batch, None)
    weights = jnp.ones_like(values) if weights is None else weights
    right = jnp.argmax(logits, axis=-1) == batch["targets"]
    return {
        "loss": jnp.sum(values * weights),
        "accuracy": jnp.sum(right * weights),
        "examples": jnp.sum(weights),
    }
