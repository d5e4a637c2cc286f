"""What AlgoPerf's two speech models have in common: their input, norms that know padding, and subsampling.

Paddings are [example, time], 1 where there is nothing. Every normalisation multiplies by 1 + scale.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._source import Source
from workloads.algoperf._base import Model
from workloads.algoperf._dropout import Dropout
from workloads.algoperf._linen import model as linen_model
from workloads.algoperf._log_mel import Bands, Masking, log_mel, masked
from workloads.algoperf._shaped import shaped
from workloads.data import librispeech
from workloads.layers import conv

xavier_uniform = nn.initializers.xavier_uniform()
zeros = nn.initializers.zeros
EVAL_BATCH_SIZE = 256  # AlgoPerf's
LIBRISPEECH, SPECAUGMENT = Bands(), Masking()  # AlgoPerf's


@dataclasses.dataclass(frozen=True)
class Speech:
    """Options of both speech models.

    Attributes:
      vocabulary: of the tokens, the blank, number 0, among them.
      spelling: what the tokens mean, see `_words.spelled`.
      bands: of the input.
      masking: in training; None: nothing is masked.
      dim: width of the model.
      channels: of the subsampling's convolutions; None: as many as the model is wide.
      momentum: of the running averages of batch normalisation.
      slices: convolutions as shifted slices and one product, faster on a CPU for many trials at once.
    """

    vocabulary: int = 1024
    spelling: str | None = None
    bands: Bands = LIBRISPEECH
    masking: Masking | None = SPECAUGMENT
    dim: int = 512
    channels: int | None = None
    momentum: float = 0.999
    slices: bool = False


def features(
    module: nn.Module, options: Speech, audio: jax.Array, paddings: jax.Array, train: bool
) -> tuple[jax.Array, jax.Array]:
    """[example, frame, bin] and its paddings, masked in training with the module's random numbers."""
    found, paddings = log_mel(audio, paddings, options.bands)
    if train and options.masking is not None:
        found = masked(module.make_rng("dropout"), found, paddings, options.masking)
    return found, paddings


def real(paddings: jax.Array) -> jax.Array:
    """[example, time, 1], 1 where there is something."""
    return (1.0 - paddings)[..., None]


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + 1e-6) * (1 + scale) + bias."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., unit]."""
        scale = self.param("scale", zeros, x.shape[-1:])
        bias = self.param("bias", zeros, x.shape[-1:])
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-6) * (1.0 + scale) + bias


class BatchNorm(nn.Module):
    """Batch normalisation over what is no padding, which is 0 afterwards.

    Attributes:
      momentum: share of the old average that is kept.
    """

    momentum: float

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array, running_average: bool) -> jax.Array:
        """Averages are updated where batch statistics normalise and the state may change.

        AlgoPerf's averages change their shape with the first step, from [unit] to [1, 1, unit]; ours keep the one
        that they come in.
        """
        units = x.shape[-1:]
        scale, bias = self.param("scale", zeros, units), self.param("bias", zeros, units)
        mean_average = self.variable("batch_stats", "mean", jnp.zeros, units)
        variance_average = self.variable("batch_stats", "var", jnp.ones, units)
        is_real = real(paddings)
        if running_average:
            mean, variance = mean_average.value.reshape(units), variance_average.value.reshape(units)
        else:
            count = jnp.maximum(jnp.sum(is_real), 1.0)
            mean = jnp.sum(x * is_real, axis=(0, 1)) / count
            variance = jnp.sum(jnp.square(x - mean) * is_real, axis=(0, 1)) / count
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                for average, new in ((mean_average, mean), (variance_average, variance)):
                    old = average.value
                    average.value = self.momentum * old + (1.0 - self.momentum) * new.reshape(old.shape)
        return ((x - mean) * (1.0 + scale) / jnp.sqrt(variance + 0.001) + bias) * is_real


