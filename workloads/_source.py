"""Where a workload's examples come from, behind one contract.

Whoever draws batches asks the source: the population engine inside its programs, AlgoPerf's queue on the host.
Three sources fulfil the contract: `ResidentData` and `GeneratedData` draw inside a compiled program, `StreamedData`
hand the host a stream. Everything here is importable without JAX; drawing needs it.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from workloads.parts import WHOLE, Part

if TYPE_CHECKING:
    import jax
    import numpy as np

    from workloads._streams import Stream

Batch = Mapping[str, Any]  # field -> array [example, ...], or a tree of them
StreamedBatch = Batch


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Which data a result came from. A stand-in is never shown as the real thing."""

    kind: Literal["real", "embedded", "synthetic"]
    source: str  # what it is and how it was made, in one sentence
    stands_in_for: str | None = None  # the data set it replaces, if any

    def __str__(self) -> str:
        replaced = f", in place of {self.stands_in_for}" if self.stands_in_for else ""
        return f"{self.kind}: {self.source}{replaced}"


class Source(abc.ABC):
    """What all sources can do.

    Inside a program, of sources on the device: `arrays` are given to it, `order` says which rows a training takes, and
    `batch`, `fresh` and `whole` draw from them; of one that the host reads these raise NotImplementedError, and its
    `on_device` says so beforehand. On the host, of every source: `stream`.

    Attributes:
      provenance: where the examples come from.
      splits: names of the splits, as an iterable.
      eval_batch_size: examples that an evaluation hands to the model at a time, so many that its activations fit.
      on_device: batches can be drawn inside a program.
    """

    provenance: Provenance
    splits: Any
    eval_batch_size: int = 2048
    on_device: ClassVar[bool] = True

    @abc.abstractmethod
    def size(self, split: str) -> int | None:
        """Number of examples in a split; None where they are made without end."""

    def arrays(self, split: str) -> Mapping[str, np.ndarray]:
        """What a program needs to draw from a split: field -> [example, ...]; {} where nothing is stored."""
        del split
        return {}

    def order(self, key: jax.Array, split: str, batch_size: int, steps: int) -> jax.Array:
        """Rows of a split for every step, int32 [step, row]; no rows where nothing is stored. Traced."""
        raise NotImplementedError(f"{type(self).__name__} are not drawn inside a program")

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Batch:
        """A training batch as the model sees it, of the rows that `order` gave. Traced.

        Args:
          arrays: of the split, on the device.
          rows: [row].
          key: feeds what is random in a batch.
          split, batch_size: as for `order`.
        """
        raise NotImplementedError(f"{type(self).__name__} are not drawn inside a program")

    def fresh(self, arrays: Mapping[str, Any], key: jax.Array, split: str, batch_size: int) -> Batch:
        """A batch of examples drawn uniformly, with replacement, as the model sees it. Traced."""
        raise NotImplementedError(f"{type(self).__name__} are not drawn inside a program")

    def whole(self, arrays: Mapping[str, Any], key: jax.Array, examples: int) -> Batch:
        """The leading examples of a split, to be cut into chunks that go through `seen`. Traced."""
        raise NotImplementedError(f"{type(self).__name__} are not drawn inside a program")

    def seen(self, batch: Batch, key: jax.Array, split: str) -> Batch:
        """Stored examples as the model sees them. Traced."""
        del key, split
        return batch

    def stream(
        self,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int = 0,
        finish: Callable[[Batch], Any] = lambda batch: batch,
        sharding: Any = None,
        part: Part = WHOLE,
    ) -> Stream:
        """Batches of a split without end, for the host; equal arguments give equal batches.

        A key gives the batches that a program draws with the same key.

        Args:
          split: of which.
          key: of the order, and of what is random in a batch.
          batch_size: examples per batch.
          first_step: number of the batch to begin with, as if those before it had been taken.
          finish: what becomes of a batch, or of the part of one; traced where the source is on the device.
          sharding: where the arrays of a finished batch lie; None: where JAX puts them.
          part: rows of every batch that are wanted, after `finish`; those of all parts together are the batch, bit for
            bit. Where the sharding is over several processes, every one asks for its own part and gets the whole batch,
            of which it holds that part.
        """
        from workloads._streams import ChunkedStream

        return ChunkedStream(self, split, key, batch_size, first_step, finish, sharding, part)

    @abc.abstractmethod
    def once(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """The leading examples of a split in order, for the host; the last batch may be smaller.

        Args:
          split: of which.
          key: of what is random.
          batch_size: examples per batch.
          examples: how many in all.
          part: which batches, whole ones: see `Part.has_turn`.
        """

    def once_filled(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[dict[str, Any]]:
        """As `once`, but the last batch is filled up to the size of the others with copies of its first example.

        It has the field `weights`, 0 for copies. Of every batch, which is read whole, it gives the rows of the part.
        """
        for first, batch in zip(
            range(0, examples, batch_size), self.once(split, key, batch_size, examples), strict=True
        ):
            yield part.of(_filled(batch, min(batch_size, examples - first), batch_size))

    def shapes(self, split: str, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of a training batch as the model sees it. Nothing is computed."""
        import jax

        arrays = {
            field: jax.ShapeDtypeStruct(values.shape, values.dtype)
            for field, values in self.arrays(split).items()
        }
        rows = jax.ShapeDtypeStruct((batch_size if arrays else 0,), "int32")
        draw = lambda arrays, rows, key: self.batch(arrays, rows, key, split, batch_size)  # noqa: E731
        return dict(jax.eval_shape(draw, arrays, rows, jax.random.key(0)))


def _filled(batch: Batch, count: int, size: int) -> dict[str, Any]:
    """A batch of so many examples with copies of its first behind them, whose weights are 0."""
    import jax
    import jax.numpy as jnp

    if count == size:
        return dict(batch)
    real = jnp.arange(size) < count
    rows = jnp.where(real, jnp.arange(size), 0)
    return _weighted(jax.tree.map(lambda values: values[rows], dict(batch)), real)


def _weighted(batch: Batch, weights: jax.Array) -> dict[str, Any]:
    """The batch with its examples' weights multiplied."""
    import jax.numpy as jnp

    own = batch.get("weights", jnp.ones_like(weights, jnp.float32))
    return dict(batch) | {"weights": own * weights.reshape(-1, *(1,) * (own.ndim - 1)).astype(own.dtype)}


@dataclasses.dataclass(frozen=True)
class ResidentData(Source):
    """Splits small enough to live on the device as arrays.

    A training takes shuffled epochs, laid end to end: epoch e has the order permutation(fold_in(key, e)).

    Attributes:
      splits: split name -> field name -> array [example, ...]; fields of a split agree in length.
      provenance: where the arrays come from.
      transform: (key, batch, split name) -> the batch that the model sees, such as augmented images or a random
        slice of each text. It runs once per batch, before the trials of a population part ways. None: as stored.
      eval_batch_size: see `Source`.
    """

    splits: Mapping[str, Mapping[str, np.ndarray]]
    provenance: Provenance
    transform: Callable[[jax.Array, Batch, str], Batch] | None = None
    eval_batch_size: int = Source.eval_batch_size

    def __post_init__(self) -> None:
        if not isinstance(self.provenance, Provenance):
            raise ValueError(f"provenance is {self.provenance!r}; must be a workloads.Provenance")
        for split, fields in self.splits.items():
            lengths = {name: len(values) for name, values in fields.items()}
            if len(set(lengths.values())) != 1:
                shown = (
                    ", ".join(f"{name} has {length}" for name, length in lengths.items())
                    or "it has no fields"
                )
                raise ValueError(f"split {split!r}: fields must agree in their number of examples; {shown}")
            for name, values in fields.items():
                if getattr(getattr(values, "dtype", None), "kind", "") in ("O", "U", "S"):
                    raise ValueError(
                        f"split {split!r}: field {name!r} is of type {values.dtype}; must be numbers"
                    )

    def size(self, split: str) -> int:
        """Number of examples in a split."""
        return len(next(iter(self.splits[split].values())))

    def arrays(self, split: str) -> Mapping[str, np.ndarray]:
        """See `Source.arrays`."""
        return self.splits[split]

    def order(self, key: jax.Array, split: str, batch_size: int, steps: int) -> jax.Array:
        """See `Source.order`."""
        import jax

        examples = self.size(split)
        epochs = -(-steps * batch_size // examples)
        keys = jax.random.split(key, epochs)  # the same as fold_in(key, epoch) for every epoch
        order = jax.vmap(lambda key: jax.random.permutation(key, examples))(keys)
        return order.reshape(-1)[: steps * batch_size].reshape(steps, batch_size)

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Batch:
        """See `Source.batch`."""
        del batch_size
        return self.seen({field: values[rows] for field, values in arrays.items()}, key, split)

    def fresh(self, arrays: Mapping[str, Any], key: jax.Array, split: str, batch_size: int) -> Batch:
        """See `Source.fresh`."""
        import jax

        rows_key, key = jax.random.split(key)
        rows = jax.random.randint(rows_key, (batch_size,), 0, self.size(split))
        return self.batch(arrays, rows, key, split, batch_size)

    def whole(self, arrays: Mapping[str, Any], key: jax.Array, examples: int) -> Batch:
        """See `Source.whole`."""
        del key
        return {field: values[:examples] for field, values in arrays.items()}

    def seen(self, batch: Batch, key: jax.Array, split: str) -> Batch:
        """See `Source.seen`."""
        return self.transform(key, batch, split) if self.transform else batch

    def once(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """See `Source.once`."""
        for stored in self._stored(split, batch_size, examples, part):
            yield self.seen(stored, key, split)

    def once_filled(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[dict[str, Any]]:
        """See `Source.once_filled`. Stored examples are copied, before a transform makes something else of them."""
        for stored in self._stored(split, batch_size, examples):
            count = len(next(iter(stored.values())))
            filled = _filled(stored, count, batch_size)
            weights = None if "weights" in stored else filled.pop("weights", None)
            batch = dict(self.seen(filled, key, split))
            yield part.of(batch if weights is None else _weighted(batch, weights))

    def _stored(
        self, split: str, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[dict[str, Any]]:
        import jax.numpy as jnp

        for first in range(part.index * batch_size, examples, part.count * batch_size):
            rows = slice(first, min(first + batch_size, examples))
            yield {field: jnp.asarray(values[rows]) for field, values in self.splits[split].items()}


@dataclasses.dataclass(frozen=True)
class GeneratedData(Source):
    """Batches made as they are needed, without end; every split draws from the same distribution.

    Attributes:
      draw: (key, examples) -> batch. An objective that needs no examples returns {}.
      provenance: how they are made.
      splits: names of the splits.
      eval_batch_size: see `Source`.
    """

    draw: Callable[[jax.Array, int], Batch]
    provenance: Provenance
    splits: tuple[str, ...] = ("train", "validation", "test")
    eval_batch_size: int = Source.eval_batch_size

    def size(self, split: str) -> None:
        """Without end."""
        del split

    def order(self, key: jax.Array, split: str, batch_size: int, steps: int) -> jax.Array:
        """See `Source.order`."""
        import jax.numpy as jnp

        del key, split, batch_size
        return jnp.zeros((steps, 0), jnp.int32)

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Batch:
        """See `Source.batch`."""
        del arrays, rows, split
        return self.draw(key, batch_size)

    def fresh(self, arrays: Mapping[str, Any], key: jax.Array, split: str, batch_size: int) -> Batch:
        """See `Source.fresh`."""
        del arrays, split
        return self.draw(key, batch_size)

    def whole(self, arrays: Mapping[str, Any], key: jax.Array, examples: int) -> Batch:
        """See `Source.whole`."""
        del arrays
        return self.draw(key, examples)

    def once(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """See `Source.once`."""
        import jax

        del split
        for first in range(part.index * batch_size, examples, part.count * batch_size):
            yield self.draw(jax.random.fold_in(key, first), min(batch_size, examples - first))


@dataclasses.dataclass(frozen=True)
class StreamedData(Source):
    """Splits that are too large for the device, or that foreign code reads: batches that the host makes.

    Attributes:
      read: (split, seed, batch size, first step) -> batches without end, of equal shapes. Equal arguments give equal
        batches.
      sizes: split -> its examples.
      provenance: where they come from.
      read_once: (split, batch size) -> every example of the split once, in an order that never changes; the last batch
        may be smaller. None where only foreign code evaluates, see `ForeignMeasure`.
      eval_batch_size: see `Source`.
      begins_anywhere: `read` honours its first step. A foreign pipeline that cannot is always asked for step 0, and
        what was taken before is replayed.
      count: batch -> examples in it, for batches of one shape that hold more or fewer, such as graphs; they say by
        weights of 0 what is none. Their last is taken whole. None: as many as there are rows.
      reads_parts: `read` and `read_once` take one more argument, a `Part`, and read and decode nothing else: `read` the
        part's rows of every batch, `read_once` the batches whose turn it is. Otherwise everything is read, and the rest
        dropped.
    """

    read: Callable[..., Iterator[StreamedBatch]]
    sizes: Mapping[str, int]
    provenance: Provenance
    read_once: Callable[..., Iterator[StreamedBatch]] | None = None
    eval_batch_size: int = Source.eval_batch_size
    begins_anywhere: bool = True
    count: Callable[[StreamedBatch], int] | None = None
    reads_parts: bool = False
    on_device: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.eval_batch_size < 1:
            raise ValueError(f"eval_batch_size is {self.eval_batch_size}, must be at least 1")

    @property
    def splits(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the splits."""
        return tuple(self.sizes)

    def size(self, split: str) -> int:
        """Number of examples in a split."""
        return self.sizes[split]

    def stream(
        self,
        split: str,
        key: jax.Array,
        batch_size: int,
        first_step: int = 0,
        finish: Callable[[Batch], Any] = lambda batch: batch,
        sharding: Any = None,
        part: Part = WHOLE,
    ) -> Stream:
        """See `Source.stream`. `read` gets the last word of the key as its seed, which of key(seed) is seed."""
        from workloads._streams import HostStream

        return HostStream(self, split, key, batch_size, first_step, finish, sharding, part)

    def read_rows(
        self, split: str, seed: int, batch_size: int, first_step: int, part: Part
    ) -> Iterator[StreamedBatch]:
        """As `read`, of every batch the rows of a part."""
        if part == WHOLE:
            return iter(self.read(split, seed, batch_size, first_step))
        part.rows(batch_size)  # refuses what cannot be cut
        if self.reads_parts:
            return iter(self.read(split, seed, batch_size, first_step, part))
        return map(part.of, self.read(split, seed, batch_size, first_step))

    def once(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """See `Source.once`.

        Raises:
          ValueError: the split has fewer examples than were asked for, or the data cannot be read once.
        """
        import jax
        import jax.numpy as jnp

        del key
        if self.read_once is None:
            raise ValueError(
                f"{self.provenance.source}: cannot be read once (read_once is None), so only foreign code can evaluate "
                "on it; give the workload a ForeignMeasure"
            )
        # Of a part of a split of counted batches, which of them is the last is known when all before have been counted.
        if self.reads_parts and part != WHOLE and (self.count is None or examples == self.size(split)):
            yield from self._once_of(split, batch_size, examples, part)
            return
        seen = 0
        for number, batch in enumerate(self.read_once(split, batch_size)):
            if self.count is not None:
                seen += self.count(batch)
                batch = dict(batch)
            else:
                batch = jax.tree.map(lambda x: x[: examples - seen], dict(batch))  # noqa: B023
                seen += len(jax.tree.leaves(batch)[0])
            if part.has_turn(number):
                yield jax.tree.map(jnp.asarray, batch)
            if seen >= examples:
                return
        raise ValueError(f"split {split!r} gave {seen} examples; its size says {examples}")

    def _once_of(self, split: str, batch_size: int, examples: int, part: Part) -> Iterator[Batch]:
        """Batches of a part, of which alone the reader reads."""
        import jax
        import jax.numpy as jnp

        assert self.read_once is not None
        batches = self.read_once(split, batch_size, part)
        if self.count is not None:
            yield from (jax.tree.map(jnp.asarray, dict(batch)) for batch in batches)
            return
        for first in range(part.index * batch_size, examples, part.count * batch_size):
            batch, wanted = next(batches, {}), min(batch_size, examples - first)
            rows = min([wanted, *map(len, jax.tree.leaves(batch))]) if batch else 0
            if rows < wanted:
                raise ValueError(f"split {split!r} gave {first + rows} examples; its size says {examples}")
            yield jax.tree.map(lambda x: jnp.asarray(x[:wanted]), dict(batch))  # noqa: B023

    def once_filled(
        self, split: str, key: jax.Array, batch_size: int, examples: int, part: Part = WHOLE
    ) -> Iterator[dict[str, Any]]:
        """See `Source.once_filled`; batches whose examples are counted are of one shape already."""
        if self.count is None:
            yield from super().once_filled(split, key, batch_size, examples, part)
        else:
            yield from (part.of(dict(batch)) for batch in self.once(split, key, batch_size, examples))

    def shapes(self, split: str, batch_size: int) -> dict[str, jax.ShapeDtypeStruct]:
        """See `Source.shapes`. A batch is read for it."""
        import jax

        # The device knows no 64-bit numbers unless it is told to.
        dtype = jax.dtypes.canonicalize_dtype
        batch = next(iter(self.read(split, 0, batch_size, 0)))
        return dict(jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, dtype(x.dtype)), batch))
