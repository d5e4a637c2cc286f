"""Lion: the sign of a momentum.

Notation: g the gradient, x the parameter, lr the scheduled rate.

Reference: Chen et al. 2023, arXiv:2302.06675.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    BETA1,
    COSINE,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
    one_of,
)
from submissions.optimizers._hyperparameters import BELOW_ONE, NOT_NEGATIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def lion_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.lion`, with linear warm-up and cosine decay to zero.

        u = sign(b1 * m + (1 - b1) * g)
        m = b2 * m + (1 - b2) * g
        x = x - lr * (u + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.lion(
        warmup_then_cosine_of(hp, horizon),
        b1=hp["beta1"],
        b2=hp["beta2"],
        weight_decay=hp["weight_decay"],
    )


ROWS = (
    Optimizer(
        "lion_optax",
        lion_optax,
        # Defaults: Optax's.
        (
            RATE,
            BETA1,
            Hyperparameter("beta2", BELOW_ONE, 0.99),
            Hyperparameter("weight_decay", NOT_NEGATIVE, 1e-3),
            WARMUP,
        ),
        "optax.lion; Chen et al. 2023, arXiv:2302.06675",
        source="This is optax.lion (Chen et al., arXiv:2302.06675).",
        schedule=COSINE,
        # Section 5 of the paper: a rate 3 to 10 times smaller than AdamW's, a decay as many times larger, betas
        # (.9, .99) or (.95, .98). AdamW's: Medapati et al., Table 1.
        search_space={
            "learning_rate": log(1e-5, 3e-3),
            **WARMUPS,
            "beta1": one_of(0.9, 0.95),
            "beta2": one_of(0.98, 0.99),
            "weight_decay": log(3e-4, 5.0),
            **REGULARIZATIONS,
        },
    ),
)
