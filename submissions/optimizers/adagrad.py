"""AdaGrad as Optax has it, and as TensorFlow 1 and TaskSet have it.

Notation: g the gradient, x the parameter, lr the scheduled rate.

Reference: Duchi et al. 2011, JMLR 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    CONSTANT,
    COSINE,
    RATE,
    REGULARIZATIONS,
    WARMUP,
    WARMUPS,
    log,
)
from submissions.optimizers._hyperparameters import NOT_NEGATIVE, POSITIVE, Hyperparameter, Optimizer
from submissions.optimizers._late import optax
from submissions.optimizers.schedules import warmup_then_cosine_of


def adagrad_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.adagrad`, with linear warm-up and cosine decay to zero.

        a = a + g^2, from initial_accumulator_value
        x = x - lr * g / sqrt(a + epsilon)

    Args:
      hp: learning_rate, initial_accumulator_value, epsilon, warmup_steps.
      horizon: end of the schedule. Steps.
    """
    return optax.adagrad(
        warmup_then_cosine_of(hp, horizon), hp["initial_accumulator_value"], eps=hp["epsilon"]
    )


def adagrad_tf(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """TensorFlow's AdaGrad: no epsilon, and a constant learning rate. The sum starts at a positive number.

        a = a + g^2, from initial_accumulator_value
        x = x - learning_rate * g / sqrt(a)

    Args:
      hp: learning_rate, initial_accumulator_value.
      horizon: not used.
    """
    del horizon
    return optax.chain(
        optax.scale_by_rss(hp["initial_accumulator_value"], eps=0.0),
        optax.scale_by_learning_rate(hp["learning_rate"]),
    )


ROWS = (
    Optimizer(
        "adagrad_tf",
        adagrad_tf,
        (RATE, Hyperparameter("initial_accumulator_value", POSITIVE, 0.1)),  # TensorFlow's default
        "TensorFlow 1's AdaGrad, in TaskSet's program: Metz et al. 2020, arXiv:2002.11887",
        source="This is AdaGrad (Duchi et al., JMLR 12, 2011) as TensorFlow 1 has it, without an epsilon.",
        schedule=CONSTANT,
        whole_warmup_steps=False,
        # TaskSet's own grid.
        search_space={"learning_rate": log(1e-8, 10.0), "initial_accumulator_value": log(1e-10, 1e3)},
    ),
    Optimizer(
        "adagrad_optax",
        adagrad_optax,
        # Defaults: Optax's.
        (
            RATE,
            Hyperparameter("initial_accumulator_value", NOT_NEGATIVE, 0.1),
            Hyperparameter("epsilon", NOT_NEGATIVE, 1e-7),
            WARMUP,
        ),
        "optax.adagrad; Duchi et al. 2011, JMLR 12",
        source="This is optax.adagrad (Duchi et al., JMLR 12, 2011).",
        schedule=COSINE,
        # Ours: the rate of SGD's space downwards by two decades, as steps shrink with the sum of squares; the sum's
        # start around the defaults of Optax, TensorFlow (0.1) and PyTorch (0).
        search_space={
            "learning_rate": log(1e-3, 1.0),
            **WARMUPS,
            "initial_accumulator_value": log(1e-6, 1.0),
            **REGULARIZATIONS,
        },
    ),
)
