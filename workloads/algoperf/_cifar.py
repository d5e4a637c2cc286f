"""CIFAR-10 (Krizhevsky 2009) as AlgoPerf's workload sees it: on the device, cropped and flipped there in training."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8

from workloads._source import Batch, Provenance, ResidentData
from workloads.data import resized

DATA_SET, SHAPE, CLASSES = "cifar10:3.0.2", (32, 32, 3), 10
MARGIN = 2  # black pixels around an image, of which a random crop cuts as many off
MEAN = np.array([0.49139968, 0.48215827, 0.44653124], np.float32)
DEVIATION = np.array([0.24703233, 0.24348505, 0.26158768], np.float32)


def read(data_dir: pathlib.Path) -> ResidentData:
    """TFDS's folder: nine tenths of its training images to train on, the last tenth, in its order, to validate.

    Raises:
      FileNotFoundError, ValueError: see `resized.resized_images`; or a label is none of the classes.
    """
    fields = {}
    for split in ("train", "test"):
        images, labels = resized.resized_images(data_dir, DATA_SET, split, "label", SHAPE)
        if not len(labels) or labels.max() >= CLASSES:
            what = f"label {labels.max()}; there are {CLASSES} classes" if len(labels) else "no images"
            raise ValueError(f"{data_dir}: {DATA_SET}: split {split!r} has {what}")
        fields[split] = {"inputs": np.asarray(images), "targets": labels}
    cut = len(fields["train"]["targets"]) * 9 // 10  # AlgoPerf's 45,000 of 50,000
    of_training = fields.pop("train")
    splits = {
        "train": {name: values[:cut] for name, values in of_training.items()},
        "validation": {name: values[cut:] for name, values in of_training.items()},
        **fields,
    }
    counts = ", ".join(f"{len(of['targets']):,} {split}" for split, of in splits.items())
    provenance = Provenance("real", f"CIFAR-10 (TFDS {DATA_SET}), images: {counts}")
    return _Cropped(splits, provenance, lambda key, batch, split: _normalised(batch))


@dataclasses.dataclass(frozen=True)
class _Cropped(ResidentData):
    """Training batches are cropped and flipped at random; evaluations, of training images too, are not."""

    def batch(
        self, arrays: Mapping[str, Any], rows: jax.Array, key: jax.Array, split: str, batch_size: int
    ) -> Batch:
        """See `Source.batch`."""
        del batch_size
        stored = {field: values[rows] for field, values in arrays.items()}
        if split == "train":
            corner_key, flip_key = jax.random.split(key)
            corners = jax.random.randint(corner_key, (len(rows), 2), 0, 2 * MARGIN + 1)
            flips = jax.random.bernoulli(flip_key, 0.5, (len(rows),))
            stored["inputs"] = cropped(stored["inputs"], corners, flips)
        return self.seen(stored, key, split)


def cropped(
    images: UInt8[jax.Array, "example height width channel"],
    corners: Int[jax.Array, "example 2"],
    flips: jax.Array,
) -> UInt8[jax.Array, "example height width channel"]:
    """Images with a black margin, cut to their size from a corner [row, column] on, and mirrored where flips say so."""
    padded = jnp.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))

    def one(image, corner, flip):
        cut = jax.lax.dynamic_slice(image, (*corner, 0), images.shape[1:])
        return jnp.where(flip, cut[:, ::-1], cut)

    return jax.vmap(one)(padded, corners, flips)


def _normalised(batch: Batch) -> Batch:
    inputs: Float[jax.Array, "example height width channel"]
    inputs = batch["inputs"].astype(jnp.float32) * np.float32(1 / 255)
    return {**batch, "inputs": (inputs - MEAN) / DEVIATION}
