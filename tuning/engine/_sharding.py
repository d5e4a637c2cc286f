"""Trials spread over the devices of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P


def over_devices(training: Callable[..., Any], shared_batches: bool) -> Callable[..., Any]:
    """The training with an equal part of the trials on every device, data on all of them, and no communication.

    The number of trials must be a multiple of the number of devices. With one device, the training as it is.

    Args:
      training: (hyperparameters, init seeds, batch seeds, constants, data) -> (steps, metrics, diverged step), all of
        whose arrays but the steps lead with trials, and so the batch seeds unless they are shared.
      shared_batches: whether they are.
    """
    devices = jax.local_devices()
    if len(devices) == 1:
        return training
    trial, same = P("trial"), P()
    return jax.shard_map(
        training,
        mesh=Mesh(np.array(devices), ("trial",)),
        in_specs=(trial, trial, same if shared_batches else trial, same, same),
        out_specs=(same, trial, trial),
        check_vma=False,  # the loops carry trials and counters alike
    )
