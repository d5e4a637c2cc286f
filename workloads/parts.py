"""What one of several processes that train a model together needs of a stream. Importable without JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Part:
    """One of `count` equal parts of everything.

    Of a training batch it is the rows from `index`/`count` of it on: of every array, as many entries of its first axis
    as each other part has. Of an evaluation it is whole batches, those whose number is `index` modulo `count`.

    Example:
      >>> Part(1, 2).rows(8), Part(1, 2).places(3, 8)
      (slice(4, 8, None), range(28, 32))
      >>> Part(1, 3).dealt(range(10), 2)
      [2, 3, 8, 9]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"part {self.index} of {self.count}; they are counted from 0")

    def rows(self, size: int) -> slice:
        """Rows of a batch of so many.

        Raises:
          ValueError: they have no such equal parts.
        """
        if size % self.count:
            raise ValueError(f"{size} rows have no {self.count} equal parts")
        each = size // self.count
        return slice(self.index * each, (self.index + 1) * each)

    def places(self, step: int, batch_size: int) -> range:
        """Numbers of the examples that the part has of a batch, where batches lie end to end from 0."""
        rows = self.rows(batch_size)
        return range(step * batch_size + rows.start, step * batch_size + rows.stop)

    def of(self, batch: Any) -> Any:
        """The part of a batch, a tree of arrays."""
        if self == WHOLE:
            return batch
        import jax

        return jax.tree.map(lambda values: values[self.rows(len(values))], batch)

    def has_turn(self, number: int) -> bool:
        """Whether the evaluation batch of that number is of this part."""
        return number % self.count == self.index

    def dealt(self, order: Sequence[Any], batch_size: int) -> list[Any]:
        """What the part's batches hold of an evaluation in that order."""
        begins = range(self.index * batch_size, len(order), self.count * batch_size)
        return [item for begin in begins for item in order[begin : begin + batch_size]]


WHOLE = Part()
