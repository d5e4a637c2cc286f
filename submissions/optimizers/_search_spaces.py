"""Where each optimizer is searched when nobody says otherwise, as AlgoPerf's tuning_search_space.json data.

The order of the dimensions matters: it decides which Halton base each of them gets. Every table says where its
intervals come from; "ours" marks what no source gives.
"""

from __future__ import annotations

from typing import Any

Space = dict[str, dict[str, Any]]


def _log(low: float, high: float) -> dict[str, Any]:
    return {"min": low, "max": high, "scaling": "log"}


def _uniform(low: float, high: float) -> dict[str, Any]:
    return {"min": low, "max": high, "scaling": "linear"}


def _one_of(*values: float) -> dict[str, Any]:
    return {"feasible_points": list(values)}


# Medapati et al. 2025, arXiv:2503.03986, Table 1: what every space below has where its source is silent.
_WARMUP = {"warmup_fraction": _one_of(0.02, 0.05, 0.1)}
_REGULARIZATION = {"label_smoothing": _one_of(0.0, 0.1, 0.2), "dropout_rate": _one_of(0.0, 0.1)}
_BETA2 = {"one_minus_beta2": _log(1e-3, 0.2)}

# What a submission searches where its optimizer has no space of its own.
MEDAPATI: Space = {
    "learning_rate": _log(1e-4, 1e-2),
    **_WARMUP,
    "one_minus_beta1": _log(1e-3, 0.2),
    **_BETA2,
    "weight_decay": _log(1e-4, 0.5),
    **_REGULARIZATION,
}

# Medapati et al., Table 1, which is for NAdamW: the same intervals without Nesterov's momentum.
ADAMW: Space = MEDAPATI

# TaskSet's own grids: Metz et al. 2020, arXiv:2002.11887.
ADAM1P: Space = {"learning_rate": _log(1e-8, 10.0)}
ADAM4P: Space = {
    **ADAM1P,
    "one_minus_beta1": _log(1e-4, 1.0),
    "one_minus_beta2": _log(1e-6, 1.0),
    "epsilon": _log(1e-10, 1e3),
}
_DECAYS: Space = {"linear_decay": _log(1e-7, 1e-4), "exponential_decay": _log(1e-6, 1e-3)}
ADAM6P: Space = {**ADAM4P, **_DECAYS}
ADAM8P: Space = {**ADAM4P, "l1": _log(1e-8, 10.0), "l2": _log(1e-8, 10.0), **_DECAYS}
ADAGRAD_TF: Space = {**ADAM1P, "initial_accumulator_value": _log(1e-10, 1e3)}

# AlgoPerf's Nesterov baseline (Dahl et al. 2023, arXiv:2306.07179) for rate, momentum and decay; the switch: ours.
SGD: Space = {
    "learning_rate": _log(2e-2, 5.0),
    **_WARMUP,
    "one_minus_beta1": _log(5e-3, 0.3),
    "use_nesterov": _one_of(0.0, 1.0),
    "weight_decay": _log(1e-7, 5e-5),
    **_REGULARIZATION,
}

# Ours. Rate: that of Adam's descendants, a decade lower, as momentum 0.9 lengthens steps tenfold; PyTorch's and
# Optax's defaults of the two means, .9 or .99; epsilon from Optax's default up to Choi et al. 2019,
# arXiv:1910.05446, whose largest is 1.
RMSPROP: Space = {
    "learning_rate": _log(1e-5, 1e-2),
    **_WARMUP,
    "beta1": _one_of(0.0, 0.9),
    "one_minus_beta2": _log(1e-3, 0.2),
    "epsilon": _log(1e-8, 1.0),
    **_REGULARIZATION,
}

# Ours: the rate of SGD's space downwards by two decades, as steps shrink with the sum of squares; the sum's start
# around the defaults of Optax, TensorFlow (0.1) and PyTorch (0).
ADAGRAD: Space = {
    "learning_rate": _log(1e-3, 1.0),
    **_WARMUP,
    "initial_accumulator_value": _log(1e-6, 1.0),
    **_REGULARIZATION,
}

