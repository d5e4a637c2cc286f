"""TaskSet's optimizers other than NAdamW: Adam with 1, 4, 6 and 8 hyperparameters, AdaGrad, and none at all.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; m and v the decayed means of g and g^2,
this g included.

| rule | update |
|---|---|
| adam1p, adam4p | x <- x - lr c m / (sqrt(v) + eps), c = sqrt(1 - b2^t) / (1 - b1^t) |
| adam6p, adam8p | x <- x - lr_t mh / (sqrt(vh + 1e-10) + eps), mh = m / (1 - b1^t), vh = v / (1 - b2^t) |
| adagrad_tf | a <- a + g^2; x <- x - lr g / sqrt(a) |
| zero | x <- 0 |

The first two are TensorFlow 1's own Adam and TaskSet's: they place epsilon differently.

Hyperparameters are what `Optimizer.prepare` returns; all of them may be traced.

Reference: Metz et al. 2020, arXiv:2002.11887, section 3.2 and appendix C, and the program published with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from submissions.optimizers import _moments, _schedules
from submissions.optimizers._schedules import Scalar

ADAM8P_STEPS = 10_000  # what TaskSet trained for, and what the decays of adam6p and adam8p are counted in


def adam1p(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """TensorFlow's Adam with beta1 .9, beta2 .999 and epsilon 1e-8, at a constant learning rate.

    Args:
      hyperparameters: learning_rate.
      total_steps: not used.
    """
    return adam4p({"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, **hyperparameters}, total_steps)


def adam4p(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """TensorFlow's Adam at a constant learning rate: epsilon stays outside the bias correction.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon.
      total_steps: not used.

    Reference: Kingma & Ba 2015, arXiv:1412.6980, end of section 2, whose epsilon hat this epsilon is.
    """
    del total_steps
    hp = hyperparameters
    return optax.chain(
        _scale_by_adam_tensorflow(hp["beta1"], hp["beta2"], hp["epsilon"]),
        optax.scale_by_learning_rate(hp["learning_rate"]),
    )


def adam6p(
    hyperparameters: Mapping[str, Any],
    total_steps: int,
    *,
    adam8p_steps: Literal["always_10000", "training_steps"] = "training_steps",
    adam8p_epsilon: Literal["outside", "paper_inside"] = "outside",
) -> optax.GradientTransformation:
    """`adam8p` without its two penalties. TaskSet's program does stretch this one's decays over training.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, linear_decay, exponential_decay.
      total_steps, adam8p_steps, adam8p_epsilon: as for `adam8p`.
    """
    _check("adam8p_steps", adam8p_steps, "always_10000", "training_steps")
    _check("adam8p_epsilon", adam8p_epsilon, "outside", "paper_inside")
    hp = hyperparameters
    schedule = _schedules.linear_times_exponential(
        hp["learning_rate"],
        hp["linear_decay"],
        hp["exponential_decay"],
        ADAM8P_STEPS if adam8p_steps == "always_10000" else total_steps,
    )
    return optax.chain(
        _scale_by_adam_taskset(hp["beta1"], hp["beta2"], hp["epsilon"], adam8p_epsilon == "paper_inside"),
        optax.scale_by_learning_rate(schedule),
    )


def adam8p(
    hyperparameters: Mapping[str, Any],
    total_steps: int,
    *,
    adam8p_steps: Literal["always_10000", "training_steps"] = "always_10000",
    adam8p_epsilon: Literal["outside", "paper_inside"] = "outside",
) -> optax.GradientTransformation:
    """Adam on loss + l1 sum |x| + l2 sum x^2, with a linear and an exponential decay of the learning rate.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, l1, l2, linear_decay, exponential_decay.
      total_steps: T, read only where adam8p_steps is "training_steps". Steps.
      adam8p_steps: "always_10000" decays as over 10,000 steps, however long training is: TaskSet's program,
        whose adam8p never reads its number of steps; "training_steps" stretches the decays to T.
      adam8p_epsilon: "outside" as the program has it, see the module's table; "paper_inside" divides by
        sqrt(vh + eps), as the paper prints it.
    """
    decayed_adam = adam6p(
        hyperparameters, total_steps, adam8p_steps=adam8p_steps, adam8p_epsilon=adam8p_epsilon
    )
    return optax.chain(_add_penalties(hyperparameters["l1"], hyperparameters["l2"]), decayed_adam)


def adagrad_tf(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """TensorFlow's AdaGrad: no epsilon, and a constant learning rate. The sum starts at a positive number.

    Args:
      hyperparameters: learning_rate, initial_accumulator_value.
      total_steps: not used.

    Reference: Duchi et al. 2011, JMLR 12.
    """
    del total_steps
    return optax.chain(
        optax.scale_by_rss(hyperparameters["initial_accumulator_value"], eps=0.0),
        optax.scale_by_learning_rate(hyperparameters["learning_rate"]),
    )


def zero(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """Sets every weight to 0 at every step: what any training should beat.

    Args:
      hyperparameters: none.
      total_steps: not used.
    """
    del hyperparameters, total_steps

    def update(updates, state, params=None):
        del updates
        return jax.tree.map(jnp.negative, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _add_penalties(l1: Scalar, l2: Scalar) -> optax.GradientTransformation:
    """Adds the gradient of l1 sum |x| + l2 sum x^2; that of |x| at 0 is 0."""

    def update(updates, state, params=None):
        penalised = jax.tree.map(lambda g, x: g + l1 * jnp.sign(x) + 2 * l2 * x, updates, params)
        return penalised, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _scale_by_adam_tensorflow(b1: Scalar, b2: Scalar, eps: Scalar) -> optax.GradientTransformation:
    def update(updates, state, params=None):
        del params
        state = _moments.add(updates, state, b1, b2)
        correction = jnp.sqrt(1 - b2**state.count) / (1 - b1**state.count)
        return jax.tree.map(lambda m, v: correction * m / (jnp.sqrt(v) + eps), state.mu, state.nu), state

    return optax.GradientTransformation(_moments.zeros, update)


def _scale_by_adam_taskset(
    b1: Scalar, b2: Scalar, eps: Scalar, eps_inside: bool
) -> optax.GradientTransformation:
    def update(updates, state, params=None):
        del params
        state = _moments.add(updates, state, b1, b2)
        correct1, correct2 = 1 - b1**state.count, 1 - b2**state.count

        def of_parameter(m, v):
            variance = v / correct2
            scale = jnp.sqrt(variance + eps) if eps_inside else jnp.sqrt(variance + 1e-10) + eps
            return m / correct1 / scale

        return jax.tree.map(of_parameter, state.mu, state.nu), state

    return optax.GradientTransformation(_moments.zeros, update)


def _check(switch: str, value: str, *allowed: str) -> None:
    if value not in allowed:
        raise ValueError(f"{switch} is {value!r}; allowed: {', '.join(map(repr, allowed))}")
