"""Made-up data of the full scale's shapes, for who wants to build or time a workload without its data set."""

from __future__ import annotations

from collections.abc import Callable

import jax

from workloads._source import Batch, GeneratedData, Provenance


def shaped(data_set: str, draw: Callable[[jax.Array, int], Batch]) -> GeneratedData:
    """Batches of noise in the right shapes, types and ranges; there is nothing in them to learn.

    Args:
      data_set: that they stand in for.
      draw: (key, examples) -> batch.
    """
    provenance = Provenance("synthetic", "noise in the shapes of its batches", data_set)
    return GeneratedData(draw, provenance)
