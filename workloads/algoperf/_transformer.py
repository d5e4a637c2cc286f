"""AlgoPerf's Transformer for translation: encoder and decoder with one embedding, for packed rows, and step by step.

Vaswani et al. 2017, arXiv:1706.03762, with normalisation before every block (or after it), and without biases in the
attention. Submodules are attributes with AlgoPerf's names, because a block has two ways to be called: on whole rows,
and on one token of every row with what the tokens before it left behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads.algoperf._dropout import Dropout

# Shares of attention are probabilities over keys; queries and keys that are padding take no part.
Mask = jax.Array  # bool [row, 1, query, key]


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of the model; the defaults are AlgoPerf's.

    Attributes:
      vocabulary: tokens; 0 is padding.
      width: of the embedding and of every block's output.
      heads, head_width: of the attention.
      layers: of the encoder, and of the decoder.
      mlp_width: hidden units.
      length: of a row at most.
      activation: of the hidden units, "relu" or "tanh".
      gated: the hidden units are multiplied by a linear map of the block's input.
      normalised_first: before every block and at the end of both stacks; otherwise after every sum.
      temperature: the inputs of the attention's queries are multiplied by it.
    """

    vocabulary: int = 32_000
    width: int = 1024
    heads: int = 16
    head_width: int = 64
    layers: int = 6
    mlp_width: int = 1024
    length: int = 256
    activation: str = "relu"
    gated: bool = False
    normalised_first: bool = True
    temperature: float = 1.0


class Memory(NamedTuple):
    """Keys and values of a layer's attention, [row, key, head, unit]."""

    keys: jax.Array
    values: jax.Array


class MultiHeadDotProductAttention(nn.Module):
    """Attention of queries to keys and values made of another sequence, or of the same."""

    shape: Shape

    def setup(self) -> None:
        shape = self.shape

        def dense(features: Any, axis: Any = -1) -> nn.DenseGeneral:
            kernel_init = nn.initializers.xavier_uniform()
            return nn.DenseGeneral(features, axis=axis, use_bias=False, kernel_init=kernel_init)

        self.query = dense((shape.heads, shape.head_width))
        self.key = dense((shape.heads, shape.head_width))
        self.value = dense((shape.heads, shape.head_width))
        self.out = dense(shape.width, (-2, -1))

    def memory(self, x: jax.Array) -> Memory:
        """What is attended to, of a sequence [row, key, width]."""
        return Memory(self.key(x), self.value(x))

    def __call__(self, x: jax.Array, memory: Memory, mask: Mask) -> jax.Array:
        """[row, query, width] of the sequence that asks."""
        asked = self.query(self.shape.temperature * x)
        return self.out(nn.dot_product_attention(asked, memory.keys, memory.values, mask=mask))


class MlpBlock(nn.Module):
    """One hidden layer, gated or not, with dropout after both layers."""

    shape: Shape

    @nn.compact
    def __call__(self, x: jax.Array, rate: Any, train: bool) -> jax.Array:
        """[row, position, width]."""

        def dense(features: int) -> nn.Dense:
            bias_init = nn.initializers.normal(1e-6)
            return nn.Dense(features, kernel_init=nn.initializers.xavier_uniform(), bias_init=bias_init)

        hidden = ACTIVATIONS[self.shape.activation](dense(self.shape.mlp_width)(x))
        if self.shape.gated:
            hidden = hidden * dense(self.shape.mlp_width)(x)
        hidden = Dropout()(hidden, rate, train)
        return Dropout()(dense(self.shape.width)(hidden), rate, train)


ACTIVATIONS = {"relu": nn.relu, "tanh": jnp.tanh}


class Encoder1DBlock(nn.Module):
    """Self-attention and a hidden layer, each added to what came in."""

    shape: Shape

    @nn.compact
    def __call__(self, x: jax.Array, mask: Mask, rate: Any, train: bool) -> jax.Array:
        """[row, position, width]."""
        first = self.shape.normalised_first
        y = nn.LayerNorm()(x) if first else x
        attention = MultiHeadDotProductAttention(self.shape)
        x = x + Dropout()(attention(y, attention.memory(y), mask), rate, train)
        if not first:
            x = nn.LayerNorm()(x)
        y = nn.LayerNorm()(x) if first else x
        x = x + MlpBlock(self.shape)(y, rate, train)
        return x if first else nn.LayerNorm()(x)


