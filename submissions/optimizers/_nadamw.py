"""Three of the update rules that are all called NAdamW, each under a name of its own.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; m and v the decayed means of g and g^2,
this g included; lam the decoupled weight decay; lr the scheduled rate. Every rule is x <- x - lr * (...):

| rule | inside the brackets |
|---|---|
| optax | (b1 m / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + lam x |
| algoperf | ((b1 m + (1 - b1) g) / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + lam x |
| metz_code | c [ (b1 m + (1 - b1) g) / (sqrt(v) + eps) + lam x ],  c = sqrt(1 - b2^t) / (1 - b1^t) |

The first updates differ by up to a factor of 1.9, and with the large epsilons of Metz' list by more than 10.

Hyperparameters are what `Optimizer.prepare` returns; all of them may be traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from submissions.optimizers import _moments, _schedules
from submissions.optimizers._schedules import Scalar


def nadamw_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.nadamw`, with linear warm-up and cosine decay to zero.

    The decay is multiplied by the scheduled learning rate and acts on all parameters.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Medapati et al. 2025, arXiv:2503.03986; Dozat 2016.
    """
    hp = hyperparameters
    return optax.nadamw(
        _schedules.warmup_then_cosine_of(hp, total_steps),
        b1=hp["beta1"],
        b2=hp["beta2"],
        eps=hp["epsilon"],
        weight_decay=hp["weight_decay"],
    )


def nadamw_algoperf(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """The NAdamW of AlgoPerf's baselines, with linear warm-up and cosine decay to zero.

    The decay is multiplied by the scheduled learning rate and acts on all parameters.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps, and grad_clip: the
        largest global norm of a gradient, 0 for no clipping.
      total_steps: end of the schedule. Steps.

    Reference: Dahl et al. 2023, arXiv:2306.07179.
    """
    hp = hyperparameters
    return optax.chain(
        _clip_by_global_norm(hp["grad_clip"]),
        _scale_by_nadam_algoperf(hp["beta1"], hp["beta2"], hp["epsilon"]),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(_schedules.warmup_then_cosine_of(hp, total_steps)),
    )


def nadamw_metz_code(
    hyperparameters: Mapping[str, Any],
    total_steps: int,
    *,
    l2_sign: Literal["released", "paper"] = "released",
    nesterov: Literal["off_as_released", "as_configured"] = "off_as_released",
    warmup_rule: _schedules.WarmupRule = "min",
) -> optax.GradientTransformation:
    """The NAdamW of TaskSet, with Metz' schedule. The defaults are what the released curves were made with.

    The epsilon stands outside the bias correction, and the decoupled decay is scaled by the correction.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, use_nesterov (0 or 1), adamw_weight_decay,
        l2_weight_decay, warmup_fraction, min_learning_rate_mult, constant_fraction.
      total_steps: end of the schedule. Steps.
      l2_sign: "released" is every published program: g - l2 x, which makes weights grow, and with which the
        list was learnt; "paper" is what the paper prints, the gradient of f + l2 |x|^2: g + 2 l2 x.
      nesterov: "off_as_released" ignores use_nesterov, as TaskSet's program does; "as_configured" obeys it.
      warmup_rule: "min" or "max", see `_schedules.metz`.

    Reference: Metz et al. 2020, arXiv:2002.11887, appendix C.2, and the program published with it.
    """
    if l2_sign not in ("released", "paper"):
        raise ValueError(f"l2_sign is {l2_sign!r}; allowed: 'released', 'paper'")
    if nesterov not in ("off_as_released", "as_configured"):
        raise ValueError(f"nesterov is {nesterov!r}; allowed: 'off_as_released', 'as_configured'")
    hp = hyperparameters
    l2 = -hp["l2_weight_decay"] if l2_sign == "released" else 2 * hp["l2_weight_decay"]
    schedule = _schedules.metz(
        hp["learning_rate"],
        hp["min_learning_rate_mult"],
        hp["constant_fraction"],
        hp["warmup_fraction"],
        total_steps,
        warmup_rule,
    )
    return optax.chain(
        optax.add_decayed_weights(l2),
        _scale_by_nadam_metz(
            hp["beta1"],
            hp["beta2"],
            hp["epsilon"],
            hp["adamw_weight_decay"],
            hp["use_nesterov"] if nesterov == "as_configured" else 0,
        ),
        optax.scale_by_learning_rate(schedule),
    )


def _clip_by_global_norm(largest: Scalar) -> optax.GradientTransformation:
    """g <- g * min(1, largest / (|g| + 1e-6)), |g| over all parameters; largest 0 changes nothing."""

    def update(updates, state, params=None):
        del params
        scale = jnp.minimum(1, largest / (optax.tree.norm(updates) + 1e-6))
        scale = jnp.where(largest > 0, scale, 1)
        return jax.tree.map(lambda g: g * scale, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _scale_by_nadam_algoperf(b1: Scalar, b2: Scalar, eps: Scalar) -> optax.GradientTransformation:
    def update(updates, state, params=None):
        del params
        state = _moments.add(updates, state, b1, b2)
        correct1, correct2 = 1 - b1**state.count, 1 - b2**state.count
        updates = jax.tree.map(
            lambda g, m, v: (b1 * m + (1 - b1) * g) / correct1 / (jnp.sqrt(v / correct2) + eps),
            updates,
            state.mu,
            state.nu,
        )
        return updates, state

    return optax.GradientTransformation(_moments.zeros, update)


def _scale_by_nadam_metz(
    b1: Scalar, b2: Scalar, eps: Scalar, decay: Scalar, use_nesterov: Scalar
) -> optax.GradientTransformation:
    def update(updates, state, params=None):
        state = _moments.add(updates, state, b1, b2)
        correction = jnp.sqrt(1 - b2**state.count) / (1 - b1**state.count)

        def of_parameter(g, m, v, x):
            mean = jnp.where(use_nesterov, b1 * m + (1 - b1) * g, m)
            return correction * (mean / (jnp.sqrt(v) + eps) + decay * x)

        return jax.tree.map(of_parameter, updates, state.mu, state.nu, params), state

    return optax.GradientTransformation(_moments.zeros, update)