class Conv2dSubsampling(nn.Module):
    """A 3x3 convolution of stride 2, the activation, and 0 where there is padding; half the frames are left.

    Attributes:
      channels: of the outputs.
      act: activation.
      slices: see `Speech`.
    """

    channels: int
    act: Callable[[jax.Array], jax.Array]
    slices: bool

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[example, time, frequency, channel]."""
        kernel = self.param("kernel", xavier_uniform, (3, 3, x.shape[-1], self.channels))
        bias = self.param("bias", zeros, (self.channels,))
        if self.slices:
            y = conv({"kernel": kernel, "bias": bias}, x, stride=2)
        else:
            y = jax.lax.conv_general_dilated(
                x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            y = y + bias
        paddings = paddings[:, ::2]
        return self.act(y) * real(paddings)[..., None], paddings


class Subsample(nn.Module):
    """A quarter of the frames: two convolutions, and a dense layer over what they leave of a frame.

    Attributes:
      options: of the model.
      act: activation of the convolutions.
      positions: sines and cosines of the time are added.
    """

    options: Speech
    act: Callable[[jax.Array], jax.Array]
    positions: bool

    @nn.compact
    def __call__(
        self, x: jax.Array, paddings: jax.Array, train: bool, dropout_rate: Any
    ) -> tuple[jax.Array, jax.Array]:
        """[example, frame, bin] to [example, time, unit]."""
        channels = self.options.channels or self.options.dim
        x = x[..., None]
        for _ in range(2):
            x, paddings = Conv2dSubsampling(channels, self.act, self.options.slices)(x, paddings)
        x = x.reshape(*x.shape[:2], -1)
        x = nn.Dense(self.options.dim, kernel_init=xavier_uniform)(x)
        if self.positions:
            x = x + positions(x.shape[1], self.options.dim)
        return Dropout()(x, dropout_rate, train), paddings


def positions(length: int, dim: int) -> jax.Array:
    """[time, unit]: sin(time * rate), then cos(time * rate), with rates from 1 to 1 / 10,000 in geometric steps."""
    half = dim // 2
    rates = jnp.exp(jnp.arange(half, dtype=jnp.float32) * -(np.log(10_000.0) / max(half - 1, 1)))
    angles = jnp.arange(length, dtype=jnp.float32)[:, None] * rates
    return jnp.pad(jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=1), ((0, 0), (0, dim % 2)))


def model(module: nn.Module, bands: Bands, switches: Callable[..., Mapping[str, Any]]) -> Model:
    """Of a module that is called with audio and its paddings."""

    def example():
        shape = (1, bands.window + 1 + 8 * bands.step)
        return jnp.zeros(shape), jnp.zeros(shape)

    return linen_model(module, example, inputs=lambda batch: tuple(batch["inputs"]), switches=switches)


def beside(options: Any, data_dir: pathlib.Path) -> Any:
    """The tokenizer lies beside the data."""
    path = (data_dir / librispeech.TOKENIZER).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the tokenizer, without which no words can be counted")
    return dataclasses.replace(options, spelling=str(path))


def read(options: Any, data_dir: pathlib.Path) -> Source:
    """LibriSpeech itself."""
    del options
    return librispeech.read(data_dir, EVAL_BATCH_SIZE)


def stand_in(options: Speech) -> Source:
    """Noise in the shapes of LibriSpeech: recordings of 10 to 20 seconds, texts of 32 to 64 tokens."""

    samples, most_tokens = librispeech.SAMPLES, librispeech.TOKENS

    def draw(key: jax.Array, examples: int) -> Any:
        sound, tokens, lengths, counts = jax.random.split(key, 4)
        length = jax.random.randint(lengths, (examples, 1), samples // 2, samples + 1)
        count = jax.random.randint(counts, (examples, 1), 32, 65)
        paddings = (jnp.arange(samples) >= length).astype(jnp.float32)
        no_tokens = (jnp.arange(most_tokens) >= count).astype(jnp.float32)
        audio = jnp.rint(1000.0 * jax.random.normal(sound, (examples, samples))) * (1.0 - paddings)
        ids = jax.random.randint(tokens, (examples, most_tokens), 1, options.vocabulary)
        return {"inputs": (audio, paddings), "targets": (ids * (1.0 - no_tokens), no_tokens)}

    return shaped("LibriSpeech", draw)
