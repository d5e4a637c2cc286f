"""What VeLO, Celo and Celo-Adam share: an LSTM that is told the time and the loss, and says how far to step.

Reference: Metz et al. 2022, arXiv:2211.09760; `HyperV2` of learned_optimization.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.learned.loss_buffer import LOSS_FEATURES
from submissions.learned.lstm import LstmState, initial_linear, linear, lstm
from submissions.optimizers._late import jax, jnp

FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)  # of the horizon
SHARED_INPUTS = len(FRACTIONS) + LOSS_FEATURES  # that are the same for all tensors


def fraction_left(step: Any, horizon: Any) -> jax.Array:
    """[9]: tanh(10 (t / horizon - tau)) for tau of `FRACTIONS`, t from 0."""
    done = step / jnp.asarray(horizon, jnp.float32)
    return jnp.tanh((done - jnp.asarray(FRACTIONS, jnp.float32)) * 10)


def scheduled(weights: Mapping[str, Any], x: jax.Array, state: LstmState) -> LstmState:
    """One step of the LSTM on y = linear_2(x) + max over tensors of relu(linear_1(x)).

    The original computes relu(linear(x)) too and drops it: the layer `linear` of the weights is not used.

    Args:
      weights: "rnn_params" of the optimizer.
      x: [tensor, inputs]. The answer does not depend on the order of tensors.
      state: before.
    """
    most = jnp.max(jax.nn.relu(linear(weights["linear_1"], x)), -2, keepdims=True)
    return lstm(weights["rnn/linear"], linear(weights["linear_2"], x) + most, state)


def step_size(weights: Mapping[str, Any], hidden: jax.Array) -> jax.Array:
    """[tensor]: the last layer of the scheduler, of any sign."""
    return linear(weights["step_size"], hidden)[..., 0]


def initial_scheduler(key: jax.Array, inputs: int, width: int, controls: int) -> dict[str, Any]:
    """Weights before any training: {"lstm_init_state", "rnn_params"}; without controls where there are 0."""
    layers = {
        "linear": (inputs, width),
        "linear_1": (inputs, width),
        "linear_2": (inputs, width),
        "rnn/linear": (2 * width, 4 * width),
        "rnn_to_controls": (width, controls),
        "step_size": (width, 1),
    }
    keys = jax.random.split(key, len(layers))
    rnn = {
        name: initial_linear(k, *shape)
        for (name, shape), k in zip(layers.items(), keys, strict=True)
        if shape[1]
    }
    return {
        "lstm_init_state": {"hidden": jnp.zeros((1, width)), "cell": jnp.zeros((1, width))},
        "rnn_params": rnn,
    }
