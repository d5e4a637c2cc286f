"""Decayed means of the gradient and of its square, the state that all of Adam's descendants share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from submissions.optimizers._schedules import Scalar

Moments = optax.ScaleByAdamState  # count: updates so far; mu: m; nu: v


def zeros(params: Any) -> Moments:
    """No gradient seen yet: m = v = 0."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return Moments(count=jnp.zeros([], jnp.int32), mu=zeros, nu=zeros)


def add(gradient: Any, state: Moments, b1: Scalar, b2: Scalar) -> Moments:
    """One gradient more: m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2."""
    return Moments(
        count=state.count + 1,
        mu=jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradient),
        nu=jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, gradient),
    )
