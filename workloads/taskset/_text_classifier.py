"""TaskSet's recurrent text classifiers: a linear layer on the last, the mean or the largest state."""

from __future__ import annotations

import jax.numpy as jnp

from workloads import classification
from workloads._workload import Functions
from workloads.taskset import _recurrent

# name -> states [time, batch, unit] -> [batch, unit]; padding counts as text
AGGREGATES = {
    "avg": lambda states: jnp.mean(states, axis=0),
    "last": lambda states: states[-1],
    "max": lambda states: jnp.max(states, axis=0),
}


def functions(net: _recurrent.RecurrentNet, aggregate: str) -> Functions:
    """Mean softmax cross-entropy. Ids from net.tokens on count as the last one.

    Args:
      net: with as many outputs as classes.
      aggregate: a key of AGGREGATES.
    """

    def apply(params, model_state, batch, key, train, dropout_rate):
        del key, train, dropout_rate
        tokens = jnp.minimum(
            batch["text"].T, net.tokens - 1
        )  # time first spares the recurrence transpositions
        return net.linear(params, AGGREGATES[aggregate](net.states(params, tokens))), model_state

    return classification.unsmoothed(lambda key: (net.init(key), ()), apply)
