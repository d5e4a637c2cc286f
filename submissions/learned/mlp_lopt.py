"""MLPLOpt: one small network on every parameter, fed with the gradient, the parameter and six momenta.

Notation: p a parameter, g its gradient, m_d its mean with decay d, t the update from 0.

Reference: Metz et al. 2019, arXiv:1810.10180; `MLPLOpt` of learned_optimization.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.learned import by_shape
from submissions.learned._checked import checked, layer_count
from submissions.learned._declaration import Learned
from submissions.learned.features import TIMES, added, time_features, zero_moments
from submissions.learned.lstm import initial_linear
from submissions.learned.network import run_on_every_parameter
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

NAME = "mlp_lopt"
LAYER = "mlp/~/linear_"  # Haiku's name of a layer, but for its number
DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
CHANNELS = 2 + len(DECAYS)
OUTPUTS = 2


class MlpState(NamedTuple):
    """What MLPLOpt carries from one update to the next.

    Attributes:
      step: updates done, int32.
      m: of each group of tensors of one shape, [stack, 6, *S].
    """

    step: jax.Array
    m: tuple[jax.Array, ...]


def mlp_lopt(weights: Any, *, step_mult: float = 0.001, exp_mult: float = 0.001) -> Rule:
    """MLPLOpt with these weights.

        m_d <- d m_d + (1 - d) g                                     for the six decays
        a, s = network(g, p, m / their sizes over the tensor; tanh(t / tau - 1) for 11 tau)
        p <- p - step_mult a exp(exp_mult s)

    Args:
      weights: "mlp/~/linear_0", ... with "w" and "b"; the first has 19 inputs, the last 2 outputs.
      step_mult, exp_mult: see above.

    Raises:
      ValueError: the weights are not of this optimizer.
    """
    check(weights)

    def init(weights, hyperparameters, params, key, horizon):
        del weights, hyperparameters, key, horizon
        shapes = by_shape.of(params)
        m = shapes.map(lambda p: zero_moments(p, len(DECAYS)), shapes.stacked(params))
        return MlpState(jnp.zeros((), jnp.int32), tuple(m))

    def update(weights, hyperparameters, grads, state, params, seen: Seen):
        del hyperparameters, seen
        shapes, time = by_shape.of(params), time_features(state.step)
        layers = [weights[f"{LAYER}{i}"] for i in range(layer_count(weights, LAYER))]

        def of_tensor(g, p, old):
            m = added(old, g, jnp.asarray(DECAYS, float))
            a, s = run_on_every_parameter([g[None], p[None], m], time, layers, p.shape)
            return -step_mult * a * jnp.exp(exp_mult * s), m.astype(old.dtype)

        steps, m = zip(
            *shapes.map(of_tensor, shapes.stacked(grads), shapes.stacked(params), state.m), strict=True
        )
        return shapes.unstacked(steps), MlpState(state.step + 1, m)

    return Rule(init, update, weights=weights)


def check(weights: Any) -> None:
    """Raises a ValueError where weights are not MLPLOpt's, of any width and depth."""
    layers = layer_count(weights, LAYER)
    widths = [CHANNELS + len(TIMES), *(f"units of layer {i}" for i in range(layers - 1)), OUTPUTS]
    expected: dict[tuple[str, ...], tuple[int | str, ...]] = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        expected |= {(f"{LAYER}{i}", "w"): (inputs, outputs), (f"{LAYER}{i}", "b"): (outputs,)}
    checked(NAME, weights, expected)


def initial(key: jax.Array, hidden_size: int = 32, hidden_layers: int = 2) -> Mapping[str, Any]:
    """Weights before any training; 1,762 numbers by default.

    Args:
      key: random.
      hidden_size: units of a hidden layer.
      hidden_layers: their number, at least 1.
    """
    widths = [CHANNELS + len(TIMES), *[hidden_size] * hidden_layers, OUTPUTS]
    keys = jax.random.split(key, len(widths) - 1)
    pairs = zip(keys, itertools.pairwise(widths), strict=True)
    return {f"{LAYER}{i}": initial_linear(k, *sides) for i, (k, sides) in enumerate(pairs)}


ROWS = (
    Learned(
        NAME,
        mlp_lopt,
        initial,
        "Metz et al. 2019, arXiv:1810.10180; MLPLOpt of learned_optimization",
        switches={"step_mult": 0.001, "exp_mult": 0.001},
        sizes={"hidden_size": 32, "hidden_layers": 2},
    ),
)
