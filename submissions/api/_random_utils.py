"""AlgoPerf's `random_utils`: its names for JAX's random keys."""

from __future__ import annotations

from typing import Any

import jax


def PRNGKey(seed: int) -> jax.Array:
    """A raw key, uint32[2]."""
    return jax.random.PRNGKey(seed)


def split(seed: jax.Array, num: int = 2) -> jax.Array:
    """Keys [num, ...]."""
    return jax.random.split(seed, num)


def fold_in(seed: jax.Array, data: Any) -> jax.Array:
    """A key that depends on a number too."""
    return jax.random.fold_in(seed, data)
