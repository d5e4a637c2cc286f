"""Losses and metrics of many yes-or-no questions per example, some without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from workloads._measure import Measure
from workloads._source import Batch
from workloads.algoperf._base import Model


def losses(logits: jax.Array, batch: Batch, label_smoothing: Any) -> tuple[jax.Array, jax.Array | None]:
    """Sigmoid cross-entropy per label, and the weights of the labels, both [example, task].

    max(z, 0) - z * y + log(1 + exp(-|z|)). Smoothed labels are y * (1 - a) + a / tasks, as AlgoPerf has them: of
    classes that exclude each other, though these do not.
    """
    a = 0.0 if label_smoothing is None else label_smoothing
    labels = (1.0 - a) * batch["targets"] + a / logits.shape[-1]
    values = jnp.maximum(logits, 0.0) - logits * labels + jnp.log(1.0 + jnp.exp(-jnp.abs(logits)))
    weights = batch.get("weights")
    if weights is None:
        return values, None
    known = weights > 0
    return jnp.where(known, values, 0.0), weights


def sums(logits: jax.Array, batch: Batch) -> Mapping[str, jax.Array]:
    """Loss in nats, right answers (a logit above 0 says yes) and labels, weighted."""
    values, weights = losses(logits, batch, None)
    weights = jnp.ones_like(values) if weights is None else weights
    return {
        "loss": jnp.sum(values * weights),
        "accuracy": jnp.sum(((logits > 0) == batch["targets"]) * weights),
        "examples": jnp.sum(weights),
    }


def measure(model: Model) -> Measure:
    """Loss, accuracy and `mean_average_precision`, which the host computes from the scores of all examples."""

    def accumulate(params, model_state, batch, key):
        logits, _ = model.model_fn(params, model_state, batch, key, False, False, None, 0.0)
        # Ranked are the probabilities, not the logits: where they round to the same number there is a tie.
        return {
            "sums": sums(logits, batch),
            "scores": jax.nn.sigmoid(logits),
            "targets": batch["targets"] == 1,
            "weights": batch["weights"] > 0,
        }

    return Measure(accumulate, merge=_merge, compute=_compute, in_program=False)


def _merge(totals: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {
        field: np.concatenate([totals[field], more[field]]) for field in ("scores", "targets", "weights")
    }
    merged["sums"] = {name: total + more["sums"][name] for name, total in totals["sums"].items()}
    return merged


def _compute(totals: Mapping[str, Any]) -> dict[str, Any]:
    sums = totals["sums"]
    found = {name: sums[name] / sums["examples"] for name in ("accuracy", "loss")}
    found["mean_average_precision"] = mean_average_precision(
        totals["scores"], totals["targets"], totals["weights"]
    )
    return found


def mean_average_precision(scores: np.ndarray, targets: np.ndarray, known: np.ndarray) -> float:
    """The mean over tasks of the area under precision against recall, as OGB and AlgoPerf take it.

    A task counts if its column of targets has both answers, labels that are not known included, as AlgoPerf decides
    it: it stores those as "no". The precision itself is of known labels alone.

    Args:
      scores: [example, task]; equal ones are ranked together.
      targets: [example, task], the answer is yes.
      known: [example, task], there is an answer.

    Returns:
      In [0, 1]; nan where no task counts.
    """
    counts = targets.any(0) & ~targets.all(0)
    if not counts.any():
        return float("nan")
    return float(np.mean(average_precisions(scores[:, counts], targets[:, counts], known[:, counts])))


def average_precisions(scores: np.ndarray, targets: np.ndarray, known: np.ndarray) -> np.ndarray:
    """sum_n (R_n - R_{n-1}) P_n of every task, over the distinct scores from the highest down; 0 without a "yes".

    It is scikit-learn's `average_precision_score`, for all tasks in one pass: a study asks for thousands.

    Args:
      scores, targets, known: see `mean_average_precision`.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, 0)
    known = np.take_along_axis(known, order, 0)
    hits = np.take_along_axis(targets, order, 0) & known
    right, said = np.cumsum(hits, 0), np.cumsum(known, 0)
    # Of a run of equal scores the last row stands for all: its counts are taken back to the rows before.
    rows = np.arange(len(scores))[:, None]
    last = np.ones_like(known)
    last[:-1] = ranked[1:] != ranked[:-1]
    end = np.where(last, rows, len(scores) - 1)
    end = np.minimum.accumulate(end[::-1], 0)[::-1]
    precision = np.take_along_axis(right, end, 0) / np.maximum(np.take_along_axis(said, end, 0), 1)
    return np.sum(precision * hits, 0) / np.maximum(hits.sum(0), 1)
