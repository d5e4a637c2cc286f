"""AlgoPerf's finewebedu_lm (v1.0): a decoder that predicts the next token of web pages.

Root-mean-square normalisation before every block, rotated and normalised queries and keys, one learned temperature a
layer in the place of 1 / sqrt(width), gated hidden layers, no biases, one embedding for both ends. Nothing is dropped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._measure import Measure, Totals, means
from workloads._source import ResidentData, Source
from workloads.algoperf import _classes, _finewebedu, _linen
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._shaped import shaped
from workloads.data import prose, stdlib_text


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model.

    Attributes:
      vocabulary: tokens.
      length: of a row.
      width: of the embedding and of every block's output.
      layers: blocks.
      heads, head_width: of the attention.
      mlp_width: hidden units, and as many gates.
    """

    vocabulary: int = 50_257
    length: int = 1024
    width: int = 1024
    layers: int = 12
    heads: int = 8
    head_width: int = 128
    mlp_width: int = 4096


ROTATION = 500_000.0  # the slowest rotation takes so many times longer than the fastest, nearly
SMALL = 1e-6  # added to the length of a query or key, and to the mean square that normalises
SD = 0.02  # of kernels and embedding


class CausalAttn(nn.Module):
    """Attention to the positions up to the own one."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[row, position, width]."""
        options, length = self.options, x.shape[1]
        query, key, value = (
            nn.DenseGeneral(
                (options.heads, options.head_width),
                use_bias=False,
                kernel_init=nn.initializers.normal(SD),
                name=name,
            )(x)
            for name in ("query", "key", "value")
        )
        query, key = (_unit(_rotated(vectors)) for vectors in (query, key))
        scale = self.param("attn_scale", nn.initializers.constant(_scale(options.length)), ())
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key)
        seen = jnp.tril(jnp.ones((length, length), bool))
        # Hidden scores are scaled too, as in AlgoPerf: below a scale of 1 they would no longer be the lowest number.
        scores = scale * jnp.where(seen, scores, jnp.finfo(scores.dtype).min)
        y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)
        return _dense(options.width, _smaller(options), "attn_out_proj")(y.reshape(*y.shape[:2], -1))


class Mlp(nn.Module):
    """Hidden units, each with a gate of its own."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[row, position, width]."""
        hidden = nn.glu(_dense(2 * self.options.mlp_width, SD, "Dense_0")(x))
        return _dense(self.options.width, _smaller(self.options), "Dense_1")(hidden)


class Block(nn.Module):
    """Attention and hidden units, each of the normalised input and added to it."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[row, position, width]."""
        x = x + CausalAttn(self.options)(nn.RMSNorm(epsilon=SMALL)(x))
        return x + Mlp(self.options)(nn.RMSNorm(epsilon=SMALL)(x))


class Decoder(nn.Module):
    """Logits of the token after every one."""

    options: Options

    @nn.compact
    def __call__(self, tokens: jax.Array, train: bool, dropout_rate: Any) -> jax.Array:
        """Logits [row, position, token] of tokens [row, position]; nothing is dropped."""
        del train, dropout_rate
        options = self.options
        embedding = nn.Embed(
            options.vocabulary, options.width, embedding_init=nn.initializers.normal(SD), name="embed"
        )
        x = embedding(tokens)
        for number in range(options.layers):
            x = Block(options, name=f"blocks_{number}")(x)
        return embedding.attend(nn.RMSNorm(epsilon=SMALL, name="out_ln")(x))


def _dense(features: int, sd: float, name: str) -> nn.Dense:
    return nn.Dense(features, use_bias=False, kernel_init=nn.initializers.normal(sd), name=name)


def _smaller(options: Options) -> float:
    """Standard deviation of kernels whose output is added: there are two a layer."""
    return SD / math.sqrt(2 * options.layers)


def _scale(length: int) -> float:
    """log2(n^2 - n) for rows of n positions, at initialisation."""
    return math.log2(length**2 - length)


