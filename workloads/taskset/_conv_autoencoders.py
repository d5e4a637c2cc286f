"""Encoders and decoders of convolutions: maps shrink by strides of 2, and grow back by transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from workloads.initializers import Initializer
from workloads.layers import Layer, Layers, conv, dense

WINDOW, STRIDE = 3, 2
SEED_CHANNELS = 32  # of the small map that a decoder starts from

Activation = Callable[[jax.Array], jax.Array]
Images = Float[Array, "example height width channel"]


def encoder_layers(
    image: tuple[int, int, int], units: Sequence[int], outputs: int, w_init: Initializer
) -> Layers:
    """Conv_0, Conv_1, ... and Dense_0; every convolution halves height and width, rounding up."""
    height, width, channels = image
    channel_sizes = (channels, *units)
    convolutions: Layers = {
        f"Conv_{i}": ((WINDOW, WINDOW, *channel_sizes[i : i + 2]), w_init) for i in range(len(units))
    }
    factor = STRIDE ** len(units)
    features = -(-height // factor) * -(-width // factor) * channel_sizes[-1]
    return convolutions | {"Dense_0": ((features, outputs), w_init)}


def encode(params: Mapping[str, Layer], x: Images, activation: Activation) -> jax.Array:
    """[example, outputs]; the activation follows every convolution."""
    for i in range(len(params) - 1):
        x = activation(conv(params[f"Conv_{i}"], x, STRIDE))
    return dense(params["Dense_0"], x.reshape(x.shape[0], -1))


def decoder_layers(
    latents: int, image: tuple[int, int, int], units: Sequence[int], w_init: Initializer
) -> Layers:
    """Dense_0, ConvTranspose_0, ConvTranspose_1, ... and Conv_0, which is 1x1.

    Args:
      latents: inputs.
      image: height, width, channels of the outputs.
      units: of the transposed convolutions, each of which doubles height and width.
      w_init: of all kernels.

    Raises:
      ValueError: height or width cannot be reached by doubling.
    """
    rows, columns = _seed_size(image, len(units))
    channel_sizes = (SEED_CHANNELS, *units)
    grow: Layers = {
        f"ConvTranspose_{i}": ((WINDOW, WINDOW, *channel_sizes[i : i + 2]), w_init) for i in range(len(units))
    }
    first: Layers = {"Dense_0": ((latents, rows * columns * SEED_CHANNELS), w_init)}
    return first | grow | {"Conv_0": ((1, 1, channel_sizes[-1], image[-1]), w_init)}


def decode(
    params: Mapping[str, Layer], z: jax.Array, image: tuple[int, int, int], activation: Activation
) -> Images:
    """Images [example, *image]; the activation follows every transposed convolution."""
    layers = len(params) - 2
    x = dense(params["Dense_0"], z).reshape(-1, *_seed_size(image, layers), SEED_CHANNELS)
    for i in range(layers):
        x = activation(conv_transpose(params[f"ConvTranspose_{i}"], x, STRIDE))
    return conv(params["Conv_0"], x)


def conv_transpose(layer: Layer, x: Images, stride: int) -> Images:
    """The transpose of a SAME convolution, as TensorFlow's `conv2d_transpose`: the map grows by the stride.

    y[stride * i + a - before] sums x[i] kernel[a] over i and a, with before = floor(max(window - stride, 0) / 2). Each
    of the stride^2 phases of the output is a small convolution of x with the taps that meet it, so that no product is
    spent on the zeros between the elements of x; like `conv` each is slices and one product.

    Args:
      layer: kernel [window, window, inputs, outputs], and bias.
      x: maps.
      stride: at most the window.
    """
    kernel = layer["kernel"]
    taps = [_taps(phase, kernel.shape[0], stride) for phase in range(stride)]
    offsets = [offset for of_phase in taps for offset, _ in of_phase]
    before, after = max(-min(offsets), 0), max(*offsets, 0)
    rows, columns = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))

    def phase(vertical: list[tuple[int, int]], horizontal: list[tuple[int, int]]) -> jax.Array:
        pairs = [(v, h) for v in vertical for h in horizontal]
        patches = [
            padded[:, before + i : before + i + rows, before + j : before + j + columns]
            for (i, _), (j, _) in pairs
        ]
        weights = [kernel[a, b] for (_, a), (_, b) in pairs]
        return jnp.concatenate(patches, axis=-1) @ jnp.concatenate(weights) + layer["bias"]

    # [example, row, phase, column, phase, channel]
    phases = jnp.stack([jnp.stack([phase(v, h) for h in taps], axis=3) for v in taps], axis=2)
    return phases.reshape(x.shape[0], rows * stride, columns * stride, -1)


def _taps(phase: int, window: int, stride: int) -> list[tuple[int, int]]:
    """(offset of the input, tap) that meet outputs stride * i + phase: tap = phase + before - stride * offset."""
    place = phase + max(window - stride, 0) // 2
    return [
        (offset, place - stride * offset)
        for offset in range(-window, window + 1)
        if 0 <= place - stride * offset < window
    ]


def _seed_size(image: tuple[int, int, int], layers: int) -> tuple[int, int]:
    factor = STRIDE**layers
    if image[0] % factor or image[1] % factor:
        raise ValueError(
            f"{layers} transposed convolutions multiply height and width by {factor}, which does not divide "
            f"images of {image[0]}x{image[1]}"
        )
    return image[0] // factor, image[1] // factor
