"""Three of the update rules that are all called NAdamW, each under a name of its own.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update; m and v the decayed means of g and g^2, this g
included; lr the scheduled rate. The first updates of the three differ by up to a factor of 1.9, and with the large
epsilons of Metz' list by more than 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from submissions.optimizers._declaration import (
    BETA1,
    BETA2,
    COSINE,
    EPSILON,
    OF_ADAMW,
    RATE,
    Space,
    log,
    one_of,
    uniform,
)
from submissions.optimizers._hyperparameters import (
    NOT_NEGATIVE,
    SWITCH,
    UP_TO_ONE,
    Hyperparameter,
    Optimizer,
)
from submissions.optimizers._late import jax, jnp, optax
from submissions.optimizers._moments import add_to_moments, no_moments
from submissions.optimizers.schedules import metz, warmup_then_cosine_of


def nadamw_optax(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """`optax.nadamw`, with linear warm-up and cosine decay to zero.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = b1 * m / (1 - b1^(t+1)) + (1 - b1) * g / (1 - b1^t)
        x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps.
      horizon: end of the schedule. Steps.

    Reference: Medapati et al. 2025, arXiv:2503.03986; Dozat 2016.
    """
    return optax.nadamw(
        warmup_then_cosine_of(hp, horizon),
        b1=hp["beta1"],
        b2=hp["beta2"],
        eps=hp["epsilon"],
        weight_decay=hp["weight_decay"],
    )


def nadamw_algoperf(hp: Mapping[str, Any], horizon: Any) -> optax.GradientTransformation:
    """The NAdamW of AlgoPerf's baselines, with linear warm-up and cosine decay to zero.

        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g^2
        u = (b1 * m + (1 - b1) * g) / (1 - b1^t)
        x = x - lr * (u / (sqrt(v / (1 - b2^t)) + epsilon) + weight_decay * x)

    Args:
      hp: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps, and grad_clip: the largest global norm of a
        gradient, 0 for no clipping.
      horizon: end of the schedule. Steps.

    Reference: Dahl et al. 2023, arXiv:2306.07179.
    """
    return optax.chain(
        clip_by_global_norm(hp["grad_clip"]),
        scale_by_nadam(hp["beta1"], hp["beta2"], hp["epsilon"]),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, horizon)),
    )


def nadamw_metz_code(
    hp: Mapping[str, Any],
    horizon: Any,
    *,
    l2_sign: str = "released",
    nesterov: str = "off_as_released",
    warmup_rule: str = "min",
) -> optax.GradientTransformation:
    """The NAdamW of TaskSet, with Metz' schedule. The defaults are what the released curves were made with.

    The epsilon stands outside the bias correction, and the decoupled decay is scaled by the correction.

    Args:
      hp: learning_rate, beta1, beta2, epsilon, use_nesterov (0 or 1), adamw_weight_decay, l2_weight_decay,
        warmup_fraction, min_learning_rate_mult, constant_fraction.
      horizon: end of the schedule. Steps.
      l2_sign: "released" is every published program: g - l2 x, which makes weights grow, and with which the
        list was learnt; "paper" is what the paper prints, the gradient of f + l2 |x|^2: g + 2 l2 x.
      nesterov: "off_as_released" ignores use_nesterov, as TaskSet's program does; "as_configured" obeys it.
      warmup_rule: "min" or "max": the JAX and PyTorch ports take the larger of two fractions, and so warm up for the
        whole constant phase; the program that learnt the list takes the smaller.

    Reference: Metz et al. 2020, arXiv:2002.11887, appendix C.2, and the program published with it.
    """
    if l2_sign not in ("released", "paper"):
        raise ValueError(f"l2_sign is {l2_sign!r}; allowed: 'released', 'paper'")
    if nesterov not in ("off_as_released", "as_configured"):
        raise ValueError(f"nesterov is {nesterov!r}; allowed: 'off_as_released', 'as_configured'")
    l2 = -hp["l2_weight_decay"] if l2_sign == "released" else 2 * hp["l2_weight_decay"]
    schedule = metz(
        hp["learning_rate"],
        hp["min_learning_rate_mult"],
        hp["constant_fraction"],
        hp["warmup_fraction"],
        horizon,
        warmup_rule,
    )
    return optax.chain(
        optax.add_decayed_weights(l2),
        scale_by_nadam_metz(
            hp["beta1"],
            hp["beta2"],
            hp["epsilon"],
            hp["adamw_weight_decay"],
            hp["use_nesterov"] if nesterov == "as_configured" else 0,
        ),
        optax.scale_by_learning_rate(schedule),
    )


def clip_by_global_norm(largest: Any) -> optax.GradientTransformation:
    """g <- g * min(1, largest / (|g| + 1e-6)), |g| over all parameters; largest 0 changes nothing."""

    def update(updates, state, params=None):
        del params
        norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(updates)))
        scale = jnp.where(largest > 0, jnp.minimum(1, largest / (norm + 1e-6)), 1)
        return jax.tree.map(lambda g: g * scale, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_nadam(b1: Any, b2: Any, eps: Any) -> optax.GradientTransformation:
    """AlgoPerf's Nesterov Adam, which Optax has not."""

    def update(updates, state, params=None):
        del params
        state = add_to_moments(updates, state, b1, b2)
        correct1, correct2 = 1 - b1**state.count, 1 - b2**state.count
        updates = jax.tree.map(
            lambda g, m, v: (b1 * m + (1 - b1) * g) / correct1 / (jnp.sqrt(v / correct2) + eps),
            updates,
            state.mu,
            state.nu,
        )
        return updates, state

    return optax.GradientTransformation(no_moments, update)


