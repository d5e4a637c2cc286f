"""Where workers can be in a cluster: one on each device. Nothing here needs Ray."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

RESOURCES = {"cpu": "CPU", "gpu": "GPU", "tpu": "TPU"}  # a kind of device -> what Ray calls it
_MEMORY_FOR_PROGRAMS = 0.9  # of an accelerator; the rest is for the driver's own contexts


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """Of one worker.

    Attributes:
      number: which of its node's places it is, from 0.
      node: Ray's id of the node.
      of: how many places its node has.
      host: name of the node, for people.
    """

    number: int
    node: str
    of: int
    host: str


def places(nodes: Iterable[Mapping[str, Any]], device: str, each: int = 1) -> list[Place]:
    """All places of a cluster, first the first of every node, then the second ones.

    Args:
      nodes: as `ray.nodes()` gives them.
      device: a key of `RESOURCES`.
      each: workers on one accelerator.

    Example:
      >>> nodes = [{"NodeID": "a", "NodeManagerHostname": "one", "Alive": True, "Resources": {"CPU": 2.0}},
      ...          {"NodeID": "b", "NodeManagerHostname": "two", "Alive": True, "Resources": {"CPU": 1.0}}]
      >>> [(place.host, place.number) for place in places(nodes, "cpu")]
      [('one', 0), ('two', 0), ('one', 1)]
    """
    found = []
    for node in nodes:
        if node["Alive"]:
            count = int(node["Resources"].get(RESOURCES[device], 0)) * (1 if device == "cpu" else each)
            host = node["NodeManagerHostname"]
            found += [Place(number, node["NodeID"], count, host) for number in range(count)]
    return sorted(found, key=lambda place: (place.number, place.host, place.node))


def vacant(all_places: Iterable[Place], taken: Collection[Place], most: int | None) -> list[Place]:
    """Places for further workers, so that there are at most so many.

    Example:
      >>> one, two = Place(0, "a", 2, "host"), Place(1, "a", 2, "host")
      >>> vacant([one, two], {two}, None) == [one], vacant([one, two], {two}, 1)
      (True, [])
    """
    free = [place for place in all_places if place not in taken]
    return free if most is None else free[: max(0, most - len(taken))]


def sharing(nodes: Iterable[Mapping[str, Any]], device: str, workers: int | None, measured: int = 1) -> int:
    """Workers on one accelerator.

    Args:
      nodes: as `ray.nodes()` gives them.
      device: a key of `RESOURCES`.
      workers: that were asked for: as few share one as give so many a place. None: `measured` share one.
      measured: what the table of widths says for what is trained.

    Example:
      >>> nodes = [{"NodeID": "a", "NodeManagerHostname": "one", "Alive": True, "Resources": {"GPU": 2.0}}]
      >>> [sharing(nodes, "gpu", workers, 3) for workers in (None, 1, 2, 3, 4)]
      [3, 1, 1, 2, 2]
    """
    if device == "cpu":
        return 1
    return measured if workers is None else -(-workers // max(1, len(places(nodes, device))))


def best(nodes: Iterable[Mapping[str, Any]]) -> str:
    """The kind of device to use: accelerators, where there are any."""
    found = list(nodes)
    return next((device for device in ("tpu", "gpu") if places(found, device)), "cpu")


def demand(device: str, each: int) -> dict[str, Any]:
    """What a worker reserves of Ray's resources, as arguments of an actor.

    Example:
      >>> demand("gpu", 2)
      {'num_cpus': 0, 'num_gpus': 0.5}
    """
    if device == "cpu":
        return {"num_cpus": 1, "num_gpus": 0}
    if device == "gpu":
        return {"num_cpus": 0, "num_gpus": 1 / each}
    return {"num_cpus": 0, "resources": {RESOURCES[device]: 1 / each}}


def variables(device: str, each: int) -> dict[str, str]:
    """Environment variables of a worker that must be there before JAX is.

    A worker that has no accelerator sees all of its host's nevertheless, and JAX would take most of one's memory.

    Example:
      >>> variables("gpu", 2)["XLA_CLIENT_MEM_FRACTION"]
      '0.450'
    """
    if device == "cpu":
        return {"JAX_PLATFORMS": "cpu"}
    if device == "gpu":
        return {
            "XLA_CLIENT_MEM_FRACTION": f"{_MEMORY_FOR_PROGRAMS / each:.3f}",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "true",  # who coordinates does not, and hands that on
        }
    return {}
