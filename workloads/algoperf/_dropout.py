"""Dropout whose rate is an argument of the call, so that it may be traced."""

from __future__ import annotations

from typing import Any

import jax
from flax import linen as nn

from workloads.layers import dropout


class Dropout(nn.Module):
    """x * keep / (1 - rate) in training, x in evaluation.

    Attributes:
      shared: axes of x along which one draw serves all entries.
    """

    shared: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, rate: Any, train: bool) -> jax.Array:
        """Args: x, the rate in [0, 1), and whether anything is dropped at all, a Python bool."""
        # A rate of 0 that is known when the program is made needs no draw; a traced one is never asked.
        if not train or (isinstance(rate, int | float) and rate == 0):
            return x
        shape = tuple(1 if axis in self.shared else size for axis, size in enumerate(x.shape))
        return dropout(self.make_rng("dropout"), x, rate, train, shape)
