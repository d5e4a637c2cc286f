"""Residual networks as AlgoPerf has them (He et al. 2016, arXiv:1512.03385, version 1): for ImageNet and for CIFAR."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _slices

Layer = Callable[..., Any]


class ResNetBlock(nn.Module):
    """Two 3x3 convolutions; x + f(x), then the activation."""

    filters: int
    conv: Layer
    norm: Layer
    act: Layer
    strides: tuple[int, int]
    last_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        y = self.act(self.norm()(self.conv(self.filters, (3, 3), self.strides)(x)))
        y = self.norm(scale_init=nn.initializers.constant(self.last_scale))(
            self.conv(self.filters, (3, 3))(y)
        )
        return self.act(_projected(self, x, y, self.filters) + y)


class BottleneckResNetBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the channels; x + f(x), then the activation."""

    filters: int
    conv: Layer
    norm: Layer
    act: Layer
    strides: tuple[int, int]
    last_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        y = self.act(self.norm()(self.conv(self.filters, (1, 1))(x)))
        y = self.act(self.norm()(self.conv(self.filters, (3, 3), self.strides)(y)))
        y = self.norm(scale_init=nn.initializers.constant(self.last_scale))(
            self.conv(4 * self.filters, (1, 1))(y)
        )
        return self.act(_projected(self, x, y, 4 * self.filters) + y)


def _projected(block: Any, x: jax.Array, y: jax.Array, filters: int) -> jax.Array:
    """x in the shape of y."""
    if x.shape == y.shape and block.strides == (1, 1):
        return x
    x = block.conv(filters, (1, 1), block.strides, name="Conv_proj")(x)
    return block.norm(name="BatchNorm_proj")(x)


class ResNet(nn.Module):
    """Stem, stages of blocks with twice the filters of the stage before, mean over pixels, one dense layer.

    Attributes:
      stages: blocks of every stage.
      block: their kind.
      filters: of the first stage.
      classes: of the output.
      act: activation of the blocks. The stem of CIFAR's network keeps ReLU.
      last_scale: at initialisation, of the last normalisation of every block.
      small_images: CIFAR's network, with a 3x3 stem and a 4x4 mean before the last; ImageNet's has 7x7, stride 2, and
        a 3x3 maximum, stride 2.
      slices: convolutions and the maximum are computed as shifted slices, see `_slices`.
    """

    stages: tuple[int, ...]
    block: Any
    filters: int
    classes: int
    act: Layer
    last_scale: float
    small_images: bool
    slices: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, running_average: bool, dropout_rate: Any = 0.0) -> jax.Array:
        """Logits [example, class] of images [example, row, column, channel]; nothing is dropped."""
        del dropout_rate
        conv = functools.partial(nn.Conv, use_bias=False)
        max_pool: Layer = nn.max_pool
        if self.slices:
            conv = functools.partial(conv, conv_general_dilated=_slices.conv_general_dilated)
            max_pool = _slices.max_pool
        norm = functools.partial(
            nn.BatchNorm, use_running_average=running_average, momentum=0.9, epsilon=1e-5
        )
        if self.small_images:
            x = conv(self.filters, (3, 3), padding=[(1, 1)] * 2, name="Conv_init")(x)
        else:
            x = conv(self.filters, (7, 7), (2, 2), padding=[(3, 3)] * 2, name="Conv_init")(x)
        x = norm(name="BatchNorm_init")(x)
        x = (nn.relu if self.small_images else self.act)(x)
        if not self.small_images:
            x = max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, blocks in enumerate(self.stages):
            for number in range(blocks):
                strides = (2, 2) if stage > 0 and number == 0 else (1, 1)
                x = self.block(self.filters * 2**stage, conv, norm, self.act, strides, self.last_scale)(x)
        if self.small_images:
            x = nn.avg_pool(x, (4, 4), strides=(4, 4))
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, kernel_init=nn.initializers.normal(0.01))(x)


def switches(train: bool, update_batch_norm: bool, use_running_average_bn: bool | None) -> Mapping[str, Any]:
    """AlgoPerf's residual networks ignore the mode: the switch of updates decides, and which statistics normalise may
    be said apart."""
    del train
    running = not update_batch_norm if use_running_average_bn is None else use_running_average_bn
    return {"running_average": running, "update": update_batch_norm}
