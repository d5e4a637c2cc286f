"""An LSTM over the tensors of a model, and linear layers: one product for all of them.

Weights are laid out as Haiku's: linear layers {"w": [inputs, outputs], "b": [outputs]}, the gates of the LSTM in one
matrix, in the order input, cell, forget, output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.optimizers._late import jax, jnp


class LstmState(NamedTuple):
    """What an LSTM carries: [tensor, width] each."""

    hidden: jax.Array
    cell: jax.Array


def linear(weights: Mapping[str, Any], x: jax.Array) -> jax.Array:
    """x w + b, [..., inputs] -> [..., outputs]."""
    return x @ weights["w"] + weights["b"]


def lstm(weights: Mapping[str, Any], x: jax.Array, state: LstmState) -> LstmState:
    """c <- sigmoid(f + 1) c + sigmoid(i) tanh(g); h <- sigmoid(o) tanh(c), with i, g, f, o = [x, h] w + b.

    Args:
      weights: {"w": [inputs + width, 4 width], "b": [4 width]}.
      x: [tensor, inputs].
      state: before.
    """
    # Joining the inputs is cheap; parting the weights would copy them.
    gates = linear(weights, jnp.concatenate([x, state.hidden], -1))
    i, g, f, o = jnp.split(gates, 4, -1)
    cell = jax.nn.sigmoid(f + 1) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return LstmState(jax.nn.sigmoid(o) * jnp.tanh(cell), cell)


def repeated_start(weights: Mapping[str, Any], tensors: int) -> LstmState:
    """The learned first state {"hidden": [1, width], "cell": [1, width]}, for so many tensors."""
    hidden, cell = (jnp.repeat(weights[name], tensors, 0) for name in ("hidden", "cell"))
    return LstmState(hidden, cell)


def initial_linear(key: jax.Array, inputs: int, outputs: int) -> dict[str, jax.Array]:
    """Haiku's default: normal of deviation 1/sqrt(inputs) cut off at two deviations, not rescaled; no bias."""
    w = jax.random.truncated_normal(key, -2.0, 2.0, (inputs, outputs)) / inputs**0.5
    return {"w": w, "b": jnp.zeros(outputs)}