def _unit(x: jax.Array) -> jax.Array:
    return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + SMALL)


def _rotated(x: jax.Array) -> jax.Array:
    """Pairs of neighbours turned by position times a rate of their own (Su et al. 2021, arXiv:2104.09864).

    Args:
      x: [row, position, head, unit].
    """
    length, width = x.shape[1], x.shape[-1]
    rates = ROTATION ** (-np.arange(0, width, 2) / width)
    angles = (np.arange(length)[:, None] * rates).astype(np.float32)[:, None, :]  # [position, 1, pair]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    even, odd = x[..., ::2], x[..., 1::2]
    turned = jnp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape).astype(x.dtype)  # in mixed precision angles stay float32


def _model(options: Options) -> Model:
    return _linen.model(Decoder(options), lambda: (jnp.zeros((1, options.length), jnp.int32),))


def _measure(options: Options, model: Model, source: Source) -> Measure:
    def accumulate(params: Any, model_state: Any, batch: Any, key: Any) -> Totals:
        outputs, _ = model.model_fn(params, model_state, batch, key, False, False, None, 0.0)
        return dict(_classes.sums(outputs, batch))

    return Measure(accumulate, compute=perplexity)


def perplexity(totals: Totals) -> Mapping[str, Any]:
    """Means by token, and exp(mean loss) as `ppl`."""
    found = means(totals)
    return {**found, "ppl": jnp.exp(found["loss"])}


def _stand_in(options: Options):
    def draw(key: jax.Array, examples: int):
        tokens = jax.random.randint(key, (examples, options.length + 1), 0, options.vocabulary)
        return {"inputs": tokens[:, :-1], "targets": tokens[:, 1:]}

    # AlgoPerf has no test split.
    return dataclasses.replace(shaped("FineWeb-Edu", draw), splits=("train", "validation"))


def _characters(options: Options) -> ResidentData:
    """Prose where it is installed; else sources of Python's library, which is always there. A token is a character."""
    # AlgoPerf has no test split; the smaller scales have one, as all of ours.
    sizes = {"train": 4096, "validation": 64, "test": 64}
    make = prose.prose_windows if prose.version() else stdlib_text.stdlib_windows
    windows, provenance = make(options.length + 1, sizes)
    tokens = {split: w.astype(np.int32) for split, w in windows.items()}
    splits = {split: {"inputs": w[:, :-1], "targets": w[:, 1:]} for split, w in tokens.items()}
    return ResidentData(splits, dataclasses.replace(provenance, stands_in_for="FineWeb-Edu"))


SCALES = {
    "mini": Scale(
        data=_characters,
        options={
            "vocabulary": len(stdlib_text.VOCABULARY),
            "length": 32,
            "width": 32,
            "layers": 2,
            "heads": 2,
            "head_width": 16,
            "mlp_width": 64,
        },
        batch_size=8,
        step_hint=300,
        eval_period=15,
        eval_examples=64,
    ),
    "small": Scale(
        data=_characters,
        options={
            "vocabulary": len(stdlib_text.VOCABULARY),
            "length": 128,
            "width": 128,
            "layers": 5,
            "heads": 4,
            "head_width": 32,
            "mlp_width": 384,
        },
        batch_size=32,
        step_hint=1000,
        eval_period=50,
        eval_examples=64,
    ),
}

BASE = Base(
    name="finewebedu_lm",
    summary="decoder language model on FineWeb-Edu",
    data_set="FineWeb-Edu",
    cost_class="transformer",
    loss_type="SOFTMAX_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=_classes.losses,
    sums=_classes.sums,
    measure=_measure,
    stand_in=_stand_in,
    read=lambda options, data_dir: _finewebedu.read(data_dir, options.vocabulary, options.length),
    batch_size=64,
    scales=SCALES,
    output_layer="embed",
)
