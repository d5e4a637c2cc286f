"""The small network that VeLO and Celo run on every parameter, and the accumulators that it reads.

Of one tensor of any shape S; mapped over stacks of tensors of one shape. The network is written out as sums of products
over single arrays [*S], so that XLA makes one loop of it that reads the accumulators once and keeps features and hidden
units in registers. With arrays of several channels, or a matrix [element, feature], each would be written to memory.

References: Metz et al. 2022, arXiv:2211.09760, and arXiv:2203.11860 for the features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from submissions.learned.features import (
    Factored,
    accumulator_features,
    added,
    added_to_factored,
    mean_squares,
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
SMALL, FREE_PADDING = 4096, 4096  # elements, see `padded_together`
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


def steps(
    networks: Sequence[jax.Array],
    p: Sequence[jax.Array],
    g: Sequence[jax.Array],
    seen: Sequence[Accumulators],
) -> list[jax.Array]:
    """What is to be subtracted from the tensors of each group of one shape, [stack, *S].

    Small tensors of different shapes are padded to one length and done together: a program for every shape takes longer
    to compile than such tensors are worth.

    Args:
      networks: of each group [stack, 154], see `flat_networks`.
      p: parameters before the step, of each group [stack, *S].
      g: their gradients, clipped.
      seen: accumulators, which have seen g.
    """
    made: list[Any] = [None] * len(p)
    for groups in padded_together([x.shape for x in p]):
        if len(groups) == 1:
            (i,) = groups
            made[i] = jax.vmap(mlp_step)(networks[i], p[i], g[i], seen[i])
            continue
        channels = [jax.vmap(flat_channels)(p[i], g[i], seen[i]) for i in groups]
        counts = [x.shape[-1] for x in channels]
        padded = [
            jnp.pad(x, ((0, 0), (0, 0), (0, max(counts) - n))) for x, n in zip(channels, counts, strict=True)
        ]
        sizes = jnp.asarray(np.repeat(counts, [len(x) for x in channels]), jnp.float32)
        together = jax.vmap(_padded_step)(
            jnp.concatenate([networks[i] for i in groups]), jnp.concatenate(padded), sizes
        )
        ends = np.cumsum([len(x) for x in channels])
        for i, rows in zip(groups, jnp.split(together, ends[:-1]), strict=True):
            made[i] = jnp.reshape(rows[:, : p[i][0].size], p[i].shape)
    return made


def padded_together(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Which groups of tensors [stack, *S] are padded to the length of the longest among them: numbers of groups.

    Only such of at most `SMALL` elements, and never more padding than elements and `FREE_PADDING`.

    Example:
      >>> padded_together([(1, 192, 32), (1, 32), (1, 32, 10), (1, 10)])
      [[0], [2, 1, 3]]
    """
    size = {i: math.prod(shape[1:]) for i, shape in enumerate(shapes)}
    small = sorted((i for i in size if size[i] <= SMALL), key=lambda i: -size[i])
    classes = [[i] for i in size if size[i] > SMALL]
    elements, padding = 0, 0
    for number, i in enumerate(small):
        elements += shapes[i][0] * size[i]
        more = shapes[i][0] * (size[classes[-1][0]] - size[i]) if number else 0
        if number and padding + more <= elements + FREE_PADDING:
            classes[-1].append(i)
            padding += more
        else:
            classes.append([i])
            elements, padding = shapes[i][0] * size[i], 0
    return classes


def mlp_step(network: jax.Array, p: jax.Array, g: jax.Array, accumulators: Accumulators) -> jax.Array:
    """[*S]: 0.001 d exp(0.001 s) sqrt(mean(p^2) + 1e-9), to be subtracted; d and s are what the network says.

    Every feature is divided by sqrt(1e-5 + mean of its square), which is done by dividing its weights.

    Args:
      network: [154], of this tensor, see `flat_networks`.
      p: the parameter before the step.
      g: its gradient, clipped.
      accumulators: which have seen g.
    """
    # Deriving what is written out gives thousands of operations, which take minutes to compile.
    derived = jax.custom_vjp(_written_out_step)
    derived.defvjp(
        lambda *inputs: (_matrix_step(*inputs), inputs),
        lambda inputs, gradient: jax.vjp(_matrix_step, *inputs)[1](gradient),
    )
    return derived(network, p, g, accumulators)


def _written_out_step(network: jax.Array, p: jax.Array, g: jax.Array, seen: Accumulators) -> jax.Array:
    features = mlp_features(p, g, seen)
    squares = mean_squares(features)
    return _network_step(network, squares, [channel for feature in features for channel in feature])


