"""One pass over a split, in order and padded, as AlgoPerf's evaluations take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from submissions.api._fields import Fields
from workloads import Workload
from workloads.evaluation import examples_of

Batches = Iterator[dict[str, Any]]


def evaluation_batches(
    workload: Workload,
    fields: Fields,
    role: str,
    key: jax.Array,
    batch_size: int,
    place: Callable[[Any], Any],
) -> Batches:
    """One pass over the examples of a role that are evaluated, in order.

    The last batch is filled up with copies of its first example, and has the field `weights` [example], 0 for copies.

    Args:
      workload: gives the data.
      fields: how a batch is seen.
      role: whose split.
      key: of what is random.
      batch_size: examples per batch.
      place: reshapes a batch.
    """
    examples = examples_of(workload, role)
    batches = workload.data.once(workload.eval_splits[role], key, batch_size, examples)
    for first, batch in zip(range(0, examples, batch_size), batches, strict=True):
        count = min(batch_size, examples - first)
        rows = jnp.where(jnp.arange(batch_size) < count, jnp.arange(batch_size), 0)
        seen = fields.seen(jax.tree.map(lambda values: values[rows], dict(batch)), batch_size)  # noqa: B023
        if count < batch_size:
            seen["weights"] = (jnp.arange(batch_size) < count).astype(jnp.float32)
        yield place(seen)
