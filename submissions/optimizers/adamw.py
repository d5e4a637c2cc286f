"""AdamW: Adam with decoupled weight decay.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; lr the scheduled rate.

Reference: Loshchilov & Hutter 2019, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import COSINE, MEDAPATI, OF_ADAMW
from submissions.optimizers._hyperparameters import Optimizer
from submissions.optimizers._late import optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def adamw_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.adamw`, with linear warm-up and cosine decay to zero. The decay acts on all parameters, times lr.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t)
        x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.adamw(
        warmup_then_cosine_of(hp, horizon),
        b1=hp["beta1"],
        b2=hp["beta2"],
        eps=hp["epsilon"],
        weight_decay=hp["weight_decay"],
    )


ROWS = (
    Optimizer(
        "adamw_optax",
        adamw_optax,
        OF_ADAMW,
        "optax.adamw; Loshchilov & Hutter 2019, arXiv:1711.05101",
        source="This is optax.adamw: Loshchilov & Hutter, arXiv:1711.05101, with the decay times the learning rate.",
        schedule=COSINE,
        # Table 1 is for NAdamW: the same intervals without Nesterov's momentum.
        search_space=MEDAPATI,
    ),
)