def _matrix_step(network: jax.Array, p: jax.Array, g: jax.Array, seen: Accumulators) -> jax.Array:
    return jnp.reshape(_padded_step(network, flat_channels(p, g, seen), jnp.float32(p.size)), p.shape)


def flat_channels(p: jax.Array, g: jax.Array, accumulators: Accumulators) -> jax.Array:
    """[30, elements of S]: the features, written out."""
    features = mlp_features(p, g, accumulators)
    return jnp.concatenate(
        [jnp.reshape(jnp.broadcast_to(x, (len(x), *p.shape)), (len(x), p.size)) for x in features]
    )


def _padded_step(network: jax.Array, channels: jax.Array, size: jax.Array) -> jax.Array:
    """`mlp_step` of channels [30, longest], zero after the tensor's size: by products of small matrices."""
    squares = jnp.sum(jnp.square(channels), -1) / size
    b0, w1, b1, w2, b2 = _parts(network)
    x = jax.nn.relu(_by_size(network, squares).T @ channels + b0[:, None])
    x = jax.nn.relu(w1.T @ x + b1[:, None])
    direction, magnitude = w2.T @ x + b2[:, None]
    return _stepped(direction, magnitude, squares)


def _network_step(network: jax.Array, squares: jax.Array, channels: Sequence[jax.Array]) -> jax.Array:
    first = _by_size(network, squares)
    # What varies along one axis alone is summed before it meets what fills the tensor: by a product, which XLA does not
    # move into the loop over all elements.
    of_shape: dict[tuple[int, ...], list[int]] = {}
    for i, channel in enumerate(channels):
        of_shape.setdefault(channel.shape, []).append(i)
    full = of_shape.pop(channels[0].shape)
    spread = [
        jnp.tensordot(first[np.array(which)], jnp.stack([channels[i] for i in which]), ((0,), (0,)))
        for which in of_shape.values()
    ]
    b0, w1, b1, w2, b2 = _parts(network)
    x = _layer([channels[i] for i in full], first[np.array(full)], b0)
    x = [sum((part[j] for part in spread), unit) for j, unit in enumerate(x)]
    x = _layer([jax.nn.relu(unit) for unit in x], w1, b1)
    direction, magnitude = _layer([jax.nn.relu(unit) for unit in x], w2, b2)
    return _stepped(direction, magnitude, squares)


def _stepped(direction: jax.Array, magnitude: jax.Array, squares: jax.Array) -> jax.Array:
    scale = STEP_MULT * jnp.sqrt(squares[P_CHANNEL] + 1e-9)
    return direction * jnp.exp(EXP_MULT * magnitude) * scale


def _by_size(network: jax.Array, squares: jax.Array) -> jax.Array:
    """[30, 4]: the first layer's weights for features that are not divided by their size."""
    count = len(squares)
    return jnp.reshape(network[: count * HIDDEN], (count, HIDDEN)) * jax.lax.rsqrt(1e-5 + squares)[:, None]


def _parts(network: jax.Array) -> tuple[jax.Array, ...]:
    """b0, w1, b1, w2, b2 of a flat network."""
    shapes = ((HIDDEN,), (HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN, USED_OUTPUTS), (USED_OUTPUTS,))
    parts, start = [], sum(CHANNELS) * HIDDEN
    for shape in shapes:
        parts.append(jnp.reshape(network[start : start + math.prod(shape)], shape))
        start += math.prod(shape)
    return tuple(parts)


def _layer(inputs: Sequence[jax.Array], w: jax.Array, b: jax.Array) -> list[jax.Array]:
    """A linear layer as sums of products of single arrays; w is [input, output]."""
    of_output = zip(jnp.unstack(w.T), jnp.unstack(b), strict=True)
    return [
        sum((x * k for x, k in zip(inputs, jnp.unstack(of), strict=True)), bias) for of, bias in of_output
    ]


def initial_bank(key: jax.Array, count: int) -> dict[str, Any]:
    """So many networks before any training, stacked: deviation 1/sqrt(inputs), no bias, as the original."""
    shapes = {f"w0__{i}": (n, HIDDEN) for i, n in enumerate(CHANNELS)}
    shapes |= {"w1": (HIDDEN, HIDDEN), "w2": (HIDDEN, OUTPUTS)}
    keys = jax.random.split(key, len(shapes))
    bank = {
        name: jax.random.truncated_normal(k, -2.0, 2.0, (count, *shape))
        / (sum(CHANNELS) if name.startswith("w0") else HIDDEN) ** 0.5
        for (name, shape), k in zip(shapes.items(), keys, strict=True)
    }
    biases = {"b0": HIDDEN, "b1": HIDDEN, "b2": OUTPUTS}
    return bank | {name: jnp.zeros((count, n)) for name, n in biases.items()}
