"""Adam as VeLOdrome's baselines have it, and rectified Adam.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; lr the scheduled rate.

Reference: Metz et al. 2022, arXiv:2211.09760, and the program published with it (google/learned_optimization): 15
learning rates of each are what a speed-up is measured by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import BETA1, BETA2, CONSTANT, EPSILON, RATE, log
from submissions.optimizers._hyperparameters import BELOW_ONE, NOT_NEGATIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import optax
from submissions.optimizers.schedules import rampup_then_root_times_power


def adam_velodrome(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.adam` with a second epsilon inside the root, and the three schedules of the baselines.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t)
        x = x - lr * u / (sqrt(v / (1 - b2^t) + epsilon_root) + epsilon)

    Args:
      hp: learning_rate, beta1, beta2, epsilon, epsilon_root, rampup_steps, decay_per_step.
      horizon: not used.
    """
    del horizon
    schedule = rampup_then_root_times_power(hp["learning_rate"], hp["rampup_steps"], hp["decay_per_step"])
    return optax.adam(
        schedule, b1=hp["beta1"], b2=hp["beta2"], eps=hp["epsilon"], eps_root=hp["epsilon_root"]
    )


def radam_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.radam` at a constant learning rate: Adam's step is rectified, and plain momentum while r is not above 5.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = m / (1 - b1^t)
        r_inf = 2 / (1 - b2) - 1
        r = r_inf - 2 * t * b2^t / (1 - b2^t)
        c = sqrt((r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r))
        x = x - lr * (c * u / (sqrt(v / (1 - b2^t)) + epsilon) if r >= 5 else u)

    Args:
      hp: learning_rate, beta1, beta2, epsilon.
      horizon: not used.

    Reference: Liu et al. 2020, arXiv:1908.03265, algorithm 2.
    """
    del horizon
    return optax.radam(hp["learning_rate"], b1=hp["beta1"], b2=hp["beta2"], eps=hp["epsilon"])


# VeLOdrome's 15 rates; the others have one value there.
_RATES = {"learning_rate": log(1e-7, 1.0)}

ROWS = (
    Optimizer(
        "adam_velodrome",
        adam_velodrome,
        (
            RATE,
            BETA1,
            BETA2,
            EPSILON,
            Hyperparameter("epsilon_root", NOT_NEGATIVE, 1e-8),
            Hyperparameter("rampup_steps", NOT_NEGATIVE, 0.0),
            Hyperparameter("decay_per_step", BELOW_ONE, 0.0),
        ),
        "Adam of VeLOdrome's baselines; Metz et al. 2022, arXiv:2211.09760, and its program",
        source="This is optax.adam with an epsilon inside the root as well, as in the baselines of Metz et al., "
        "arXiv:2211.09760.",
        schedule="Learning rate lr: with w = rampup_steps and n the updates before this one, learning_rate * "
        "min(max(n, 1) / w, sqrt(w / max(n, 1))), or learning_rate where w is 0; times (1 - decay_per_step)^n.",
        whole_warmup_steps=False,
        search_space=_RATES,
    ),
    Optimizer(
        "radam_optax",
        radam_optax,
        (RATE, BETA1, BETA2, EPSILON),
        "optax.radam; Liu et al. 2020, arXiv:1908.03265",
        source="This is optax.radam: Liu et al., arXiv:1908.03265.",
        schedule=CONSTANT,
        whole_warmup_steps=False,
        search_space=_RATES,
    ),
)
