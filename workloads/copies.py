"""Arrays on the device, one copy for everybody in a process that needs the same host array."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np


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


def of_fields(arrays: Mapping[str, np.ndarray]) -> dict[str, Copy]:
    """Copies of host arrays by name, such as the fields of a split, see `Source.arrays`."""
    return {name: on_device(np.asarray(values)) for name, values in arrays.items()}
