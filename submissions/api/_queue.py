"""One pass over a split, in order and padded, as AlgoPerf's evaluations take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax

from submissions.api._fields import Fields
from workloads import Workload
from workloads.evaluation import examples_of
from workloads.parts import WHOLE, Part

Batches = Iterator[dict[str, Any]]


def evaluation_batches(
    workload: Workload,
    fields: Fields,
    role: str,
    key: jax.Array,
    batch_size: int,
    place: Callable[[Any], Any],
    part: Part = WHOLE,
) -> Batches:
    """One pass over the examples of a role that are evaluated, in order.

    The last batch is filled up with copies of its first example, and has the field `weights`, 0 for copies.

    Args:
      workload: gives the data.
      fields: how a batch is seen.
      role: whose split.
      key: of what is random.
      batch_size: examples per batch.
      place: reshapes a batch, or the part of one.
      part: of every batch, as this process needs it.
    """
    examples, split = examples_of(workload, role), workload.eval_splits[role]
    of_part: Any = {} if part == WHOLE else {"part": part}  # sources of a user's own may know of no parts
    batches = workload.data.once_filled(split, key, batch_size, examples, **of_part)
    for batch in batches:
        seen = fields.seen(batch, batch_size // part.count)
        if "weights" in batch:
            seen["weights"] = batch["weights"]
        yield place(seen)
