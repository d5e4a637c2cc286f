"""Batches for submissions: endless and shuffled for training, in order and padded for evaluation.

A training queue makes many batches at a time by one compiled program. They stay on the device, from where each is cut
out when its turn comes: a step costs one short dispatch and no copy to or from the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from submissions.api._fields import Fields
from workloads import GeneratedData, ResidentData, Workload

CHUNK_BATCHES = 64  # made at a time, unless they are large
CHUNK_BYTES = 2**24

Arrays = Mapping[str, jax.Array]  # field -> [example, ...]
Batches = Iterator[dict[str, Any]]


class TrainingQueue:
    """Endless batches of the training split: shuffled epochs laid end to end, or fresh ones where data are generated.

    Step n of a queue is a function of the key and n alone: epoch e has the order permutation(fold_in(key, e)), and
    what is random in a batch has fold_in(key, n). The population engine draws by the same rule, so that a key
    gives both engines the same batches.
    """

    def __init__(
        self,
        workload: Workload,
        fields: Fields,
        arrays: Arrays,
        key: jax.Array,
        batch_size: int,
        place: Callable[[Any], Any],
        sharding: NamedSharding,
    ) -> None:
        """Compiles the program and makes the first batches.

        Args:
          workload: gives the data.
          fields: how a batch is seen.
          arrays: the training split; {} where data are generated.
          key: of the order, and of what is random.
          batch_size: examples per batch, over all devices.
          place: reshapes a batch, traced.
          sharding: of every array of a batch.
        """
        self._key, self._batch_size = key, batch_size
        self._examples = len(next(iter(arrays.values()))) if arrays else None
        self._arrays = arrays
        make = functools.partial(_batch, workload, fields, batch_size, place)
        shapes = jax.eval_shape(make, arrays, jnp.zeros(batch_size, jnp.int32), key)
        size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
        self.chunk = max(1, min(CHUNK_BATCHES, CHUNK_BYTES // max(size, 1)))

        def program(arrays, key, first, orders, start):
            numbers = first + jnp.arange(self.chunk)
            if self._examples is None:
                rows = jnp.zeros((self.chunk, 0), jnp.int32)
            else:
                places = start + jnp.arange(self.chunk * batch_size).reshape(self.chunk, batch_size)
                rows = jnp.stack(orders)[places // self._examples, places % self._examples]
            keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)
            return jax.vmap(make, in_axes=(None, 0, 0))(arrays, rows, keys)

        def cut(batches, i):
            return jax.tree.map(
                lambda values: jax.lax.dynamic_index_in_dim(values, i, keepdims=False), batches
            )

        # Taking a chunk apart within the program would spare the dispatch, but takes seconds to compile.
        self._program = jax.jit(program, out_shardings=_later(sharding))
        self._cut = jax.jit(cut, out_shardings=sharding)
        self._numbers = [jnp.int32(i) for i in range(self.chunk)]
        self._order = jax.jit(
            lambda key, epoch: jax.random.permutation(
                jax.random.fold_in(key, epoch), self._examples or 1
            ).astype(jnp.int32)
        )
        self._orders: dict[int, jax.Array] = {}
        self._next = 0  # number of the batch that is handed out next
        self._first, self._batches = 0, self._chunk_from(0)
        self._cut(self._batches, self._numbers[0])  # compiled now, not in the first step

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> dict[str, Any]:
        place = self._next - self._first
        if place == self.chunk:
            self._first, self._batches, place = self._next, self._chunk_from(self._next), 0
        self._next += 1
        return self._cut(self._batches, self._numbers[place])

    def seek(self, number: int) -> None:
        """Goes on with the batch of that number, as if those before it had been taken; the first has number 0."""
        if number != self._next:
            self._next = self._first = number
            self._batches = self._chunk_from(number)

    def _chunk_from(self, number: int) -> dict[str, Any]:
        orders, start = self._epochs(number)
        return self._program(self._arrays, self._key, number, orders, start)

    def _epochs(self, number: int) -> tuple[tuple[jax.Array, ...], int]:
        """Orders of the epochs that a chunk from that batch may touch, always as many, and where in the first it
        starts."""
        if self._examples is None:
            return (), 0
        epoch, start = divmod(number * self._batch_size, self._examples)
        touched = range(epoch, epoch + (self.chunk * self._batch_size - 1) // self._examples + 2)
        self._orders = {
            e: self._orders[e] if e in self._orders else self._order(self._key, e) for e in touched
        }
        return tuple(self._orders.values()), start


def _later(sharding: NamedSharding) -> NamedSharding:
    """The same of arrays with one more axis in front."""
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))


def _batch(
    workload: Workload,
    fields: Fields,
    batch_size: int,
    place: Callable[[Any], Any],
    arrays: Arrays,
    rows: jax.Array,
    key: jax.Array,
) -> dict[str, Any]:
    data, split = workload.data, workload.eval_splits["train"]
    if isinstance(data, GeneratedData):
        batch = data.draw(key, batch_size)
    elif isinstance(data, ResidentData):
        batch = {field: values[rows] for field, values in arrays.items()}
        batch = data.transform(key, batch, split) if data.transform else batch
    else:
        raise TypeError(f"{workload.name}: batches of {type(data).__name__} are not drawn here")
    return place(fields.seen(batch, batch_size))


def evaluation_batches(
    workload: Workload,
    fields: Fields,
    role: str,
    arrays: Arrays,
    examples: int,
    key: jax.Array,
    batch_size: int,
    place: Callable[[Any], Any],
) -> Batches:
    """One pass over the leading examples of a split, in order.

    The last batch is filled up with copies of its first example, and has the field `weights` [example], 0 for copies.

    Args:
      workload, fields, batch_size, place: see `TrainingQueue`.
      role: whose split.
      arrays: the split; {} where data are generated.
      examples: how many.
      key: of what is random.
    """
    data = workload.data
    for first in range(0, examples, batch_size):
        count = min(batch_size, examples - first)
        if isinstance(data, ResidentData):
            rows = jnp.arange(first, first + batch_size)
            rows = jnp.where(rows < first + count, rows, first)
            batch = {field: values[rows] for field, values in arrays.items()}
            if data.transform:
                batch = data.transform(key, batch, workload.eval_splits[role])
        elif isinstance(data, GeneratedData):
            batch = data.draw(jax.random.fold_in(key, first), batch_size)
        else:
            raise TypeError(f"{workload.name}: batches of {type(data).__name__} are not cut here")
        seen = fields.seen(batch, batch_size)
        if count < batch_size:
            seen["weights"] = (jnp.arange(batch_size) < count).astype(jnp.float32)
        yield place(seen)
