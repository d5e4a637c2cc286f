"""Gradients that are not the objective's: with noise, or with most entries set to zero.

The value of the objective stays what it is. Both are written so that plain automatic differentiation finds the
changed gradient, and hold under jit, vmap and scan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

Params = Any


class Change(NamedTuple):
    """What happens to a gradient g: (g + noise_stdev * e) * keep, with fresh e ~ N(0, 1), keep ~ Bernoulli.

    Attributes:
      noisy, sparse: whether there is noise, and whether there is a mask; else nothing is drawn.
      noise_stdev: standard deviation of the noise, which may be traced.
      zero_probability: probability that an entry is set to zero, which may be traced.
    """

    noisy: bool
    sparse: bool
    noise_stdev: Any = 0.0
    zero_probability: Any = 0.0


def changed(
    objective: Callable[[Params], jax.Array],
    params: Params,
    key: jax.Array,
    change: Change,
    deviation: Params | None = None,
) -> jax.Array:
    """The value of an objective, whose gradient is the changed one.

    An entry that is to have no gradient is replaced by a constant of the same value; noise e comes from a term
    e . (p - p), with a constant in the place of the second p.

    Args:
      objective: params -> value.
      params: where.
      key: of noise and mask.
      change: see `Change`.
      deviation: the noise's relative standard deviation in every entry of the parameters; None for 1.
    """
    flat, unravel = ravel_pytree(params)
    constant = jax.lax.stop_gradient(flat)
    noise_key, mask_key = jax.random.split(key)
    moving = flat
    if change.sparse:
        zeroed = jax.random.uniform(mask_key, flat.shape) < change.zero_probability
        moving = jnp.where(zeroed, constant, flat)
    value = objective(unravel(moving))
    if change.noisy:
        noise = change.noise_stdev * jax.random.normal(noise_key, flat.shape)
        if deviation is not None:
            noise = noise * ravel_pytree(deviation)[0]
        value = value + noise @ (moving - constant)
    return value
