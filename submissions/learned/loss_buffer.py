"""The training loss at ten time scales: how VeLO and Celo know whether training still gets on.

Reference: Metz et al. 2022, arXiv:2211.09760; `BufferLossAccumulators` of learned_optimization.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from submissions.optimizers._late import jax, jnp

LOSS_SCALES = 10
LOSS_FEATURES = LOSS_SCALES - 1
BEFORE_ANY_LOSS = 999999999999.0
FIRST_LOSSES = 2  # up to so many losses the features are zero


class LossBuffer(NamedTuple):
    """Decayed means of the training loss.

    Attributes:
      means: [10], from 0.
      corrected: [10], means / (1 - decays^count), 0 before the first loss.
      running_min: [10], least bias-corrected mean so far.
      count: losses so far, int32.
      decays: [10], of the means.
    """

    means: jax.Array
    corrected: jax.Array
    running_min: jax.Array
    count: jax.Array
    decays: jax.Array


def empty_loss_buffer(horizon: Any) -> LossBuffer:
    """Before the first loss: half-lives of 10 steps to the horizon, evenly spaced in their logarithm.

    decay = exp(-1 / half-life), which is the original's; a true half-life has ln 2 in place of 1.
    """
    exponents = jnp.linspace(1.0, jnp.log10(jnp.asarray(horizon, jnp.float32)), LOSS_SCALES)
    decays = jnp.exp(-1.0 / 10.0**exponents)
    nothing = jnp.zeros(LOSS_SCALES)
    return LossBuffer(
        nothing, nothing, jnp.full(LOSS_SCALES, BEFORE_ANY_LOSS), jnp.zeros((), jnp.int32), decays
    )


def loss_added(buffer: LossBuffer, loss: Any) -> LossBuffer:
    """One loss later. It counts for at most twice the largest mean: an infinite one does no harm, but as the first."""
    count = buffer.count + 1
    correction = 1 - buffer.decays**count
    largest = jnp.where(buffer.count == 0, loss, jnp.max(buffer.means / correction))
    capped = jnp.minimum(2 * jnp.abs(largest), loss)
    means = buffer.decays * buffer.means + (1 - buffer.decays) * capped
    corrected = means / correction
    return LossBuffer(means, corrected, jnp.minimum(buffer.running_min, corrected), count, buffer.decays)


def loss_features(buffer: LossBuffer) -> jax.Array:
    """[9], between -1 and 1: how far each mean is above its least, against the next slower mean, minus 1."""
    means, least = buffer.corrected, buffer.running_min[:-1]
    ratio = (means[:-1] - least) / jnp.maximum(1e-8, means[1:] - least)
    return jnp.where(buffer.count <= FIRST_LOSSES, 0.0, jnp.clip(ratio - 1, -1, 1))
