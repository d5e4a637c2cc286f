"""Made-up data of the full scale's shapes, for who wants to build or time a workload without its data set."""

from __future__ import annotations

from collections.abc import Callable

import jax

from workloads._source import Batch, GeneratedData, Provenance, Source


def shaped(
    data_set: str,
    draw: Callable[[jax.Array, int], Batch],
    eval_batch_size: int = Source.eval_batch_size,
) -> GeneratedData:
    """Batches of noise in the right shapes, types and ranges; there is nothing in them to learn.

    Args:
      data_set: that they stand in for.
      draw: (key, examples) -> batch.
      eval_batch_size: see `Source`.
    """
    provenance = Provenance("synthetic", "noise in the shapes of its batches", data_set)
    return GeneratedData(draw, provenance, eval_batch_size=eval_batch_size)
