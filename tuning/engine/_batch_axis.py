"""The examples of a batch spread over the devices that one trial has, inside programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import PartitionSpec as P

if TYPE_CHECKING:
    from tuning.engine._training import Training

NAME = "batch"  # of the axis of devices


def spread(training: Training, batch: Any) -> Any:
    """The batch, of which every device of a trial has its part; as it is where a trial has one device.

    XLA does the rest: what follows is computed where the examples are, and gradients are summed over the devices.
    """
    if training.devices_per_trial == 1:
        return batch
    where = P(NAME) if training.shared_batches else P(None, NAME)
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, where), batch)


def alike(tree: Any) -> Any:
    """The tree, whole on every device of a trial, as other programs expect it."""
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, P()), tree)
