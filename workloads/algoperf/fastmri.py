"""AlgoPerf's reconstruction of knee images from a quarter of their frequencies: a U-Net (Ronneberger et al. 2015,
arXiv:1505.04597) as fastMRI has it (Zbontar et al. 2018, arXiv:1811.08839).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads._source import Batch
from workloads.algoperf import _heads, _knees, _linen, _slices, _ssim
from workloads.algoperf._base import Base, Model, Scale
from workloads.algoperf._shaped import shaped
from workloads.products import product


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model.

    Attributes:
      side: of the images, in pixels.
      channels: of the first block; every level below has twice those of the one above.
      levels: that halve the image.
      tanh: the activation; otherwise it is a leaky ReLU with slope 0.2.
      layer_norm: over an image and all its channels, in place of the instance norm of the convolution blocks.
      slices: convolutions are computed as shifted slices, see `_slices`.
    """

    side: int = 320
    channels: int = 32
    levels: int = 4
    tanh: bool = False
    layer_norm: bool = False
    slices: bool = False


class UNet(nn.Module):
    """Blocks of convolutions on smaller and smaller images, and back, each level beside its image of the way down."""

    options: Options

    @nn.compact
    def __call__(self, x: jax.Array, dropout_rate: Any = 0.0) -> jax.Array:
        """Images [example, row, column] of images.

        Nothing is dropped: AlgoPerf hands its dropout rate to where it is never used, and its results are without.
        """
        del dropout_rate
        options = self.options
        act = nn.tanh if options.tanh else lambda x: nn.leaky_relu(x, 0.2)
        # Modules are numbered in the order in which they are made, down before up.
        widths = [options.channels * 2**level for level in range(options.levels + 1)]
        down = [ConvBlock(width, act, options) for width in widths]
        up = [ConvBlock(width, act, options) for width in widths[-2::-1]]
        larger = [TransposeConvBlock(width, act) for width in widths[-2::-1]]

        x, passed = x[..., None], []
        for block in down[:-1]:
            x = block(x)
            passed.append(x)
            x = halved(x)
        x = down[-1](x)
        for enlarge, block in zip(larger, up, strict=True):
            beside = passed.pop()
            x = _reflected(enlarge(x), beside.shape)
            x = block(jnp.concatenate([x, beside], axis=-1))
        return nn.Conv(1, (1, 1), conv_general_dilated=_convolution(options))(x)[..., 0]


class ConvBlock(nn.Module):
    """Two 3x3 convolutions, each with a norm and the activation."""

    width: int
    act: Callable[[jax.Array], jax.Array]
    options: Options

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        for _ in range(2):
            x = nn.Conv(self.width, (3, 3), use_bias=False, conv_general_dilated=_convolution(self.options))(
                x
            )
            x = nn.LayerNorm(reduction_axes=(1, 2, 3))(x) if self.options.layer_norm else instance_norm(x)
            x = self.act(x)
        return x


