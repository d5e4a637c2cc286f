"""VeLO's `image_resnet`: residual networks of four groups of bottleneck blocks that classify images."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from workloads._workload import Workload
from workloads.algoperf import _linen, _slices
from workloads.velo import _draws, _images, _sampled, _task

WIDTHS = ((1, 1, 1, 1), (1, 2, 4, 8), (1, 2, 2, 4), (1, 2, 2, 2), (1, 2, 4, 4))
STRIDE = 2  # of the first convolution: the program draws 1 or 2 and passes neither on
_conv = functools.partial(
    nn.Conv, use_bias=False, padding="SAME", conv_general_dilated=_slices.conv_general_dilated
)


def sample(rng: np.random.Generator) -> dict[str, Any]:
    """What a seed computes."""
    most = _draws.log_int(rng, 1, 10)
    blocks = [_draws.log_int(rng, 1, most) if most > 1 else 1 for _ in range(4)]
    pattern, width = _draws.choice(rng, WIDTHS), _draws.log_int(rng, 8, 256)
    return {
        "blocks": blocks,
        "channels": [width * factor for factor in pattern],
        "first_window": _draws.choice(rng, (3, 5, 7)),
        "first_channels": _draws.log_int(rng, 8, 64),
        "max_pool": _draws.choice(rng, (True, False)),
        **_draws.images(rng, (8, 64), 256),
    }


def draw(rng: np.random.Generator) -> dict[str, float]:
    """Activation of a draw."""
    return _draws.activation(rng)


def normalizer(config: Mapping[str, Any], drawn: Mapping[str, float]) -> Callable[[jax.Array], jax.Array]:
    """10 loss / ln 2C, between 0 and 10; see `velo.normalizer`."""
    del drawn
    worst = float(np.log(2 * _images.classes_of(config)))
    return lambda loss: (10 * _task.finite(loss, worst) / worst).clip(0, 10)


class Block(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the middle ones with a quarter of the channels, added to x (or its projection)."""

    channels: int
    stride: int
    projected: bool
    norm: Callable[..., Any]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        inner, strides = self.channels // 4, (self.stride, self.stride)
        shortcut = x
        if self.projected:
            shortcut = self.norm()(_conv(self.channels, (1, 1), strides)(x))
        x = nn.relu(self.norm()(_conv(inner, (1, 1))(x)))
        x = nn.relu(self.norm()(_conv(inner, (3, 3), strides)(x)))
        x = self.norm(scale_init=nn.initializers.zeros)(_conv(self.channels, (1, 1))(x))
        return nn.relu(x + shortcut)


class ResNet(nn.Module):
    """Logits of images. The sampled activation follows the first convolution alone; the blocks keep ReLU.

    Attributes:
      config: as `sample` returns it.
      classes: of the output.
      activation: of the first convolution.
    """

    config: Any
    classes: int
    activation: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, dropout_rate: Any = 0.0) -> jax.Array:
        """[example, class] of [example, row, column, channel]."""
        del dropout_rate  # nothing is dropped
        config = self.config
        norm = functools.partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        window = (config["first_window"],) * 2
        x = self.activation(norm()(_conv(config["first_channels"], window, (STRIDE, STRIDE))(x)))
        if config["max_pool"]:
            padding = jax.lax.padtype_to_pads(x.shape[1:3], (3, 3), (2, 2), "SAME")
            x = _slices.max_pool(x, (3, 3), (2, 2), padding)
        for group, (blocks, channels) in enumerate(zip(config["blocks"], config["channels"], strict=True)):
            for number in range(blocks):
                stride = 2 if group > 0 and number == 0 else 1
                x = Block(channels, stride, number == 0, norm)(x)
        x = jnp.mean(x, axis=(1, 2))
        return nn.Dense(self.classes, kernel_init=nn.initializers.zeros)(x)


def build(
    name: str, config: Mapping[str, Any], drawn: Mapping[str, float], data_dir: pathlib.Path | None
) -> Workload:
    """The workload. In evaluation running statistics normalise; the original only ever trained."""
    classes, shape = _images.classes_of(config), _images.shape_of(config)

    def bind(numbers):
        module = ResNet(config, classes, _sampled.activation(numbers))
        model = _linen.model(
            module,
            lambda: (jnp.zeros((1, *shape)),),
            switches=lambda train, update, running: {"train": train, "update": train},
        )

        def forward(params, model_state, images, key, train):
            batch = {"inputs": images}
            return model.model_fn(params, model_state, batch, key, train, train, None, 0.0)

        return _images.classifier(model.init, forward)

    blocks = "-".join(map(str, config["blocks"]))
    summary = f"residual network of {blocks} blocks, {config['channels'][0]} channels first"
    return _task.task(
        name, "image_resnet", "conv", summary, config, drawn, bind, _images.load(config, data_dir)
    )  # fmt: skip
