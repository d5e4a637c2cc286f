"""Batches for the host, from any source: endless, and seekable, so that a resumed training goes on where it stopped."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

if TYPE_CHECKING:
    from workloads._source import Batch, Source, StreamedData

CHUNK_BATCHES = 64  # made at a time, unless they are large
CHUNK_BYTES = 2**24


class Stream(Protocol):
    """An endless iterator of batches that can go on from any of them."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def seek(self, number: int) -> None:
        """Goes on with the batch of that number, as if those before it had been taken; the first has number 0."""
        ...


class ChunkedStream:
    """Batches of a source that draws inside programs.

    Step n is a function of the key and n alone: rows are those of `Source.order`, and what is random in a batch has
    fold_in(key, n). Many batches are made at a time by one compiled program. They stay on the device, from where each
    is cut out when its turn comes: a step costs one short dispatch and no copy to or from the host.
    """

    def __init__(
        self,
        source: Source,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int,
        finish: Callable[[Batch], Any],
        sharding: NamedSharding | None,
    ) -> None:
        """Compiles the program and makes the first batches; see `Source.stream`."""
        self._key, self._batch_size = key, batch_size
        self._arrays = {field: jnp.asarray(values) for field, values in source.arrays(split).items()}
        self._examples = source.size(split)

        def make(arrays, rows, key):
            return finish(source.batch(arrays, rows, key, split, batch_size))

        no_rows = jnp.zeros(0 if self._examples is None else batch_size, jnp.int32)
        shapes = jax.eval_shape(make, self._arrays, no_rows, key)
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
        self._next = self._first = first_step  # number of the batch that is handed out next
        self._batches = self._chunk_from(first_step)
        self._cut(self._batches, self._numbers[0])  # compiled now, not in the first step

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        place = self._next - self._first
        if place == self.chunk:
            self._first, self._batches, place = self._next, self._chunk_from(self._next), 0
        self._next += 1
        return self._cut(self._batches, self._numbers[place])

    def seek(self, number: int) -> None:
        """See `Stream`."""
        if number != self._next:
            self._next = self._first = number
            self._batches = self._chunk_from(number)

    def _chunk_from(self, number: int) -> Any:
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


class HostStream:
    """Batches that the host reads."""

    def __init__(
        self,
        source: StreamedData,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int,
        finish: Callable[[Batch], Any],
        sharding: NamedSharding | None,
    ) -> None:
        """Opens the stream; see `Source.stream`."""
        words = key if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.key_data(key)
        self._source, self._read_with = source, (split, int(words[-1]), batch_size)
        self._finish, self._sharding = finish, sharding
        self._next = first_step
        self._batches = self._open(first_step)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = self._finish(next(self._batches))
        self._next += 1
        return batch if self._sharding is None else jax.device_put(batch, self._sharding)

    def seek(self, number: int) -> None:
        """See `Stream`."""
        if number != self._next:
            self._next, self._batches = number, self._open(number)

    def _open(self, first_step: int) -> Iterator[Any]:
        if self._source.begins_anywhere:
            return iter(self._source.read(*self._read_with, first_step))
        batches = iter(self._source.read(*self._read_with, 0))
        collections.deque(itertools.islice(batches, first_step), maxlen=0)
        return batches


def _later(sharding: NamedSharding | None) -> NamedSharding | None:
    """The same of arrays with one more axis in front."""
    if sharding is None:
        return None
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
