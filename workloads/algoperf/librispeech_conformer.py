"""AlgoPerf's LibriSpeech Conformer (Gulati et al. 2020, arXiv:2005.08100) with a CTC loss, and its variants."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _ctc, _speech, _speech_scales, _words
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._dropout import Dropout
from workloads.algoperf._speech import BatchNorm, LayerNorm, Subsample, real, xavier_uniform

# softplus(0) = ln 2: with this factor a query scale of 0 changes nothing.
QUERY_UNIT = 1.442695041


@dataclasses.dataclass(frozen=True)
class Options(_speech.Speech):
    """Of the model.

    Attributes:
      layers: blocks.
      heads: of the attention.
      expansion: units of the hidden feed-forward layer per unit of the model.
      window: of the depthwise convolution, in steps.
      act: activation of the feed-forward layers and of the convolution.
      temperature: factor on what the attention gives, before its output layer.
      last_norm: every block ends with a layer norm.
    """

    layers: int = 4
    heads: int = 8
    expansion: int = 4
    window: int = 5
    act: Callable[[jax.Array], jax.Array] = nn.swish
    temperature: float = 1.0
    last_norm: bool = True


class FeedForwardModule(nn.Module):
    """Two dense layers behind a norm."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array, train: bool, dropout_rate: Any) -> jax.Array:
        """[example, time, unit]."""
        units = x.shape[-1]
        x = nn.Dense(self.options.expansion * units, kernel_init=xavier_uniform)(LayerNorm()(x))
        x = Dropout()(self.options.act(x), dropout_rate, train) * real(paddings)
        x = nn.Dense(units, kernel_init=xavier_uniform)(x) * real(paddings)
        return Dropout()(x, dropout_rate, train)


class QueryScaler(nn.Module):
    """A learned factor for every entry of a query, 1 at the start, shared by the heads."""

    @nn.compact
    def __call__(self, query: jax.Array) -> jax.Array:
        """[..., entry]."""
        scale = self.param("scale", _speech.zeros, query.shape[-1:])
        return query * (QUERY_UNIT * jax.nn.softplus(scale))


def _attention(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: Any, temperature: float
) -> jax.Array:
    """[example, time, head, entry]."""
    weights = nn.dot_product_attention_weights(QueryScaler()(query), key, mask=mask)
    return jnp.einsum("...hqk,...khd->...qhd", weights, value) * temperature


class MultiHeadedSelfAttention(nn.Module):
    """Attention behind a norm, from what is no padding to what is none."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, paddings: jax.Array, train: bool, dropout_rate: Any) -> jax.Array:
        """[example, time, unit]."""
        there = paddings < 1
        attention = nn.MultiHeadDotProductAttention(
            self.options.heads,
            kernel_init=xavier_uniform,
            attention_fn=functools.partial(_attention, temperature=self.options.temperature),
        )
        x = attention(LayerNorm()(x), mask=nn.make_attention_mask(there, there))
        return Dropout()(x, dropout_rate, train)


class Depthwise(nn.Module):
    """Every unit convolved over time on its own, as shifted slices: no convolution that vmap would make slow."""

    window: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, time, unit], of the same length."""
        kernel = self.param("kernel", xavier_uniform, (self.window, 1, x.shape[-1]))
        before = (self.window - 1) // 2
        padded = jnp.pad(x, ((0, 0), (before, self.window - 1 - before), (0, 0)))
        return sum(padded[:, i : i + x.shape[1]] * kernel[i, 0] for i in range(self.window))  # type: ignore[return-value]


class ConvolutionBlock(nn.Module):
    """A gated dense layer, a depthwise convolution with batch normalisation, and a dense layer."""

    options: Options

    @nn.compact
    def __call__(
        self, x: jax.Array, paddings: jax.Array, train: bool, running_average: bool, dropout_rate: Any
    ) -> jax.Array:
        """[example, time, unit]."""
        dense = functools.partial(nn.Dense, x.shape[-1], kernel_init=xavier_uniform)
        x = LayerNorm()(x)
        x = dense(name="Dense_0")(x) * jax.nn.sigmoid(dense(name="Dense_1")(x)) * real(paddings)
        x = Depthwise(self.options.window, name="Conv_0")(x)
        x = BatchNorm(self.options.momentum)(x, paddings, running_average)
        x = dense(name="Dense_2")(self.options.act(x))
        return Dropout()(x, dropout_rate, train)


