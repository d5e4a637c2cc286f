"""Patches of the two photographs that ship with scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from workloads._source import Provenance

PROVENANCE = Provenance(
    kind="embedded",
    source="grey patches of the two photographs (a temple in China, a flower) shipped with scikit-learn",
)

# Which columns of the 640 belong to which split, as shares of the width: regions, so that patches of two
# splits never share a pixel.
REGIONS = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}


def photograph_patches(
    side: int, sizes: Mapping[str, int], seed: int = 0
) -> dict[str, Float[np.ndarray, "example pixels"]]:
    """Patches of side x side grey pixels, flattened; each has mean 0, and the whole set standard deviation 1.

    Args:
      side: pixels.
      sizes: number of patches of `train`, `validation` and `test`, half of them from each photograph.
      seed: of the places.
    """
    from sklearn.datasets import load_sample_images

    grey = [image @ np.array([0.299, 0.587, 0.114]) / 255.0 for image in load_sample_images().images]
    generator = np.random.default_rng(seed)
    patches = {}
    for split, (left, right) in REGIONS.items():
        per_photograph = sizes[split] // len(grey)
        found = []
        for image in grey:
            height, width = image.shape
            # Blurred sky fills half of the photographs: take the better of two places, by contrast.
            rows = generator.integers(0, height - side + 1, (per_photograph, 2))
            columns = generator.integers(
                round(left * width), round(right * width) - side + 1, (per_photograph, 2)
            )
            for candidates in zip(rows, columns, strict=True):
                pair = [image[r : r + side, c : c + side] for r, c in zip(*candidates, strict=True)]
                found.append(max(pair, key=np.std).ravel())
        stack = np.stack(found)
        patches[split] = generator.permutation(stack - stack.mean(axis=1, keepdims=True))
    scale = patches["train"].std()
    return {split: (values / scale).astype(np.float32) for split, values in patches.items()}
