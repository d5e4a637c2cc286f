"""The small network that a learned optimizer runs on every parameter: linear layers with relu between them.

The original concatenates all features to one matrix [element, feature] and multiplies. Here

- a layer of few units is written out as sums of products over single arrays [*S], of which XLA makes one loop that
  keeps features and units in registers; a layer of many units is a product of matrices;
- on a CPU such products take a stretch of elements through all layers, and one trial after the other, so that units
  stay in the cache;
- a feature is divided by its size by dividing its weights;
- features that vary along some axes alone are summed before they are spread over the tensor;
- features that are the same all over the tensor are part of the first bias.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from submissions.learned.features import by_size
from submissions.optimizers._late import jax, jnp

WIDEST_WRITTEN_OUT = 8  # units; the time to compile grows with the square
STRETCH_OF_ELEMENTS = 1536  # elements whose 32 units take 200 kB, in float32


def run_on_every_parameter(
    features: Sequence[jax.Array],
    shared: jax.Array,
    layers: Sequence[Mapping[str, Any]],
    shape: Sequence[int],
) -> list[jax.Array]:
    """The outputs of a network, [*S] each, of one tensor.

    Args:
      features: each [channel, *B], with B as in `submissions.learned.features`; divided here by their size.
      shared: [feature], the same all over the tensor; as they are.
      layers: {"w": [inputs, units], "b": [units]} each. The first one's inputs are all channels, then `shared`.
      shape: S.
    """
    features, layers = tuple(features), [{"w": layer["w"], "b": layer["b"]} for layer in layers]
    matrices = functools.partial(_by_matrices, shape=tuple(shape))
    if all(len(layer["b"]) <= WIDEST_WRITTEN_OUT for layer in layers):
        form = _written_out
    elif math.prod(shape) > STRETCH_OF_ELEMENTS and jax.default_backend() == "cpu":
        form = _in_stretches
    else:
        return matrices(features, shared, layers)
    # Deriving what is written out gives thousands of operations, which take minutes to compile; and stretches are
    # derived by products of whole matrices too.
    forward = jax.custom_vjp(functools.partial(form, shape=tuple(shape)))
    forward.defvjp(
        lambda *inputs: (matrices(*inputs), inputs),
        lambda inputs, gradients: jax.vjp(matrices, *inputs)[1](gradients),
    )
    return forward(features, shared, layers)


def _by_matrices(
    features: Sequence[jax.Array],
    shared: jax.Array,
    layers: Sequence[Mapping[str, Any]],
    shape: tuple[int, ...],
) -> list[jax.Array]:
    """As `run_on_every_parameter`: a layer is a product of matrices."""
    first = layers[0]["w"]
    channels = len(first) - len(shared)
    everywhere = [jnp.broadcast_to(x, (len(x), *shape)) for x in features]
    x = jnp.moveaxis(jnp.concatenate(everywhere), 0, -1) * by_size(features)
    x = x @ first[:channels] + (layers[0]["b"] + shared @ first[channels:])
    for layer in layers[1:]:
        x = jax.nn.relu(x) @ layer["w"] + layer["b"]
    return list(jnp.moveaxis(x, -1, 0))


def _in_stretches(
    features: Sequence[jax.Array],
    shared: jax.Array,
    layers: Sequence[Mapping[str, Any]],
    shape: tuple[int, ...],
) -> list[jax.Array]:
    """As `run_on_every_parameter`: products of matrices of a stretch of elements each."""
    first, elements = layers[0]["w"], math.prod(shape)
    channels = len(first) - len(shared)
    bias = layers[0]["b"] + shared @ first[channels:]
    weights = [(first[:channels] * by_size(features)[:, None], bias)]
    weights += [(layer["w"], layer["b"]) for layer in layers[1:]]
    flat = [jnp.reshape(jnp.broadcast_to(x, (len(x), *shape)), (len(x), elements)) for x in features]
    count = -(-elements // STRETCH_OF_ELEMENTS)
    length = -(-elements // count)
    padded = jnp.pad(jnp.concatenate(flat), ((0, 0), (0, count * length - elements)))

    def of_stretch(start: jax.Array, padded: jax.Array, weights: Any) -> jax.Array:
        x = jax.lax.dynamic_slice_in_dim(padded, start, length, 1).T
        for number, (w, b) in enumerate(weights):
            x = (jax.nn.relu(x) if number else x) @ w + b
        return x

    @jax.custom_batching.sequential_vmap
    def of_tensor(padded: jax.Array, weights: Any) -> jax.Array:
        starts = jnp.arange(count) * length
        return jax.lax.map(lambda start: of_stretch(start, padded, weights), starts)

    made = jnp.reshape(of_tensor(padded, weights), (count * length, -1))[:elements]
    return [jnp.reshape(output, shape) for output in made.T]


def _written_out(
    features: Sequence[jax.Array],
    shared: jax.Array,
    layers: Sequence[Mapping[str, Any]],
    shape: tuple[int, ...],
) -> list[jax.Array]:
    """As `run_on_every_parameter`: sums of products of single arrays."""
    first = layers[0]["w"]
    channels = len(first) - len(shared)
    bias = layers[0]["b"] + shared @ first[channels:]
    # Single numbers, taken out once: XLA would compute every use of an array's element anew, in the innermost loop.
    flat = [
        first[:channels] * by_size(features)[:, None],
        bias,
        *(layer[name] for layer in layers[1:] for name in ("w", "b")),
    ]
    numbers = iter(jnp.unstack(jnp.concatenate([jnp.ravel(x) for x in flat])))
    x = _first([channel for feature in features for channel in feature], numbers, len(bias), shape)
    for layer in layers[1:]:
        x = _later([jax.nn.relu(unit) for unit in x], numbers, len(layer["b"]))
    return x


def _first(
    channels: Sequence[jax.Array], numbers: Iterator[jax.Array], units: int, shape: tuple[int, ...]
) -> list[jax.Array]:
    """The first layer; its weights [channel, unit] and then its biases are the next of the numbers."""
    weights = [[next(numbers) for _ in range(units)] for _ in channels]
    sums: list[Any] = [next(numbers) for _ in range(units)]
    of_shape: dict[tuple[int, ...], list[int]] = {}
    for i, channel in enumerate(channels):
        of_shape.setdefault(channel.shape, []).append(i)
    for one, which in sorted(of_shape.items(), key=lambda item: math.prod(item[0])):
        parts = [sum(channels[i] * weights[i][j] for i in which) for j in range(units)]
        if one != shape:
            parts = jax.lax.optimization_barrier(parts)  # or XLA moves them into the loop over all elements
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
    return sums


def _later(inputs: Sequence[jax.Array], numbers: Iterator[jax.Array], units: int) -> list[jax.Array]:
    """A later layer, likewise."""
    weights = [[next(numbers) for _ in range(units)] for _ in inputs]
    return [
        sum((x * of_units[j] for x, of_units in zip(inputs, weights, strict=True)), next(numbers))
        for j in range(units)
    ]
