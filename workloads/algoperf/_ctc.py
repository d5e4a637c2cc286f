"""Connectionist temporal classification (Graves et al. 2006): the loss, and the likeliest tokens of every frame."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Integer

from workloads._source import Batch

BLANK = 0
# Weight of an utterance without tokens, whose loss counts all the same: too small to change a sum of weights.
NOTHING_SAID = 2.0**-24

Outputs = tuple[jax.Array, jax.Array]  # logits [example, time, token], and paddings [example, time]


def losses(outputs: Outputs, batch: Batch, label_smoothing: Any) -> tuple[jax.Array, jax.Array]:
    """Loss per token of every utterance, and how many tokens it has; there is no smoothing.

    AlgoPerf divides the utterances' losses by their tokens. An alignment that cannot be costs about 1e5, not
    infinity: log(0) is -1e5.
    """
    del label_smoothing
    logits, paddings = outputs
    tokens, token_paddings = batch["targets"]
    of_utterance = optax.ctc_loss(
        logits, paddings, tokens.astype(jnp.int32), token_paddings, blank_id=BLANK, log_epsilon=-1e5
    )
    count = jnp.maximum(jnp.sum(1.0 - token_paddings, axis=1), NOTHING_SAID)
    rows = batch.get("weights")
    return of_utterance / count, count if rows is None else count * rows


def decoded(
    logits: Float[Array, "example time token"], paddings: Float[Array, "example time"]
) -> Integer[Array, "example time"]:
    """The likeliest token of every frame, repetitions merged and blanks dropped; 0 behind the last.

    Shapes are fixed, so that it runs inside a program.
    """
    best = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    before = jnp.pad(best[:, :-1], ((0, 0), (1, 0)), constant_values=BLANK)
    lengths = jnp.sum(1.0 - paddings, axis=1)
    said = (best != BLANK) & (best != before) & (jnp.arange(best.shape[1]) < lengths[:, None])
    place = jnp.where(said, jnp.cumsum(said, axis=1) - 1, best.shape[1])
    rows = jnp.arange(len(best))[:, None]
    return jnp.zeros_like(best).at[rows, place].set(best, mode="drop")
