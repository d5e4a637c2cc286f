"""Batches for the host, from any source: endless, and seekable, so that a resumed training goes on where it stopped."""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from workloads import copies, processes
from workloads.parts import Part

CHUNK = 64  # batches that are made at a time
CHUNK_BYTES = 2**24  # that a chunk of made batches takes at most; larger ones are made when their turn comes


class Stream(Protocol):
    """An endless iterator of batches that can go on from any of them."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def seek(self, number: int) -> None:
        """Goes on with the batch of that number, as if those before it had been taken; the first has number 0."""
        ...


class Drawn(Protocol):
    """What a stream needs of a source that draws inside programs; see `workloads.Source`."""

    def size(self, split: str) -> int | None: ...

    def arrays(self, split: str) -> Mapping[str, np.ndarray]: ...

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Mapping[str, Any]: ...


class Read(Protocol):
    """What a stream needs of a source that the host reads; see `workloads.StreamedData`."""

    def read_rows(
        self, split: str, seed: int, batch_size: int, first_step: int, part: Part
    ) -> Iterator[Mapping[str, Any]]: ...

    @property
    def begins_anywhere(self) -> bool: ...


class ChunkedStream:
    """Batches of a source that draws inside programs.

    Step n is a function of the key and n alone: rows are those of `Source.order`, and what is random in a batch has
    fold_in(key, n). One compiled program makes a chunk of many batches or, of large ones, finds the rows and the keys
    of as many. They stay on the device, from where another program takes each when its turn comes: a step costs one
    short dispatch and no copy to or from the host.

    Attributes:
      chunk: batches in one.
    """

    chunk = CHUNK

    def __init__(
        self,
        source: Drawn,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int,
        finish: Callable[[Mapping[str, Any]], Any],
        sharding: NamedSharding | None,
        part: Part,
    ) -> None:
        """Makes the first batches, with the programs of an earlier stream if there was one; see `Source.stream`."""
        self._key, self._batch_size = key, batch_size
        self._copies = copies.of_fields(source.arrays(split))
        self._arrays = {field: copy.device for field, copy in self._copies.items()}
        self._examples = source.size(split)
        self._join, here = _places(sharding)
        self._programs = _programs(source, split, batch_size, finish, here, part)
        self._orders: dict[int, jax.Array] = {}
        self._next = self._first = first_step  # number of the batch that is handed out next
        self._chunk = self._chunk_from(first_step)
        self._take(0)  # compiled now, not in the first step

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        place = self._next - self._first
        if place == CHUNK:
            self._first, self._chunk, place = self._next, self._chunk_from(self._next), 0
        self._next += 1
        return self._join(self._take(place))

    def seek(self, number: int) -> None:
        """See `Stream`."""
        if number != self._next:
            self._next = self._first = number
            self._chunk = self._chunk_from(number)

    def _take(self, place: int) -> Any:
        return self._programs.take(self._chunk, self._programs.places[place])

    def _chunk_from(self, number: int) -> Any:
        orders, start = self._epochs(number)
        return self._programs.chunk_from(self._arrays, self._key, number, orders, start)

    def _epochs(self, number: int) -> tuple[tuple[jax.Array, ...], int]:
        """Orders of the epochs that a chunk from that batch may touch, always as many, and where in the first it
        starts."""
        if self._examples is None:
            return (), 0
        epoch, start = divmod(number * self._batch_size, self._examples)
        touched = range(epoch, epoch + (CHUNK * self._batch_size - 1) // self._examples + 2)
        self._orders = {
            e: self._orders[e] if e in self._orders else _order(self._key, e, self._examples) for e in touched
        }
        return tuple(self._orders.values()), start


class _Programs:
    """What all streams compile that draw alike from one source: they differ in their keys and where they begin."""

    def __init__(
        self,
        source: Drawn,
        split: str,
        batch_size: int,
        finish: Callable[[Mapping[str, Any]], Any],
        sharding: NamedSharding | None,
        part: Part,
    ) -> None:
        examples = source.size(split)

        def make(arrays, rows, key):
            # Whole, then cut: what is random in a batch is drawn, and rows are mixed, over all of it.
            return finish(part.of(source.batch(arrays, rows, key, split, batch_size)))

        def plan(key, first, orders, start):
            keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(first + jnp.arange(CHUNK))
            if examples is None:
                return jnp.zeros((CHUNK, 0), jnp.int32), keys
            places = start + jnp.arange(CHUNK * batch_size).reshape(CHUNK, batch_size)
            return jnp.stack(orders)[places // examples, places % examples], keys

        def chunk(arrays, *how):
            return jax.vmap(make, in_axes=(None, 0, 0))(arrays, *plan(*how))

        def planned(chunk, i):
            arrays, (rows, keys) = chunk
            return make(arrays, rows[i], keys[i])

        self.places = [jnp.int32(i) for i in range(CHUNK)]
        if CHUNK * _bytes(make, source, split, batch_size) <= CHUNK_BYTES:
            # Taking a chunk apart within the program would spare the dispatch, but takes seconds to compile.
            self.chunk_from = jax.jit(chunk, out_shardings=_later(sharding))
            self.take = _cut(sharding)
        else:
            # A chunk would be more than a cache holds, written only to be copied.
            plans = jax.jit(plan)
            self.chunk_from = lambda arrays, *how: (arrays, plans(*how))
            self.take = jax.jit(planned, out_shardings=sharding)


def _programs(source: Drawn, *alike: Any) -> _Programs:
    """Those of an earlier stream, where its arguments were equal; they are kept as long as the source is."""
    kept: dict[Any, _Programs] = vars(source).setdefault("_stream_programs", {})  # type: ignore[attr-defined]
    if alike not in kept:
        kept[alike] = _Programs(source, *alike)
    return kept[alike]


@functools.cache
def _cut(sharding: NamedSharding | None) -> Callable[[Any, jax.Array], Any]:
    """(chunk, i) -> batch i of it."""

    def cut(batches, i):
        return jax.tree.map(lambda values: jax.lax.dynamic_index_in_dim(values, i, keepdims=False), batches)

    return jax.jit(cut, out_shardings=sharding)


def _bytes(make: Callable[..., Any], source: Drawn, split: str, batch_size: int) -> int:
    """Size of a batch."""
    arrays = {
        field: jax.ShapeDtypeStruct(values.shape, jax.dtypes.canonicalize_dtype(values.dtype))
        for field, values in source.arrays(split).items()
    }
    rows = jax.ShapeDtypeStruct((0 if source.size(split) is None else batch_size,), "int32")
    shapes = jax.eval_shape(make, arrays, rows, jax.random.key(0))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


@functools.partial(jax.jit, static_argnames="examples")
def _order(key: jax.Array, epoch: int, examples: int) -> jax.Array:
    return jax.random.permutation(jax.random.fold_in(key, epoch), examples).astype(jnp.int32)


class HostStream:
    """Batches that the host reads."""

    def __init__(
        self,
        source: Read,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int,
        finish: Callable[[Mapping[str, Any]], Any],
        sharding: NamedSharding | None,
        part: Part,
    ) -> None:
        """Opens the stream; see `Source.stream`."""
        words = key if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.key_data(key)
        self._source, self._read_with, self._part = source, (split, int(words[-1]), batch_size), part
        self._finish, (self._join, self._sharding) = finish, _places(sharding)
        self._next = first_step
        self._batches = self._open(first_step)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        batch = self._finish(next(self._batches))
        self._next += 1
        return self._join(batch if self._sharding is None else jax.device_put(batch, self._sharding))

    def seek(self, number: int) -> None:
        """See `Stream`."""
        if number != self._next:
            self._next, self._batches = number, self._open(number)

    def _open(self, first_step: int) -> Iterator[Any]:
        if self._source.begins_anywhere:
            return self._source.read_rows(*self._read_with, first_step, self._part)
        batches = self._source.read_rows(*self._read_with, 0, self._part)
        collections.deque(itertools.islice(batches, first_step), maxlen=0)
        return batches


def _places(sharding: NamedSharding | None) -> tuple[Callable[[Any], Any], NamedSharding | None]:
    """What joins the parts of all processes, and where a process puts its own."""
    if sharding is None or sharding.is_fully_addressable:
        return lambda batch: batch, sharding
    return functools.partial(processes.joined, sharding=sharding), processes.local(sharding)


def _later(sharding: NamedSharding | None) -> NamedSharding | None:
    """The same of arrays with one more axis in front."""
    if sharding is None:
        return None
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))