class ConformerBlock(nn.Module):
    """Half a feed-forward module, attention, convolution, the other half; each is added to its input."""

    options: Options

    @nn.compact
    def __call__(
        self, x: jax.Array, paddings: jax.Array, train: bool, running_average: bool, dropout_rate: Any
    ) -> jax.Array:
        """[example, time, unit]."""
        options = self.options
        x = x + 0.5 * FeedForwardModule(options)(x, paddings, train, dropout_rate)
        x = x + MultiHeadedSelfAttention(options)(x, paddings, train, dropout_rate)
        x = x + ConvolutionBlock(options)(x, paddings, train, running_average, dropout_rate)
        x = x + 0.5 * FeedForwardModule(options)(x, paddings, train, dropout_rate)
        return LayerNorm()(x) if options.last_norm else x


class Conformer(nn.Module):
    """From audio to the logits of tokens, four of ten-millisecond frames at a time."""

    options: Options

    @nn.compact
    def __call__(
        self, audio: jax.Array, paddings: jax.Array, dropout_rate: Any, train: bool, running_average: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Logits [example, time, token] and their paddings."""
        options = self.options
        x, paddings = _speech.features(self, options, audio, paddings, train)
        x, paddings = Subsample(options, nn.relu, positions=True)(x, paddings, train, dropout_rate)
        for _ in range(options.layers):
            x = ConformerBlock(options)(x, paddings, train, running_average, dropout_rate)
        return nn.Dense(options.vocabulary, kernel_init=xavier_uniform)(LayerNorm()(x)), paddings


def switches(train: bool, update_batch_norm: bool, use_running_average_bn: bool | None) -> Mapping[str, Any]:
    """AlgoPerf's speech models train whenever the mode or the switch says so, and always update then.

    train, update_batch_norm   masks, dropout   normalises with   averages updated
    False, False               no               averages          no
    any other                  yes              the batch         yes

    `use_running_average_bn` says otherwise of the third column; where averages normalise, none is updated.
    """
    training = train or update_batch_norm
    running = not training if use_running_average_bn is None else use_running_average_bn
    return {"train": training, "running_average": running, "update": training}


def _model(options: Options) -> Model:
    return _speech.model(Conformer(options), options.bands, switches)


BASE = Base(
    name="librispeech_conformer",
    summary="Conformer on LibriSpeech",
    data_set="LibriSpeech",
    cost_class="transformer",
    loss_type="CTC_LOSS",
    options=Options(),
    model=_model,
    losses=_ctc.losses,
    measure=lambda options, model, source: _words.measure(options, model),
    stand_in=_speech.stand_in,
    read=_speech.read,
    beside=_speech.beside,
    batch_size=256,
    variants={
        "librispeech_conformer_attention_temperature": {"temperature": 1.6},
        "librispeech_conformer_layernorm": {"last_norm": False},
        "librispeech_conformer_gelu": {"act": nn.gelu},
    },
    scales={
        "mini": Scale(
            _speech_scales.data(_speech_scales.MINI),
            {**_speech_scales.MINI_OPTIONS, "layers": 1, "heads": 2, "expansion": 2},
            batch_size=8,
            step_hint=400,
            eval_period=20,
            eval_examples=32,
        ),
        "small": Scale(
            _speech_scales.data(_speech_scales.SMALL),
            {**_speech_scales.SMALL_OPTIONS, "dim": 144, "layers": 2, "heads": 4},
            batch_size=32,
            step_hint=1000,
            eval_period=50,
        ),
    },
    dropout_rate=0.1,
    output_layer="Dense_0",
)
