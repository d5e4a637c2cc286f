"""AlgoPerf's ImageNet workload with a residual network of 50 layers (He et al. 2016, arXiv:1512.03385)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _classes, _imagenet, _images, _linen, _resnet
from workloads.algoperf._base import Base, Model, Scale


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model and its images.

    Attributes:
      stages: blocks of every stage.
      filters: of the first stage; every stage has twice those of the one before.
      activation: everywhere.
      last_scale: at initialisation, of the last normalisation of every block.
      images: their shape.
      classes: of the output.
      slices: convolutions as shifted slices.
    """

    stages: tuple[int, ...] = (3, 4, 6, 3)
    filters: int = 64
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    last_scale: float = 0.0
    images: tuple[int, int, int] = _images.IMAGENET
    classes: int = 1000
    slices: bool = False


def _model(options: Options) -> Model:
    module = _resnet.ResNet(
        options.stages,
        _resnet.BottleneckResNetBlock,
        options.filters,
        options.classes,
        options.activation,
        options.last_scale,
        small_images=False,
        slices=options.slices,
    )
    return _linen.model(module, lambda: (jnp.zeros((1, *options.images)),), switches=_resnet.switches)


BASE = Base(
    name="imagenet_resnet",
    summary="ResNet-50 on ImageNet",
    data_set="ImageNet",
    cost_class="conv",
    loss_type="SOFTMAX_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=_classes.losses,
    sums=_classes.sums,
    stand_in=functools.partial(_images.stand_in, "ImageNet"),
    read=lambda options, data_dir: _imagenet.read(
        data_dir, options.images[0], options.classes, eval_batch_size=1024, augment=False
    ),
    batch_size=1024,
    variants={
        "imagenet_resnet_silu": {"activation": nn.silu},
        "imagenet_resnet_gelu": {"activation": nn.gelu},
        "imagenet_resnet_large_bn_init": {"last_scale": 8.0},
    },
    batch_sizes={"imagenet_resnet_silu": 512, "imagenet_resnet_gelu": 512},
    output_layer="Dense_0",
    scales={
        "mini": Scale(
            data=functools.partial(_images.handwritten, "ImageNet"),
            options={
                "stages": (1, 1, 1),
                "filters": 6,
                "images": _images.DIGITS,
                "classes": 10,
                "slices": True,
            },
            batch_size=32,
            step_hint=160,
            eval_period=8,
            eval_examples=100,
        ),
        "small": Scale(
            data=functools.partial(_images.handwritten, "ImageNet"),
            options={"stages": (2, 2, 2, 2), "filters": 16, "images": _images.DIGITS, "classes": 10},
            batch_size=64,
            step_hint=1000,
            eval_period=50,
        ),
    },
)
