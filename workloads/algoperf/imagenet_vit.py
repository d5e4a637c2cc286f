"""AlgoPerf's ImageNet workload with a vision transformer, ViT-S/16 (Dosovitskiy et al. 2021, arXiv:2010.11929)."""

from __future__ import annotations

import dataclasses
import functools

import jax.numpy as jnp

from workloads.algoperf import _classes, _imagenet, _images, _linen, _slices, _vit
from workloads.algoperf._base import Base, Model, Scale


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model and its images.

    Attributes:
      width, depth, heads, hidden: of the encoder.
      patch: pixels along a side.
      glu: gated perceptrons.
      post_ln: sums are normalised, not what is added.
      map: pooling by attention.
      images: their shape.
      classes: of the output.
      slices: patches are cut out by slices, not by a convolution.
    """

    width: int = 384
    depth: int = 12
    heads: int = 6
    hidden: int = 1536
    patch: int = 16
    glu: bool = False
    post_ln: bool = False
    map: bool = False
    images: tuple[int, int, int] = _images.IMAGENET
    classes: int = 1000
    slices: bool = False


def _model(options: Options) -> Model:
    module = _vit.ViT(
        options.width,
        options.depth,
        options.heads,
        options.hidden,
        options.patch,
        options.classes,
        options.glu,
        options.post_ln,
        options.map,
        _slices.conv_general_dilated if options.slices else None,
    )
    return _linen.model(module, lambda: (jnp.zeros((1, *options.images)),))


BASE = Base(
    name="imagenet_vit",
    summary="ViT-S/16 on ImageNet",
    data_set="ImageNet",
    cost_class="transformer",
    loss_type="SOFTMAX_CROSS_ENTROPY",
    options=Options(),
    model=_model,
    losses=_classes.losses,
    sums=_classes.sums,
    stand_in=functools.partial(_images.stand_in, "ImageNet"),
    read=lambda options, data_dir: _imagenet.read(
        data_dir, options.images[0], options.classes, eval_batch_size=2048, augment=True
    ),
    batch_size=1024,
    variants={
        "imagenet_vit_glu": {"glu": True},
        "imagenet_vit_post_ln": {"post_ln": True},
        "imagenet_vit_map": {"map": True},
    },
    mended={
        "imagenet_vit_post_ln": "dropout after the perceptron, which AlgoPerf calls in a way that cannot be called"
    },
    output_layer="head",
    scales={
        "mini": Scale(
            data=functools.partial(_images.handwritten, "ImageNet"),
            options={
                "width": 32,
                "depth": 2,
                "heads": 2,
                "hidden": 64,
                "patch": 8,
                "images": _images.CROPPED,
                "classes": 10,
                "slices": True,
            },
            batch_size=32,
            step_hint=300,
            eval_period=15,
            eval_examples=100,
        ),
        "small": Scale(
            data=functools.partial(_images.handwritten, "ImageNet"),
            options={
                "width": 128,
                "depth": 5,
                "heads": 4,
                "hidden": 512,
                "patch": 4,
                "images": _images.DIGITS,
                "classes": 10,
            },
            batch_size=64,
            step_hint=1000,
            eval_period=50,
        ),
    },
)
