"""Arrays on the device, one copy for all populations of a process that need the same host array."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from workloads import ResidentData, Workload


@dataclasses.dataclass(frozen=True, eq=False)
class Copy:
    """A host array and its copy on the device. Holding the host array keeps its id from meaning another."""

    host: np.ndarray
    device: jax.Array


_LOCK = threading.Lock()
_COPIES: weakref.WeakValueDictionary[int, Copy] = weakref.WeakValueDictionary()


def on_device(host: np.ndarray) -> Copy:
    """The copy that somebody else holds already, or a new one. It lives as long as somebody holds it."""
    with _LOCK:
        copy = _COPIES.get(id(host))
        if copy is None:
            copy = _COPIES[id(host)] = Copy(host, jnp.asarray(host))
        return copy


def constants(workload: Workload) -> dict[str, Copy]:
    """The arrays in which the workload differs from others that its program serves."""
    if workload.shared is None:
        return {}
    return {name: on_device(np.asarray(values)) for name, values in workload.shared.constants.items()}


def splits(workload: Workload) -> Mapping[str, Mapping[str, Copy]]:
    """The splits that play a role, split -> field; no fields where examples are generated or streamed."""
    used = dict.fromkeys(workload.eval_splits.values())
    if not isinstance(workload.data, ResidentData):
        return {split: {} for split in used}
    stored = workload.data.splits
    return {split: {field: on_device(values) for field, values in stored[split].items()} for split in used}
