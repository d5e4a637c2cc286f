"""VeLO's `vit`: vision transformers (Dosovitskiy et al. 2021, arXiv:2010.11929) that classify by their first token."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._workload import Workload
from workloads.algoperf import _linen, _slices
from workloads.velo import _draws, _images, _task

PATCHES = (2, 4, 8, 12, 16)


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes. Patches are no larger than images, of which the original would see nothing."""
    heads = _draws.log_int(rng, 1, 16)
    config = {
        "layers": _draws.log_int(rng, 1, 16),
        "heads": heads,
        "width": heads * _draws.log_int(rng, 8, 64 if heads < 4 else 32),
        "hidden": _draws.log_int(rng, 32, 512),
        **_draws.images(rng, (8, 64), 256),
    }
    config["patch"] = _draws.choice(rng, [patch for patch in PATCHES if patch <= config["image_size"]])
    dropped = (rng.uniform(0, 0.8), rng.uniform(0, 0.8))
    some = rng.uniform() > 0.3
    config["dropout"], config["attention_dropout"] = (rate if some else 0.0 for rate in dropped)
    return config


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Draws do not differ."""
    del rng
    return {}


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """See `velo.normalizer`."""
    del drawn
    return _task.classes_normalizer(_images.classes_of(config))


class ViT(nn.Module):
    """Logits of images: patches, positions that are learnt, blocks that normalise first, the first token's class."""

    config: Any
    classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, dropout_rate: Any = 0.0) -> jax.Array:
        """[example, class] of [example, row, column, channel]."""
        del dropout_rate  # the task has its own
        config, width, patch = self.config, self.config["width"], (self.config["patch"],) * 2
        drop = nn.Dropout(config["dropout"], deterministic=not train)
        patches = nn.Conv(
            width, patch, patch, "VALID", conv_general_dilated=_slices.conv_general_dilated, name="embedding"
        )
        x = patches(x)
        x = x.reshape(x.shape[0], -1, width)
        token = self.param("cls", nn.initializers.zeros, (1, 1, width))
        x = jnp.concatenate([jnp.broadcast_to(token, (x.shape[0], 1, width)), x], axis=1)
        x = drop(x + self.param("positions", nn.initializers.normal(0.02), (1, *x.shape[1:])))
        for _ in range(config["layers"]):
            attention = nn.MultiHeadDotProductAttention(
                config["heads"],
                dropout_rate=config["attention_dropout"],
                deterministic=not train,
                broadcast_dropout=False,
                kernel_init=nn.initializers.xavier_uniform(),
            )
            x = x + drop(attention(nn.LayerNorm()(x)))
            y = nn.gelu(_dense(config["hidden"])(nn.LayerNorm()(x)))
            x = x + drop(_dense(width)(drop(y)))
        x = nn.LayerNorm()(x)[:, 0]
        return nn.Dense(self.classes, kernel_init=nn.initializers.zeros, name="head")(x)


def _dense(units: int) -> nn.Dense:
    return nn.Dense(
        units, kernel_init=nn.initializers.xavier_uniform(), bias_init=nn.initializers.normal(1e-6)
    )


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload."""
    shape = _images.shape_of(config)
    model = _linen.model(ViT(config, _images.classes_of(config)), lambda: (jnp.zeros((1, *shape)),))

    def forward(params, model_state, images, key, train):
        return model.model_fn(params, model_state, {"inputs": images}, key, train, train, None, 0.0)

    made = _images.classifier(model.init, forward)
    summary = f"vision transformer of {config['layers']} layers, {config['width']} wide"
    return _task.task(
        name,
        "vit",
        "transformer",
        summary,
        config,
        drawn,
        lambda numbers: made,
        _images.load(config, data_dir),
    )