def scale_by_nadam_metz(
    b1: Any, b2: Any, eps: Any, decay: Any, use_nesterov: Any
) -> optax.GradientTransformation:
    """Adam's direction and the decoupled decay, both scaled by the bias correction."""

    def update(updates, state, params=None):
        state = add_to_moments(updates, state, b1, b2)
        correction = jnp.sqrt(1 - b2**state.count) / (1 - b1**state.count)

        def of_parameter(g, m, v, x):
            mean = jnp.where(use_nesterov, b1 * m + (1 - b1) * g, m)
            return correction * (mean / (jnp.sqrt(v) + eps) + decay * x)

        return jax.tree.map(of_parameter, updates, state.mu, state.nu, params), state

    return optax.GradientTransformation(no_moments, update)


# Defaults: a constant learning rate and no decay of any kind; the entries of Metz' list give every value.
_OF_METZ = (
    RATE,
    BETA1,
    BETA2,
    EPSILON,
    Hyperparameter("use_nesterov", SWITCH, 0.0),
    Hyperparameter("adamw_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("l2_weight_decay", NOT_NEGATIVE, 0.0),
    Hyperparameter("warmup_fraction", UP_TO_ONE, 0.0),
    Hyperparameter("min_learning_rate_mult", UP_TO_ONE, 1.0),
    Hyperparameter("constant_fraction", UP_TO_ONE, 1.0),
)

# The bounds of TaskSet's nadamw_grid. A space cannot say that a value is zero half the time: see `taskset_grids`.
_SPACE_OF_METZ: Space = {
    "learning_rate": log(1e-5, 1.0),
    "one_minus_beta1": log(1e-3, 1.0),
    "one_minus_beta2": log(1e-5, 1.0),
    "epsilon": log(1e-8, 1e4),
    "use_nesterov": one_of(0.0, 1.0),
    "adamw_weight_decay": log(1e-5, 1e-1),
    "l2_weight_decay": log(1e-5, 1e-1),
    "warmup_fraction": log(1e-5, 1e-1),
    "min_learning_rate_mult": log(1e-5, 1.0),
    "constant_fraction": uniform(0.0, 1.0),
}


def _schedule_of_metz(combine: str) -> str:
    return (
        "Learning rate lr: with T = workload.step_hint, it is learning_rate until update constant_fraction * T, then "
        "falls along half a cosine to min_learning_rate_mult * learning_rate at update T, and stays there. If "
        f"warmup_fraction > 0, it first rises linearly from 0 over {combine}(warmup_fraction, constant_fraction) * T "
        "updates."
    )


def _formula_of_metz(mean: str) -> str:
    return (
        "g = g - l2_weight_decay * x\n"
        "m = b1 * m + (1 - b1) * g\n"
        "v = b2 * v + (1 - b2) * g^2\n"
        f"{mean}\n"
        "c = sqrt(1 - b2^t) / (1 - b1^t)\n"
        "x = x - lr * c * (u / (sqrt(v) + epsilon) + adamw_weight_decay * x)"
    )


ROWS = (
    # Without a space of its own: Medapati et al., Table 1, was made for it.
    Optimizer(
        "nadamw_optax",
        nadamw_optax,
        OF_ADAMW,
        "optax.nadamw; the rule of Medapati et al. 2025, arXiv:2503.03986",
        source="This is optax.nadamw, which is the same in Optax 0.2.2 and 0.2.8; the list of Medapati et al., "
        "arXiv:2503.03986, was made for it. AlgoPerf's own NAdamW baselines correct the momentum differently.",
        schedule=COSINE,
    ),
    Optimizer(
        "nadamw_algoperf",
        nadamw_algoperf,
        (*OF_ADAMW, Hyperparameter("grad_clip", NOT_NEGATIVE, 0.0)),
        "the NAdamW baselines of AlgoPerf, Dahl et al. 2023, arXiv:2306.07179",
        source="This is the rule of AlgoPerf's NAdamW baselines (Dahl et al., arXiv:2306.07179; Choi et al., "
        "arXiv:1910.05446, Table 1). optax.nadamw corrects the momentum differently: its first steps are shorter. "
        "A grad_clip > 0 first scales the whole gradient by min(1, grad_clip / (norm + 1e-6)).",
        schedule=COSINE,
    ),
    Optimizer(
        "nadamw_metz_code",
        nadamw_metz_code,
        _OF_METZ,
        "TaskSet's program as its curves were released: Metz et al. 2020, arXiv:2002.11887",
        formula=_formula_of_metz("u = m"),
        source="This is what the program of Metz et al., arXiv:2002.11887, does, with which the curves behind their "
        "list were made. It departs from the paper's equations: epsilon stays outside the bias correction, the "
        "correction scales the weight decay too, the L2 term is subtracted from the gradient, and use_nesterov is "
        "never read.",
        schedule=_schedule_of_metz("min"),
        options={"l2_sign": "released", "nesterov": "off_as_released", "warmup_rule": "min"},
        whole_warmup_steps=False,
        search_space=_SPACE_OF_METZ,
    ),
    Optimizer(
        "nadamw_metz_code_ported",
        nadamw_metz_code,
        _OF_METZ,
        "opt_list for JAX and PyTorch, and OptList of learned_optimization: arXiv:2002.11887",
        formula=_formula_of_metz("u = b1 * m + (1 - b1) * g  if use_nesterov, else  u = m"),
        source="This is the rule of the JAX and PyTorch programs that replay the list of Metz et al., "
        "arXiv:2002.11887. It departs from the paper's equations: epsilon stays outside the bias correction, the "
        "correction scales the weight decay too, and the L2 term is subtracted from the gradient. Against the program "
        "with which the list was learnt, it obeys use_nesterov and warms up for longer.",
        schedule=_schedule_of_metz("max"),
        options={"l2_sign": "released", "nesterov": "as_configured", "warmup_rule": "max"},
        whole_warmup_steps=False,
        search_space=_SPACE_OF_METZ,
    ),
)
