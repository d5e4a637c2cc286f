"""STAR: AdafacMLPLOpt beside a nominal step and weight decay, which the network may steer.

With its defaults, no nominal step and no decay, it is AdafacMLPLOpt with two outputs that nobody reads.

Notation: as in `submissions.learned.adafac_mlp_lopt`; r = rsqrt(v + 1e-6).

Reference: Harrison et al. 2022, arXiv:2209.11208; `MLPNomLOpt` of learned_optimization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from submissions.learned import by_shape
from submissions.learned._declaration import Learned
from submissions.learned.adafac_mlp_lopt import (
    SWITCHES,
    AdafacState,
    as_kept,
    check,
    gradient_added,
    init,
    initial_of,
    layers_of,
)
from submissions.learned.features import Features, accumulator_features, time_features
from submissions.learned.network import run_on_every_parameter
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

NAME = "star"
OUTPUTS = 4

NOMINAL = {
    "AdamAggMo": lambda f: jnp.mean(f.m_by_rms, 0),
    "Adam": lambda f: f.m_by_rms[-1],
    "AggMo": lambda f: jnp.mean(f.m, 0),
    "SGDM": lambda f: f.m[-1],
    "SGD": lambda f: f.g[0],
}


def star(
    weights: Any,
    *,
    step_mult: float = 0.001,
    exp_mult: Sequence[float] = (0.001, 0.001, 0.001),
    nominal_stepsize: float = 0.0,
    weight_decay: float = 0.0,
    nominal_controller: bool = False,
    regularization_controller: bool = False,
    nominal_grad_estimator: str = "AdamAggMo",
    aggregate_magnitude: bool = False,
    aggregate_nom_magnitude: bool = False,
    aggregate_reg_magnitude: bool = False,
    normalize_blackbox: bool = False,
    selfnormalize_blackbox: bool = False,
    clip_momentum_decays: bool = False,
    unfactored_epsilon: float = 1e-6,
    split_weights: bool = False,
) -> Rule:
    """STAR with these weights.

        a, s, n, w = network(as AdafacMLPLOpt)
        p <- p - step_mult a exp(e0 s) - nominal_stepsize exp(e1 n) estimate - weight_decay exp(e2 w) p

    Args:
      weights: as AdafacMLPLOpt's, with four outputs.
      step_mult, nominal_stepsize, weight_decay: see above. Nothing is multiplied by a learning rate.
      exp_mult: (e0, e1, e2).
      nominal_controller: the network says n; otherwise n = 1.
      regularization_controller: the network says w; otherwise w = 0.
      nominal_grad_estimator: "AdamAggMo", the mean of m r over the decays; "Adam", its last; "AggMo", the mean of m;
        "SGDM", its last; "SGD", g.
      aggregate_magnitude, aggregate_nom_magnitude, aggregate_reg_magnitude: s, n, w are means over the tensor. The
        original cannot be started with the last.
      normalize_blackbox: the learned step is multiplied by r.
      selfnormalize_blackbox: it is multiplied by the mean of g, as the original has it.
      clip_momentum_decays, unfactored_epsilon, split_weights: see `adafac_mlp_lopt`.

    Raises:
      ValueError: the weights are not of this optimizer, or a switch has a value that it cannot have.
    """
    check(NAME, weights, OUTPUTS)
    if nominal_grad_estimator not in NOMINAL:
        raise ValueError(
            f"{NAME}: unknown nominal_grad_estimator {nominal_grad_estimator!r} (allowed: {', '.join(NOMINAL)})"
        )
    if len(exp_mult) != 3:
        raise ValueError(
            f"{NAME}: exp_mult has {len(exp_mult)} numbers, must have 3: of step, nominal step and decay"
        )

    def step(g: jax.Array, p: jax.Array, features: Features, outputs: Sequence[jax.Array]) -> jax.Array:
        a, s, n, w = outputs
        n = n if nominal_controller else jnp.ones_like(n)
        w = w if regularization_controller else jnp.zeros_like(w)
        s = jnp.mean(s) if aggregate_magnitude else s
        n = jnp.mean(n) if aggregate_nom_magnitude else n
        w = jnp.mean(w) if aggregate_reg_magnitude else w
        learned = step_mult * a * jnp.exp(exp_mult[0] * s)
        if normalize_blackbox:
            learned = learned * features.by_rms[0]
        if selfnormalize_blackbox:
            learned = learned * jnp.mean(g)
        nominal = nominal_stepsize * jnp.exp(exp_mult[1] * n) * NOMINAL[nominal_grad_estimator](features)
        return learned + nominal + weight_decay * jnp.exp(exp_mult[2] * w) * p

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters, seen
        shapes, time, layers = (
            by_shape.of(params),
            time_features(state.step),
            layers_of(weights, split_weights),
        )

        def of_tensor(g, p, old):
            new = gradient_added(old, g, weights, clip_momentum_decays)
            features = accumulator_features(g, p, *new, unfactored_epsilon=unfactored_epsilon)
            outputs = run_on_every_parameter(features, time, layers, p.shape)
            return -step(g, p, features, outputs), as_kept(new, old)

        made = shapes.map(of_tensor, shapes.stacked(grads), shapes.stacked(params), state.tensors)
        steps, tensors = zip(*made, strict=True)
        return shapes.unstacked(steps), AdafacState(state.step + 1, tensors)

    return Rule(init, update, weights=weights)


def initial(key: jax.Array, hidden_size: int = 4, hidden_layers: int = 2) -> dict[str, Any]:
    """Weights before any training; 207 numbers by default.

    Args:
      key: random.
      hidden_size: units of a hidden layer.
      hidden_layers: their number, at least 1.
    """
    return initial_of(key, hidden_size, hidden_layers, OUTPUTS)


ROWS = (
    Learned(
        NAME,
        star,
        initial,
        "Harrison et al. 2022, arXiv:2209.11208; MLPNomLOpt of learned_optimization",
        switches={
            "step_mult": 0.001,
            "exp_mult": (0.001, 0.001, 0.001),
            "nominal_stepsize": 0.0,
            "weight_decay": 0.0,
            "nominal_controller": False,
            "regularization_controller": False,
            "nominal_grad_estimator": "AdamAggMo",
            "aggregate_magnitude": False,
            "aggregate_nom_magnitude": False,
            "aggregate_reg_magnitude": False,
            "normalize_blackbox": False,
            "selfnormalize_blackbox": False,
            **SWITCHES,
        },
        sizes={"hidden_size": 4, "hidden_layers": 2},
    ),
)
