"""AdafacMLPLOpt: a very small network on every parameter, fed with factored moments too, whose decays are learned.

Also what STAR (`submissions.learned.star`) shares with it: the accumulators, and weights of the same layout.

Notation: p a parameter, g its gradient, m its means with three decays, v the mean of its square, t the update from 0.

Reference: Metz et al. 2022, arXiv:2203.11860; `AdafacMLPLOpt` of learned_optimization.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from submissions.learned import by_shape
from submissions.learned._checked import checked, layer_count
from submissions.learned._declaration import Learned
from submissions.learned.features import (
    TIMES,
    Factored,
    accumulator_features,
    added,
    added_to_factored,
    time_features,
    zero_factored,
    zero_moments,
)
from submissions.learned.lstm import initial_linear
from submissions.learned.network import run_on_every_parameter
from submissions.optimizers._late import jax, jnp
from submissions.optimizers._rule import Rule, Seen

NAME = "adafac_mlp_lopt"
NETWORK = ("nn", "~")  # where the layers' weights are: Haiku's name of a module that has none
DECAYS = {
    "momentum_decays": (0.9, 0.99, 0.999),
    "rms_decays": (0.999,),
    "adafactor_decays": (0.9, 0.99, 0.999),
}
CHANNELS = 28
OUTPUTS = 2


class Accumulators(NamedTuple):
    """What is kept of the gradients of one tensor of shape S.

    Attributes:
      m: [3, *S], means.
      rms: [1, *S], mean of squares.
      factored: the same by rows and columns, for three decays.
    """

    m: jax.Array
    rms: jax.Array
    factored: Factored


class AdafacState(NamedTuple):
    """What AdafacMLPLOpt and STAR carry from one update to the next.

    Attributes:
      step: updates done, int32.
      tensors: accumulators of each group of tensors of one shape, [stack, ...].
    """

    step: jax.Array
    tensors: tuple[Accumulators, ...]


def adafac_mlp_lopt(
    weights: Any,
    *,
    step_mult: float = 0.001,
    exp_mult: float = 0.001,
    clip_momentum_decays: bool = False,
    unfactored_epsilon: float = 1e-6,
    split_weights: bool = False,
) -> Rule:
    """AdafacMLPLOpt with these weights.

        d = 1 - (1 - d0) exp(10 x)                   for every decay, d0 its start and x its weight
        a, s = network(28 features of g, p, m, v and factored moments, each by its size over the tensor;
                       tanh(t / tau - 1) for 11 tau)
        p <- p - step_mult a exp(exp_mult s)

    Args:
      weights: "momentum_decays", "rms_decays", "adafactor_decays" and in "nn", "~" the layers "w0", "b0", ....
      step_mult, exp_mult: see above.
      clip_momentum_decays: keep the decays of m between 0 and 1, as all others are; the original does not.
      unfactored_epsilon: see `submissions.learned.features.accumulator_features`; VeLO has 0.
      split_weights: read a layer's weights by columns, as the original does where it is told to split them.

    Raises:
      ValueError: the weights are not of this optimizer.
    """
    check(NAME, weights, OUTPUTS)

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
            a, s = run_on_every_parameter(features, time, layers, p.shape)
            return -step_mult * a * jnp.exp(exp_mult * s), as_kept(new, old)

        made = shapes.map(of_tensor, shapes.stacked(grads), shapes.stacked(params), state.tensors)
        steps, tensors = zip(*made, strict=True)
        return shapes.unstacked(steps), AdafacState(state.step + 1, tensors)

    return Rule(init, update, weights=weights)


def init(weights: Any, hyperparameters: Any, params: Any, key: Any, horizon: Any) -> AdafacState:
    """No gradient seen yet, see `Rule`."""
    del weights, hyperparameters, key, horizon

    def of_tensor(p):
        counts = {name: len(decays) for name, decays in DECAYS.items()}
        return Accumulators(
            zero_moments(p, counts["momentum_decays"]),
            zero_moments(p, counts["rms_decays"]),
            zero_factored(p, counts["adafactor_decays"]),
        )

    shapes = by_shape.of(params)
    return AdafacState(jnp.zeros((), jnp.int32), tuple(shapes.map(of_tensor, shapes.stacked(params))))


def gradient_added(
    old: Accumulators, g: jax.Array, weights: Mapping[str, Any], clip_momentum_decays: bool
) -> Accumulators:
    """One gradient later; the decays are among the weights."""
    momentum, rms, factored = (
        1.0 - (1.0 - jnp.asarray(start, float)) * jnp.exp(10.0 * weights[name])
        for name, start in DECAYS.items()
    )
    if clip_momentum_decays:
        momentum = jnp.clip(momentum, 0.0, 1.0)
    return Accumulators(
        added(old.m, g, momentum),
        added(old.rms, jnp.square(g), jnp.clip(rms, 0.0, 1.0)),
        added_to_factored(old.factored, g, factored),
    )


def as_kept(new: Any, old: Any) -> Any:
    """New accumulators in the precision that the old ones have."""
    return jax.tree.map(lambda n, o: n.astype(o.dtype), new, old)


def layers_of(weights: Any, split_weights: bool) -> list[dict[str, jax.Array]]:
    """The layers as `run_on_every_parameter` takes them; `split_weights` see `adafac_mlp_lopt`."""
    of_network = weights[NETWORK[0]][NETWORK[1]]
    layers = []
    for i in range(layer_count(of_network, "w")):
        w = of_network[f"w{i}"]
        layers.append({"w": w.reshape(w.shape[::-1]).T if split_weights else w, "b": of_network[f"b{i}"]})
    return layers


def check(name: str, weights: Any, outputs: int) -> None:
    """Raises a ValueError where weights are not of this layout, of any width and depth."""
    node = weights
    for key in NETWORK:
        node = node.get(key) if isinstance(node, Mapping) else None
    layers = layer_count(node, "w")
    widths = [CHANNELS + len(TIMES), *(f"units of layer {i}" for i in range(layers - 1)), outputs]
    expected: dict[tuple[str, ...], tuple[int | str, ...]] = {
        (decays,): (len(start),) for decays, start in DECAYS.items()
    }
    for i, (one, next_one) in enumerate(itertools.pairwise(widths)):
        expected |= {(*NETWORK, f"w{i}"): (one, next_one), (*NETWORK, f"b{i}"): (next_one,)}
    checked(name, weights, expected)


def initial_of(key: jax.Array, hidden_size: int, hidden_layers: int, outputs: int) -> dict[str, Any]:
    """Weights before any training, of a network with so many outputs; decays at their start."""
    widths = [CHANNELS + len(TIMES), *[hidden_size] * hidden_layers, outputs]
    keys = jax.random.split(key, len(widths) - 1)
    network = {}
    for i, (k, sides) in enumerate(zip(keys, itertools.pairwise(widths), strict=True)):
        layer = initial_linear(k, *sides)
        network |= {f"w{i}": layer["w"], f"b{i}": layer["b"]}
    decays = {name: jnp.zeros(len(start)) for name, start in DECAYS.items()}
    return {**decays, NETWORK[0]: {NETWORK[1]: network}}


def initial(key: jax.Array, hidden_size: int = 4, hidden_layers: int = 2) -> dict[str, Any]:
    """Weights before any training; 197 numbers by default.

    Args:
      key: random.
      hidden_size: units of a hidden layer.
      hidden_layers: their number, at least 1.
    """
    return initial_of(key, hidden_size, hidden_layers, OUTPUTS)


SWITCHES = {"clip_momentum_decays": False, "unfactored_epsilon": 1e-6, "split_weights": False}

ROWS = (
    Learned(
        NAME,
        adafac_mlp_lopt,
        initial,
        "Metz et al. 2022, arXiv:2203.11860; AdafacMLPLOpt of learned_optimization",
        switches={"step_mult": 0.001, "exp_mult": 0.001, **SWITCHES},
        sizes={"hidden_size": 4, "hidden_layers": 2},
    ),
)
