"""Optimizers of Optax with every hyperparameter traced, named after the functions that they are.

Notation: g the gradient, x the parameter, t = 1, 2, ... the update, lr the scheduled rate, lam the weight decay.
Unless said otherwise lr warms up linearly from zero and then falls to zero along half a cosine, and the decay is
decoupled, acts on all parameters and is multiplied by lr.

| rule | update |
|---|---|
| adamw_optax | x <- x - lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + lam x), m and v as for NAdamW |
| sgd_optax | m <- b1 m + g + lam x; x <- x - lr m, or with Nesterov x <- x - lr (b1 m + g + lam x) |
| rmsprop_optax | v <- b2 v + (1 - b2) g^2; m <- b1 m + lr g / sqrt(v + eps); x <- x - m |
| adagrad_optax | a <- a + g^2; x <- x - lr g / sqrt(a + eps) |
| adafactor_optax | as Adam's v, but of matrices only the means of its rows and columns are kept |
| lion_optax | x <- x - lr (sign(b1 m + (1 - b1) g) + lam x); m <- b2 m + (1 - b2) g |
| muon_optax | matrices along the orthogonalised momentum, all else by NAdamW |
| schedule_free_adamw_optax | Adam without momentum moves z; x is the mean of all z; gradients are taken between |
| prodigy_optax | Adam whose step is an estimate of the distance to the solution, times lr |

Optax decides some things in Python that a population must decide per trial, such as Nesterov's momentum: there the
same formula is written with a traced switch.

Hyperparameters are what `Optimizer.prepare` returns; all of them may be traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from submissions.optimizers import _schedules
from submissions.optimizers._schedules import Scalar, warmup_then_cosine_of


def adamw_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.adamw`: Adam with decoupled weight decay.

    Args:
      hyperparameters: learning_rate, beta1, beta2, epsilon, weight_decay, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    hp = hyperparameters
    return optax.adamw(
        warmup_then_cosine_of(hp, total_steps),
        b1=hp["beta1"],
        b2=hp["beta2"],
        eps=hp["epsilon"],
        weight_decay=hp["weight_decay"],
    )


def sgd_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.sgd` on g + lam x: the decay passes through the momentum, as in AlgoPerf's baselines.

    Args:
      hyperparameters: learning_rate, beta1 (the momentum), use_nesterov (0 or 1), weight_decay, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Sutskever et al. 2013, ICML.
    """
    hp = hyperparameters
    return optax.chain(
        optax.add_decayed_weights(hp["weight_decay"]),
        _trace(hp["beta1"], hp["use_nesterov"]),
        optax.scale_by_learning_rate(warmup_then_cosine_of(hp, total_steps)),
    )


def rmsprop_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.rmsprop`, uncentred, with momentum: the learning rate enters the momentum.

    Args:
      hyperparameters: learning_rate, beta1 (the momentum), beta2 (Optax's decay), epsilon, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Tieleman & Hinton 2012, Coursera lecture 6.5.
    """
    hp = hyperparameters
    return optax.rmsprop(
        warmup_then_cosine_of(hp, total_steps), decay=hp["beta2"], eps=hp["epsilon"], momentum=hp["beta1"]
    )


def adagrad_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.adagrad`. Not TaskSet's, which has no epsilon and no schedule: that is `adagrad_tf`.

    Args:
      hyperparameters: learning_rate, initial_accumulator_value, epsilon, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Duchi et al. 2011, JMLR 12.
    """
    hp = hyperparameters
    return optax.adagrad(
        warmup_then_cosine_of(hp, total_steps), hp["initial_accumulator_value"], eps=hp["epsilon"]
    )


def adafactor_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.adafactor`: the second moment of a matrix from the means of its rows and columns.

    Matrices are factored where both sides have at least 128 entries. The decay, which Optax would add to every
    update as it is, is multiplied by the scheduled learning rate, as everywhere here.

    Args:
      hyperparameters: learning_rate, beta1 (of the updates, Optax's momentum), decay_rate (the second moment's
        beta2 is 1 - t^-decay_rate), clipping_threshold (of a tensor's root mean square), weight_decay,
        multiply_by_parameter_scale (0 or 1: whether steps are relative to a tensor's root mean square),
        warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Shazeer & Stern 2018, arXiv:1804.04235.
    """
    hp = hyperparameters
    schedule = warmup_then_cosine_of(hp, total_steps)
    return optax.chain(
        optax.adafactor(
            schedule,
            decay_rate=hp["decay_rate"],
            clipping_threshold=hp["clipping_threshold"],
            multiply_by_parameter_scale=False,  # decided per trial, below
        ),
        _scale_by_parameter_if(hp["multiply_by_parameter_scale"]),
        optax.ema(hp["beta1"], debias=False),
        optax.add_decayed_weights(lambda step: -hp["weight_decay"] * schedule(step)),
    )


