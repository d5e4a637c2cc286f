"""What classifiers have in common: from logits to a workload's functions."""

from __future__ import annotations

from collections.abc import Callable

import jax

from workloads import _losses
from workloads._functions import Init, functions_of
from workloads._workload import Functions, Predict

Losses = Callable[[jax.Array, jax.Array], jax.Array]  # (logits, labels) -> loss of every example


def functions(init: Init, predict: Predict, time_first: bool = False) -> Functions:
    """Softmax cross-entropy, with label smoothing in training, and sums that count right answers too.

    Args:
      init: see `Workload`.
      predict: its outputs are logits of batch["targets"].
      time_first: logits are [time, batch, class], for targets [batch, time].
    """

    def labels(batch):
        return batch["targets"].T if time_first else batch["targets"]

    def score(logits, batch, label_smoothing):
        return _losses.cross_entropy(logits, labels(batch), label_smoothing), None

    def sums(logits, batch):
        return _losses.classification_sums(logits, labels(batch))

    return functions_of(init, predict, score, sums, time_first)


def unsmoothed(init: Init, predict: Predict, losses: Losses = _losses.cross_entropy) -> Functions:
    """The mean of a loss that knows no label smoothing, and sums that count right answers too.

    Args:
      init: see `Workload`.
      predict: its outputs are logits of batch["targets"].
      losses: of every example.
    """

    def score(logits, batch, label_smoothing):
        del label_smoothing
        return losses(logits, batch["targets"]), None

    def sums(logits, batch):
        counted = _losses.classification_sums(logits, batch["targets"])
        return {**counted, "loss": losses(logits, batch["targets"]).sum()}

    return functions_of(init, predict, score, sums)
