"""What classifiers have in common: from logits to a workload's functions."""

from __future__ import annotations

from collections.abc import Callable

import jax

from workloads._workload import Apply, Functions
from workloads.functions import Init, functions_of
from workloads.losses import classification_sums, cross_entropy

PerExample = Callable[[jax.Array, jax.Array], jax.Array]  # (logits, labels) -> loss of every example


def functions(init: Init, apply: Apply, time_first: bool = False) -> Functions:
    """Softmax cross-entropy, with label smoothing in training, and sums that count right answers too.

    Args:
      init: see `Workload`.
      apply: its outputs are logits of batch["targets"].
      time_first: logits are [time, batch, class], for targets [batch, time].
    """

    def labels(batch):
        return batch["targets"].T if time_first else batch["targets"]

    def losses(logits, batch, label_smoothing):
        return cross_entropy(logits, labels(batch), label_smoothing), None

    def sums(logits, batch):
        return classification_sums(logits, labels(batch))

    return functions_of(init, apply, losses, sums, time_first)


def unsmoothed(init: Init, apply: Apply, of_logits: PerExample = cross_entropy) -> Functions:
    """The mean of a loss that knows no label smoothing, and sums that count right answers too.

    Args:
      init: see `Workload`.
      apply: its outputs are logits of batch["targets"].
      of_logits: loss of every example.
    """

    def losses(logits, batch, label_smoothing):
        del label_smoothing
        return of_logits(logits, batch["targets"]), None

    def sums(logits, batch):
        counted = classification_sums(logits, batch["targets"])
        return {**counted, "loss": of_logits(logits, batch["targets"]).sum()}

    return functions_of(init, apply, losses, sums)
