"""AlgoPerf's `jax_sharding_utils`: where arrays lie, on a mesh of all devices, of all processes, with the one axis
'batch'."""

from __future__ import annotations

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from workloads import processes


def get_replicate_sharding() -> NamedSharding:
    """Every device has the whole array."""
    return NamedSharding(_mesh(), PartitionSpec())


def get_batch_dim_sharding() -> NamedSharding:
    """Every device has its part of the first axis."""
    return NamedSharding(_mesh(), PartitionSpec("batch"))


def shard_along_batch_dim(x: Any) -> Any:
    """A tree of arrays, split along their first axes."""
    return jax.device_put(x, get_batch_dim_sharding())


def replicate(x: Any) -> Any:
    """A tree of arrays, whole on every device."""
    return jax.device_put(x, get_replicate_sharding())


def display_shard_info(x: jax.Array) -> None:
    """Prints which device has which part."""
    for shard in x.addressable_shards:
        print(f"{shard.device} has {shard.index}, replica {shard.replica_id}")


def _mesh() -> Mesh:
    return Mesh(processes.ordered_devices(), ("batch",))