class EncoderDecoder1DBlock(nn.Module):
    """Self-attention, attention to the encoded inputs and a hidden layer, each added to what came in."""

    shape: Shape

    def setup(self) -> None:
        self.LayerNorm_0 = nn.LayerNorm()
        self.MultiHeadDotProductAttention_0 = MultiHeadDotProductAttention(self.shape)
        self.LayerNorm_1 = nn.LayerNorm()
        self.MultiHeadDotProductAttention_1 = MultiHeadDotProductAttention(self.shape)
        self.LayerNorm_2 = nn.LayerNorm()
        self.MlpBlock_0 = MlpBlock(self.shape)
        self.dropout = Dropout()

    def __call__(
        self, x: jax.Array, encoded: jax.Array, own: Mask, other: Mask, rate: Any, train: bool
    ) -> jax.Array:
        """[row, position, width] of whole rows.

        Args:
          x: of the decoder.
          encoded: [row, key, width], of the encoder.
          own, other: which of their own keys, and which of the encoder's, queries may see.
          rate, train: of dropout.
        """
        y = self._before(self.LayerNorm_0, x)
        attended = self.MultiHeadDotProductAttention_0(y, self.MultiHeadDotProductAttention_0.memory(y), own)
        x = self._after(self.LayerNorm_0, x + self.dropout(attended, rate, train))
        return self._rest(x, self.memory(encoded), other, rate, train)

    def memory(self, encoded: jax.Array) -> Memory:
        """What is attended to of the encoded inputs; the same for every token that is decoded."""
        return self.MultiHeadDotProductAttention_1.memory(encoded)

    def step(
        self, x: jax.Array, position: jax.Array, before: Memory, memory: Memory, other: Mask
    ) -> tuple[jax.Array, Memory]:
        """[row, 1, width] of one token of every row, and what the tokens up to this one leave behind.

        Args:
          x: of the decoder, [row, 1, width].
          position: of the token, the same in all rows.
          before: of the tokens before, [row, length, head, unit], zeros from this one on.
          memory, other: see `__call__`.
        """
        y = self._before(self.LayerNorm_0, x)
        new = self.MultiHeadDotProductAttention_0.memory(y)
        before = Memory(
            *(
                jax.lax.dynamic_update_slice_in_dim(old, one, position, axis=1)
                for old, one in zip(before, new, strict=True)
            )
        )
        seen = (jnp.arange(before.keys.shape[1]) <= position)[None, None, None, :]
        x = self._after(self.LayerNorm_0, x + self.MultiHeadDotProductAttention_0(y, before, seen))
        return self._rest(x, memory, other, 0.0, False), before

    def _rest(self, x: jax.Array, memory: Memory, other: Mask, rate: Any, train: bool) -> jax.Array:
        y = self._before(self.LayerNorm_1, x)
        attended = self.MultiHeadDotProductAttention_1(y, memory, other)
        x = self._after(self.LayerNorm_1, x + self.dropout(attended, rate, train))
        y = self._before(self.LayerNorm_2, x)
        return self._after(self.LayerNorm_2, x + self.MlpBlock_0(y, rate, train))

    def _before(self, norm: nn.LayerNorm, x: jax.Array) -> jax.Array:
        return norm(x) if self.shape.normalised_first else x

    def _after(self, norm: nn.LayerNorm, x: jax.Array) -> jax.Array:
        return x if self.shape.normalised_first else norm(x)


class Encoder(nn.Module):
    """Blocks over embedded inputs."""

    shape: Shape

    @nn.compact
    def __call__(self, x: jax.Array, mask: Mask, rate: Any, train: bool) -> jax.Array:
        """[row, position, width]."""
        x = Dropout()(x, rate, train)
        for layer in range(self.shape.layers):
            x = Encoder1DBlock(self.shape, name=f"encoderblock_{layer}")(x, mask, rate, train)
        return nn.LayerNorm(name="encoder_layernorm")(x) if self.shape.normalised_first else x


class Decoder(nn.Module):
    """Blocks over embedded targets."""

    shape: Shape

    def setup(self) -> None:
        for layer in range(self.shape.layers):
            setattr(self, f"encoderdecoderblock_{layer}", EncoderDecoder1DBlock(self.shape))
        if self.shape.normalised_first:
            self.encoderdecoder_layernorm = nn.LayerNorm()
        self.dropout = Dropout()

    def __call__(
        self, x: jax.Array, encoded: jax.Array, own: Mask, other: Mask, rate: Any, train: bool
    ) -> jax.Array:
        """[row, position, width] of whole rows; see `EncoderDecoder1DBlock`."""
        x = self.dropout(x, rate, train)
        for block in self._blocks():
            x = block(x, encoded, own, other, rate, train)
        return self._end(x)

    def memory(self, encoded: jax.Array) -> tuple[Memory, ...]:
        """Of every layer."""
        return tuple(block.memory(encoded) for block in self._blocks())

    def step(
        self,
        x: jax.Array,
        position: jax.Array,
        before: tuple[Memory, ...],
        memory: tuple[Memory, ...],
        other: Mask,
    ) -> tuple[jax.Array, tuple[Memory, ...]]:
        """One token of every row; see `EncoderDecoder1DBlock.step`."""
        left = []
        for block, old, of_encoded in zip(self._blocks(), before, memory, strict=True):
            x, new = block.step(x, position, old, of_encoded, other)
            left.append(new)
        return self._end(x), tuple(left)

    def _blocks(self) -> list[EncoderDecoder1DBlock]:
        return [getattr(self, f"encoderdecoderblock_{layer}") for layer in range(self.shape.layers)]

    def _end(self, x: jax.Array) -> jax.Array:
        return self.encoderdecoder_layernorm(x) if self.shape.normalised_first else x


