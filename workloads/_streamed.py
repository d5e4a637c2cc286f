"""Data that do not live on the device: batches that the host makes while the model trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workloads._workload import Batch, ModelState, Params, Provenance

StreamedBatch = Mapping[str, Any]  # field -> array [example, ...], or a tree of them


@dataclasses.dataclass(frozen=True)
class StreamedData:
    """Splits that are too large for the device, or that foreign code reads.

    Training takes batches from `stream`. Evaluation of a whole split goes one of two ways: `once` gives its examples to
    `Workload.metrics`, whose sums are added up; or `evaluate` does all of it on the host, for metrics that are no sums
    over examples, such as a BLEU score or a mean average precision.

    Attributes:
      stream: (split, seed, batch size) -> batches without end, of equal shapes. Equal arguments give equal batches.
      sizes: split -> its examples.
      provenance: where they come from.
      once: (split, batch size) -> every example of the split once, in an order that never changes; the last batch may
        be smaller.
      evaluate: (params, model_state, split, examples) -> metric -> value over so many examples of the split.
      eval_batch_size: of `once`.
    """

    stream: Callable[[str, int, int], Iterator[StreamedBatch]]
    sizes: Mapping[str, int]
    provenance: Provenance
    once: Callable[[str, int], Iterator[StreamedBatch]] | None = None
    evaluate: Callable[[Params, ModelState, str, int], Mapping[str, float]] | None = None
    eval_batch_size: int = 2048

    def __post_init__(self) -> None:
        if (self.once is None) == (self.evaluate is None):
            raise ValueError(
                "streamed data are evaluated by `once` (with the workload's metrics) or by `evaluate`; give one of them"
            )
        if self.eval_batch_size < 1:
            raise ValueError(f"eval_batch_size is {self.eval_batch_size}, must be at least 1")

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self.sizes)

    def size(self, split: str) -> int:
        """Number of examples in a split."""
        return self.sizes[split]

    def first_batch(self, split: str, batch_size: int) -> Batch:
        """A batch to take shapes from."""
        return next(iter(self.stream(split, 0, batch_size)))
