"""What many rules declare alike: hyperparameters, dimensions of a search space, and words on their schedule."""

from __future__ import annotations

from typing import Any

from submissions.optimizers._hyperparameters import (
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    Hyperparameter,
)
from submissions.spaces import MEDAPATI_TABLE_1, Choices, Interval

RATE = Hyperparameter("learning_rate", POSITIVE)
BETA1 = Hyperparameter("beta1", BELOW_ONE, 0.9)
BETA2 = Hyperparameter("beta2", BELOW_ONE, 0.999)
EPSILON = Hyperparameter("epsilon", NOT_NEGATIVE, 1e-8)
NO_DECAY = Hyperparameter("weight_decay", NOT_NEGATIVE, 0.0)
# No library sets a warm-up: the middle of Medapati et al., Table 1.
WARMUP = Hyperparameter("warmup_fraction", BELOW_ONE, 0.05)

# Defaults: those of optax.nadamw and optax.adamw.
OF_ADAMW = (RATE, BETA1, BETA2, EPSILON, Hyperparameter("weight_decay", NOT_NEGATIVE, 1e-4), WARMUP)

Space = dict[str, dict[str, Any]]


def log(low: float, high: float) -> dict[str, Any]:
    """A dimension that is even in its logarithm."""
    return Interval(low, high, "log").to_json()


def uniform(low: float, high: float) -> dict[str, Any]:
    """A dimension that is even in itself."""
    return Interval(low, high, "linear").to_json()


def one_of(*values: float) -> dict[str, Any]:
    """A dimension of a few values."""
    return Choices(values).to_json()


# Medapati et al. 2025, arXiv:2503.03986, Table 1: what spaces have where their source is silent, and what a submission
# searches whose optimizer has no space of its own.
MEDAPATI: Space = MEDAPATI_TABLE_1.to_json()
WARMUPS: Space = {"warmup_fraction": MEDAPATI["warmup_fraction"]}
BETA2S: Space = {"one_minus_beta2": MEDAPATI["one_minus_beta2"]}
WEIGHT_DECAYS: Space = {"weight_decay": MEDAPATI["weight_decay"]}
REGULARIZATIONS: Space = {name: MEDAPATI[name] for name in ("label_smoothing", "dropout_rate")}

# Of the learning rate lr, in a packaged README.
COSINE = (
    "Learning rate lr: with T = workload.step_hint and w = int(warmup_factor * T), it rises linearly from 0 to "
    "learning_rate over the first w updates (the first has rate 0), falls to 0 along half a cosine at update T, and "
    "stays 0."
)
CONSTANT = "The learning rate is constant."
