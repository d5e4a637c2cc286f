"""Images for ImageNet's models."""

from __future__ import annotations

from typing import Any

import jax

from workloads._source import GeneratedData
from workloads.algoperf._shaped import shaped

IMAGENET = (224, 224, 3)


def stand_in(options: Any) -> GeneratedData:
    """Noise of the size that options.images has, and one of options.classes."""

    def draw(key: jax.Array, examples: int):
        images, labels = jax.random.split(key)
        return {
            "inputs": jax.random.normal(images, (examples, *options.images)),
            "targets": jax.random.randint(labels, (examples,), 0, options.classes),
        }

    return shaped("ImageNet", draw)
