"""Images for ImageNet's and CIFAR's models: noise of the full size, and digits for the smaller scales."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from workloads._source import GeneratedData, Provenance, ResidentData
from workloads.algoperf._shaped import shaped
from workloads.data import digits, mnist_sample

IMAGENET = (224, 224, 3)
DIGITS, CROPPED, HALVED = (28, 28, 1), (24, 24, 1), (14, 14, 1)
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


def handwritten(data_set: str, options: Any) -> ResidentData:
    """MNIST's digits in place of a data set; where no package has them, scikit-learn's, enlarged.

    Args:
      data_set: that they stand in for.
      options: their images are DIGITS; CROPPED, without a margin of two pixels; or HALVED, each pixel the mean of four.
    """
    version = mnist_sample.version()
    if version is None:
        splits = digits.digits_as_mnist({"validation": 300, "test": 300})
        source = digits.AS_MNIST.source
    else:
        splits = mnist_sample.read()
        source = (
            f"5,000 of MNIST's training images of 28x28 pixels, as shipped with {mnist_sample.PACKAGE} {version}; "
            "of every digit 440 for training, 30 for validation and 30 for test, in the order of the file"
        )
    source += {DIGITS: "", CROPPED: "; cropped to 24x24", HALVED: "; halved to 14x14"}[options.images]
    return ResidentData(
        {
            name: {"inputs": _seen(images, options.images), "targets": labels}
            for name, (images, labels) in splits.items()
        },
        Provenance("embedded", source, stands_in_for=data_set),
    )


def _seen(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    pixels = images.astype(np.float32)
    if shape == CROPPED:
        pixels = pixels[:, 2:-2, 2:-2]
    if shape == HALVED:
        pixels = pixels.reshape(len(images), 14, 2, 14, 2, 1).mean(axis=(2, 4))
    return ((pixels / 255.0 - MEAN) / DEVIATION).astype(np.float32)
