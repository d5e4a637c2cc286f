"""SGD, momentum and Adam whose hyperparameters are weights, so that meta-training tunes them as it trains any other.

| weight | of | hyperparameter |
|---|---|---|
| `log_lr` | all | learning rate = exp(log_lr) |
| `one_minus_momentum` | `learnable_sgdm` | momentum = 1 - exp(one_minus_momentum) |
| `one_minus_beta1`, `one_minus_beta2` | `learnable_adam` | beta = 1 - exp(one_minus_beta) |
| `log_epsilon` | `learnable_adam` | epsilon = exp(log_epsilon) |

The three are the classes LearnableSGD, LearnableSGDM and LearnableAdam of learned_optimization; the names of weights
are theirs, though `one_minus_beta1` holds the logarithm of 1 - beta1. Their Adam has 1e-8 under the square root, beside
the epsilon behind it.

As the weights may have a leading axis of trials, a population of them is a search over hyperparameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from submissions.learned._declaration import Learned
from submissions.optimizers._late import jnp, optax
from submissions.optimizers._rule import Rule, Seen

if TYPE_CHECKING:
    import jax

EPSILON_ROOT = 1e-8

Weights = Mapping[str, "jax.Array"]


def _sgd(weights: Weights) -> Any:
    return optax.sgd(jnp.exp(weights["log_lr"]))


def _sgdm(weights: Weights) -> Any:
    return optax.sgd(jnp.exp(weights["log_lr"]), momentum=1.0 - jnp.exp(weights["one_minus_momentum"]))


def _adam(weights: Weights, epsilon_root: float) -> Any:
    return optax.adam(
        jnp.exp(weights["log_lr"]),
        1.0 - jnp.exp(weights["one_minus_beta1"]),
        1.0 - jnp.exp(weights["one_minus_beta2"]),
        jnp.exp(weights["log_epsilon"]),
        epsilon_root,
    )


def _rule(made: Callable[..., Any], weights: Weights, **switches: Any) -> Rule:
    def init(weights: Weights, hyperparameters: Any, params: Any, key: Any, horizon: Any) -> Any:
        del hyperparameters, key, horizon
        return made(weights, **switches).init(params)

    def update(
        weights: Weights, hyperparameters: Any, grads: Any, state: Any, params: Any, seen: Seen
    ) -> Any:
        del hyperparameters, seen
        return made(weights, **switches).update(grads, state, params)

    return Rule(init, update, weights=dict(weights))


def make_sgd(weights: Weights) -> Rule:
    """SGD whose learning rate is a weight.

        p <- p - exp(log_lr) g

    Args:
      weights: see the module.
    """
    return _rule(_sgd, weights)


def make_sgdm(weights: Weights) -> Rule:
    """SGD with momentum, both of whose hyperparameters are weights.

        m <- (1 - exp(one_minus_momentum)) m + g
        p <- p - exp(log_lr) m

    Args:
      weights: see the module.
    """
    return _rule(_sgdm, weights)


def make_adam(weights: Weights, *, epsilon_root: float = EPSILON_ROOT) -> Rule:
    """Adam whose hyperparameters are weights; b1 = 1 - exp(one_minus_beta1), and b2 likewise.

        m <- b1 m + (1 - b1) g
        v <- b2 v + (1 - b2) g^2
        p <- p - exp(log_lr) (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t) + epsilon_root) + exp(log_epsilon))

    for t = 1, 2, ...

    Args:
      weights: see the module.
      epsilon_root: added under the square root; 0 is the Adam of everybody else.
    """
    return _rule(_adam, weights, epsilon_root=epsilon_root)


def initial_sgd(key: Any, *, learning_rate: float = 0.01) -> dict[str, np.ndarray]:
    """Weights that are this hyperparameter; nothing is random."""
    del key
    return {"log_lr": _log(learning_rate)}


def initial_sgdm(key: Any, *, learning_rate: float = 0.01, momentum: float = 0.9) -> dict[str, np.ndarray]:
    """Weights that are these hyperparameters; nothing is random."""
    return {**initial_sgd(key, learning_rate=learning_rate), "one_minus_momentum": _log(1.0 - momentum)}


def initial_adam(
    key: Any,
    *,
    learning_rate: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> dict[str, np.ndarray]:
    """Weights that are these hyperparameters; nothing is random."""
    return {
        **initial_sgd(key, learning_rate=learning_rate),
        "one_minus_beta1": _log(1.0 - beta1),
        "one_minus_beta2": _log(1.0 - beta2),
        "log_epsilon": _log(epsilon),
    }


def _log(value: float) -> np.ndarray:
    return np.asarray(np.log(value), np.float32)


_REFERENCE = "learned_optimization's class"

ROWS = (
    Learned(
        "learnable_sgd", make_sgd, initial_sgd, f"{_REFERENCE} LearnableSGD", sizes={"learning_rate": 0.01}
    ),
    Learned(
        "learnable_sgdm",
        make_sgdm,
        initial_sgdm,
        f"{_REFERENCE} LearnableSGDM",
        sizes={"learning_rate": 0.01, "momentum": 0.9},
    ),
    Learned(
        "learnable_adam",
        make_adam,
        initial_adam,
        f"{_REFERENCE} LearnableAdam",
        switches={"epsilon_root": EPSILON_ROOT},
        sizes={"learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ),
)