class Transformer(nn.Module):
    """Logits of the targets, of inputs and of the targets before them."""

    shape: Shape

    def setup(self) -> None:
        shape = self.shape
        self.shared_embedding = nn.Embed(
            shape.vocabulary, shape.width, embedding_init=nn.initializers.normal(1.0)
        )
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)

    def __call__(
        self,
        inputs: jax.Array,
        targets: jax.Array,
        inputs_position: jax.Array | None = None,
        targets_position: jax.Array | None = None,
        inputs_segmentation: jax.Array | None = None,
        targets_segmentation: jax.Array | None = None,
        *,
        train: bool,
        dropout_rate: Any,
    ) -> jax.Array:
        """Logits [row, position, token]; of several sentences in a row, positions and segments tell them apart."""
        encoded = self.encode(inputs, inputs_position, inputs_segmentation, train, dropout_rate)
        own = _allowed(targets > 0, targets > 0) & nn.make_causal_mask(targets, dtype=jnp.bool_)
        other = _allowed(targets > 0, inputs > 0)
        if targets_segmentation is not None:
            assert inputs_segmentation is not None
            own &= _allowed(targets_segmentation, targets_segmentation, jnp.equal)
            other &= _allowed(targets_segmentation, inputs_segmentation, jnp.equal)
        # Of a packed row, the whole is shifted: a sentence begins with the last token of the one before it.
        shifted = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
        x = self._embedded(shifted, targets_position)
        return self._logits(self.decoder(x, encoded, own, other, dropout_rate, train))

    def encode(
        self,
        inputs: jax.Array,
        position: jax.Array | None = None,
        segmentation: jax.Array | None = None,
        train: bool = False,
        dropout_rate: Any = 0.0,
    ) -> jax.Array:
        """The inputs as the decoder sees them, [row, position, width]."""
        mask = _allowed(inputs > 0, inputs > 0)
        if segmentation is not None:
            mask &= _allowed(segmentation, segmentation, jnp.equal)
        return self.encoder(self._embedded(inputs, position), mask, dropout_rate, train)

    def memory(self, inputs: jax.Array) -> tuple[Memory, ...]:
        """What `step` needs to know of the inputs."""
        return self.decoder.memory(self.encode(inputs))

    def step(
        self,
        tokens: jax.Array,
        position: jax.Array,
        before: tuple[Memory, ...],
        memory: tuple[Memory, ...],
        inputs: jax.Array,
    ) -> tuple[jax.Array, tuple[Memory, ...]]:
        """Logits [row, token] of the next token, and what the tokens so far leave behind.

        Args:
          tokens: [row], the last of every row; 0 begins one.
          position: how many came before it.
          before: see `EncoderDecoder1DBlock.step`; of every layer.
          memory: of the inputs.
          inputs: [row, position], which are padding.
        """
        x = self._embedded(tokens[:, None], jnp.full((1, 1), position))
        x, before = self.decoder.step(x, position, before, memory, (inputs > 0)[:, None, None, :])
        return self._logits(x)[:, 0], before

    def _embedded(self, tokens: jax.Array, position: jax.Array | None) -> jax.Array:
        table = jnp.asarray(sinusoids(self.shape.length, self.shape.width))
        places = table[: tokens.shape[1]] if position is None else table[position]
        return self.shared_embedding(tokens.astype(jnp.int32)) + places

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.shared_embedding.attend(x) / jnp.sqrt(self.shape.width)


def _allowed(queries: jax.Array, keys: jax.Array, agree: Callable[..., Any] = jnp.logical_and) -> Mask:
    return nn.make_attention_mask(queries, keys, agree, dtype=jnp.bool_)


def sinusoids(length: int, width: int) -> np.ndarray:
    """Sines, then cosines, of the position at rates from 1 down to 1e-4: [position, width]."""
    rates = np.exp(-np.log(10_000.0) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * rates
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return np.pad(table, ((0, 0), (0, width % 2))).astype(np.float32)


def empty(shape: Shape, rows: int, length: int) -> tuple[Memory, ...]:
    """What no tokens leave behind."""
    zeros = jnp.zeros((rows, length, shape.heads, shape.head_width))
    return (Memory(zeros, zeros),) * shape.layers
