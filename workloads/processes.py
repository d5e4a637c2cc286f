"""What processes that train one model together, one per host, tell each other and have of an array.

A process alone is the same with one: nothing is told, and arrays are what they are.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from workloads.parts import Part


def part() -> Part:
    """Which of them this is."""
    return Part(jax.process_index(), jax.process_count())


def ordered_devices() -> list[Any]:
    """All devices, those of a process beside each other, in the order of the processes."""
    return sorted(jax.devices(), key=lambda device: device.process_index)


def gathered(content: bytes) -> list[bytes]:
    """What every process gives, in their order. All must call it, in the same order as everything else they share."""
    if jax.process_count() == 1:
        return [content]
    from jax.experimental import multihost_utils

    sizes = multihost_utils.process_allgather(np.array([len(content)], np.int32)).reshape(-1)
    room = max(64, 1 << int(sizes.max() - 1).bit_length()) if sizes.max() else 64  # few sizes, few programs
    padded = np.zeros(room, np.uint8)
    padded[: len(content)] = np.frombuffer(content, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row[:size].tobytes() for row, size in zip(rows, sizes.tolist(), strict=True)]


def said_by_all(value: Any) -> list[Any]:
    """A value of JSON of every process."""
    return [json.loads(content) for content in gathered(json.dumps(value).encode())]


def of_first(value: Any) -> Any:
    """The value of JSON that process 0 gives, whatever the others do."""
    return value if jax.process_count() == 1 else said_by_all(value if jax.process_index() == 0 else None)[0]


def arrays_of_all(numbered: dict[int, list[np.ndarray]]) -> dict[int, list[np.ndarray]]:
    """Lists of arrays by number, from all processes together."""
    stored = {f"{number}_{i}": values for number, row in numbered.items() for i, values in enumerate(row)}
    content = io.BytesIO()
    np.savez(content, **stored)  # type: ignore[arg-type]
    found: dict[int, dict[int, np.ndarray]] = {}
    for one in gathered(content.getvalue()):
        with np.load(io.BytesIO(one), allow_pickle=False) as arrays:
            for name in arrays.files:
                number, i = map(int, name.split("_"))
                found.setdefault(number, {})[i] = arrays[name]
    return {number: [row[i] for i in sorted(row)] for number, row in sorted(found.items())}


def from_first(tree: Any) -> Any:
    """NumPy arrays as process 0 has them; the others give arrays of the same shapes."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    # As bytes: the device would make 32 bits of 64.
    raw = jax.tree.map(lambda x: np.frombuffer(np.ascontiguousarray(x).tobytes(), np.uint8), tree)
    told = multihost_utils.broadcast_one_to_all(raw)
    return jax.tree.map(lambda x, new: np.asarray(new).view(x.dtype).reshape(x.shape), tree, told)


def whole(tree: Any) -> Any:
    """The tree with every array whole in every process. All must call it, where arrays are spread."""
    return jax.tree.map(_whole, tree)


def here(tree: Any) -> Any:
    """The tree as arrays of this process alone, whole on each of its devices."""
    if jax.process_count() == 1:
        return tree
    return jax.tree.map(_here, whole(tree))


def placed(value: np.ndarray, sharding: Any) -> jax.Array:
    """An array that every process has whole, where the sharding says."""
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


def local(sharding: NamedSharding) -> NamedSharding:
    """A sharding of the first axis over all devices, over those of this process."""
    every = np.asarray(sharding.mesh.devices).flat
    here = [device for device in every if device.process_index == jax.process_index()]
    return NamedSharding(Mesh(here, sharding.mesh.axis_names), sharding.spec)


def joined(tree: Any, sharding: NamedSharding) -> Any:
    """Arrays of which every process has the rows of its part, as those of all of them.

    Args:
      tree: NumPy arrays, or arrays that lie as `local` says.
      sharding: over the devices in the order of `ordered_devices`.
    """
    return jax.tree.map(functools.partial(_joined, sharding=sharding), tree)


def _joined(values: Any, sharding: NamedSharding) -> jax.Array:
    shape = (len(values) * jax.process_count(), *values.shape[1:])
    if isinstance(values, jax.Array) and values.sharding == local(sharding):
        pieces = [shard.data for shard in values.addressable_shards]
        return jax.make_array_from_single_device_arrays(shape, sharding, pieces)
    return jax.make_array_from_process_local_data(sharding, np.asarray(values), shape)


def _whole(x: Any) -> Any:
    if not isinstance(x, jax.Array) or x.is_fully_addressable or x.is_fully_replicated:
        return x
    return _everywhere(NamedSharding(Mesh(ordered_devices(), ("batch",)), PartitionSpec()))(x)


@functools.cache
def _everywhere(sharding: NamedSharding) -> Callable[[Any], Any]:
    return jax.jit(lambda x: x, out_shardings=sharding)


def _here(x: Any) -> Any:
    if not isinstance(x, jax.Array) or x.is_fully_addressable:
        return x
    mesh = Mesh(jax.local_devices(), ("batch",))
    pieces = [shard.data for shard in x.addressable_shards]
    return jax.make_array_from_single_device_arrays(x.shape, NamedSharding(mesh, PartitionSpec()), pieces)
