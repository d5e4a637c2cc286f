"""How a workload is trained: update rules with their schedules, by names that leave no doubt which is meant.

    >>> import submissions
    >>> optimizer = submissions.optimizer("nadamw_optax")
    >>> optimizer.prepare({"learning_rate": 0.001, "warmup_fraction": 0.05}, total_steps=1000)["warmup_steps"]
    50.0

Importing this needs no JAX; calling an optimizer does.
"""

from __future__ import annotations

import difflib

from submissions._hyperparameters import (
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    REGULARIZATION,
    SWITCH,
    UP_TO_ONE,
    Domain,
    Hyperparameter,
    Optimizer,
)

__all__ = ["OPTIMIZERS", "REGULARIZATION", "Domain", "Hyperparameter", "Optimizer", "optimizer"]

# Defaults: optax.nadamw's; for the warm-up, which no library sets, the middle of Medapati et al., Table 1.
_WARMUP_COSINE = (
    Hyperparameter("learning_rate", POSITIVE),
    Hyperparameter("beta1", BELOW_ONE, 0.9),
    Hyperparameter("beta2", BELOW_ONE, 0.999),
    Hyperparameter("epsilon", NOT_NEGATIVE, 1e-8),
    Hyperparameter("weight_decay", NOT_NEGATIVE, 1e-4),
    Hyperparameter("warmup_fraction", BELOW_ONE, 0.05),
)

# Defaults: a constant learning rate and no decay of any kind; the entries of Metz' list give every value.
_METZ = (
    Hyperparameter("learning_rate", POSITIVE),
    Hyperparameter("beta1", BELOW_ONE, 0.9),
    Hyperparameter("beta2", BELOW_ONE, 0.999),
    Hyperparameter("epsilon", NOT_NEGATIVE, 1e-8),
    Hyperparameter("use_nesterov", SWITCH, 0.0),
    Hyperparameter("adamw_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("l2_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("warmup_fraction", UP_TO_ONE, 0.0),
    Hyperparameter("min_learning_rate_mult", UP_TO_ONE, 1.0),
    Hyperparameter("constant_fraction", UP_TO_ONE, 1.0),
)

OPTIMIZERS = {
    row.name: row
    for row in (
        Optimizer(
            "nadamw_optax",
            "submissions._nadamw:nadamw_optax",
            _WARMUP_COSINE,
            "optax.nadamw; the rule of Medapati et al. 2025, arXiv:2503.03986",
        ),
        Optimizer(
            "nadamw_algoperf",
            "submissions._nadamw:nadamw_algoperf",
            (*_WARMUP_COSINE, Hyperparameter("grad_clip", NOT_NEGATIVE, 0.0)),
            "the NAdamW baselines of AlgoPerf, Dahl et al. 2023, arXiv:2306.07179",
        ),
        Optimizer(
            "nadamw_metz_code",
            "submissions._nadamw:nadamw_metz_code",
            _METZ,
            "TaskSet's program as its curves were released: Metz et al. 2020, arXiv:2002.11887",
            options={"l2_sign": "released", "nesterov": "off_as_released", "warmup_rule": "min"},
            whole_warmup_steps=False,
        ),
        Optimizer(
            "nadamw_metz_code_ported",
            "submissions._nadamw:nadamw_metz_code",
            _METZ,
            "opt_list for JAX and PyTorch, and OptList of learned_optimization: arXiv:2002.11887",
            options={"l2_sign": "released", "nesterov": "as_configured", "warmup_rule": "max"},
            whole_warmup_steps=False,
        ),
    )
}


def optimizer(name: str) -> Optimizer:
    """The optimizer of a name in `OPTIMIZERS`.

    Raises:
      ValueError: no such optimizer.
    """
    if name not in OPTIMIZERS:
        close = difflib.get_close_matches(name, OPTIMIZERS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown optimizer {name!r}{hint} (allowed: {', '.join(OPTIMIZERS)})")
    return OPTIMIZERS[name]
