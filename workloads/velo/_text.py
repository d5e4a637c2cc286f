"""VeLO's texts, folded into a task's vocabulary, and what its language models have in common."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from workloads._source import ResidentData
from workloads._workload import Functions, ModelState, Params
from workloads.functions import Init, functions_of
from workloads.losses import cross_entropy
from workloads.taskset import _text as taskset_text

PER_VALIDATION = 3000  # texts of each validation split of real data
# (params, tokens [example, place], key, train) -> logits [example, place, token]
Forward = Callable[
    [Params, Integer[Array, "example place"], jax.Array, bool], Float[Array, "example place token"]
]


def load(config: Mapping[str, Any], data_dir: pathlib.Path | None) -> ResidentData:
    """Slices of one token more than the net reads: the last is only predicted."""
    return taskset_text.load(config["dataset"], config["length"] + 1, PER_VALIDATION, None, data_dir)


def _ids(config: Mapping[str, Any]) -> int:
    """Different ids in the data set."""
    return taskset_text.text_set(config["dataset"]).subword_ids or taskset_text.BYTE_IDS


def functions(config: Mapping[str, Any], init: Init, forward: Forward) -> Functions:
    """Cross-entropy of the next token, averaged over the places where one was read that is no padding.

    Of V tokens, ids from V on become 1 + id mod (V - 1). The original begins above V, and V itself has no code there.
    """
    tokens = config["vocabulary"]

    def folded(ids):
        return jnp.where(ids >= tokens, 1 + ids % (tokens - 1), ids) if tokens < _ids(config) else ids

    def apply(params, model_state: ModelState, batch, key, train, dropout_rate):
        del dropout_rate  # a task has its own, or none
        return forward(params, folded(batch["text"])[:, :-1], key, train), model_state

    def losses(logits, batch, label_smoothing):
        del label_smoothing
        read = batch["text"][:, :-1] != 0
        return cross_entropy(logits, folded(batch["text"])[:, 1:]), read.astype(jnp.float32)

    return functions_of(init, apply, losses)
