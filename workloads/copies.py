"""Arrays on the device, one copy for everybody in a process that needs the same host array."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from workloads._source import Source
from workloads._workload import Workload


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


def of_split(source: Source, split: str) -> dict[str, Copy]:
    """A split that a program draws from, by field; {} where nothing is stored, or where examples are streamed."""
    return {field: on_device(values) for field, values in source.arrays(split).items()}


def of_splits(workload: Workload) -> dict[str, Mapping[str, Copy]]:
    """The splits that play a role, split -> field; no fields where examples are generated or streamed."""
    return {split: of_split(workload.data, split) for split in dict.fromkeys(workload.eval_splits.values())}


def of_constants(workload: Workload) -> dict[str, Copy]:
    """The arrays in which the workload differs from others that its program serves."""
    if workload.shared is None:
        return {}
    return {name: on_device(np.asarray(values)) for name, values in workload.shared.constants.items()}
