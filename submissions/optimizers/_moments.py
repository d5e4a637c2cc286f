"""Decayed means of the gradient and of its square, the state that all of Adam's descendants share."""

from __future__ import annotations

from typing import Any

from submissions.optimizers._late import jax, jnp, optax


def no_moments(params: Any) -> optax.ScaleByAdamState:
    """No gradient seen yet: mu = nu = 0."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return optax.ScaleByAdamState(count=jnp.zeros([], jnp.int32), mu=zeros, nu=zeros)


def add_to_moments(
    gradient: Any, state: optax.ScaleByAdamState, b1: jax.Array, b2: jax.Array
) -> optax.ScaleByAdamState:
    """One gradient more: mu <- b1 mu + (1 - b1) g, nu <- b2 nu + (1 - b2) g^2."""
    return optax.ScaleByAdamState(
        count=state.count + 1,
        mu=jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradient),
        nu=jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, state.nu, gradient),
    )
