"""The small network that VeLO and Celo run on every parameter, and the accumulators that it reads.

Of one tensor of any shape S; mapped over stacks of tensors of one shape. The network is written out as sums of products
over single arrays [*S], so that XLA makes one loop of it that reads the accumulators once and keeps features and hidden
units in registers: measured on a matrix of 98,304 elements, 8 times faster than with arrays of several channels and
compiled in half the time.

References: Metz et al. 2022, arXiv:2211.09760, and arXiv:2203.11860 for the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from submissions.learned.features import (
    Factored,
    accumulator_features,
    added,
    added_to_factored,
    zero_factored,
    zero_moments,
)
from submissions.optimizers._late import jax, jnp

MOMENTUM_DECAYS = (0.9, 0.99, 0.999)
RMS_DECAY = 0.999
FACTORED_DECAYS = (0.9, 0.99, 0.999)
# Channels of the features w0__0, w0__1, ..., in the order of `mlp_features`.
CHANNELS = (1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3)
HIDDEN, OUTPUTS, USED_OUTPUTS = 4, 3, 2
P_CHANNEL = 2  # p among the channels
EXP_MULT, STEP_MULT = 0.001, 0.001


class Accumulators(NamedTuple):
    """What is kept of the gradients of one tensor.

    Attributes:
      m: [3, *S], decayed means of the gradient.
      rms: [1, *S], decayed mean of its square.
      factored: the same by rows and columns, for three decays.
    """

    m: jax.Array
    rms: jax.Array
    factored: Factored


def no_gradients(p: jax.Array) -> Accumulators:
    """Before the first gradient."""
    return Accumulators(
        zero_moments(p, len(MOMENTUM_DECAYS)), zero_moments(p, 1), zero_factored(p, len(FACTORED_DECAYS))
    )


def gradient_added(accumulators: Accumulators, g: jax.Array) -> Accumulators:
    """One gradient later."""
    m, rms, factored = accumulators
    return Accumulators(
        added(m, g, jnp.asarray(MOMENTUM_DECAYS, jnp.float32)),
        added(rms, jnp.square(g), jnp.asarray([RMS_DECAY], jnp.float32)),
        added_to_factored(factored, g, jnp.asarray(FACTORED_DECAYS, jnp.float32)),
    )


def mlp_features(p: jax.Array, g: jax.Array, accumulators: Accumulators) -> tuple[jax.Array, ...]:
    """The 14 features of a parameter, [channel, *B] each, not yet divided by their size; B see `features`."""
    f = accumulator_features(g, p, *accumulators, unfactored_epsilon=0.0)
    return (
        f.g, jnp.clip(f.g, -0.1, 0.1), f.p, f.m, f.rms, f.m_by_rms, f.by_rms, f.factored_g, f.g * f.by_rms,
        f.row, f.col, f.by_row, f.by_col, f.factored_m,
    )  # fmt: skip


def flat_networks(bank: Mapping[str, jax.Array]) -> jax.Array:
    """[network, 154]: the weights that are used, in the order in which `mlp_step` reads them.

    Args:
      bank: name -> [network, ...]: b0, b1, b2; w0__0, ..., w0__13, one per feature; w1, w2. Output 2 is not used.
    """
    used = [*(bank[f"w0__{i}"] for i in range(len(CHANNELS))), bank["b0"], bank["w1"], bank["b1"]]
    used += [bank["w2"][..., :USED_OUTPUTS], bank["b2"][..., :USED_OUTPUTS]]
    return jnp.concatenate([jnp.reshape(w, (len(w), -1)) for w in used], -1)


def mlp_step(network: jax.Array, p: jax.Array, g: jax.Array, accumulators: Accumulators) -> jax.Array:
    """[*S]: 0.001 d exp(0.001 s) sqrt(mean(p^2) + 1e-9), to be subtracted; d and s are what the network says.

    Every feature is divided by sqrt(1e-5 + mean of its square), which is done by dividing its weights.

    Args:
      network: [154], of this tensor, see `flat_networks`.
      p: the parameter before the step.
      g: its gradient, clipped.
      accumulators: which have seen g.
    """
    features = mlp_features(p, g, accumulators)
    squares = jnp.concatenate([jnp.mean(jnp.square(x), tuple(range(1, x.ndim))) for x in features])
    channels = sum(CHANNELS)
    first = (
        jnp.reshape(network[: channels * HIDDEN], (channels, HIDDEN)) * jax.lax.rsqrt(1e-5 + squares)[:, None]
    )
    # Single numbers, taken out once: XLA compiles every use of an array's element anew.
    numbers = iter(jnp.unstack(jnp.concatenate([jnp.ravel(first), network[channels * HIDDEN :]])))
    x = _spread_late([channel for feature in features for channel in feature], numbers)
    x = _layer([jax.nn.relu(unit) for unit in x], HIDDEN, numbers)
    direction, magnitude = _layer([jax.nn.relu(unit) for unit in x], USED_OUTPUTS, numbers)
    scale = STEP_MULT * jnp.sqrt(squares[P_CHANNEL] + 1e-9)
    return direction * jnp.exp(EXP_MULT * magnitude) * scale


def _layer(inputs: Sequence[jax.Array], outputs: int, numbers: Iterator[jax.Array]) -> list[jax.Array]:
    """A linear layer on single arrays; weights [input, output] and then the biases are the next of the numbers."""
    w = [[next(numbers) for _ in range(outputs)] for _ in inputs]
    return [sum((x * of[j] for x, of in zip(inputs, w, strict=True)), next(numbers)) for j in range(outputs)]


def _spread_late(channels: Sequence[jax.Array], numbers: Iterator[jax.Array]) -> list[jax.Array]:
    """The first layer: what varies along one axis alone is summed before it meets what fills the tensor."""
    w = [[next(numbers) for _ in range(HIDDEN)] for _ in channels]
    sums = [[next(numbers)] for _ in range(HIDDEN)]
    of_shape: dict[tuple[int, ...], list[int]] = {}
    for i, channel in enumerate(channels):
        of_shape.setdefault(channel.shape, []).append(i)
    for shape, which in sorted(of_shape.items(), key=lambda item: np.prod(item[0])):
        parts = [sum(channels[i] * w[i][j] for i in which) for j in range(HIDDEN)]
        if shape != channels[0].shape:
            parts = jax.lax.optimization_barrier(parts)  # or XLA moves them into the loop over all elements
        for of_unit, part in zip(sums, parts, strict=True):
            of_unit.append(part)
    return [sum(of_unit[1:], of_unit[0]) for of_unit in sums]


def initial_bank(key: jax.Array, count: int) -> dict[str, Any]:
    """So many networks before any training, stacked: deviation 1/sqrt(inputs), no bias, as the original."""
    shapes = {f"w0__{i}": (n, HIDDEN) for i, n in enumerate(CHANNELS)}
    shapes |= {"w1": (HIDDEN, HIDDEN), "w2": (HIDDEN, OUTPUTS)}
    inputs = {name: HIDDEN for name in ("w1", "w2")}
    keys = jax.random.split(key, len(shapes))
    bank = {
        name: jax.random.truncated_normal(k, -2.0, 2.0, (count, *shape))
        / inputs.get(name, sum(CHANNELS)) ** 0.5
        for (name, shape), k in zip(shapes.items(), keys, strict=True)
    }
    biases = {"b0": HIDDEN, "b1": HIDDEN, "b2": OUTPUTS}
    return bank | {name: jnp.zeros((count, n)) for name, n in biases.items()}
