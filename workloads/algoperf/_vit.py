"""AlgoPerf's vision transformer (Beyer et al. 2022, arXiv:2205.01580): patches, an encoder, a pooled representation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from workloads.algoperf._dropout import Dropout

_xavier = nn.initializers.xavier_uniform()


def positions(rows: int, columns: int, width: int) -> np.ndarray:
    """Fixed positions [row * column, width] of patches in row-major order: sin x, cos x, sin y, cos y.

    x is the column and y the row, each times the rates 10000^(-i / (n - 1)) for i below n = width / 4 (Chen et al.
    2021, arXiv:2104.02057).
    """
    if width % 4 or width < 8:
        raise ValueError(
            f"width is {width}; sines and cosines of two coordinates need a multiple of 4, from 8"
        )
    count = width // 4
    rates = 10_000.0 ** -(np.arange(count) / (count - 1))
    y, x = (np.outer(each.ravel(), rates) for each in np.mgrid[:rows, :columns])
    return np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1).astype(np.float32)


class MlpBlock(nn.Module):
    """Dense, GELU, dropout, dense.

    Attributes:
      hidden: units.
      glu: the hidden units are multiplied by a dense layer of themselves.
    """

    hidden: int
    glu: bool

    @nn.compact
    def __call__(self, x: jax.Array, rate: Any, train: bool) -> jax.Array:
        """[example, token, unit]."""

        def dense(units: int) -> nn.Dense:
            return nn.Dense(units, kernel_init=_xavier, bias_init=nn.initializers.normal(1e-6))

        h = nn.gelu(dense(self.hidden)(x))
        if self.glu:
            h = h * dense(self.hidden)(h)
        return dense(x.shape[-1])(Dropout()(h, rate, train))


class Block(nn.Module):
    """Attention and a perceptron, each added to its input.

    Attributes:
      heads, hidden, glu: of these.
      post_ln: the sums are normalised; otherwise what attention and perceptron read is.
    """

    heads: int
    hidden: int
    glu: bool
    post_ln: bool

    @nn.compact
    def __call__(self, x: jax.Array, rate: Any, train: bool) -> jax.Array:
        """[example, token, unit]."""
        # AlgoPerf numbers the layers of a block in one row.
        attention = nn.MultiHeadDotProductAttention(
            self.heads, kernel_init=_xavier, name="MultiHeadDotProductAttention_1"
        )
        mlp = MlpBlock(self.hidden, self.glu, name="MlpBlock_3")
        parts = (
            (nn.LayerNorm(name="LayerNorm_0"), attention),
            (nn.LayerNorm(name="LayerNorm_2"), lambda x: mlp(x, rate, train)),
        )
        for norm, part in parts:
            y = Dropout()(part(x if self.post_ln else norm(x)), rate, train)
            x = norm(x + y) if self.post_ln else x + y
        return x


class Encoder(nn.Module):
    """Blocks, and a normalisation at the end unless they have theirs there."""

    depth: int
    heads: int
    hidden: int
    glu: bool
    post_ln: bool

    @nn.compact
    def __call__(self, x: jax.Array, rate: Any, train: bool) -> jax.Array:
        """[example, token, unit]."""
        for number in range(self.depth):
            block = Block(self.heads, self.hidden, self.glu, self.post_ln, name=f"encoderblock_{number}")
            x = block(x, rate, train)
        return x if self.post_ln else nn.LayerNorm(name="encoder_layernorm")(x)


class MAPHead(nn.Module):
    """Pooling by attention of one learned query (Lee et al. 2019, arXiv:1810.00825). Nothing is dropped in it."""

    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch token unit"]) -> Float[Array, "batch unit"]:
        """Of the tokens."""
        probe = self.param("probe", _xavier, (1, 1, x.shape[-1]))
        query = jnp.broadcast_to(probe, (x.shape[0], *probe.shape[1:]))
        x = nn.MultiHeadDotProductAttention(self.heads, kernel_init=_xavier)(query, x)
        x = x + MlpBlock(self.hidden, glu=False)(nn.LayerNorm()(x), 0.0, False)
        return x[:, 0]


class ViT(nn.Module):
    """Logits of images.

    Attributes:
      width, depth, heads, hidden: of the encoder.
      patch: pixels along a side.
      classes: of the output.
      glu, post_ln: see `MlpBlock`, `Block`.
      map: pooling by attention, else the mean over the tokens.
      conv: of the patches, in place of XLA's; see `_slices`.
    """

    width: int
    depth: int
    heads: int
    hidden: int
    patch: int
    classes: int
    glu: bool
    post_ln: bool
    map: bool
    conv: Callable[..., jax.Array] | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch row column channel"], train: bool, dropout_rate: Any = 0.0
    ) -> Float[Array, "batch class"]:
        """Logits."""
        patch = (self.patch, self.patch)
        patches = nn.Conv(
            self.width, patch, patch, "VALID", conv_general_dilated=self.conv, name="conv_patch_extract"
        )
        x = patches(x)
        rows, columns = x.shape[1:3]
        x = x.reshape(x.shape[0], rows * columns, self.width) + positions(rows, columns, self.width)
        x = Dropout()(x, dropout_rate, train)
        encoder = Encoder(self.depth, self.heads, self.hidden, self.glu, self.post_ln, name="Transformer")
        x = encoder(x, dropout_rate, train)
        x = MAPHead(self.heads, self.hidden)(x) if self.map else jnp.mean(x, axis=1)
        x = nn.tanh(nn.Dense(self.width, name="pre_logits")(x))
        return nn.Dense(self.classes, kernel_init=nn.initializers.zeros, name="head")(x)
