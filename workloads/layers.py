"""Layers as plain functions of a parameter dictionary.

They are written for populations: under `vmap` over parameters with a batch that all trials share, the first
layer of all trials becomes one large matrix product, and nothing falls back to a slow path on a CPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from workloads.initializers import Initializer, kernels, lecun_normal, normal, orthogonal
from workloads.products import product

Layer = Mapping[str, jax.Array]
# name -> shape of the kernel ([inputs, outputs], or [window, window, channels, outputs]) and how to make it
Layers = dict[str, tuple[tuple[int, ...], Initializer]]


def init_layers(keys: jax.Array, layers: Layers, unbiased: Collection[str] = ()) -> dict:
    """Parameters of dense and convolutional layers: a kernel, and a bias of zeros as long as its last axis.

    Args:
      keys: [layer].
      layers: see `Layers`.
      unbiased: names of the layers that have no bias.
    """
    made = zip(layers, kernels(keys, list(layers.values())), strict=True)
    return {
        name: {"kernel": kernel}
        if name in unbiased
        else {"kernel": kernel, "bias": jnp.zeros(kernel.shape[-1:])}
        for name, kernel in made
    }


def mlp_layers(sizes: tuple[int, ...], initializer: Initializer) -> Layers:
    """Layers Dense_0, Dense_1, ... of a multi-layer perceptron; sizes includes inputs and outputs."""
    return {f"Dense_{i}": (pair, initializer) for i, pair in enumerate(itertools.pairwise(sizes))}


def mlp_init(key: jax.Array, sizes: tuple[int, ...], initializer: Initializer = lecun_normal) -> dict:
    """Parameters of the layers that `mlp_layers` names."""
    layers = mlp_layers(sizes, initializer)
    return init_layers(jax.random.split(key, len(layers)), layers)


def mlp(
    params: Mapping[str, Layer], x: Float[Array, "batch inputs"], activation: Callable[[jax.Array], jax.Array]
) -> Float[Array, "batch outputs"]:
    """A multi-layer perceptron of the layers Dense_0, Dense_1, ...; no activation after the last.

    Args:
      params: may hold other layers too.
      x: inputs.
      activation: between the layers.
    """
    last = sum(name.startswith("Dense_") for name in params) - 1
    for i in range(last):
        x = activation(dense(params[f"Dense_{i}"], x))
    return dense(params[f"Dense_{last}"], x)


def dropout(
    key: jax.Array, x: Float[Array, ...], rate: Any, train: bool, shape: tuple[int, ...] | None = None
) -> Float[Array, ...]:
    """Inverted dropout with a rate that may be traced: x * keep / (1 - rate); rate 0 returns x exactly.

    The uniform draws have 16 bits, which halves the work of the generator, the largest cost of dropout on a
    CPU; the rate is met to 2**-16.

    Args:
      key: one key per call.
      x: activations.
      rate: probability of dropping a unit, in [0, 1). Not checked: it may be a tracer.
      train: Python bool; False returns x.
      shape: of the draws, 1 along axes where units are dropped together; None: that of x.
    """
    if not train:
        return x
    uniform = (
        jax.random.bits(key, x.shape if shape is None else shape, jnp.uint16).astype(jnp.float32) * 2.0**-16
    )
    return jnp.where(uniform >= rate, x / (1.0 - rate), 0.0).astype(x.dtype)


def dense(layer: Layer, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
    """x @ kernel + bias."""
    return product(x, layer["kernel"]) + layer["bias"]


def layer_norm(layer: Layer, x: Float[Array, "*batch units"], epsilon: float) -> Float[Array, "*batch units"]:
    """scale * (x - mean) / sqrt(variance + epsilon) + bias over the last axis (Ba et al. 2016, arXiv:1607.06450)."""
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return layer["scale"] * centred * jax.lax.rsqrt(variance + epsilon) + layer["bias"]


def conv(
    layer: Layer,
    x: Float[Array, "batch height width channels"],
    stride: int = 1,
    padding: Literal["SAME", "VALID"] = "SAME",
) -> Float[Array, "batch rows columns outputs"]:
    """Convolution (in fact correlation, as everywhere) as shifted slices and one matrix product; a bias if it has one.

    XLA's own convolution leaves the fast library path on a CPU inside `scan`, about ten times slower, and
    `vmap` over kernels turns it into a grouped convolution that is slower still. Slices and a product keep
    their speed in both, and with a shared batch the slices of the first layer are made once for all trials.
    """
    kernel = layer["kernel"]
    height, width = kernel.shape[:2]
    if padding == "SAME":
        x = jnp.pad(x, ((0, 0), _same(x.shape[1], height, stride), _same(x.shape[2], width, stride), (0, 0)))
    y = windows(x, (height, width), (stride, stride)) @ kernel.reshape(-1, kernel.shape[-1])
    return y + layer["bias"] if "bias" in layer else y


def windows(
    x: Float[Array, "batch *pixels channels"], size: tuple[int, ...], strides: tuple[int, ...]
) -> Float[Array, "batch *places inputs"]:
    """What every window of a size covers, its pixels row by row and their channels side by side.

    x @ kernel of these, with the kernel [*size, channels, outputs] as a matrix, is a convolution without padding.

    Args:
      x: pixels in any number of dimensions.
      size, strides: of the windows, per dimension.
    """
    return jnp.concatenate(shifted(x, size, strides), axis=-1)


def shifted(
    x: Float[Array, "batch *pixels channels"], size: tuple[int, ...], strides: tuple[int, ...]
) -> list[Float[Array, "batch *places channels"]]:
    """The first pixel of every window, the second, and so on; see `windows`."""
    places = [(n - k) // stride + 1 for n, k, stride in zip(x.shape[1:-1], size, strides, strict=True)]
    return [
        x[
            :,
            *(
                slice(i, i + stride * (count - 1) + 1, stride)
                for i, count, stride in zip(start, places, strides, strict=True)
            ),
        ]
        for start in itertools.product(*map(range, size))
    ]


def _same(size: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, so that the output has ceil(size / stride) entries; the odd one comes after."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


GATES = ("reset", "update", "candidate")


def gru_init(key: jax.Array, tokens: int, units: int) -> dict:
    """Parameters of `gru`: for every gate a row per token, a kernel of the state, and a zero bias."""
    # A token selects a row, so the scale does not depend on their number.
    rows, state = ((tokens, units), normal(0.5)), ((units, units), orthogonal())
    keys = jax.vmap(jax.random.split)(jax.random.split(key, len(GATES))).reshape(-1)
    made = kernels(keys, [rows, state] * len(GATES))
    return {
        gate: {"input_kernel": made[2 * i], "state_kernel": made[2 * i + 1], "bias": jnp.zeros((units,))}
        for i, gate in enumerate(GATES)
    }


def gru(layer: Mapping[str, Layer], tokens: Integer[Array, "time batch"]) -> Float[Array, "time batch units"]:
    """States of a gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) that reads tokens, from zero.

    r = s(w_r + U_r h), z = s(w_z + U_z h), c = tanh(w_c + r * (U_c h)), h' = z h + (1 - z) c, where w are the
    rows of the token. The reset gate acts after the product with the state.

    Three choices are for the CPU. Rows are looked up: cheaper than the product with one-hot tokens, forward
    and back. Every gate has arrays of its own: slices of a joint one keep XLA from vectorising the body of
    the loop, which then takes three times as long. And the body is rematerialised: that costs less than
    writing its gates to memory for the way back.
    """

    @jax.checkpoint
    def step(state, rows):
        reset, update, candidate = (layer[name]["state_kernel"] for name in GATES)
        r = jax.nn.sigmoid(rows[0] + state @ reset)
        z = jax.nn.sigmoid(rows[1] + state @ update)
        c = jnp.tanh(rows[2] + r * (state @ candidate))
        state = c + z * (state - c)
        return state, state

    rows = tuple(layer[name]["input_kernel"][tokens] + layer[name]["bias"] for name in GATES)
    _, states = jax.lax.scan(step, jnp.zeros_like(rows[0][0]), rows)
    return states