# AlgoPerf's Adafactor baseline for rate, beta1 and weight decay; decay_rate of the paper, Shazeer & Stern 2018,
# arXiv:1804.04235; steps relative to the parameters or not: ours.
ADAFACTOR: Space = {
    "learning_rate": _log(1e-4, 1e-2),
    **_WARMUP,
    "one_minus_beta1": _log(1e-2, 0.45),
    "decay_rate": _one_of(0.8),
    "multiply_by_parameter_scale": _one_of(0.0, 1.0),
    "weight_decay": _log(1e-3, 1.0),
    **_REGULARIZATION,
}

# Chen et al. 2023, arXiv:2302.06675, section 5: a rate 3 to 10 times smaller than AdamW's, a decay as many times
# larger, betas (.9, .99) or (.95, .98). AdamW's: Medapati et al., Table 1.
LION: Space = {
    "learning_rate": _log(1e-5, 3e-3),
    **_WARMUP,
    "beta1": _one_of(0.9, 0.95),
    "beta2": _one_of(0.98, 0.99),
    "weight_decay": _log(3e-4, 5.0),
    **_REGULARIZATION,
}

# Liu et al. 2025, arXiv:2502.16982: with updates scaled to a root mean square of 0.2, AdamW's rate and decay carry
# over; those of Medapati et al., Table 1. Momentum around Jordan's .95: ours.
MUON: Space = {
    "learning_rate": _log(1e-4, 1e-2),
    **_WARMUP,
    "one_minus_beta1": _log(1e-2, 0.2),
    "one_minus_adam_beta1": _log(1e-3, 0.2),
    "one_minus_adam_beta2": _log(1e-3, 0.2),
    "weight_decay": _log(1e-4, 0.5),
    **_REGULARIZATION,
}

# AlgoPerf's Distributed Shampoo baseline for rate, beta1, beta2 and weight decay; ridge of Anil et al. 2020,
# arXiv:2002.09018, upwards: ours.
SHAMPOO: Space = {
    "learning_rate": _log(1e-4, 1e-2),
    **_WARMUP,
    "one_minus_beta1": _log(1e-2, 0.15),
    "beta2": _one_of(0.999),
    "matrix_epsilon": _log(1e-6, 1e-2),
    "weight_decay": _log(5e-3, 1.0),
    **_REGULARIZATION,
}

# Defazio et al. 2024, arXiv:2405.15682: beta1 of .9, .95 or .98; rates of up to ten times a schedule's, hence half a
# decade above those of Medapati et al., Table 1, whose other intervals these are.
SCHEDULE_FREE_ADAMW: Space = {
    "learning_rate": _log(3e-4, 3e-2),
    **_WARMUP,
    "beta1": _one_of(0.9, 0.95, 0.98),
    **_BETA2,
    "weight_decay": _log(1e-4, 0.5),
    **_REGULARIZATION,
}

# Mishchenko & Defazio 2023, arXiv:2306.06101: rate 1, the coefficient to be tuned between 0.5 and 2, beta2 .999 or
# .99; decay as in Medapati et al., Table 1.
PRODIGY: Space = {
    "learning_rate": _one_of(1.0),
    **_WARMUP,
    "estim_lr_coef": _log(0.5, 2.0),
    "beta1": _one_of(0.9),
    "beta2": _one_of(0.99, 0.999),
    "weight_decay": _log(1e-4, 0.5),
    **_REGULARIZATION,
}

# The bounds of TaskSet's nadamw_grid. A space cannot say that a value is zero half the time: see `taskset_grids`.
NADAMW_METZ: Space = {
    "learning_rate": _log(1e-5, 1.0),
    "one_minus_beta1": _log(1e-3, 1.0),
    "one_minus_beta2": _log(1e-5, 1.0),
    "epsilon": _log(1e-8, 1e4),
    "use_nesterov": _one_of(0.0, 1.0),
    "adamw_weight_decay": _log(1e-5, 1e-1),
    "l2_weight_decay": _log(1e-5, 1e-1),
    "warmup_fraction": _log(1e-5, 1e-1),
    "min_learning_rate_mult": _log(1e-5, 1.0),
    "constant_fraction": _uniform(0.0, 1.0),
}
