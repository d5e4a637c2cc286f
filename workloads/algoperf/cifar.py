"""AlgoPerf's development workload on CIFAR-10: a residual network of 18 layers for 32x32 pixels.

AlgoPerf's own cannot be trained: it hands its parameters out as the state of the batch normalisation, and its
evaluation calls a function that JAX no longer has. Here the state is that of the model.
"""

from __future__ import annotations

import dataclasses
import functools

import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _cifar, _classes, _images, _linen, _resnet
from workloads.algoperf._base import Base, Model, Scale


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model.

    Attributes:
      stages: blocks of every stage.
      filters: of the first stage; every stage has twice those of the one before.
      images: their shape; four pixels or more along a side are left after the stages.
      classes: of the output.
      slices: convolutions as shifted slices.
    """

    stages: tuple[int, ...] = (2, 2, 2, 2)
    filters: int = 64
    images: tuple[int, int, int] = (32, 32, 3)
    classes: int = 10
    slices: bool = False


def _model(options: Options) -> Model:
    module = _resnet.ResNet(
        options.stages,
        _resnet.ResNetBlock,
        options.filters,
        options.classes,
        nn.relu,
        last_scale=0.0,
        small_images=True,
        slices=options.slices,
    )
    return _linen.model(module, lambda: (jnp.zeros((1, *options.images)),), switches=_resnet.switches)


BASE = Base(
    name="cifar",
    summary="ResNet-18 on CIFAR-10",
    data_set="CIFAR-10",
    cost_class="conv",
    loss_type="SOFTMAX_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=_classes.losses,
    sums=_classes.sums,
    stand_in=functools.partial(_images.stand_in, "CIFAR-10"),
    read=lambda options, data_dir: _cifar.read(data_dir),
    batch_size=128,
    mended={
        "cifar": "the model's state is its batch statistics; AlgoPerf returns the parameters in its place"
    },
    output_layer="Dense_0",
    scales={
        "mini": Scale(
            data=functools.partial(_images.handwritten, "CIFAR-10"),
            options={"stages": (1, 1, 1), "filters": 4, "images": _images.HALVED, "slices": True},
            batch_size=32,
            step_hint=100,
            eval_period=5,
            eval_examples=100,
        ),
        "small": Scale(
            data=functools.partial(_images.handwritten, "CIFAR-10"),
            options={"stages": (2, 2, 2), "filters": 40, "images": _images.HALVED},
            batch_size=64,
            step_hint=1000,
            eval_period=50,
        ),
    },
)
