"""AlgoPerf's development workload on CIFAR-10: a residual network of 18 layers for 32x32 pixels.

AlgoPerf's own cannot be trained: it hands its parameters out as the state of the batch normalisation, and its
evaluation calls a function that JAX no longer has. Here the state is that of the model.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from workloads.algoperf import _classes, _linen, _resnet
from workloads.algoperf._base import Base, Model
from workloads.algoperf._shaped import shaped


@dataclasses.dataclass(frozen=True)
class Options:
    """Of the model.

    Attributes:
      stages: blocks of every stage.
      filters: of the first stage; every stage has twice those of the one before.
    """

    stages: tuple[int, ...] = (2, 2, 2, 2)
    filters: int = 64


def _model(options: Options) -> Model:
    module = _resnet.ResNet(
        options.stages, _resnet.ResNetBlock, options.filters, 10, nn.relu, last_scale=0.0, small_images=True
    )
    return _linen.model(module, lambda: (jnp.zeros((1, 32, 32, 3)),), switches=_resnet.switches)


def _draw(key: jax.Array, examples: int):
    images, labels = jax.random.split(key)
    return {
        "inputs": jax.random.normal(images, (examples, 32, 32, 3)),
        "targets": jax.random.randint(labels, (examples,), 0, 10),
    }


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
    stand_in=lambda options: shaped("CIFAR-10", _draw),
    batch_size=128,
    mended={
        "cifar": "the model's state is its batch statistics; AlgoPerf returns the parameters in its place"
    },
    output_layer="Dense_0",
)
