"""Variational autoencoders (Kingma and Welling 2014, arXiv:1312.6114) as TaskSet trains them.

loss = -(sum over pixels of ln p(x | z) - KL(q(z | x) || N(0, I))), with one sample z from the normal q(z | x). Pixels
are taken as bins of width b = 1/255: ln p is that of x + U(-b/2, b/2) under a normal, plus ln b. The width is the same
where the images are centred to [-1, 1], whose bins are twice as wide; so it was released.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads._source import Batch
from workloads._workload import Params
from workloads.taskset import _unsupervised

BIN = 1.0 / 255.0
BOUND = 10.0  # the decoder's outputs are clipped to [-BOUND, BOUND]


def add_noise(key: jax.Array, batch: Batch) -> Mapping[str, jax.Array]:
    """The batch with `noise`, U(-1/2, 1/2) for every pixel of `inputs`, in units of the bin."""
    return {**batch, "noise": jax.random.uniform(key, batch["inputs"].shape, minval=-0.5, maxval=0.5)}


def divergence(mean: Float[Array, "*any"], log_deviation: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1) / 2 - ln s, in nats."""
    return 0.5 * (jnp.square(mean) + jnp.expm1(2.0 * log_deviation)) - log_deviation


def log_likelihood(
    x: Float[Array, "*any"],
    noise: Float[Array, "*any"],
    mean: Float[Array, "*any"],
    log_deviation: Float[Array, "*any"],
) -> Float[Array, "*any"]:
    """ln N(x + b noise; m, s^2) + ln b, in nats.

    Args:
      x: pixels.
      noise: U(-1/2, 1/2).
      mean: m.
      log_deviation: ln s.
    """
    error = (x + BIN * noise - mean) * jnp.exp(-log_deviation)
    return -0.5 * jnp.square(error) - log_deviation - 0.5 * math.log(2.0 * math.pi) + math.log(BIN)


def losses(
    encode: Callable[[Params, jax.Array], jax.Array],
    decode: Callable[[Params, jax.Array], jax.Array],
    prepare: Callable[[jax.Array], jax.Array],
) -> _unsupervised.Losses:
    """The negative evidence lower bound of every example, in nats.

    Args:
      encode: (params["encoder"], x) -> mean and ln deviation of z, the halves of the last axis.
      decode: (params["decoder"], z) -> mean and ln deviation of x, the halves of the last axis; not yet clipped.
      prepare: images as stored -> x.
    """

    def negative_elbo(params, batch: Mapping[str, Any], key):
        x = prepare(batch["inputs"])
        mean, log_deviation = jnp.split(encode(params["encoder"], x), 2, axis=-1)
        z = mean + jnp.exp(log_deviation) * jax.random.normal(key, mean.shape)
        outputs = jnp.clip(decode(params["decoder"], z), -BOUND, BOUND)
        likelihood = log_likelihood(x, batch["noise"].reshape(x.shape), *jnp.split(outputs, 2, axis=-1))
        return jnp.sum(divergence(mean, log_deviation), axis=-1) - jnp.sum(
            likelihood, axis=tuple(range(1, x.ndim))
        )

    return negative_elbo
