"""RMSProp, uncentred, with momentum.

Notation: g the gradient, x the parameter, lr the scheduled rate.

Reference: Tieleman & Hinton 2012, Coursera lecture 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    COSINE,
    EPSILON,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import BELOW_ONE, Hyperparameter, Optimizer
from submissions.optimizers._late import optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def rmsprop_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.rmsprop`, with linear warm-up and cosine decay to zero: the learning rate enters the momentum.

        v = b2 * v + (1 - b2) * g^2
        m = b1 * m + lr * g / sqrt(v + epsilon)
        x = x - m

    Args:
      hp: learning_rate, beta1 (the momentum), beta2 (Optax's decay), epsilon, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.rmsprop(
        warmup_then_cosine_of(hp, horizon), decay=hp["beta2"], eps=hp["epsilon"], momentum=hp["beta1"]
    )


ROWS = (
    Optimizer(
        "rmsprop_optax",
        rmsprop_optax,
        # Defaults: Optax's.
        (
            RATE,
            Hyperparameter("beta1", BELOW_ONE, 0.0),
            Hyperparameter("beta2", BELOW_ONE, 0.9),
            EPSILON,
            WARMUP,
        ),
        "optax.rmsprop; Tieleman & Hinton 2012, lecture 6.5",
        source="This is optax.rmsprop (Tieleman & Hinton, Coursera lecture 6.5, 2012).",
        schedule=COSINE,
        # Ours. Rate: that of Adam's descendants, a decade lower, as momentum 0.9 lengthens steps tenfold; PyTorch's
        # and Optax's defaults of the two means, .9 or .99; epsilon from Optax's default up to Choi et al. 2019,
        # arXiv:1910.05446, whose largest is 1.
        search_space={
            "learning_rate": log(1e-5, 1e-2),
            **WARMUPS,
            "beta1": one_of(0.0, 0.9),
            "one_minus_beta2": log(1e-3, 0.2),
            "epsilon": log(1e-8, 1.0),
            **REGULARIZATIONS,
        },
    ),
)
