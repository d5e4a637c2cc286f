"""Images for ImageNet's and CIFAR's models: noise of the full size, and digits for the smaller scales."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from workloads._source import GeneratedData, Provenance, ResidentData
from workloads.algoperf._shaped import shaped
from workloads.data import digits, mnist_sample

IMAGENET = (224, 224, 3)
DIGITS = (28, 28, 1)
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's training images, whose pixels are between 0 and 1


def stand_in(data_set: str, options: Any) -> GeneratedData:
    """Noise of the size that options.images has, and one of options.classes."""

    def draw(key: jax.Array, examples: int):
        images, labels = jax.random.split(key)
        return {
            "inputs": jax.random.normal(images, (examples, *options.images)),
            "targets": jax.random.randint(labels, (examples,), 0, options.classes),
        }

    return shaped(data_set, draw)


def handwritten(data_set: str) -> ResidentData:
    """MNIST's digits of 28x28 pixels in place of a data set; where no package has them, scikit-learn's, enlarged."""
    version = mnist_sample.version()
    if version is None:
        splits = digits.digits_as_mnist({"validation": 250, "test": 250})
        source = digits.AS_MNIST.source
    else:
        splits = mnist_sample.read()
        source = (
            f"5,000 of MNIST's training images of 28x28 pixels, as shipped with {mnist_sample.PACKAGE} {version}; "
            "of every digit 400 for training, 50 for validation and 50 for test, in the order of the file"
        )
    return ResidentData(
        {name: {"inputs": _normal(images), "targets": labels} for name, (images, labels) in splits.items()},
        Provenance("embedded", source, stands_in_for=data_set),
    )


def _normal(images: np.ndarray) -> np.ndarray:
    return ((images / np.float32(255.0) - MEAN) / DEVIATION).astype(np.float32)