class TransposeConvBlock(nn.Module):
    """A 2x2 transposed convolution to twice the sides, with a norm and the activation."""

    width: int
    act: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        return self.act(instance_norm(ConvTranspose(self.width)(x)))


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` with a 2x2 kernel and stride 2, without bias, as one product.

    Every pixel becomes a square of four, its product with the kernel turned by half a circle.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[example, row, column, channel]."""
        examples, rows, columns, channels = x.shape
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (2, 2, channels, self.width))
        turned = kernel[::-1, ::-1].transpose(2, 0, 1, 3).reshape(channels, -1)
        squares = product(x, turned).reshape(examples, rows, columns, 2, 2, self.width)
        return squares.transpose(0, 1, 3, 2, 4, 5).reshape(examples, 2 * rows, 2 * columns, self.width)


def _convolution(options: Options) -> Any:
    return _slices.conv_general_dilated if options.slices else None


def halved(x: jax.Array) -> jax.Array:
    """Means of squares of four pixels; the last row or column of an odd number is left out."""
    examples, rows, columns, channels = x.shape
    even = x[:, : rows // 2 * 2, : columns // 2 * 2]
    return even.reshape(examples, rows // 2, 2, columns // 2, 2, channels).mean(axis=(2, 4))


def instance_norm(x: jax.Array) -> jax.Array:
    """(x - mean) / sqrt(variance + 1e-5) over the pixels of every channel [example, row, column, channel]."""
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(x), axis=(1, 2), keepdims=True) - jnp.square(mean)
    return (x - mean) / jnp.sqrt(jnp.maximum(variance, 0.0) + 1e-5)


def _reflected(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """With the row and the column that an odd size lost when it was halved."""
    missing = [(0, wanted - had) for had, wanted in zip(x.shape[1:3], shape[1:3], strict=True)]
    return jnp.pad(x, ((0, 0), *missing, (0, 0)), mode="reflect") if any(map(any, missing)) else x


def losses(outputs: jax.Array, batch: Batch, label_smoothing: Any) -> tuple[jax.Array, jax.Array | None]:
    """Mean absolute error of every image; there is nothing to smooth."""
    del label_smoothing
    error = jnp.abs(outputs - batch["targets"])
    return jnp.mean(error, axis=tuple(range(1, error.ndim))), batch.get("weights")


def sums(outputs: jax.Array, batch: Batch) -> Mapping[str, jax.Array]:
    """Absolute error, structural similarity and examples, weighted."""
    values, weights = losses(outputs, batch, None)
    weights = jnp.ones_like(values) if weights is None else weights
    similarity = _ssim.of_normalised(
        outputs, batch["targets"], batch["mean"], batch["std"], batch["volume_max"]
    )
    return {
        "loss": jnp.sum(values * weights),
        "ssim": jnp.sum(similarity * weights),
        "examples": jnp.sum(weights),
    }


def _model(options: Options) -> Model:
    side = options.side
    return _linen.model(
        UNet(options),
        lambda: (jnp.zeros((1, side, side)),),
        switches=lambda train, update_batch_norm, use_running_average_bn: {},
    )


def _stand_in(options: Options):
    def draw(key: jax.Array, examples: int) -> Batch:
        clean, noise = jax.random.split(key)
        targets = jax.random.normal(clean, (examples, options.side, options.side))
        ones = jnp.ones(examples)
        return {
            "inputs": targets + jax.random.normal(noise, targets.shape),
            "targets": targets,
            "mean": ones,
            "std": ones / 2,
            "volume_max": 4 * ones,
        }

    return shaped("fastMRI", draw, _knees.EVAL_BATCH_SIZE)


SCALES = {
    "mini": Scale(
        data=lambda options: _heads.resident(options.side, {"train": 1024, "validation": 48, "test": 48}),
        options={"side": 20, "channels": 4, "levels": 2, "slices": True},
        batch_size=8,
        step_hint=120,
        eval_period=8,
        eval_examples=16,
        variants={"fastmri_model_size": {"channels": 8, "levels": 1}},
    ),
    "small": Scale(
        data=lambda options: _heads.resident(options.side, {"train": 4096, "validation": 256, "test": 256}),
        options={"side": 96, "channels": 24, "levels": 3},
        batch_size=16,
        step_hint=1000,
        eval_period=50,
        eval_examples=256,
        variants={"fastmri_model_size": {"channels": 48, "levels": 2}},
    ),
}

BASE = Base(
    name="fastmri",
    summary="U-Net on fastMRI's knees",
    data_set="fastMRI knee single-coil",
    cost_class="conv",
    loss_type="MEAN_ABSOLUTE_ERROR",
    options=Options(),
    model=_model,
    losses=losses,
    sums=sums,
    stand_in=_stand_in,
    read=lambda options, data_dir: _knees.read(data_dir, options.side),
    batch_size=32,
    variants={
        "fastmri_model_size": {"channels": 64, "levels": 3},
        "fastmri_tanh": {"tanh": True},
        "fastmri_layernorm": {"layer_norm": True},
    },
    scales=SCALES,
    output_layer="Conv_0",
)
