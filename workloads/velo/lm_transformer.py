"""VeLO's `lm_transformer`: transformers that predict the next token."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._workload import Workload
from workloads.algoperf import _linen
from workloads.velo import _draws, _task, _text

KEYS = 32  # units of a key and of a value, whatever was drawn a head; what was drawn is the width
DROPOUT = 0.1


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes. It has no positions: attention looks back alone."""
    heads = _draws.log_int(rng, 8, 128)
    return {
        "heads": heads,
        "width": heads * _draws.log_int(rng, 8, 128),
        "layers": _draws.log_int(rng, 1, 8),
        **_draws.texts(rng),
    }


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Draws do not differ."""
    del rng
    return {}


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """As of classifiers, with tokens for classes; see `velo.normalizer`."""
    del drawn
    return _task.classes_normalizer(config["vocabulary"])


class Decoder(nn.Module):
    """Logits of the next token; blocks normalise first, hidden layers are four times as wide."""

    config: Any
    tokens: int

    @nn.compact
    def __call__(self, ids: jax.Array, train: bool, dropout_rate: Any = 0.0) -> jax.Array:
        """[example, place, token] of [example, place]; 0 is padding, which nothing attends to."""
        del dropout_rate  # the task has its own
        width, heads = self.config["width"], self.config["heads"]
        w_init = nn.initializers.variance_scaling(2.0 / self.config["layers"], "fan_in", "truncated_normal")
        drop = nn.Dropout(DROPOUT, deterministic=not train)
        seen = jnp.tril(jnp.ones((ids.shape[1],) * 2, bool)) & (ids != 0)[:, None, None, :]
        x = nn.Embed(self.tokens, width, embedding_init=nn.initializers.truncated_normal(1.0))(ids)
        for _ in range(self.config["layers"]):
            y = nn.LayerNorm()(x)
            query, key, value = (nn.DenseGeneral((heads, KEYS), kernel_init=w_init)(y) for _ in range(3))
            scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / np.float32(np.sqrt(KEYS))
            weights = jax.nn.softmax(jnp.where(seen, scores, -1e30))
            y = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(*ids.shape, -1)
            x = x + drop(nn.Dense(width, kernel_init=w_init)(y))
            y = nn.gelu(nn.Dense(4 * width, kernel_init=w_init)(nn.LayerNorm()(x)))
            x = x + drop(nn.Dense(width, kernel_init=w_init)(y))
        return nn.Dense(self.tokens)(nn.LayerNorm()(x))


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload."""
    tokens = config["vocabulary"]
    ids = jnp.zeros((1, config["length"]), jnp.int32)
    model = _linen.model(Decoder(config, tokens), lambda: (ids,))

    def forward(params, ids, key, train):
        return model.model_fn(params, (), {"inputs": ids}, key, train, train, None, 0.0)[0]

    made = _text.functions(config, model.init, forward)
    summary = (
        f"transformer of {config['layers']} layers, {config['width']} wide, {tokens:,} tokens, "
        f"slices of {config['length']}"
    )
    data = _text.load(config, data_dir)
    return _task.task(
        name, "lm_transformer", "transformer", summary, config, drawn, lambda numbers: made, data
    )
