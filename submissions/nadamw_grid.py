"""TaskSet's distribution over NAdamW hyperparameters, from which Metz' lists were chosen.

Numbers are TaskSet's own, draw for draw: entry `seed` is its `nadamw_grid_seed{seed}`.
"""

from __future__ import annotations

import math

import numpy as np

_OFFSET = 14358  # TaskSet gives every sampler its own, so that equal seeds do not share draws


def nadamw_grid(seed: int) -> dict[str, float | bool]:
    """Hyperparameters number `seed` of TaskSet's `nadamw_grid`, for the rule `nadamw_metz_code`.

    | name | drawn as |
    |---|---|
    | learning_rate | log-uniform in [1e-5, 1] |
    | beta1 | 1 - log-uniform in [1e-3, 1] |
    | beta2 | 1 - log-uniform in [1e-5, 1] |
    | epsilon | log-uniform in [1e-8, 1e4] |
    | use_nesterov | true or false, even odds |
    | adamw_weight_decay, l2_weight_decay | log-uniform in [1e-5, 1e-1]: one (else 0) or both, a third each |
    | warmup_fraction | log-uniform in [1e-5, 1e-1] or 0, even odds; a share of training |
    | min_learning_rate_mult | 0 or log-uniform in [1e-5, 1], even odds; a share of learning_rate |
    | constant_fraction | uniform in [0, 1); a share of training |

    Args:
      seed: TaskSet's entries are 0 .. 999; any number from 0 to 2^32 - 14359 works.

    Returns:
      Hyperparameters in the order of the table.

    Raises:
      ValueError: a seed that NumPy's legacy generator does not take.

    Example:
      >>> nadamw_grid(0)["learning_rate"]
      0.00013043019947775472

    Reference: Metz et al. 2020, arXiv:2002.11887, and the code of TaskSet.
    """
    if not 0 <= seed < 2**32 - _OFFSET:
        raise ValueError(f"seed is {seed}; must be from 0 to {2**32 - _OFFSET - 1} (TaskSet has 0 to 999)")
    rng = np.random.RandomState(seed + _OFFSET)

    def log_uniform(low: float, high: float) -> float:
        # The math module: NumPy's exp and log may differ from it in the last bit.
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    # Every line draws, and the order of the draws is the definition.
    point: dict[str, float | bool] = {
        "learning_rate": log_uniform(1e-5, 1.0),
        "beta1": 1.0 - log_uniform(1e-3, 1.0),
        "beta2": 1.0 - log_uniform(1e-5, 1.0),
        "epsilon": log_uniform(1e-8, 1e4),
        "use_nesterov": rng.uniform(0.0, 1.0) > 0.5,
    }
    kind = rng.uniform(0.0, 1.0)
    adamw_alone, l2_alone = kind < 0.3333, 0.3333 <= kind < 0.6666
    point["adamw_weight_decay"] = 0.0 if l2_alone else log_uniform(1e-5, 1e-1)
    point["l2_weight_decay"] = 0.0 if adamw_alone else log_uniform(1e-5, 1e-1)
    point["warmup_fraction"] = log_uniform(1e-5, 1e-1) if rng.uniform(0.0, 1.0) > 0.5 else 0.0
    point["min_learning_rate_mult"] = 0.0 if rng.uniform(0.0, 1.0) > 0.5 else log_uniform(1e-5, 1.0)
    point["constant_fraction"] = rng.uniform(0.0, 1.0)
    return point