def lion_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.lion`: the sign of a momentum.

    Args:
      hyperparameters: learning_rate, beta1, beta2, weight_decay, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Chen et al. 2023, arXiv:2302.06675.
    """
    hp = hyperparameters
    return optax.lion(
        warmup_then_cosine_of(hp, total_steps),
        b1=hp["beta1"],
        b2=hp["beta2"],
        weight_decay=hp["weight_decay"],
    )


def muon_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.contrib.muon`: matrices by orthogonalised momentum, everything else by NAdamW.

    The kernels of convolutions are matrices too: all axes but the last together, and the last. Orthogonalising
    takes five Newton-Schulz steps, which are products of matrices and nothing else. Every update of a matrix is
    scaled to the same root mean square, so that both rules share one learning rate and one weight decay (Liu et
    al.).

    Args:
      hyperparameters: learning_rate, beta1 (of matrices), consistent_rms (root mean square of a matrix's update
        as a share of the learning rate), adam_beta1, adam_beta2, epsilon, weight_decay, warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Jordan 2024, modded-nanogpt; Liu et al. 2025, arXiv:2502.16982.
    """
    hp = hyperparameters
    return optax.contrib.muon(
        warmup_then_cosine_of(hp, total_steps),
        beta=hp["beta1"],
        eps=hp["epsilon"],
        weight_decay=hp["weight_decay"],
        adam_b1=hp["adam_beta1"],
        adam_b2=hp["adam_beta2"],
        adam_weight_decay=hp["weight_decay"],
        consistent_rms=hp["consistent_rms"],
        muon_weight_dimension_numbers=_matrices,
    )


def schedule_free_adamw_optax(
    hyperparameters: Mapping[str, Any], total_steps: int
) -> optax.GradientTransformation:
    """`optax.contrib.schedule_free_adamw`: linear warm-up, and no end of the schedule.

    What is trained are the points y at which gradients are taken. What is to be evaluated are their means x, see
    `schedule_free_mean`.

    Args:
      hyperparameters: learning_rate, beta1 (the share of x in y, above 0), beta2, epsilon, weight_decay,
        weight_lr_power (the mean's weights are the largest learning rate so far to this power), warmup_steps.
      total_steps: not used.

    Reference: Defazio et al. 2024, arXiv:2405.15682.
    """
    del total_steps
    hp = hyperparameters
    schedule = _schedules.warmup_then_constant(hp["learning_rate"], hp["warmup_steps"])
    adam_without_momentum = optax.chain(
        optax.scale_by_rms(hp["beta2"], eps=hp["epsilon"], eps_in_sqrt=False, bias_correction=True),
        optax.add_decayed_weights(hp["weight_decay"]),
        optax.scale_by_learning_rate(schedule),
    )
    return optax.contrib.schedule_free(
        adam_without_momentum, schedule, b1=hp["beta1"], weight_lr_power=hp["weight_lr_power"]
    )


def schedule_free_mean(state: Any, params: Any) -> Any:
    """The parameters that `schedule_free_adamw_optax` recommends: the mean x = (y - (1 - b1) z) / b1."""
    return optax.contrib.schedule_free_eval_params(state, params)


def prodigy_optax(hyperparameters: Mapping[str, Any], total_steps: int) -> optax.GradientTransformation:
    """`optax.contrib.prodigy`, which estimates its own learning rate; the scheduled one multiplies it.

    Optax's safeguard_warmup is on, since a schedule that starts at zero otherwise divides 0 by 0 at once. beta3
    is sqrt(beta2), its default. Until a gradient differs from zero nothing happens, where Optax divides 0 by 0.

    Args:
      hyperparameters: learning_rate (1 in the paper), beta1, beta2, epsilon, weight_decay, estim_lr0 (first
        estimate), estim_lr_coef (multiplies the estimates), warmup_steps.
      total_steps: end of the schedule. Steps.

    Reference: Mishchenko & Defazio 2023, arXiv:2306.06101.
    """
    hp = hyperparameters
    return _wait_for_a_gradient(
        optax.contrib.prodigy(
            warmup_then_cosine_of(hp, total_steps),
            betas=(hp["beta1"], hp["beta2"]),
            beta3=jnp.sqrt(hp["beta2"]),
            eps=hp["epsilon"],
            estim_lr0=hp["estim_lr0"],
            estim_lr_coef=hp["estim_lr_coef"],
            weight_decay=hp["weight_decay"],
            safeguard_warmup=True,
        )
    )


def _trace(decay: Scalar, use_nesterov: Scalar) -> optax.GradientTransformation:
    """`optax.trace` with a traced switch: m <- decay m + g gives m, or with Nesterov decay m + g."""

    def update(updates, state, params=None):
        del params
        trace = jax.tree.map(lambda m, g: decay * m + g, state.trace, updates)
        ahead = jax.tree.map(lambda m, g: jnp.where(use_nesterov, decay * m + g, m), trace, updates)
        return ahead, optax.TraceState(trace)

    return optax.GradientTransformation(
        lambda params: optax.TraceState(jax.tree.map(jnp.zeros_like, params)), update
    )


def _scale_by_parameter_if(switch: Scalar) -> optax.GradientTransformation:
    """`optax.scale_by_param_block_rms` where the switch is on, nothing where it is off."""
    scaled = optax.scale_by_param_block_rms()

    def update(updates, state, params=None):
        relative, state = scaled.update(updates, state, params)
        return jax.tree.map(lambda r, u: jnp.where(switch, r, u), relative, updates), state

    return optax.GradientTransformation(scaled.init, update)


def _matrices(params: Any) -> Any:
    """How Muon reads every parameter as a matrix; None where it is a vector or a scalar."""

    def axes(x):
        if x.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(x.ndim - 1)), (x.ndim - 1,))

    return jax.tree.map(axes, params)


def _wait_for_a_gradient(transformation: optax.GradientTransformation) -> optax.GradientTransformation:
    """Neither updates nor counts before the first gradient that is not zero everywhere."""

    def update(updates, state, params=None):
        moved, new_state = transformation.update(updates, state, params)
        there = jnp.stack([jnp.any(g != 0) for g in jax.tree.leaves(updates)]).any() | (state.count > 0)
        kept = jax.tree.map(lambda new, old: jnp.where(there, new, old), new_state, state)
        return jax.tree.map(lambda u: jnp.where(there, u, jnp.zeros_like(u)), moved), kept

    return optax.GradientTransformation(transformation.init, update)
